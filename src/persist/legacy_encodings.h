#pragma once
// Walks over the packed values in RDB files: ziplists and zipmaps, which only Redis before 7.0 and 2.6 wrote, and
// listpacks and intsets. The bytes are a stranger's: every length, offset, count and terminator is checked, and nothing
// outside the span is read.
//
//   ziplist  [total bytes 4] [offset of the last entry 4] [entries 2; 65535: unknown] { entry }... [0xff]
//     entry  [bytes of the entry before: 1, or 254 and 4] [encoding] [data]
//     00pppppp                    text of p bytes              0xc0  16 bit    0xd0  32 bit    0xe0  64 bit
//     01pppppp qqqqqqqq           text, 14 bits, big endian    0xf0  24 bit    0xfe   8 bit
//     10______ and 4, big endian  text                         0xf1..0xfd      the numbers 0..12
//   zipmap   [pairs 1; 254: unknown] { [length] field [length] [unused 1] value, unused bytes }... [0xff]
//     length [1 below 254, or 254 and 4; never longer than needed]
//
// Integers are little endian where nothing else is said. A walk checks the whole before the first call, so one that
// returns kMalformed has handed over nothing. Empty values are well formed here; the loader decides about them, and
// about odd counts and repeated fields. Linear time, no allocation, no locks: the caller owns the bytes.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "types/intset.h"
#include "types/listpack.h"

namespace brim {

enum class WalkResult {
  kDone,       // every element was handed over
  kStopped,    // the callback returned false
  kMalformed,  // the bytes are wrong; the callback was not called
};

bool CheckZiplist(std::span<const uint8_t> bytes);
bool CheckZipmap(std::span<const uint8_t> bytes);
inline bool CheckListpack(std::span<const uint8_t> bytes) { return listpack::IsValid(bytes.data(), bytes.size()); }
inline bool CheckIntset(std::span<const uint8_t> bytes) { return intset::IsValid(bytes.data(), bytes.size()); }

// The steps of the walks below.
namespace legacy {

inline constexpr size_t kZiplistHeaderBytes = 10;
inline constexpr size_t kZipmapHeaderBytes = 1;
inline constexpr uint8_t kTerminator = 0xff;

struct ZiplistEntry {
  size_t previous_bytes = 0;  // what it tells of the entry before
  listpack::Item item;
};
// Reads the entry that `rest` begins with. Returns its bytes, or 0 when it is malformed or ends outside `rest`.
size_t ReadZiplistEntry(std::span<const uint8_t> rest, ZiplistEntry* entry);

struct ZipmapPair {
  std::string_view field;
  std::string_view value;
};
// As ReadZiplistEntry.
size_t ReadZipmapPair(std::span<const uint8_t> rest, ZipmapPair* pair);

}  // namespace legacy

// Calls `each` with every element as text, in order, until it returns false. The text is valid during the call.
template <std::predicate<std::string_view> Each>
WalkResult WalkZiplist(std::span<const uint8_t> bytes, Each&& each) {
  if (!CheckZiplist(bytes)) return WalkResult::kMalformed;
  char digits[24];
  for (size_t at = legacy::kZiplistHeaderBytes; bytes[at] != legacy::kTerminator;) {
    legacy::ZiplistEntry entry;
    at += legacy::ReadZiplistEntry(bytes.subspan(at), &entry);
    if (!each(entry.item.Text(digits))) return WalkResult::kStopped;
  }
  return WalkResult::kDone;
}

// As WalkZiplist.
template <std::predicate<std::string_view> Each>
WalkResult WalkListpack(std::span<const uint8_t> bytes, Each&& each) {
  if (!CheckListpack(bytes)) return WalkResult::kMalformed;
  char digits[24];
  const uint8_t* lp = bytes.data();
  for (size_t at = listpack::First(lp); at != listpack::kEnd; at = listpack::Next(lp, at)) {
    if (!each(listpack::Get(lp, at).Text(digits))) return WalkResult::kStopped;
  }
  return WalkResult::kDone;
}

// Calls `each` with every field and its value, in order, until it returns false. Both point into `bytes`.
template <std::predicate<std::string_view, std::string_view> Each>
WalkResult WalkZipmap(std::span<const uint8_t> bytes, Each&& each) {
  if (!CheckZipmap(bytes)) return WalkResult::kMalformed;
  for (size_t at = legacy::kZipmapHeaderBytes; bytes[at] != legacy::kTerminator;) {
    legacy::ZipmapPair pair;
    at += legacy::ReadZipmapPair(bytes.subspan(at), &pair);
    if (!each(pair.field, pair.value)) return WalkResult::kStopped;
  }
  return WalkResult::kDone;
}

// Calls `each` with every integer, ascending, until it returns false.
template <std::predicate<int64_t> Each>
WalkResult WalkIntset(std::span<const uint8_t> bytes, Each&& each) {
  if (!CheckIntset(bytes)) return WalkResult::kMalformed;
  for (size_t rank = 0, count = intset::Count(bytes.data()); rank < count; rank++) {
    if (!each(intset::Get(bytes.data(), rank))) return WalkResult::kStopped;
  }
  return WalkResult::kDone;
}

}  // namespace brim
