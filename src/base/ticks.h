#pragma once
// The CPU's time-stamp counter as a cheap stopwatch: 20 cycles a reading. Its rate is measured once.
#include <cstdint>

namespace brim {

// Microseconds in that many ticks.
double TicksToUs(uint64_t ticks);
// Ticks in that many microseconds.
uint64_t UsToTicks(double us);

}  // namespace brim
