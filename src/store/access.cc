#include "store/access.h"

#include <algorithm>
#include <bit>

#include "base/random.h"
#include "store/keyspace.h"

namespace brim {

uint32_t LfuCounterNow(uint32_t access, uint32_t now_minutes) {
  uint32_t counter = access & 255;
  if (eviction.lfu_decay_minutes == 0) return counter;
  uint32_t then = access >> 8;
  uint32_t passed = now_minutes >= then ? now_minutes - then : 65535 - then + now_minutes;
  uint32_t periods = passed / static_cast<uint32_t>(eviction.lfu_decay_minutes);
  return periods > counter ? 0 : counter - periods;
}

uint32_t LfuIncrement(uint32_t counter) {
  if (counter == 255) return 255;
  double base = counter > kLfuInitial ? counter - kLfuInitial : 0;
  double chance = 1.0 / (base * eviction.lfu_log_factor + 1);
  return RandomUnit() < chance ? counter + 1 : counter;
}

uint32_t IdleSeconds(const Entry& entry) { return (coarse_clock.lru_seconds - entry.access()) & Entry::kAccessMask; }

void AccessClock::AgeBucket(uint8_t* bucket) const {
  for (int i = 0; i < Table::kSlots; i++) {
    if (AgeOf(bucket[8 + i]) > kOldest) bucket[8 + i] = static_cast<uint8_t>(now_ - kOldest);
  }
}

void AccessClock::Advance() {
  now_++;
  if (evictions_in_tick_ > 0) {
    // Keys should live for about 128 ticks: long enough to tell them apart, short enough not to reach kOldest.
    int age = evicted_age_ / 16;
    if (age > 144) tick_accesses_ += tick_accesses_ / 16 + 1;
    if (age < 112 && tick_accesses_ > 8) tick_accesses_ -= tick_accesses_ / 16 + 1;
    evictions_in_tick_ = 0;
  }
  until_tick_ = tick_accesses_;
  // Every bucket is looked at at least once in 48 ticks.
  sweep_buckets_ = buckets_ * 16 / (uint64_t{48} * tick_accesses_) + 1;
}

void AccessClock::NoteEvictedAge(uint8_t age) {
  evictions_in_tick_++;
  evicted_age_ += (age * 16 - evicted_age_) / 64;
}

void AccessClock::SetScale(size_t keys, size_t buckets) {
  buckets_ = buckets;
  if (evictions_in_tick_ == 0) tick_accesses_ = static_cast<uint32_t>(std::clamp<size_t>(keys / 32, 64, 1u << 30));
}

void StampNew(AccessClock& clock, Entry& entry, Table::Slot slot) {
  entry.SetAccess(eviction.IsLfu() ? coarse_clock.lfu_minutes << 8 | kLfuInitial : coarse_clock.lru_seconds);
  slot.SetState(clock.now());
}

void SetLoadedAccess(Entry& entry, int64_t idle_s, int64_t frequency) {
  if (eviction.IsLfu()) {
    if (frequency >= 0) entry.SetAccess(coarse_clock.lfu_minutes << 8 | static_cast<uint32_t>(frequency));
  } else if (idle_s >= 0) {
    entry.SetAccess((coarse_clock.lru_seconds - static_cast<uint32_t>(idle_s)) & Entry::kAccessMask);
  }
}

void StampUse(AccessClock& clock, Keyspace& keyspace, Entry& entry, Table::Slot slot, bool write) {
  if (eviction.IsLrm() && !write) return;
  uint32_t access = coarse_clock.lru_seconds;
  if (eviction.IsLfu()) {
    access = coarse_clock.lfu_minutes << 8 | LfuIncrement(LfuCounterNow(entry.access(), coarse_clock.lfu_minutes));
  }
  if (entry.access() != access) entry.SetAccess(access);
  slot.SetState(clock.now());
  if (clock.Tick()) {
    for (size_t n = clock.sweep_buckets(); n > 0; n--) {
      if (uint8_t* bucket = keyspace.table().NextBucket(&clock.sweep_position)) clock.AgeBucket(bucket);
    }
  }
}

}  // namespace brim
