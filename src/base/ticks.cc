#include "base/ticks.h"

#include <time.h>
#include <x86intrin.h>

namespace brim {

namespace {

struct Moment {
  uint64_t ticks;
  int64_t ns;
};

// The counter and the clock at one time. The first call of a process waits for pages to be mapped, and a thread may
// lose its core between the two readings: the closest pair of a few counts.
Moment Now() {
  constexpr int kTries = 8;
  constexpr uint64_t kClose = 400;  // ticks, some 150 ns
  Moment best{};
  uint64_t best_gap = UINT64_MAX;
  for (int i = 0; i < kTries && best_gap > kClose; i++) {
    uint64_t before = __rdtsc();
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    uint64_t gap = __rdtsc() - before;
    if (i > 0 && gap >= best_gap) continue;
    best_gap = gap;
    best = {before + gap / 2, time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec};
  }
  return best;
}

const Moment start = Now();  // the longer ago, the finer

}  // namespace

double TicksToUs(uint64_t ticks) {
  Moment now = Now();
  constexpr double kNsAUs = 1000;
  auto passed_us = static_cast<double>(now.ns - start.ns) / kNsAUs;
  auto passed_ticks = static_cast<double>(now.ticks - start.ticks);
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
