#pragma once
// How long calls took. docs/watching.md.
//
// Workers count in ticks of the CPU's counter, in as few instructions as can be: CallTimes. Whoever asks adds all of
// them up in nanoseconds, in the steps that redis-server counts in, so that what INFO latencystats and LATENCY
// HISTOGRAM print falls on the same numbers: LatencyHistogram. In both a step is a value's 8 highest bits: two
// significant digits.
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace brim {

// From 1 ns to 1 s; what takes longer counts as that.
class LatencyHistogram {
 public:
  static constexpr uint64_t kLongestNs = 1'000'000'000;

  void Count(uint64_t ns, uint64_t calls = 1);
  uint64_t calls() const { return calls_; }

  // What at least that many percent of the calls took at most: the end of the step in which the last of them lies (of
  // 0 percent: its beginning). 0: no calls.
  uint64_t PercentileNs(double percent) const;

  // How many calls took at most that long, at 1.024 us and its doubles; only where there are more than at the last.
  struct Bar {
    uint64_t us;
    uint64_t calls;
  };
  std::vector<Bar> Bars() const;

 private:
  // Below 256 ns each nanosecond is a step, and each further power of two has 128.
  static constexpr size_t kSteps = 24 * 128;
  uint64_t calls_ = 0;
  std::vector<uint64_t> counts_ = std::vector<uint64_t>(kSteps);
};

// One command's calls by one worker: it alone writes; read while it does not. 1 KB for each power of two into which a
// call has fallen.
class CallTimes {
 public:
  // Memory that cannot be had leaves the call uncounted.
  void Count(uint64_t ticks, uint64_t calls = 1) noexcept {
    // Less than 128 ticks, some tens of nanoseconds, is counted as 128.
    if (ticks < kBlockSteps) ticks = kBlockSteps;
    int dropped = std::bit_width(ticks) - 8;
    Block* block = blocks_[static_cast<size_t>(dropped)].get();
    if (block == nullptr) [[unlikely]] {
      CountFirst(ticks, calls);
      return;
    }
    (*block)[(ticks >> dropped) % kBlockSteps] += calls;
  }
  void AddTo(LatencyHistogram* histogram, uint64_t ns_per_tick) const;
  size_t MemoryUsage() const;

 private:
  static constexpr size_t kBlockSteps = 128;
  static constexpr size_t kBlocks = 64 - 7;
  using Block = std::array<uint64_t, kBlockSteps>;
  void CountFirst(uint64_t ticks, uint64_t calls) noexcept;

  std::array<std::unique_ptr<Block>, kBlocks> blocks_;
};

}  // namespace brim
