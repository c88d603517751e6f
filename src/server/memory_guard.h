#pragma once
// What the process's memory is held against: maxmemory, the container's or the host's memory, the clients' share. A
// worker whose turn it is samples resident memory; the others read what it found. docs/pressure.md.
#include <algorithm>
#include <atomic>
#include <cstdint>

#include "memory/account.h"

namespace brim {

struct Config;

class MemoryGuard {
 public:
  // Limits from the configuration. Every thread paused, or none yet.
  static void Configure(const Config& config);
  // The end of the start: what an empty server takes is no pressure.
  static void MarkFootprint();

  // --- limits, in bytes; 0: none
  // Used memory: maxmemory or what the container leaves, the smaller.
  static int64_t used_limit() { return used_limit_.load(std::memory_order_relaxed); }
  // maxmemory as a number of bytes, percent resolved.
  static int64_t maxmemory() { return maxmemory_.load(std::memory_order_relaxed); }
  // This process's resident memory: maxmemory-guard percent of the container's or the host's, less what others take.
  static int64_t container_limit() { return guard_.load(std::memory_order_relaxed); }
  // What counts against the container's limit beside this process's resident memory: its other processes, page tables,
  // socket buffers, files in memory. 0 without a container's limit: for what strangers take on a host no key goes.
  static int64_t container_others() { return others_.load(std::memory_order_relaxed); }
  static int64_t client_limit() { return client_limit_.load(std::memory_order_relaxed); }
  static int64_t footprint() { return footprint_; }
  // Clients' buffers up to here are not held against the keys by used memory.
  static int64_t client_allowance() { return client_allowance_.load(std::memory_order_relaxed); }
  // ClientRoom is never less, whatever the pressure. Cheaper to ask for.
  static int64_t client_room_least() { return std::min(client_allowance(), kClientsFloor); }
  // What clients' buffers may take now: half of what the keys leave of the limit, at least the allowance, at most
  // maxmemory-clients; less when resident memory is over its bound. INT64_MAX: no limit. `before_keys`: keys go next,
  // and the allowance does not count where resident memory is over; kClientsFloor is left then.
  static int64_t ClientRoom(bool before_keys = false);

  // --- resident memory
  // Each worker, once a turn: looks when it is time to, at the container's limit too. Cheap when it is not.
  static void Watch(int64_t now_us) {
    if (now_us >= next_sample_us_.load(std::memory_order_relaxed)) WatchNow(now_us);
  }
  // Looks at resident memory now. Any thread.
  static void Sample(int64_t now_us);
  // Bytes over the bound with its slack, by the last sample: keys may go. The soft one is for what costs nobody
  // anything: giving back and compaction.
  static int64_t ResidentOver() { return over_.load(std::memory_order_relaxed); }
  static int64_t ResidentOverSoft() { return over_soft_.load(std::memory_order_relaxed); }
  // How far resident memory may be above maxmemory before keys go.
  static int64_t Slack();
  // For how long, in microseconds, samples have found it over that; 0: it is not.
  static int64_t OverForUs(int64_t now_us) {
    int64_t since = over_since_us_.load(std::memory_order_relaxed);
    return since == 0 ? 0 : now_us - since;
  }

  // How far resident memory is from where giving back begins (0) to where keys may go (100), by the last sample.
  static int PressurePercent();

  // True when a command must go through Admission::Admit. A few instructions.
  static bool NeedsRelief() { return UsedMemoryFast() > admit_limit_.load(std::memory_order_relaxed); }
  // Used memory over its limit, clients' allowance taken off.
  static int64_t UsedOver();

 private:
  static constexpr int64_t kClientsFloor = 4 << 20;  // nobody is closed for less
  static void ReadContainer();
  // When the container is looked at next, after a look that took that long.
  static void PlanContainer(int64_t now_us, int64_t took_us);
  static void SetLimits();
  static void WatchNow(int64_t now_us);
  static inline std::atomic<int64_t> maxmemory_{0};
  static inline std::atomic<int64_t> used_limit_{0};
  static inline std::atomic<int64_t> client_limit_{0};
  static inline std::atomic<int64_t> client_allowance_{0};
  static inline int64_t footprint_ = 0;
  static inline bool watch_resident_ = true;
  static inline std::atomic<int64_t> next_sample_us_{0};
  static inline std::atomic<int64_t> next_container_us_{0};
  static inline std::atomic<int64_t> guard_{0};
  static inline std::atomic<int64_t> others_{0};
  static inline std::atomic<int64_t> over_{INT64_MIN};
  static inline std::atomic<int64_t> over_soft_{INT64_MIN};
  static inline std::atomic<int64_t> over_since_us_{0};
  static inline std::atomic<int64_t> admit_limit_{INT64_MAX};
};

// Bytes of clients' query buffers, pending replies, subscriptions, and of what is remembered that they have read.
int64_t ClientMemory();

}  // namespace brim
