// Shard::Tidy: closes gaps that deletions and growth leave in the heap's pages, so that whole pages become free.
#include <algorithm>

#include "base/monotonic.h"
#include "store/shard.h"

namespace brim {

namespace {

// Gaps below this part of the used bytes (and this much) are left alone.
constexpr size_t kToleratedPart = 64;
constexpr size_t kToleratedBytes = 256 << 10;

}  // namespace

// The big value of one key; false when the time was over before its end.
bool Shard::TidyValue(Entry& entry, int64_t deadline_us) {
  void* structure = entry.pointer();
  if (std::find(tidy_.structures_done.begin(), tidy_.structures_done.end(), structure) != tidy_.structures_done.end()) {
    return true;
  }
  if (tidy_.structure != structure) tidy_.structure_cursor = 0;
  tidy_.structure = structure;
  while (!TidyStructure(heap_, entry.type(), entry.encoding(), structure, &tidy_.structure_cursor)) {
    if (MonotonicUs() >= deadline_us) return false;
  }
  tidy_.structures_done.push_back(structure);
  tidy_.structure = nullptr;
  return true;
}

// The keys at the cursor. False when a big value among them is not done.
bool Shard::TidyKeys(Keyspace& keyspace, int64_t deadline_us) {
  bool done = true;
  uint64_t next = keyspace.table().Tidy(tidy_.cursor, [&](Table::Slot slot) {
    auto* entry = slot.As<Entry>();
    if (heap_.WorthMoving(entry)) {
      size_t bytes = Heap::BlockSize(entry);
      auto* moved = static_cast<Entry*>(heap_.Allocate(bytes, MemoryCategory::kData));
      memcpy(static_cast<void*>(moved), static_cast<void*>(entry), bytes);
      slot.SetBlock(moved);
      heap_.Free(entry, bytes, MemoryCategory::kData);
      entry = moved;
    }
    if (done && entry->external() && entry->type() != Type::kString) done = TidyValue(*entry, deadline_us);
  });
  if (!done) return false;
  tidy_.structures_done.clear();
  tidy_.cursor = next;
  return true;
}

bool Shard::Tidy(int64_t deadline_us) {
  if (!tidy_.running) {
    size_t tolerated = heap_.used_bytes() / kToleratedPart + kToleratedBytes + tidy_.gaps_left;
    if (GapBytes() <= tolerated) return true;
    tidy_.running = true;
  }
  while (tidy_.db < databases()) {
    Keyspace& keyspace = db(tidy_.db);
    do {
      if (MonotonicUs() >= deadline_us) return false;
      if (!TidyKeys(keyspace, deadline_us)) return false;
    } while (tidy_.cursor != 0);
    tidy_.db++;
  }
  tidy_.db = 0;
  tidy_.running = false;
  // What a walk could not close it will not close the next time either.
  tidy_.gaps_left = GapBytes();
  return true;
}

}  // namespace brim
