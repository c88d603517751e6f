// Picking the key to evict: sampling whole buckets (one cache line shows eight keys' recency), then the policy's order.
#include <algorithm>

#include "base/random.h"
#include "store/shard.h"

namespace brim {

namespace {

struct Candidate {
  Entry* entry = nullptr;
  int64_t score = -1;  // the highest goes
  uint8_t age = 0;
};

constexpr int kWalkBuckets = 4096;  // how far a volatile-* policy looks for a key with an expiry

int64_t ScoreOf(const Entry& entry, uint8_t age) {
  switch (eviction.policy) {
    case EvictionPolicy::kAllKeysLfu:
    case EvictionPolicy::kVolatileLfu:
      // Rarely used first; among equals the one not used for longest.
      return (255 - static_cast<int64_t>(LfuCounterNow(entry.access(), coarse_clock.lfu_minutes))) << 8 | age;
    case EvictionPolicy::kVolatileTtl:
      return INT64_MAX - entry.expiry_ms();
    case EvictionPolicy::kAllKeysRandom:
    case EvictionPolicy::kVolatileRandom:
      return static_cast<int64_t>(RandomBelow(1 << 20));
    default:
      return age;
  }
}

// LRU needs no more than the bucket, which is looked at most. `timed`: there are hashes whose fields have an expiry,
// and whose slots have the flag without being volatile.
void Consider(const AccessClock& clock, uint8_t* bucket, bool timed, Candidate* best) {
  if (eviction.policy == EvictionPolicy::kAllKeysLru || eviction.policy == EvictionPolicy::kAllKeysLrm) {
    Table::VisitBucket(bucket, [&](Table::Slot slot) {
      uint8_t age = clock.AgeOf(slot.state());
      if (age > best->score) *best = {slot.As<Entry>(), age, age};
    });
    return;
  }
  bool with_expiry = eviction.IsVolatile();
  Table::VisitBucket(bucket, [&](Table::Slot slot) {
    if (with_expiry && !slot.flag()) return;
    auto* entry = slot.As<Entry>();
    if (with_expiry && timed && !entry->has_expiry()) return;
    uint8_t age = clock.AgeOf(slot.state());
    int64_t score = ScoreOf(*entry, age);
    if (score > best->score) *best = {entry, score, age};
  });
}

void Sample(const AccessClock& clock, Keyspace& keyspace, Candidate* best) {
  Table& table = keyspace.table();
  bool timed = keyspace.timed_hashes() > 0;
  // A sampled bucket shows several keys at the cost of one line, so Redis's number of samples in buckets is finer
  // than its number in keys.
  uint8_t* buckets[64];
  int n = std::clamp(eviction.samples, 1, 64);
  for (int i = 0; i < n; i++) {
    buckets[i] = table.RandomBucket();
    __builtin_prefetch(buckets[i]);
  }
  if (eviction.IsLfu() || eviction.policy == EvictionPolicy::kVolatileTtl) {
    for (int i = 0; i < n; i++)
      Table::VisitBucket(buckets[i], [](Table::Slot slot) { __builtin_prefetch(slot.block()); });
  }
  for (int i = 0; i < n; i++) Consider(clock, buckets[i], timed, best);
  if (best->entry != nullptr) return;
  // Few keys have an expiry: walk on from a random place.
  uint64_t position = RandomBelow(uint64_t{1} << table.depth()) * Table::kMaxBuckets;
  for (int i = 0; i < kWalkBuckets && best->entry == nullptr; i++) {
    if (uint8_t* bucket = table.NextBucket(&position)) Consider(clock, bucket, timed, best);
  }
}

}  // namespace

size_t Shard::EvictOne(int64_t now_ms) {
  (void)now_ms;
  Candidate best;
  Keyspace* from = nullptr;
  for (int i = 0; i < databases(); i++) {
    Keyspace& keyspace =
        db(static_cast<int>((evict_db_ + static_cast<uint32_t>(i)) % static_cast<uint32_t>(databases())));
    if ((eviction.IsVolatile() ? keyspace.expires() : keyspace.size()) == 0) continue;
    Candidate candidate;
    Sample(clock_, keyspace, &candidate);
    if (candidate.entry != nullptr && candidate.score > best.score) {
      best = candidate;
      from = &keyspace;
    }
  }
  evict_db_++;
  if (best.entry == nullptr) return 0;
  clock_.NoteEvictedAge(best.age);
  KeyRef ref(from, best.entry, HashBytes(best.entry->key()));
  size_t bytes = heap_.BlockSize(best.entry) + (ref.external() ? ExternalBytes(ref, 5) : 0);
  RemoveByItself(ref, Removal::kEvicted, lazyfree.eviction);
  return bytes;
}

}  // namespace brim
