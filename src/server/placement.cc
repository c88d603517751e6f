#include "server/placement.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>

#include "base/monotonic.h"
#include "server/aof.h"
#include "server/connection.h"
#include "server/pause.h"
#include "server/server.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr int64_t kDecideUs = 500000;
constexpr int64_t kLookAgainUs = 1000000;  // at connections that could not be moved
constexpr size_t kLooksAtOnce = 256;

// One worker does for all while it has a seventh of its time left; what it waits for syncs counts as left. Spread they
// take more than gathered, so the lower bound does not lead back to the upper one.
constexpr int64_t kTooBusy = 860;
constexpr int64_t kIdleEnough = 700;

// While a worker syncs its readers wait, too. That goes for as long as a disk with a cache that keeps its promises
// takes; behind a slow one they had better be served by another worker.
constexpr int64_t kGatherSyncUsMax = 1000;
constexpr int64_t kSpreadSyncUs = 2000;

bool HasOne() { return server.workers().size() == 1; }

}  // namespace

Worker& Placement::ForNew(uint64_t id, Transport transport) const {
  bool first = server.loading.running || (gathered_ && transport != Transport::kTls);
  return *server.workers()[first ? 0 : id % server.workers().size()];
}

void Placement::Measure(Worker& worker, int64_t now_us) {
  Own& own = own_[worker.index()];
  int64_t elapsed = now_us - own.measured_us;
  if (elapsed < kDecideUs) return;
  int64_t cpu_us = ThreadCpuUs();
  worker.published.busy.store((cpu_us - own.cpu_us) * 1000 / elapsed, std::memory_order_relaxed);
  own.cpu_us = cpu_us;
  own.measured_us = now_us;
}

void Placement::Decide(int64_t now_us) {
  decided_us_ = now_us;
  int64_t most = 0;
  int64_t sum = 0;
  for (auto& worker : server.workers()) {
    int64_t busy = worker->published.busy.load(std::memory_order_relaxed);
    most = std::max(most, busy);
    sum += busy;
  }
  int64_t sync_us = aof.sync_us();
  bool gather = gathered_;
  if (gathered_) {
    gather = sync_us > 0 && sync_us <= kSpreadSyncUs && most <= kTooBusy;
  } else {
    gather = sync_us > 0 && sync_us <= kGatherSyncUsMax && sum <= kIdleEnough;
  }
  if (gather == gathered_ || !thread_pause.Begin(0)) return;
  gathered_ = gather;
  spreading_ = !gather;
  own_[0].left = true;
  thread_pause.End();
}

bool Placement::GivesAway(const Worker& worker) const { return worker.index() == 0 ? spreading_ : gathered_; }

int Placement::HomeOf(uint64_t id) const { return gathered_ ? 0 : static_cast<int>(id % server.workers().size()); }

// Others know its worker for as long as it lives.
bool Placement::IsTied(const Connection& connection) { return connection.settled || connection.tls() != nullptr; }

// Whether all that ties it to its thread is its buffers, its socket and the lists that HandOver knows of: who waits,
// subscribes, tracks, watches or is told of others' keys is known to others by its worker.
bool Placement::CanMove(const Worker& worker, const Connection& connection) {
  bool waits = connection.waiter != nullptr || connection.paused || connection.waits_for_log || connection.held ||
               connection.unwritten != 0 || connection.awaits_cut_us != 0 || connection.unsent_bytes != 0;
  bool plain = connection.transaction == nullptr && connection.subscriptions == nullptr &&
               connection.tracking == nullptr && !connection.monitor && connection.reply_mode == ReplyMode::kOn;
  bool ends = connection.close_soon || connection.close_after_reply || connection.peer_ended();
  bool in_use = worker.serving == &connection || worker.handling == &connection;
  return !waits && plain && !ends && !in_use && !IsTied(connection);
}

std::vector<uint64_t> Placement::SomeToMove(const Worker& worker, Own* own) const {
  std::vector<uint64_t> found;
  for (size_t looks = 0; looks < kLooksAtOnce && !own->to_look.empty(); looks++) {
    uint64_t id = own->to_look.back();
    own->to_look.pop_back();
    auto it = worker.connections().find(id);
    if (it == worker.connections().end() || HomeOf(id) == worker.index() || IsTied(*it->second)) continue;
    own->left = true;  // another pass will see
    if (CanMove(worker, *it->second)) found.push_back(id);
  }
  return found;
}

// Every thread paused.
void Placement::GiveAway(Worker& worker, const std::vector<uint64_t>& ids) const {
  // What is in the mailbox may be for one that would be gone. Others may have decided since.
  if (worker.loop().has_mail() || !GivesAway(worker)) return;
  for (uint64_t id : ids) {
    Connection* connection = worker.FindConnection(id);
    if (connection == nullptr || !CanMove(worker, *connection)) continue;
    worker.HandOver(*connection, *server.workers()[static_cast<size_t>(HomeOf(id))]);
  }
}

void Placement::Cron(Worker& worker) {
  if (HasOne() || worker.in_busy_turn) return;
  int64_t now_us = MonotonicUs();
  Measure(worker, now_us);
  Own& own = own_[worker.index()];
  if (worker.index() == 0 && now_us - decided_us_ >= kDecideUs) Decide(now_us);
  if (!GivesAway(worker)) return;
  if (own.to_look.empty()) {
    if (now_us - own.filled_us < kLookAgainUs) return;
    if (worker.index() == 0 && !own.left) {
      spreading_ = false;
      return;
    }
    own.filled_us = now_us;
    own.left = false;
    for (auto& [id, connection] : worker.connections()) own.to_look.push_back(id);
  }
  std::vector<uint64_t> ids = SomeToMove(worker, &own);
  if (ids.empty() || !thread_pause.Begin(worker.index())) return;
  GiveAway(worker, ids);
  thread_pause.End();
}

}  // namespace brim
