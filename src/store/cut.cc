#include "store/cut.h"

#include <algorithm>

#include "base/monotonic.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr int kEntriesAClock = 8;
constexpr int64_t kAwaitedUs = 10'000;

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

bool Cut::HandOverFrom(Shard& shard, size_t database, const KeyRef& ref, const CutPace& pace) {
  Entry* entry = &ref.entry();
  ShardCut& cut = shard.cut;
  if (!sink_->Take(shard, cut.databases[database].number, ref, pace)) {
    cut.open = entry;
    cut.open_database = database;
    return false;
  }
  if (cut.open == entry) cut.open = nullptr;
  ref.entry().SetEpoch(entry_epoch);
  return true;
}

namespace {

// Where the keyspace is among a cut's databases, or their number.
size_t IndexOf(const ShardCut& cut, const Keyspace& keyspace) {
  auto found = std::find_if(cut.databases.begin(), cut.databases.end(),
                            [&](const ShardCut::Database& database) { return database.keyspace == &keyspace; });
  return static_cast<size_t>(found - cut.databases.begin());
}

}  // namespace

void Cut::HandOver(const KeyRef& ref) {
  Shard& shard = ref.keyspace().shard();
  if (!shard.cut.running) return;
  size_t database = IndexOf(shard.cut, ref.keyspace());
  if (database < shard.cut.databases.size()) HandOverFrom(shard, database, ref, {.hurry = true});
}

bool Cut::GoOnWithOpen(Shard& shard, const CutPace& pace) {
  ShardCut& cut = shard.cut;
  if (cut.open == nullptr) return true;
  KeyRef ref(cut.databases[cut.open_database].keyspace, cut.open, 0);
  return HandOverFrom(shard, cut.open_database, ref, pace);
}

bool Cut::HandSome(Shard& shard, const KeyRef& ref, int64_t deadline_us) {
  ShardCut& cut = shard.cut;
  if (!running() || !cut.running || ref.entry().epoch() == entry_epoch) return true;
  size_t database = IndexOf(cut, ref.keyspace());
  if (database == cut.databases.size()) return true;
  awaited_until_us_.store(MonotonicUs() + kAwaitedUs, std::memory_order_relaxed);
  CutPace pace{.awaited = true, .deadline_us = deadline_us};
  if (cut.open != &ref.entry()) {
    if (!sink_->HasRoom(shard) || !GoOnWithOpen(shard, pace) || SliceOver(shard.lock(), deadline_us)) return false;
  }
  return sink_->HasRoom(shard) && HandOverFrom(shard, database, ref, pace);
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
      if (!GoOnWithOpen(shard, pace)) return false;
      bool over = false;
      int handed = 0;
      uint64_t next = database.keyspace->table().Scan(cut.cursor, [&](Table::Slot slot) {
        auto* entry = slot.As<Entry>();
        if (over || entry->epoch() == entry_epoch) return;
        over = !HandOverFrom(shard, cut.at, KeyRef(database.keyspace, entry, 0), pace) ||
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
