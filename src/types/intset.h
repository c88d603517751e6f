#pragma once
// The intset: sorted distinct integers, all of one width, in one piece of memory. The format is Redis's own (RDB):
//   [width in bytes 4, LE: 2, 4 or 8] [count 4, LE] [integers, LE, ascending]
// No locks: the caller holds its value's.
#include <cstddef>
#include <cstdint>

#include "types/value_bytes.h"

namespace brim::intset {

inline constexpr size_t kHeaderBytes = 8;
inline constexpr size_t kEmptyBytes = 8;

// Writes an empty intset into kEmptyBytes bytes.
void Init(uint8_t* bytes);
size_t TotalBytes(const uint8_t* is);
size_t Count(const uint8_t* is);
// The integer of that rank. O(1).
int64_t Get(const uint8_t* is, size_t rank);
// O(log n).
bool Contains(const uint8_t* is, int64_t number);
// True when it is new. O(n).
bool Add(ValueBytes& value, int64_t number);
// True when it was there. O(n).
bool Remove(ValueBytes& value, int64_t number);
// Whether `size` bytes are a well-formed intset.
bool IsValid(const uint8_t* bytes, size_t size);

}  // namespace brim::intset
