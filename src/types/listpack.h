#pragma once
// The listpack: a sequence of texts and integers in one piece of memory, readable in both directions. The format is
// Redis's own (it travels in RDB files): https://github.com/antirez/listpack/blob/master/listpack.md
//
//   [total bytes 4, LE] [elements 2, LE; 65535: unknown] { [encoding and data] [length of both, backwards] }... [0xff]
//
// Elements are named by their offset; kEnd (0) means none. An offset stays valid until the listpack changes.
// Positions past the last element and elements of other listpacks must not be passed. No locks: the caller holds its
// value's.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "types/value_bytes.h"

namespace brim::listpack {

inline constexpr size_t kHeaderBytes = 6;
inline constexpr size_t kEmptyBytes = 7;
inline constexpr size_t kEnd = 0;
inline constexpr size_t kBytesMax = size_t{1} << 30;  // as far as redis-server lets one grow

// An element: an integer, or a text.
struct Item {
  std::string_view text;
  bool is_number = false;
  int64_t number = 0;
  // As text; numbers are rendered into `buffer` of 24 bytes.
  std::string_view Text(char* buffer) const;
};

// Writes an empty listpack into kEmptyBytes bytes.
void Init(uint8_t* bytes);

inline size_t TotalBytes(const uint8_t* lp) {
  return lp[0] | lp[1] << 8 | static_cast<size_t>(lp[2]) << 16 | static_cast<size_t>(lp[3]) << 24;
}
// O(1), but O(n) from 65535 elements on.
size_t Count(const uint8_t* lp);

// First and last element, neighbours; kEnd where there is none. O(1).
size_t First(const uint8_t* lp);
size_t Last(const uint8_t* lp);
size_t Next(const uint8_t* lp, size_t at);
size_t Previous(const uint8_t* lp, size_t at);
// The place `count` elements further on, or back; both must be there (on: the terminator's place may be reached).
// O(count).
size_t Skip(const uint8_t* lp, size_t at, size_t count);
size_t SkipBack(const uint8_t* lp, size_t at, size_t count);
// The element of that index, negative from the end (-1: last). O(n).
size_t At(const uint8_t* lp, int64_t index);
// Where a new last element goes (the terminator's offset), for Insert.
inline size_t EndOffset(const uint8_t* lp) { return TotalBytes(lp) - 1; }

Item Get(const uint8_t* lp, size_t at);
// Bytes of the element's text.
size_t TextSize(const uint8_t* lp, size_t at);
bool Equals(const uint8_t* lp, size_t at, std::string_view text);
// The first element equal to `text`, looking from `at` on at every (skip + 1)th; kEnd when none is. O(n).
size_t Find(const uint8_t* lp, size_t at, std::string_view text, size_t skip = 0);

// Bytes that the text takes as an element. A text that is a canonical 64-bit integer is stored as one.
size_t ElementBytes(std::string_view text);
size_t ElementBytes(int64_t number);
// Bytes that the element at `at` takes.
size_t ElementBytesAt(const uint8_t* lp, size_t at);

// --- pieces of elements, for formats that are made of them
// Bytes of the element at `p` without the length behind it.
size_t LongBodyBytes(const uint8_t* p);
inline size_t BodyBytes(const uint8_t* p) {
  if (*p < 0x80) return 1;
  return *p < 0xc0 ? 1u + (*p & 63) : LongBodyBytes(p);
}
// Writes that length; returns its bytes, at most 5.
size_t WriteBackLength(uint8_t* to, size_t body_bytes);
// Writes a number as an element, its length included; returns its bytes, at most kNumberBytesMax.
inline constexpr size_t kNumberBytesMax = 10;
size_t WriteNumberElement(uint8_t* to, int64_t number);

// Changes. Texts may not lie in the listpack itself. O(bytes behind the place).
// Insert puts a new element before the one at `at` (EndOffset: at the end) and returns its offset.
size_t Insert(ValueBytes& value, size_t at, std::string_view text);
inline size_t Append(ValueBytes& value, std::string_view text) { return Insert(value, EndOffset(value.data()), text); }
inline size_t Prepend(ValueBytes& value, std::string_view text) { return Insert(value, kHeaderBytes, text); }
// Puts `count` new elements before `at`. Returns the offset of the first.
size_t InsertMany(ValueBytes& value, size_t at, const std::string_view* texts, size_t count);
// The same for as many of them as leave the whole with at most `bytes_max` bytes, and kSomeMax at most. `reversed`:
// each goes before the one put last, as if all were inserted there one after the other. Returns how many.
inline constexpr size_t kSomeMax = 32;
size_t InsertSome(ValueBytes& value, size_t at, std::span<const std::string_view> texts, size_t bytes_max,
                  bool reversed);
// Puts elements at the end: numbers as such, texts as Insert does.
void AppendItems(ValueBytes& value, const Item* items, size_t count);
// Puts elements that are encoded already (another listpack's, back lengths included) at the end.
void AppendRaw(ValueBytes& value, const uint8_t* elements, size_t bytes, size_t count);
// The same before the element at that offset.
void InsertRaw(ValueBytes& value, size_t at, const uint8_t* elements, size_t bytes, size_t count);
// Replaces the element; its offset stays.
void Replace(ValueBytes& value, size_t at, std::string_view text);
void ReplaceNumber(ValueBytes& value, size_t at, int64_t number);
// Removes up to `count` elements from `at` on. Returns the offset of what follows now, or kEnd.
size_t Erase(ValueBytes& value, size_t at, size_t count = 1);

// Whether `bytes` bytes are a well-formed listpack (lengths, back lengths, count, terminator). For what comes from
// outside. O(n).
bool IsValid(const uint8_t* bytes, size_t size);

}  // namespace brim::listpack
