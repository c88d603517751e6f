#pragma once
// What has kept this process from answering for at least latency-monitor-threshold milliseconds: by kind of work, the
// worst of each second, the last 160 of them. LATENCY's figures; docs/watching.md. Any thread.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/monotonic.h"

namespace brim {

enum class LatencyEvent : uint8_t {
  kCommand,
  kFastCommand,        // those that are flagged as fast
  kCommandUnblocking,  // what a client waited for has come: its command being run
  kExpireCycle,
  kEvictionCycle,  // keys going for one command, or in one turn
  kEvictionDelete,
  kDefragCycle,  // a slice of compaction
  kAofWrite,
  kAofFsyncAlways,
  kSaveCut,    // every thread stands still while a snapshot begins or ends, in the place of redis-server's fork
  kSaveSlice,  // a slice of the snapshot's walk
  kCount
};
inline constexpr size_t kLatencyEvents = static_cast<size_t>(LatencyEvent::kCount);
std::string_view EventName(LatencyEvent event);
// By the name as it is spelt above.
std::optional<LatencyEvent> FindEvent(std::string_view name);

struct LatencySample {
  int64_t at_s;  // since 1970
  uint64_t ms;
};

// An event's samples, oldest first, and its longest ever (since a reset).
struct LatencyHistory {
  std::vector<LatencySample> samples;
  uint64_t worst_ms = 0;
};

class LatencyMonitor {
 public:
  // latency-monitor-threshold; 0: off.
  void SetThreshold(int64_t ms);
  bool on() const { return threshold_us_.load(std::memory_order_relaxed) != INT64_MAX; }
  int64_t threshold_us() const { return threshold_us_.load(std::memory_order_relaxed); }
  // Takes a few instructions when it is off or was quick.
  void Note(LatencyEvent event, int64_t us) {
    if (us >= threshold_us_.load(std::memory_order_relaxed)) [[unlikely]]
      AddNow(event, us);
  }
  // A sample whatever the threshold is. Times do not go back.
  void Add(LatencyEvent event, LatencySample sample);
  // Empty: none yet.
  LatencyHistory HistoryOf(LatencyEvent event);
  // Forgets the event's samples; false: there were none.
  bool Reset(LatencyEvent event);

 private:
  static constexpr size_t kSamples = 160;
  struct Ring {
    std::array<LatencySample, kSamples> samples{};
    size_t used = 0;
    size_t next = 0;
    uint64_t worst_ms = 0;
  };
  void AddNow(LatencyEvent event, int64_t us);

  std::atomic<int64_t> threshold_us_{INT64_MAX};
  std::mutex mutex_;  // taken only for what passes the threshold. Threads that sync files come here too: no SpinLock
  std::array<std::unique_ptr<Ring>, kLatencyEvents> rings_;
};

inline LatencyMonitor latency_monitor;

// From here to the end of the scope is one event. Reads no clock while the monitor is off.
class LatencySpan {
 public:
  explicit LatencySpan(LatencyEvent event) : event_(event), start_us_(latency_monitor.on() ? MonotonicUs() : 0) {}
  ~LatencySpan() {
    if (start_us_ != 0) latency_monitor.Note(event_, MonotonicUs() - start_us_);
  }
  LatencySpan(const LatencySpan&) = delete;
  LatencySpan& operator=(const LatencySpan&) = delete;

 private:
  LatencyEvent event_;
  int64_t start_us_;
};

}  // namespace brim
