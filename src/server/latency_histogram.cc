#include "server/latency_histogram.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "base/ticks.h"

namespace brim {

namespace {

constexpr size_t kHalf = 128;  // steps of a power of two

size_t StepOf(uint64_t ns) {
  // How many low bits are dropped: those beyond the 8 highest.
  int dropped = std::bit_width(ns | kHalf) - 8;
  return static_cast<size_t>(dropped) * kHalf + (ns >> dropped);
}

uint64_t FirstOf(size_t step) {
  if (step < 2 * kHalf) return step;
  return (step % kHalf + kHalf) << (step / kHalf - 1);
}

uint64_t LastOf(size_t step) { return FirstOf(step + 1) - 1; }

}  // namespace

void LatencyHistogram::Count(uint64_t ns, uint64_t calls) {
  counts_[StepOf(std::clamp<uint64_t>(ns, 1, kLongestNs))] += calls;
  calls_ += calls;
}

uint64_t LatencyHistogram::PercentileNs(double percent) const {
  double share = std::min(percent, 100.0) / 100;
  auto wanted = static_cast<uint64_t>(std::max(std::llround(share * static_cast<double>(calls_)), 1LL));
  uint64_t passed = 0;
  for (size_t step = 0; step < kSteps; step++) {
    passed += counts_[step];
    if (passed >= wanted) return percent == 0 ? FirstOf(step) : LastOf(step);
  }
  return 0;
}

std::vector<LatencyHistogram::Bar> LatencyHistogram::Bars() const {
  constexpr uint64_t kFirstNs = 1024;
  std::vector<Bar> bars;
  uint64_t passed = 0;
  uint64_t shown = 0;
  uint64_t bound_ns = kFirstNs;
  for (size_t step = 0; step < kSteps; step++) {
    passed += counts_[step];
    if (step != kSteps - 1 && LastOf(step) < bound_ns) continue;
    bound_ns *= 2;
    if (passed > shown) bars.push_back({LastOf(step) / 1000, passed});
    shown = passed;
  }
  return bars;
}

void CallTimes::CountFirst(uint64_t ticks, uint64_t calls) noexcept {
  int dropped = std::bit_width(ticks) - 8;
  std::unique_ptr<Block>& block = blocks_[static_cast<size_t>(dropped)];
  block.reset(new (std::nothrow) Block());
  if (block != nullptr) (*block)[(ticks >> dropped) % kBlockSteps] = calls;
}

void CallTimes::AddTo(LatencyHistogram* histogram, uint64_t ns_per_tick) const {
  for (size_t dropped = 0; dropped < kBlocks; dropped++) {
    if (blocks_[dropped] == nullptr) continue;
    for (size_t step = 0; step < kBlockSteps; step++) {
      uint64_t calls = (*blocks_[dropped])[step];
      if (calls == 0) continue;
      uint64_t middle = ((step + kBlockSteps) << dropped) + (uint64_t{1} << dropped) / 2;
      histogram->Count(TicksToNs(middle, ns_per_tick), calls);
    }
  }
}

size_t CallTimes::MemoryUsage() const {
  size_t bytes = sizeof *this;
  for (const std::unique_ptr<Block>& block : blocks_) bytes += block != nullptr ? sizeof(Block) : 0;
  return bytes;
}

}  // namespace brim
