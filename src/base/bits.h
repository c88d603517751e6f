#pragma once
// Bits of a text as Redis numbers them: bit 0 is the highest of the first byte. No locks, no allocation.
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace brim {

// Bits that are one. O(n), a word at a time.
uint64_t CountBits(std::string_view text);
// Bits that are one among [first, last], which lie in the text.
uint64_t CountBits(std::string_view text, uint64_t first, uint64_t last);
// The first bit of that value among [first, last], which lie in the text; -1: there is none.
int64_t FindBit(std::string_view text, uint64_t first, uint64_t last, bool value);

inline bool BitAt(std::string_view text, uint64_t at) {
  return at / 8 < text.size() && (static_cast<uint8_t>(text[at / 8]) >> (7 - at % 8) & 1) != 0;
}

// `width` bits (1 to 64) from bit `at` on as a number, the first the highest. What is past the end of the text is zero.
uint64_t ReadBits(std::string_view text, uint64_t at, unsigned width);
// Writes them; they must lie in the text.
void WriteBits(char* text, uint64_t at, unsigned width, uint64_t value);

// BITOP's operations. kDiff: in the first source and in no other; kDiff1: in any other and not in the first; kAndOr: in
// the first and in any other; kOne: in exactly one.
enum class BitOperation : uint8_t { kAnd, kOr, kXor, kNot, kDiff, kDiff1, kAndOr, kOne };
// Combines `count` texts, each with zeros behind it, into the `size` bytes at `to`, which overlap none of them. kNot
// takes one text, kDiff, kDiff1 and kAndOr two at least.
void CombineBits(BitOperation operation, const std::string_view* texts, size_t count, char* to, size_t size);

}  // namespace brim
