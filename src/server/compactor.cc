#include "server/compactor.h"

#include <algorithm>
#include <mutex>

#include "base/monotonic.h"
#include "memory/pressure.h"
#include "server/chores.h"
#include "server/config.h"
#include "server/latency_monitor.h"
#include "server/memory_guard.h"
#include "server/purge.h"
#include "server/server.h"
#include "server/shard_locks.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr int64_t kSliceUs = 200;
constexpr int64_t kLookUs = 100'000;
constexpr int64_t kLookAgainUs = 1000;   // after a slice that found no more to do
constexpr size_t kIdlePart = 128;        // gaps that are left alone when nothing presses: this part of what is used,
constexpr size_t kIdleBytes = 16 << 10;  // and this much
constexpr int64_t kRestUs = 100'000;     // without a command: pages kept for the next blocks are given back
constexpr int kPressingPercent[2] = {15, 60};  // of a worker's time: when pressure begins, and when it is at its end
constexpr int kIdlePercent = 25;

bool active = false;
size_t ignore_bytes = 0;
int threshold_lower = 0;
int threshold_upper = 0;
int cycle_min = 0;
int cycle_max = 0;
std::atomic_flag shared_busy;  // one thread compacts the shared pages

size_t GapsOf(const PagePools& pools) { return pools.page_bytes() - pools.used_bytes(); }

size_t Tolerated(const PagePools& pools, bool pressing) {
  return pressing ? 0 : pools.used_bytes() / kIdlePart + kIdleBytes;
}

// The shared pages of entries, under the locks of all shards.
bool SliceShared(Worker& worker, int64_t deadline, bool pressing, size_t* freed) {
  Heap::Shared& shared = Heap::shared();
  size_t tolerated;
  bool worth;
  {
    std::lock_guard guard(shared.lock);
    tolerated = Tolerated(shared.pools, pressing);
    worth =
        shared.pools.gap_bytes(BlockKind::kEntry) > tolerated || shared.pools.Evacuating(BlockKind::kEntry) != nullptr;
  }
  BeginSharedParts(tolerated);
  if (!worth || shared_busy.test_and_set(std::memory_order_acquire)) return true;
  if (!LockShards(worker, AllShards())) {
    shared_busy.clear(std::memory_order_release);
    return true;
  }
  size_t before = shared.pools.page_bytes();
  bool done = CompactSharedEntries(deadline, tolerated);
  size_t after = shared.pools.page_bytes();
  UnlockShards(AllShards());
  shared_busy.clear(std::memory_order_release);
  if (before > after) *freed += before - after;
  return done;
}

// How far the heaps' pages exceed what they hold, in percent of that; looked at some times a second.
int FragmentationPercent(size_t* gaps) {
  size_t used;
  {
    Heap::Shared& shared = Heap::shared();
    std::lock_guard guard(shared.lock);
    used = shared.pools.used_bytes();
    *gaps = GapsOf(shared.pools);
  }
  for (int i = 0; i < shards.count(); i++) {
    KeptGuard guard(shards[i]);
    if (!guard) continue;
    used += shards[i].heap().own().used_bytes();
    *gaps += GapsOf(shards[i].heap().own());
  }
  return used == 0 ? 0 : static_cast<int>(*gaps * 100 / used);
}

// How much of the time active defragmentation takes now, as redis-server works it out: between its two cycles as the
// fragmentation lies between its two thresholds. 0: none.
int ActivePercent() {
  if (!active) return 0;
  size_t gaps = 0;
  int percent = FragmentationPercent(&gaps);
  if (gaps < ignore_bytes || percent < threshold_lower) return 0;
  if (threshold_upper <= threshold_lower) return cycle_max;
  int share = cycle_min + (cycle_max - cycle_min) * (percent - threshold_lower) / (threshold_upper - threshold_lower);
  return std::clamp(share, cycle_min, cycle_max);
}

