#include "base/ticks.h"

#include <x86intrin.h>

#include "base/monotonic.h"

namespace brim {

namespace {

struct Calibration {
  uint64_t ticks = __rdtsc();
  int64_t us = MonotonicUs();
};
const Calibration start;  // the longer ago, the finer

}  // namespace

double TicksToUs(uint64_t ticks) {
  auto passed_us = static_cast<double>(MonotonicUs() - start.us);
  auto passed_ticks = static_cast<double>(__rdtsc() - start.ticks);
  return passed_ticks > 0 ? static_cast<double>(ticks) * passed_us / passed_ticks : 0;
}

}  // namespace brim
