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

uint64_t UsToTicks(double us) {
  constexpr double kSample = 1e6;
  double sample_us = TicksToUs(static_cast<uint64_t>(kSample));
  return static_cast<uint64_t>(sample_us > 0 ? us / sample_us * kSample : us * 1000);
}

uint64_t NsPerTick() {
  constexpr double kSample = 1e9;
  double us = TicksToUs(static_cast<uint64_t>(kSample));
  constexpr double kNsAUs = 1000;
  return static_cast<uint64_t>(us * kNsAUs / kSample * static_cast<double>(uint64_t{1} << kTickBits));
}

}  // namespace brim