// Empty pages that the heaps keep for the next blocks.
void GiveKeptPages(int first, int step) {
  for (int i = first; i < shards.count(); i += step) {
    KeptGuard guard(shards[i]);
    if (guard) shards[i].heap().own().Purge();
  }
  Heap::Shared& shared = Heap::shared();
  std::lock_guard guard(shared.lock);
  shared.pools.Purge();
}

}  // namespace

void Compactor::Configure(const Config& config) {
  active = config.activedefrag;
  ignore_bytes = static_cast<size_t>(config.active_defrag_ignore_bytes);
  threshold_lower = config.active_defrag_threshold_lower;
  threshold_upper = config.active_defrag_threshold_upper;
  cycle_min = config.active_defrag_cycle_min;
  cycle_max = config.active_defrag_cycle_max;
}

bool Compactor::Slice(Worker& worker, int first, int step, int64_t slice_us, bool pressing, size_t* freed) {
  int64_t deadline = MonotonicUs() + slice_us;
  bool done = true;
  for (int i = first; i < shards.count(); i += step) {
    if (MonotonicUs() >= deadline) return false;
    Shard& shard = shards[i];
    KeptGuard guard(shard);
    if (!guard) continue;
    size_t before = shard.heap().own().page_bytes();
    size_t tolerated = Tolerated(shard.heap().own(), pressing);
    done = shard.Compact(deadline, tolerated) && done;
    size_t after = shard.heap().own().page_bytes();
    if (before > after) *freed += before - after;
    if (pressing) shard.heap().own().Purge();
  }
  if (MonotonicUs() >= deadline) return false;
  return SliceShared(worker, deadline, pressing, freed) && done;
}

bool Compactor::Turn(Worker& worker, bool busy, int64_t start) {
  worker.last_turn_us.store(start, std::memory_order_relaxed);
  if (busy) worker.last_busy_us.store(start, std::memory_order_relaxed);
  if (start < worker.next_compaction_us) return worker.compacting;
  if (start >= worker.next_defrag_look_us) {
    worker.next_defrag_look_us = start + kLookUs;
    worker.defrag_percent = ActivePercent();
  }
  bool pressing = MemoryGuard::ResidentOverSoft() > 0 || compaction_stress.load(std::memory_order_relaxed);
  int pressure = pressing ? MemoryGuard::PressurePercent() : 0;
  int percent = pressing ? kPressingPercent[0] + (kPressingPercent[1] - kPressingPercent[0]) * pressure / 100
                : busy   ? worker.defrag_percent
                         : std::max(worker.defrag_percent, kIdlePercent);
  worker.compacting = false;
  if (pressing) purger.Ask();
  if (percent == 0) {
    worker.next_compaction_us = start + 10'000;
    if (worker.index() == 0) compaction_figures.running_percent.store(0, std::memory_order_relaxed);
    return false;
  }
  size_t freed = 0;
  auto threads = static_cast<int>(server.workers().size());
  ChoreShare share{.first = worker.index(), .step = threads};
  if (pressing) share = ChoresOf(worker, start);
  if (share.step == 0) {
    worker.next_compaction_us = start + kLookAgainUs;
    return false;
  }
  bool done = Slice(worker, share.first, share.step, kSliceUs, pressing, &freed);
  bool rests = start - worker.last_busy_us.load(std::memory_order_relaxed) > kRestUs;
  if (done && !pressing && rests) GiveKeptPages(worker.index(), threads);
  int64_t end = MonotonicUs();
  worker.next_compaction_us = end + (end - start) * (100 - percent) / percent + (done ? kLookAgainUs : 0);
  worker.compacting = !done || share.relieves;
  latency_monitor.Note(LatencyEvent::kDefragCycle, end - start);
  if (freed > 0) CountRung(Rung::kCompact, freed);
  compaction_figures.time_us.fetch_add(static_cast<uint64_t>(end - start), std::memory_order_relaxed);
  compaction_figures.slices.fetch_add(1, std::memory_order_relaxed);
  if (worker.index() == 0) compaction_figures.running_percent.store(done ? 0 : percent, std::memory_order_relaxed);
  return worker.compacting;
}

}  // namespace brim
