#include "server/worker.h"

#include <sys/prctl.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>

#include "base/monotonic.h"
#include "base/ticks.h"
#include "server/aof.h"
#include "server/blocking.h"
#include "server/client_limits.h"
#include "server/compactor.h"
#include "server/dispatch.h"
#include "server/memory_guard.h"
#include "server/pause.h"
#include "server/persistence.h"
#include "server/server.h"
#include "store/access.h"

namespace brim {

namespace {

constexpr double kLongTurnUs = 1000;
constexpr double kLongCommandUs = 200;
constexpr int kGatherClients = 12;
constexpr uint64_t kGatherReads = 60;  // a millisecond; more of them come together in less time
constexpr int kGatherUsMax = 70;
constexpr size_t kGatherHeld = 4;
constexpr int64_t kSyncPart = 16;
constexpr int64_t kGatherSyncUsMax = 400;

}  // namespace

Worker::Worker(int index) : context(this), index_(index), read_buffer_(std::make_unique<char[]>(kReadBytes)) {
  figures.commands_by_id.resize(registry.all().size());
  context.Attach(&scratch, &keyspace_figures);
  now_ms = WallUs() / 1000;
  long_turn_ticks_ = UsToTicks(kLongTurnUs);
  long_command_ticks = UsToTicks(kLongCommandUs);
}

Worker::~Worker() = default;

void Worker::RefreshClock() {
  int64_t now = WallUs() / 1000;
  if (now != now_ms) {
    activity_before_ = activity;
    activity_before_.reads = figures.reads - activity.reads;
    if (now != now_ms + 1) activity_before_ = {};
    activity = {0, figures.reads};
  }
  now_ms = now;
  coarse_clock.Set(now_ms);
}

void Worker::Adopt(int fd, bool is_unix) {
  uint64_t id = server.NextConnectionId();
  auto connection = std::make_unique<Connection>(this, id, fd, is_unix);
  Connection* raw = connection.get();
  connections_.emplace(id, std::move(connection));
  figures.connections_received++;
  if (!loop_.Add(fd, Connection::kEvents, raw)) raw->CloseSoon();
}

Connection* Worker::FindConnection(uint64_t id) {
  auto it = connections_.find(id);
  return it == connections_.end() ? nullptr : it->second.get();
}

void Worker::ServeLater(Connection* connection, std::string_view data) {
  reads_.push_back({connection, data, Dispatcher::PrefetchFirst(*connection, data)});
  read_used_ += data.size();
  if (reads_.size() >= kReadsMax || read_room() < kReadRoomMin) ServeReads();
}

void Worker::ServeReads() {
  for (const Read& read : reads_) {
    if (read.peeked.table != nullptr) read.peeked.table->PrefetchBlock(read.peeked.hash);
  }
  for (const Read& read : reads_) {
    peeked = read.peeked.command != nullptr ? &read.peeked : nullptr;
    read.connection->Serve(read.data);
  }
  peeked = nullptr;
  reads_.clear();
  read_used_ = 0;
}

bool Worker::TurnIsLong() const { return __rdtsc() - turn_began_ > long_turn_ticks_; }

bool Worker::LooksHeavy(const Peeked& first) const {
  return first.command != nullptr &&
         figures.commands_by_id[static_cast<size_t>(first.command->id)].recent_ticks > long_command_ticks;
}

void Worker::Defer(Connection* connection) {
  if (connection->deferred) return;
  connection->deferred = true;
  deferred_.push_back(connection->id);
}

// At least one a turn, and as many as keep it short.
void Worker::ServeDeferred() {
  while (!deferred_.empty()) {
    Connection* connection = FindConnection(deferred_.front());
    deferred_.pop_front();
    if (connection == nullptr) continue;
    connection->deferred = false;
    connection->ResumeInput();
    if (TurnIsLong()) return;
  }
}

void Worker::FlushAgain(Connection* connection) {
  if (connection->flush_again) return;
  connection->flush_again = true;
  flush_again_.push_back(connection->id);
}

void Worker::FlushRests() {
  for (size_t left = flush_again_.size(); left > 0; left--) {
    Connection* connection = FindConnection(flush_again_.front());
    flush_again_.pop_front();
    if (connection == nullptr) continue;
    connection->flush_again = false;
    if (!connection->close_soon) connection->Flush();
    if (TurnIsLong()) return;
  }
}

void Worker::Hold(Connection* connection) {
  if (connection->held) return;
  connection->held = true;
  held_.push_back(connection->id);
}

// One write, and one sync where every write wants it, for all that the turn has changed.
void Worker::SendHeld() {
  last_held_ = held_.size();  // 0 ends the rests for it
  if (held_.empty()) return;
  aof.Commit();
  for (size_t i = 0; i < held_.size(); i++) {
    Connection* connection = FindConnection(held_[i]);
    if (connection == nullptr) continue;
    connection->held = false;
    if (!connection->close_soon) connection->Flush();
  }
  held_.clear();
}

void Worker::ReadAgain(Connection* connection) {
  if (connection->read_again) return;
  connection->read_again = true;
  read_again_.push_back(connection->id);
}

void Worker::ReadRests() {
  if (read_again_.empty()) return;
  reading_again_.swap(read_again_);
  for (uint64_t id : reading_again_) {
    Connection* connection = FindConnection(id);
    if (connection == nullptr) continue;
    connection->read_again = false;
    if (!connection->close_soon) connection->ReadSome();
  }
  reading_again_.clear();
}

void Worker::CloseMarked() {
  for (size_t i = 0; i < closing_.size(); i++) {
    auto it = connections_.find(closing_[i]);
    if (it == connections_.end()) continue;
    loop_.Forget(it->second.get());
    connections_.erase(it);
    connection_count.fetch_sub(1, std::memory_order_relaxed);
  }
  closing_.clear();
}

void Worker::RunDeadlines() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now_ms) {
    auto [at_ms, id] = *deadlines_.begin();
    deadlines_.erase(deadlines_.begin());
    Connection* connection = FindConnection(id);
    if (connection == nullptr || connection->waiter == nullptr || connection->waiter->deadline_ms != at_ms) continue;
    // Claimed by somebody who tries to serve it: look again in a moment.
    if (!Blocking::TimeOut(*connection)) {
      connection->waiter->deadline_ms = now_ms + 5;
      AddDeadline(now_ms + 5, id);
    }
  }
}

