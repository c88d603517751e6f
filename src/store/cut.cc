#include "store/cut.h"

#include "base/monotonic.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr int kEntriesAClock = 8;

}  // namespace

void Cut::Begin(CutSink* sink) {
  sink_ = sink;
  entry_epoch ^= Entry::kEpochBit;
  for (int i = 0; i < shards.count(); i++) {
    ShardCut& cut = shards[i].cut;
    cut.databases.clear();
    for (int db = 0; db < shards[i].databases(); db++) cut.databases.push_back({&shards[i].db(db), db});
    cut.at = 0;
    cut.cursor = 0;
    cut.open = nullptr;
    cut.running = true;
  }
  shards_left_.store(shards.count(), std::memory_order_release);
}

bool Cut::HandOverFrom(Shard& shard, int db, const KeyRef& ref, const CutPace& pace) {
  Entry* entry = &ref.entry();
  if (!sink_->Take(shard, db, ref, pace)) {
    shard.cut.open = entry;
    return false;
  }
  if (shard.cut.open == entry) shard.cut.open = nullptr;
  ref.entry().SetEpoch(entry_epoch);
  return true;
}

void Cut::HandOver(const KeyRef& ref) {
  Shard& shard = ref.keyspace().shard();
  if (!shard.cut.running) return;
  for (const ShardCut::Database& database : shard.cut.databases) {
    if (database.keyspace != &ref.keyspace()) continue;
    HandOverFrom(shard, database.number, ref, {.hurry = true});
    return;
  }
}

void Cut::BeforeFlush(Shard& shard, Keyspace& keyspace) {
  if (!running() || !shard.cut.running) return;
  keyspace.table().ForEach([&](Table::Slot slot) {
    auto* entry = slot.As<Entry>();
    Before(KeyRef(&keyspace, entry, 0));
  });
}

bool Cut::Done(const Shard& shard) { return !shard.cut.running; }

bool Cut::Walk(Shard& shard, int64_t deadline_us) {
  ShardCut& cut = shard.cut;
  if (!cut.running) return true;
  CutPace pace{.deadline_us = deadline_us};
  while (cut.at < cut.databases.size()) {
    ShardCut::Database& database = cut.databases[cut.at];
    do {
      if (SliceOver(shard.lock(), deadline_us) || !sink_->HasRoom(shard)) return false;
      // A slice that ends within the table's step comes back to it: what was handed over is passed by then.
      if (cut.open != nullptr && !HandOverFrom(shard, database.number, KeyRef(database.keyspace, cut.open, 0), pace)) {
        return false;
      }
      bool over = false;
      int handed = 0;
      uint64_t next = database.keyspace->table().Scan(cut.cursor, [&](Table::Slot slot) {
        auto* entry = slot.As<Entry>();
        if (over || entry->epoch() == entry_epoch) return;
        over = !HandOverFrom(shard, database.number, KeyRef(database.keyspace, entry, 0), pace) ||
               (++handed % kEntriesAClock == 0 && SliceOver(shard.lock(), deadline_us));
      });
      if (over) return false;
      cut.cursor = next;
    } while (cut.cursor != 0);
    cut.at++;
  }
  cut.running = false;
  sink_->ShardDone(shard);
  shards_left_.fetch_sub(1, std::memory_order_acq_rel);
  return true;
}

}  // namespace brim
