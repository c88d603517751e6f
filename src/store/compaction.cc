// Compaction: closes gaps that deletions and growth leave in the heap's pages, so that whole pages become free.
//
// Entries are moved page by page: an entry's key finds the slot that points at it. Parts of structures are found by a
// walk over the keys, during which the emptiest pages of parts take no new blocks. docs/memory.md.
#include <algorithm>
#include <bit>
#include <mutex>

#include "base/monotonic.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr size_t kPagesAtOnce = 64;  // a pool
constexpr uint32_t kBlocksAClock = 16;
// A walk over the keys is for gaps of at least this part of what parts use; after one that was of no use (most of the
// pages could not be emptied) they have to grow by as much.
constexpr size_t kGrowthPart = 32;
constexpr size_t kGrowthBytes = 64 << 10;

struct SharedParts {
  std::atomic<uint32_t> round{0};  // odd: pages are being emptied, every shard has to walk
  std::atomic<int> shards_left{0};
  std::atomic<size_t> gaps_left{0};
  size_t pages = 0;  // chosen in this round; guarded by the shared pages' lock
};
SharedParts shared_parts;

template <class T>
T* MoveBlock(Heap& heap, T* block, BlockKind kind) {
  size_t bytes = Heap::BlockSize(block);
  void* moved = heap.Allocate(bytes, MemoryCategory::kData, kind);
  memcpy(moved, static_cast<void*>(block), bytes);
  heap.Free(block, bytes, MemoryCategory::kData);
  return static_cast<T*>(moved);
}

size_t GrownGaps(size_t used, size_t left) {
  if (compaction_stress.load(std::memory_order_relaxed)) return 0;
  return left + used / kGrowthPart + kGrowthBytes;
}

// What to wait for after a walk: 0 when it emptied most of the pages it set out for.
size_t GapsLeft(const PagePools& pools, size_t pages, size_t not_emptied) {
  return not_emptied * 2 >= pages ? pools.gap_bytes(BlockKind::kPart) : 0;
}

}  // namespace

// Moves the live entries of a page away, each by the shard that `shard_of` names. False when `over()`.
class EntryMover {
 public:
  template <class ShardOf, class Over>
  static bool Empty(const HeapPage* page, Over&& over, bool* stuck, ShardOf&& shard_of);
};

template <class ShardOf, class Over>
bool EntryMover::Empty(const HeapPage* page, Over&& over, bool* stuck, ShardOf&& shard_of) {
  uint8_t live[PagePools::kLiveMapBytes] = {};
  PagePools::LiveMap(page, live);
  uint32_t left = page->used;
  uint32_t moved = 0;
  for (uint32_t i = 0; left > 0; i++) {
    if (!(live[i / 8] >> (i % 8) & 1)) continue;
    auto* entry = reinterpret_cast<Entry*>(page->memory() + i * page->block_bytes);
    if (!shard_of(*entry).MoveEntry(entry)) *stuck = true;
    left--;
    if (++moved % kBlocksAClock == 0 && left > 0 && over()) return false;
  }
  return true;
}

bool Shard::MoveEntry(Entry* entry) {
  if (entry == cut.open) return false;
  uint64_t hash = HashBytes(entry->key());
  for (auto& keyspace : keyspaces_) {
    if (keyspace->size() == 0) continue;
    Table::Slot slot = keyspace->table().FindBlock(hash, entry);
    if (!slot) continue;
    slot.SetBlock(MoveBlock(heap_, entry, BlockKind::kEntry));
    return true;
  }
  return false;  // of a flushed database that is being freed
}

bool Shard::CompactEntries(int64_t deadline_us, size_t tolerated) {
  if (!condemned_.empty()) return true;
  PagePools& pools = heap_.own();
  for (;;) {
    HeapPage* page = pools.Evacuating(BlockKind::kEntry);
    if (page == nullptr) {
      if (pools.gap_bytes(BlockKind::kEntry) <= tolerated) return true;
      if (pools.BeginEvacuation(BlockKind::kEntry, kPagesAtOnce) == 0) return true;
      continue;
    }
    bool stuck = false;
    compaction_moved += page->used;
    bool done = EntryMover::Empty(
        page, [&] { return SliceOver(lock_, deadline_us); }, &stuck, [this](const Entry&) -> Shard& { return *this; });
    if (done && stuck) pools.EndEvacuation(BlockKind::kEntry, page);
    if (!done || SliceOver(lock_, deadline_us)) return false;
  }
}

bool CompactSharedEntries(int64_t deadline_us, size_t tolerated) {
  Heap::Shared& shared = Heap::shared();
  for (int i = 0; i < shards.count(); i++) {
    if (shards[i].has_garbage()) return true;
  }
  auto over = [deadline_us] {
    for (int i = 0; i < shards.count(); i++) {
      if (shards[i].lock().contended()) return true;
    }
    return MonotonicUs() >= deadline_us;
  };
  for (;;) {
    HeapPage* page;
    {
      std::lock_guard guard(shared.lock);
      page = shared.pools.Evacuating(BlockKind::kEntry);
      if (page == nullptr) {
        if (shared.pools.gap_bytes(BlockKind::kEntry) <= tolerated) return true;
        if (shared.pools.BeginEvacuation(BlockKind::kEntry, kPagesAtOnce) == 0) return true;
        page = shared.pools.Evacuating(BlockKind::kEntry);
      }
    }
    bool stuck = false;
    bool done = EntryMover::Empty(page, over, &stuck,
                                  [](const Entry& entry) -> Shard& { return shards.Of(HashBytes(entry.key())); });
    if (done && stuck) {
      std::lock_guard guard(shared.lock);
      shared.pools.EndEvacuation(BlockKind::kEntry, page);
    }
    if (!done || over()) return false;
  }
}