void Worker::ResumePaused() {
  std::vector<uint64_t> held = std::move(paused_connections);
  paused_connections.clear();
  for (uint64_t id : held) {
    Connection* connection = FindConnection(id);
    if (connection == nullptr) continue;
    connection->paused = false;
    connection->ResumeInput();
  }
}

int Worker::WaitMs() const {
  if (work_left_ || !held_.empty() || !read_again_.empty() || !deferred_.empty() || !flush_again_.empty()) return 0;
  if (cut_left_) return MonotonicUs() < next_cut_us ? 1 : 0;
  if (compacting) return 1;
  // The cron may come as much later as this turn was long; a client's deadline may not.
  int64_t until = next_cron_ms_;
  int64_t now = now_ms;
  if (!deadlines_.empty()) {
    until = std::min(until, deadlines_.begin()->first);
    now = WallUs() / 1000;
  }
  return static_cast<int>(std::clamp<int64_t>(until - now, 0, 1000));
}

// Under many clients that each send little the loop would sleep and be woken for every few requests, and a sleep costs
// as much as some requests do. A moment's rest lets what comes meanwhile be taken together (as network cards do): less
// CPU a request and, since the clients need not wake anybody, more requests a second at the same latency. Not when
// there are few clients (they would wait for us while we rest), when they send little, or when turns find most of them
// ready.
int Worker::GatherUs() const {
  // A sync costs many times what commands do: the more share one, the better.
  if (int64_t sync_us = aof.sync_us(); sync_us > 0 && last_held_ >= kGatherHeld) {
    return static_cast<int>(std::min(sync_us / kSyncPart, kGatherSyncUsMax));
  }
  if (activity_before_.connections < kGatherClients || activity_before_.reads < kGatherReads) return 0;
  if (ready_ * 2 > activity_before_.connections || TurnIsLong()) return 0;
  return static_cast<int>(kGatherReads * kGatherUsMax / activity_before_.reads);
}

void Worker::TurnWhileLoading() {
  thread_pause.Enter(index_);
  CloseMarked();
  loop_.RunOnce(0, 0, [this] {
    RefreshClock();
    turn_began_ = __rdtsc();
  });
  ServeReads();
  ReadRests();
  ServeDeferred();
  FlushRests();
  loop_.RunMail();
  thread_pause.Leave(index_);
}

void Worker::Run() {
  prctl(PR_SET_TIMERSLACK, 1000UL);  // short rests: see GatherUs
  RefreshClock();
  next_cron_ms_ = now_ms;
  auto begin_turn = [this] {
    thread_pause.Enter(index_);
    RefreshClock();
    turn_began_ = __rdtsc();
  };
  thread_pause.Enter(index_);
  while (!server.stopping()) {
    CloseMarked();
    int wait = WaitMs();
    thread_pause.Leave(index_);
    ready_ = loop_.RunOnce(wait, wait > 0 ? GatherUs() : 0, begin_turn);
    ServeReads();
    ReadRests();
    ServeDeferred();
    FlushRests();
    loop_.RunMail();
    RunDeadlines();
    SendHeld();
    KeepClientsInBounds(*this);
    bool busy = figures.commands != commands_at_turn_;
    commands_at_turn_ = figures.commands;
    int64_t now_us = MonotonicUs();
    MemoryGuard::Watch(now_us);
    Compactor::Turn(*this, busy, now_us);
    if (busy && now_us - server.last_busy_us.load(std::memory_order_relaxed) > 1000) {
      server.last_busy_us.store(now_us, std::memory_order_relaxed);
    }
    cut_left_ = persistence.Turn(*this, now_us);
    // What is left over can wait for a turn that was short; the cron itself comes some times a second.
    if (now_ms >= next_cron_ms_ || (work_left_ && !TurnIsLong())) Cron();
  }
  CloseMarked();
  // Connections are destroyed with the worker, after all threads have ended.
  thread_pause.Leave(index_);
}

}  // namespace brim
