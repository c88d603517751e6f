#pragma once
// Times in a table's hints (Table::LowerHint): units of 256 ms since a base, in 32 bits.
#include <algorithm>
#include <cstdint>

#include "types/table.h"

namespace brim {

inline constexpr int64_t kHintUnitMs = 256;
inline constexpr int64_t kHintBaseMs = 1'700'000'000'000;  // November 2023: earlier times are long past

// The unit in which the time lies; times beyond 34 years count as then.
inline uint32_t ExpiryHint(int64_t at_ms) {
  int64_t units = (at_ms - kHintBaseMs) / kHintUnitMs;
  return static_cast<uint32_t>(std::clamp<int64_t>(units, 0, Table::kNoHint - 1));
}

// The earliest time of which ExpiryHint makes this hint; 0 for the lowest, INT64_MAX for Table::kNoHint.
inline int64_t EarliestOfHint(uint32_t hint) {
  if (hint == Table::kNoHint) return INT64_MAX;
  return hint == 0 ? 0 : kHintBaseMs + int64_t{hint} * kHintUnitMs;
}

}  // namespace brim
