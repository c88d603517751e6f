// What a worker does beside serving: expiry, lazy freeing, background eviction, idle clients, clocks. Bounded slices;
// each shard is looked after by one worker (shard index modulo the number of workers).
#include <algorithm>

#include "base/monotonic.h"
#include "server/admission.h"
#include "server/aof.h"
#include "server/blocking.h"
#include "server/hot_keys.h"
#include "server/latency_monitor.h"
#include "server/persistence.h"
#include "server/placement.h"
#include "server/rates.h"
#include "server/script_engine.h"
#include "server/server.h"
#include "server/shard_locks.h"
#include "server/tracking.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr int64_t kExpireSliceUs = 1000;  // per turn, at most a quarter of the time
constexpr int64_t kFreeSliceUs = 500;
constexpr size_t kFreeBlocks = 256;
constexpr size_t kClientsAtOnce = 256;

template <class Fn>
void ForOwnShards(const Worker& worker, Fn&& fn) {
  auto step = static_cast<int>(server.workers().size());
  for (int i = worker.index(); i < shards.count(); i += step) fn(shards[i]);
}

}  // namespace

void Worker::ExpireSome() {
  if (!server.active_expire.load(std::memory_order_relaxed) || expiry_paused.load(std::memory_order_relaxed)) return;
  int64_t start = MonotonicUs();
  int64_t slice = kExpireSliceUs * server.config().active_expire_effort;
  ForOwnShards(*this, [&](Shard& shard) {
    KeptGuard guard(shard);
    if (!guard) return;
    if (!shard.ExpireCycle(now_ms, start + slice)) work_left_ = true;
    if (!shard.ready.empty()) Blocking::ServeReady(*this, uint64_t{1} << shard.index());
  });
  int64_t took = MonotonicUs() - start;
  figures.expire_cycle_us += static_cast<uint64_t>(took);
  latency_monitor.Note(LatencyEvent::kExpireCycle, took);
}

void Worker::FreeSomeGarbage() {
  int64_t deadline = MonotonicUs() + kFreeSliceUs;
  ForOwnShards(*this, [&](Shard& shard) {
    bool left = true;
    while (left && MonotonicUs() < deadline) {
      KeptGuard guard(shard);
      left = guard && !shard.FreeGarbage(kFreeBlocks);
    }
    if (left) work_left_ = true;
  });
}

// Idle clients are closed after `timeout`, soft output limits are looked at; a slice of the connections at a time.
void Worker::CheckClients() {
  figures.recent_input.Turn(now_ms / 1000);
  figures.recent_output.Turn(now_ms / 1000);
  if (check_list_.empty()) {
    for (auto& [id, connection] : connections_) check_list_.push_back(id);
  }
  int64_t idle_limit_ms = static_cast<int64_t>(server.config().timeout) * 1000;
  for (size_t n = 0; n < kClientsAtOnce && !check_list_.empty(); n++) {
    Connection* connection = FindConnection(check_list_.back());
    check_list_.pop_back();
    if (connection == nullptr) continue;
    figures.recent_input.Note(connection->input_capacity());
    figures.recent_output.Note(connection->output.size_bytes());
    if (!connection->output.empty()) connection->OverOutputLimit();
    if (idle_limit_ms > 0 && connection->waiter == nullptr && connection->subscriptions == nullptr &&
        !connection->monitor && !connection->held && connection->unwritten == 0 &&
        now_ms - connection->last_active_ms > idle_limit_ms) {
      connection->CloseSoon();
    }
  }
}

void Worker::Cron() {
  bool due = now_ms >= next_cron_ms;
  if (due) next_cron_ms = now_ms + 100;
  work_left_ = false;
  if (server.cron_paused.load(std::memory_order_relaxed)) return;
  ExpireSome();
  FreeSomeGarbage();
  if (script_engine != nullptr && !script_engine->Tidy(*this, due)) work_left_ = true;
  if (!Admission::RelieveInBackground(*this)) work_left_ = true;
  if (!KeyTracking::Cron(*this)) work_left_ = true;
  if (!due) return;
  CheckClients();
  CommandWatch::Refresh(*this);
  AnswerSyncWaiters(*this);
  published.commands.store(figures.commands, std::memory_order_relaxed);
  published.bytes_in.store(figures.bytes_in, std::memory_order_relaxed);
  published.bytes_out.store(figures.bytes_out, std::memory_order_relaxed);
  placement.Cron(*this);
  if (index_ == 0) {
    server.CheckPauseEnd(now_ms);
    SampleRates(now_ms);
    hot_keys.Cron(now_ms);
    persistence.Cron(*this);
    aof.Cron(*this);
    int64_t used = UsedMemory();
    if (used > server.peak_memory.load(std::memory_order_relaxed)) {
      server.peak_memory.store(used, std::memory_order_relaxed);
      server.peak_memory_ms.store(now_ms, std::memory_order_relaxed);
    }
  }
  if (now_ms >= next_second_ms_) {
    next_second_ms_ = now_ms + 1000;
    ForOwnShards(*this, [](Shard& shard) {
      KeptGuard guard(shard);
      if (!guard) return;
      size_t keys = 0;
      size_t slots = 0;
      for (int i = 0; i < shard.databases(); i++) {
        keys += shard.db(i).size();
        slots += shard.db(i).table().capacity();
      }
      shard.clock().SetScale(keys, slots / Table::kSlots);
    });
  }
}

}  // namespace brim
