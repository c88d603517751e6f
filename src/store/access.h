#pragma once
// When and how often keys are used: what the eviction policies go by.
//
// Two places hold it. The entry's 24 access bits have Redis's meaning (LRU and LRM: seconds; LFU: minutes and a
// logarithmic counter), for OBJECT IDLETIME and FREQ. The slot's state byte is a finer recency: the shard's own clock,
// which advances with accesses, so that order is kept at any speed; old stamps are aged before the byte wraps.
#include <cstdint>

#include "store/entry.h"
#include "types/table.h"

namespace brim {

class Keyspace;

enum class EvictionPolicy : uint8_t {
  kNoEviction,
  kAllKeysLru,
  kAllKeysLfu,
  kAllKeysRandom,
  kAllKeysLrm,
  kVolatileLru,
  kVolatileLfu,
  kVolatileRandom,
  kVolatileTtl,
  kVolatileLrm,
};

// Written while every thread is paused.
struct EvictionSettings {
  EvictionPolicy policy = EvictionPolicy::kNoEviction;
  int samples = 5;
  int lfu_log_factor = 10;
  int lfu_decay_minutes = 1;
  bool IsLru() const { return policy == EvictionPolicy::kAllKeysLru || policy == EvictionPolicy::kVolatileLru; }
  bool IsLfu() const { return policy == EvictionPolicy::kAllKeysLfu || policy == EvictionPolicy::kVolatileLfu; }
  bool IsLrm() const { return policy == EvictionPolicy::kAllKeysLrm || policy == EvictionPolicy::kVolatileLrm; }
  bool IsVolatile() const { return policy >= EvictionPolicy::kVolatileLru; }
};
inline EvictionSettings eviction;

inline constexpr uint32_t kLfuInitial = 5;

// The coarse time that access stamps use, per thread: refreshed by the event loop, so that touching reads no clock.
struct CoarseClock {
  int64_t now_ms = 0;
  uint32_t lru_seconds = 0;  // 24 bits
  uint32_t lfu_minutes = 0;  // 16 bits
  void Set(int64_t ms) {
    now_ms = ms;
    lru_seconds = static_cast<uint32_t>(ms / 1000) & Entry::kAccessMask;
    lfu_minutes = static_cast<uint32_t>(ms / 60000) & 0xffff;
  }
};
inline thread_local CoarseClock coarse_clock;

// The LFU counter as it stands now, decay applied. `access` is the entry's.
uint32_t LfuCounterNow(uint32_t access, uint32_t now_minutes);
// The counter after one more use.
uint32_t LfuIncrement(uint32_t counter);
// Of a key that is loaded with its idle time or its frequency; -1: not given. What the policy does not use is ignored.
void SetLoadedAccess(Entry& entry, int64_t idle_s, int64_t frequency);
// Seconds since the entry was used (or, under LRM, written).
uint32_t IdleSeconds(const Entry& entry);

class AccessClock {
 public:
  uint8_t now() const { return now_; }
  // Age of a state byte, in ticks.
  uint8_t AgeOf(uint8_t state) const { return static_cast<uint8_t>(now_ - state); }
  // One access happened. True when the sweep is to look at some buckets (AgeBucket).
  bool Tick() {
    if (--until_tick_ == 0) Advance();
    return (++accesses_ & 15) == 0;
  }
  // Keeps a bucket's stamps from wrapping around: those older than kOldest become kOldest.
  void AgeBucket(uint8_t* bucket) const;
  size_t sweep_buckets() const { return sweep_buckets_; }
  // A key of this age was evicted: the tick's length follows, so that keys live for about 128 ticks.
  void NoteEvictedAge(uint8_t age);
  // The table has that many buckets (called on growth of the shard, cheap).
  void SetScale(size_t keys, size_t buckets);
  uint64_t sweep_position = 0;

  static constexpr uint8_t kOldest = 191;

 private:
  void Advance();
  uint8_t now_ = 0;
  uint32_t until_tick_ = 64;
  uint32_t tick_accesses_ = 64;
  uint64_t accesses_ = 0;
  size_t sweep_buckets_ = 1;
  size_t buckets_ = 0;
  int evicted_age_ = 128 * 16;  // running mean, times 16
  uint32_t evictions_in_tick_ = 0;
};

// Stamps a new key, or one that was just used. `write` is a modification (LRM stamps only those).
void StampNew(AccessClock& clock, Entry& entry, Table::Slot slot);
void StampUse(AccessClock& clock, Keyspace& keyspace, Entry& entry, Table::Slot slot, bool write);

}  // namespace brim
