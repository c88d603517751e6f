#pragma once
// HyperLogLogs: strings that estimate how many different elements were added to them, byte for byte redis-server's.
//
//   [ magic 4: "HYLL" | encoding 1: 0 dense, 1 sparse | unused 3 | cached count 8, little endian; top bit: none ] [ ...
//   ] dense:  16384 registers of 6 bits, the lowest bits of a byte first: 12288 bytes sparse: runs of registers that
//   are equal
//     00zzzzzz           1 to 64 registers are 0
//     01zzzzzz zzzzzzzz  1 to 16384 registers are 0
//     1vvvvvnn           1 to 4 registers are v + 1
//
// Clients can set such strings byte by byte: nothing here trusts more of them than IsHll has seen. All calls on values
// need the lock of the value's shard; they take `raw` strings that IsHll accepts (types/string.h: WritableString).
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "types/value.h"

namespace brim {

inline constexpr uint32_t kHllRegisters = 16384;
inline constexpr size_t kHllHeaderBytes = 16;
inline constexpr size_t kHllDenseBytes = kHllHeaderBytes + kHllRegisters * 6 / 8;

// A register each, unpacked.
struct HllRegisters {
  uint8_t values[kHllRegisters] = {};
};

enum class HllChange : uint8_t { kNone, kChanged, kCorrupt };

// One without elements: what a new key holds.
std::string_view EmptyHll();
// Whether the string can be one: header, and a dense one's size. The runs of a sparse one are not looked at.
bool IsHll(std::string_view text);
bool HllIsDense(std::string_view hll);

// Adds an element. O(1) when dense, else O(bytes); becomes dense when hll-sparse-max-bytes does not suffice.
HllChange HllAdd(Value& value, std::string_view element);
// Raises a register to `count` at least.
HllChange HllRaise(Value& value, uint32_t index, uint8_t count);
// Raises all registers. False when it is corrupt. O(registers), O(registers * bytes) at worst when sparse.
bool HllRaiseAll(Value& value, const HllRegisters& registers);
// Makes it dense if it is not. False: it is corrupt, and as it was.
bool HllMakeDense(Value& value);

// Raises the registers to those of the HyperLogLog at least. False when it is corrupt. O(registers).
bool HllMerge(std::string_view hll, HllRegisters* registers);
// The estimated number of elements. *count only when it is not corrupt (true). O(registers).
bool HllCount(std::string_view hll, uint64_t* count);
uint64_t HllCount(const HllRegisters& registers);

// The count that the header keeps; false: none that still holds. The bytes are those of a HyperLogLog.
bool HllCachedCount(std::string_view hll, uint64_t* count);
void HllSetCachedCount(char* hll, uint64_t count);
void HllForgetCachedCount(char* hll);

// The runs of a sparse one as PFDEBUG DECODE shows them: "z:10 v:3,1 Z:16373". Of a corrupt one what can be read.
std::string HllDescribe(std::string_view hll);

// Writes and reads registers, and counts elements whose number is known. "" when everything is right. O(10^6).
std::string HllSelfTest();

}  // namespace brim
