#include "server/worker.h"

#include <sys/prctl.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <utility>

#include "base/monotonic.h"
#include "base/ticks.h"
#include "server/aof.h"
#include "server/blocking.h"
#include "server/client_limits.h"
#include "server/compactor.h"
#include "server/dispatch.h"
#include "server/journal.h"
#include "server/memory_guard.h"
#include "server/pause.h"
#include "server/persistence.h"
#include "server/process.h"
#include "server/pubsub.h"
#include "server/purge.h"
#include "server/server.h"
#include "server/shutdown.h"
#include "server/tracking.h"
#include "store/access.h"

namespace brim {

namespace {

constexpr double kLongTurnUs = 1000;
constexpr double kLongCommandUs = 200;
constexpr int kGatherClients = 12;
constexpr uint64_t kGatherReadsMin = 30;  // a millisecond
constexpr uint64_t kGatherReads = 12;     // a rest is as long as so many take to come
constexpr uint64_t kGatherPart = 4;       // or one from each client of this part, when there are few
constexpr size_t kGatherHeld = 4;
constexpr uint8_t kUnwrittenTurns = 4;        // of a connection that wait for the log, until it is read no further
constexpr uint64_t kReadOnBytes = 512 << 10;  // recorded and not written; with more it is not read at once
constexpr size_t kForgotAtOnce = 1024;        // subscriptions of a connection that is closed
constexpr int64_t kSyncPart = 16;
constexpr int64_t kGatherSyncUsMax = 400;

}  // namespace

Worker::Worker(int index) : context(this), index_(index), read_buffer_(std::make_unique<char[]>(kReadBytes)) {
  figures.commands_by_id.resize(registry.all().size());
  context.Attach(&scratch, &keyspace_figures);
  now_ms = WallUs() / 1000;
  long_turn_ticks_ = UsToTicks(kLongTurnUs);
  long_command_ticks = UsToTicks(kLongCommandUs);
  CommandWatch::Refresh(*this);
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

void Worker::Adopt(uint64_t id, int fd, Transport transport) {
  auto connection = std::make_unique<Connection>(this, id, fd, transport);
  Connection* raw = connection.get();
  {
    std::lock_guard guard(connections_lock_);
    connections_.emplace(id, std::move(connection));
  }
  figures.connections_received++;
  if (!loop_.Add(fd, Connection::kEvents, raw)) {
    raw->CloseSoon();
  } else if (raw->tls() != nullptr) {
    handshakes.Add(*raw);
  } else {
    raw->Welcome();
  }
}

Connection* Worker::FindConnection(uint64_t id) {
  auto it = connections_.find(id);
  return it == connections_.end() ? nullptr : it->second.get();
}

bool Worker::Owns(uint64_t id) {
  std::lock_guard guard(connections_lock_);
  return connections_.contains(id);
}

bool Worker::Settle(uint64_t id) {
  std::lock_guard guard(connections_lock_);
  auto it = connections_.find(id);
  if (it == connections_.end()) return false;
  it->second->settled = true;
  return true;
}

void Worker::HandOver(Connection& connection, Worker& taker) {
  // First there, where it may fail. What has come in or comes now is told to the taker.
  if (!taker.loop_.Add(connection.fd, Connection::kEvents, &connection)) return;
  loop_.Remove(connection.fd);
  std::unique_ptr<Connection> moved;
  {
    std::lock_guard guard(connections_lock_);
    auto it = connections_.find(connection.id);
    moved = std::move(it->second);
    connections_.erase(it);
  }
  connection_count.fetch_sub(1, std::memory_order_relaxed);
  connection.worker = &taker;
  {
    std::lock_guard guard(taker.connections_lock_);
    taker.connections_.emplace(connection.id, std::move(moved));
  }
  taker.connection_count.fetch_add(1, std::memory_order_relaxed);
  // The lists here hold its number only, and pass over it. That its socket can be written to wakes the taker; where it
  // cannot, the taker comes to it in its next turn.
  if (std::exchange(connection.deferred, false)) taker.Defer(&connection);
  if (std::exchange(connection.read_again, false)) taker.ReadAgain(&connection);
  if (std::exchange(connection.flush_again, false)) taker.FlushAgain(&connection);
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
  for (Read& read : reads_) {
    // A script may take so long that it has to be answered for before this comes to it.
    Connection* connection = std::exchange(read.connection, nullptr);
    if (connection == nullptr) continue;
    peeked = read.peeked.command != nullptr ? &read.peeked : nullptr;
    connection->Serve(read.data);
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
  if (pushes.has_put_off()) pushes.EndPutOff();
  while (!deferred_.empty()) {
    Connection* connection = FindConnection(deferred_.front());
    deferred_.pop_front();
    if (connection == nullptr) continue;
    connection->deferred = false;
    connection->ResumeInput();
    if (!connection->deferred) ReadAgain(connection);
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
  records_until_us.store(0, std::memory_order_relaxed);
  last_held_ = held_.size();  // 0 ends the rests for it
  if (held_.empty()) return;
  // Before it is asked for: what others record later, maybe without anybody who waits, is not waited for.
  uint64_t offset = journal.offset();
  bool written = aof.Commit(&waits_for_log);
  for (size_t i = 0; i < held_.size(); i++) {
    Connection* connection = FindConnection(held_[i]);
    if (connection == nullptr) continue;
    connection->held = false;
    if (!written || connection->unwritten > 0) {
      PutBehindLog(*connection, offset);
    } else if (!connection->close_soon) {
      connection->Flush();
    }
  }
  held_.clear();
  if (written) ExpectRecords();
}

void Worker::ExpectRecords() {
  if (int64_t wait_us = SyncGatherUs(); wait_us > 0) {
    records_until_us.store(MonotonicUs() + wait_us, std::memory_order_relaxed);
  }
}

// Who changed something waits for the disk, or for what it is still to be told of earlier turns; the others are served
// meanwhile. Its next commands are executed, too, while the log's thread keeps up.
void Worker::PutBehindLog(Connection& connection, uint64_t offset) {
  connection.unwritten++;
  // Once it waits it is SendWritten that lets it go on.
  connection.waits_for_log |= connection.unwritten >= kUnwrittenTurns || BacklogOf(aof) > kReadOnBytes;
  unwritten_.push_back({connection.id, offset, connection.bytes_out + connection.output.size_bytes()});
}

void Worker::SendWritten() {
  while (!unwritten_.empty() && aof.WrittenUpTo(unwritten_.front().offset)) {
    Unwritten written = unwritten_.front();
    unwritten_.pop_front();
    Connection* connection = FindConnection(written.connection_id);
    if (connection == nullptr) continue;
    connection->unwritten--;
    bool waited = std::exchange(connection->waits_for_log, false);
    if (connection->close_soon) continue;
    if (connection->unwritten > 0 || connection->held) {
      FlushUpTo(*connection, written.replies_end);
    } else {
      connection->Flush();
    }
    if (!waited) continue;
    connection->ResumeInput();
    ReadAgain(connection);
  }
  if (unwritten_.empty()) waits_for_log.store(false, std::memory_order_relaxed);
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
    if (connection->close_soon) continue;
    Connection* outer = std::exchange(handling, connection);
    connection->ReadSome();
    handling = outer;
  }
  reading_again_.clear();
}

void Worker::CloseMarked() {
  for (size_t i = 0; i < closing_.size(); i++) {
    // Many at once (their sockets may be full, and what they subscribed to has to forget them): the others go first.
    if (i > 0 && TurnIsLong()) {
      closing_left_.insert(closing_left_.end(), closing_.begin() + static_cast<ptrdiff_t>(i), closing_.end());
      break;
    }
    pushes.KeepInBounds();  // what came meanwhile was delivered, for the last time to who goes
    Connection* connection = FindConnection(closing_[i]);
    if (connection == nullptr) continue;
    if (!PubSub::Forget(*connection, kForgotAtOnce)) {
      closing_left_.push_back(closing_[i]);
      continue;
    }
    loop_.Forget(connection);
    std::unique_ptr<Connection> gone;
    {
      std::lock_guard guard(connections_lock_);
      auto it = connections_.find(closing_[i]);
      gone = std::move(it->second);
      connections_.erase(it);
    }
    gone.reset();
    if (MemoryGuard::ResidentOver() > 0) NoteClientsFreed();
    connection_count.fetch_sub(1, std::memory_order_relaxed);
  }
  closing_.swap(closing_left_);
  closing_left_.clear();
}

void Worker::RunDeadlines() {
  while (!deadlines.empty() && deadlines.begin()->first <= now_ms) {
    auto [at_ms, id] = *deadlines.begin();
    deadlines.erase(deadlines.begin());
    Connection* connection = FindConnection(id);
    if (connection == nullptr || connection->waiter == nullptr) continue;
    if (connection->waiter->deadline_ms != at_ms) {
      if (connection->waiter->look_again_ms == at_ms) Blocking::LookAgain(*connection);
      continue;
    }
    // Claimed by somebody who tries to serve it: look again in a moment.
    if (!Blocking::TimeOut(*connection)) {
      connection->waiter->deadline_ms = now_ms + 5;
      deadlines.emplace(now_ms + 5, id);
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
    Blocking::blocked_clients.fetch_sub(1, std::memory_order_relaxed);
    connection->ResumeInput();
  }
}

int Worker::WaitMs() const {
  if (work_left_ || handshakes.waiting() || pushes.has_work() || !closing_.empty() || !held_.empty() ||
      !read_again_.empty() || !deferred_.empty() || !flush_again_.empty())
    return 0;
  // The log's thread may have told of it since this turn began.
  if (!unwritten_.empty() && aof.WrittenUpTo(unwritten_.front().offset)) return 0;
  if (cut_left_) return MonotonicUs() < next_cut_us ? 1 : 0;
  if (compacting || pushes.has_put_off()) return 1;
  // The cron may come as much later as this turn was long; a client's deadline may not.
  int64_t until = next_cron_ms;
  int64_t now = now_ms;
  if (!deadlines.empty()) {
    until = std::min(until, deadlines.begin()->first);
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
  if (activity_before_.connections < kGatherClients || activity_before_.reads < kGatherReadsMin) return 0;
  if (ready_ * 2 > activity_before_.connections || TurnIsLong()) return 0;
  // Each of several workers gets a part of what comes: for turns as full as those of one it takes longer.
  uint64_t longer = server.config().threads > 1 ? 2 : 1;
  uint64_t us_max = longer * static_cast<uint64_t>(server.config().read_coalesce_usec);
  uint64_t wanted = longer * std::min(kGatherReads, static_cast<uint64_t>(activity_before_.connections) / kGatherPart);
  return static_cast<int>(std::min(wanted * 1000 / activity_before_.reads, us_max));
}

void Worker::TurnWhileLoading() {
  current_worker = this;
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
  handshakes.Run();
  if (pushes.needs_care()) pushes.AfterCommand(false);
  pushes.SendSome();
  thread_pause.Leave(index_);
}

void Worker::Run() {
  prctl(PR_SET_TIMERSLACK, 1000UL);  // short rests: see GatherUs
  AskForShortSlices();
  current_worker = this;
  RefreshClock();
  next_cron_ms = now_ms;
  auto begin_turn = [this] {
    ExpectRecords();
    thread_pause.Enter(index_);
    RefreshClock();
    turn_began_ = __rdtsc();
  };
  thread_pause.Enter(index_);
  while (!server.stopping()) {
    if (index_ == 0) ending.Look(*this);
    if (server.stopping()) break;
    CloseMarked();
    int wait = WaitMs();
    int gather_us = wait > 0 ? GatherUs() : 0;
    thread_pause.Leave(index_);
    ready_ = loop_.RunOnce(wait, gather_us, begin_turn);
    if (!unwritten_.empty()) SendWritten();
    ServeReads();
    ReadRests();
    ServeDeferred();
    FlushRests();
    loop_.RunMail();
    RunDeadlines();
    handshakes.Run();
    if (broadcast_due) KeyTracking::EndBatch(*this);
    if (pushes.needs_care()) pushes.AfterCommand(false);
    SendHeld();
    pushes.SendSome();
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
    if (now_ms >= next_cron_ms || (work_left_ && !TurnIsLong())) Cron();
  }
  if (!unwritten_.empty()) SendWritten();  // what the end has written
  CloseMarked();
  // Connections are destroyed with the worker, after all threads have ended.
  thread_pause.Leave(index_);
}

}  // namespace brim
