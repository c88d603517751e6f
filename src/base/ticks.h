#pragma once
// The CPU's time-stamp counter as a cheap stopwatch: 20 cycles a reading. Its rate is measured once.
#include <cstdint>

namespace brim {

// Microseconds in that many ticks.
double TicksToUs(uint64_t ticks);
// Ticks in that many microseconds.
uint64_t UsToTicks(double us);
// Nanoseconds a tick, as a fixed-point number with kTickBits bits behind the point, by what is known of the rate now.
uint64_t NsPerTick();
inline constexpr int kTickBits = 32;
inline uint64_t TicksToNs(uint64_t ticks, uint64_t ns_per_tick) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(ticks) * ns_per_tick >> kTickBits);
}

}  // namespace brim