bool BeginSharedParts(size_t tolerated) {
  if (shared_parts.round.load(std::memory_order_acquire) & 1) return true;
  Heap::Shared& shared = Heap::shared();
  std::lock_guard guard(shared.lock);
  size_t gaps = shared.pools.gap_bytes(BlockKind::kPart);
  size_t used = shared.pools.used_bytes(BlockKind::kPart);
  if (gaps <= tolerated || gaps <= GrownGaps(used, shared_parts.gaps_left.load(std::memory_order_relaxed)))
    return false;
  shared_parts.pages = shared.pools.BeginEvacuation(BlockKind::kPart, SIZE_MAX);
  if (shared_parts.pages == 0) return false;
  shared_parts.shards_left.store(shards.count(), std::memory_order_relaxed);
  shared_parts.round.fetch_add(1, std::memory_order_release);
  return true;
}

namespace {

// One shard has walked over its keys; the last one ends the round.
void EndSharedParts() {
  if (shared_parts.shards_left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  Heap::Shared& shared = Heap::shared();
  std::lock_guard guard(shared.lock);
  size_t left = shared.pools.EndEvacuation(BlockKind::kPart);
  shared_parts.gaps_left.store(GapsLeft(shared.pools, shared_parts.pages, left), std::memory_order_relaxed);
  shared_parts.round.fetch_add(1, std::memory_order_release);
}

}  // namespace

// The big value of one key; false when the time was over before its end.
bool Shard::CompactValue(Entry& entry, int64_t deadline_us) {
  if (&entry == cut.open) return true;
  void* structure = entry.pointer();
  auto& done = walk_.structures_done;
  if (std::find(done.begin(), done.end(), structure) != done.end()) return true;
  if (walk_.structure != structure) {
    // Its root: nothing but the entry points at it.
    if (Heap::WorthMoving(structure)) {
      structure = MoveBlock(heap_, static_cast<uint8_t*>(structure), BlockKind::kPart);
      entry.SetPointer(structure);
    }
    walk_.structure_cursor = 0;
  }
  walk_.structure = structure;
  while (!TidyStructure(heap_, entry.type(), entry.encoding(), structure, &walk_.structure_cursor)) {
    if (SliceOver(lock_, deadline_us)) return false;
  }
  walk_.structures_done.push_back(structure);
  walk_.structure = nullptr;
  return true;
}

// The keys at the cursor. False when a big value among them is not done.
bool Shard::CompactKeys(Keyspace& keyspace, int64_t deadline_us) {
  bool done = true;
  uint64_t next = keyspace.table().Tidy(walk_.cursor, [&](Table::Slot slot) {
    auto* entry = slot.As<Entry>();
    if (done && entry->external() && entry->type() != Type::kString) done = CompactValue(*entry, deadline_us);
  });
  if (!done) return false;
  walk_.structures_done.clear();
  walk_.cursor = next;
  return true;
}

// Whether there is a reason to walk; the pages to be emptied are chosen then.
bool Shard::BeginWalk(size_t tolerated) {
  uint32_t round = shared_parts.round.load(std::memory_order_acquire);
  walk_.shared_round = round & 1 && round != walk_.shared_round_done ? round : 0;
  PagePools& pools = heap_.own();
  size_t gaps = pools.gap_bytes(BlockKind::kPart);
  bool own = gaps > tolerated && gaps > GrownGaps(pools.used_bytes(BlockKind::kPart), walk_.gaps_left);
  walk_.pages = own ? pools.BeginEvacuation(BlockKind::kPart, SIZE_MAX) : 0;
  walk_.running = walk_.pages > 0 || walk_.shared_round != 0;
  return walk_.running;
}

bool Shard::Compact(int64_t deadline_us, size_t tolerated) {
  bool entries = CompactEntries(deadline_us, tolerated);
  return CompactParts(deadline_us, tolerated) && entries;
}

bool Shard::CompactParts(int64_t deadline_us, size_t tolerated) {
  if (!walk_.running && !BeginWalk(tolerated)) return true;
  while (walk_.db < databases()) {
    Keyspace& keyspace = db(walk_.db);
    do {
      if (SliceOver(lock_, deadline_us)) return false;
      if (!CompactKeys(keyspace, deadline_us)) return false;
    } while (walk_.cursor != 0);
    walk_.db++;
  }
  walk_.db = 0;
  walk_.running = false;
  size_t left = heap_.own().EndEvacuation(BlockKind::kPart);
  if (walk_.pages > 0) walk_.gaps_left = GapsLeft(heap_.own(), walk_.pages, left);
  if (walk_.shared_round != 0) {
    walk_.shared_round_done = walk_.shared_round;
    EndSharedParts();
  }
  return true;
}

}  // namespace brim
