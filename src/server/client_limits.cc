#include "server/client_limits.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "base/monotonic.h"
#include "memory/pressure.h"
#include "server/client_line.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/memory_guard.h"
#include "server/purge.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr size_t kWorthCutting = 4 << 10;  // clients with less are not what fills the memory

constexpr size_t kSparedBytes = 64 << 10;  // of a client that goes on: what is in a pipeline
constexpr int64_t kAskedUs = 25'000;       // that other workers have for closing theirs
constexpr int64_t kAskAgainUs = 2000;      // when they have looked and found nothing
constexpr size_t kInputUnwatched = 1 << 20;
constexpr int64_t kJustServedMs = 100;

struct Victim {
  size_t bytes;
  Connection* connection;
  bool last;
};

std::atomic<int64_t> asked_us{-kAskedUs};
std::atomic<uint64_t> asked_round{0};  // Worker::looked_round follows
std::atomic<bool> round_freed{false};  // something, by somebody who was asked

// Whether it is not this client that holds things up: its turn was put off, its replies wait for the disk, or it has
// just been served and takes its replies.
bool GoesOn(const Connection& connection) {
  if (connection.deferred || connection.held || connection.unwritten > 0) return true;
  return connection.output.empty() && connection.worker->now_ms - connection.served_ms < kJustServedMs;
}

// This worker's clients by the memory their buffers take, the biggest first; those who go on come last, if at all.
std::vector<Victim> Biggest(const Worker& worker) {
  std::vector<Victim> victims;
  for (const auto& [id, connection] : worker.connections()) {
    if (connection->close_soon || connection->no_evict || connection.get() == worker.serving) continue;
    size_t bytes = connection->BufferBytes();
    bool goes_on = GoesOn(*connection);
    if (bytes >= (goes_on ? kSparedBytes : kWorthCutting)) victims.push_back({bytes, connection.get(), goes_on});
  }
  std::sort(victims.begin(), victims.end(), [](const Victim& a, const Victim& b) {
    // Equals: who has waited longest for its peer to read or go on writing.
    if (a.last != b.last) return b.last;
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.connection->last_active_ms < b.connection->last_active_ms;
  });
  return victims;
}

void CutClient(Worker& worker, Connection& connection, size_t bytes, int64_t clients) {
  LogWarning("Closing client over maxmemory-clients (" + std::to_string(clients) +
             " bytes of all clients): " + DescribeConnection(connection));
  connection.CloseSoon();
  worker.figures.memory_cuts++;
  worker.figures.memory_cut_bytes += bytes;
  CountRung(Rung::kCutClients, bytes);
}

// They look at the end of their turns; who rests is woken for it.
void AskOthers(Worker& worker) {
  int64_t now = MonotonicUs();
  int64_t last = asked_us.load(std::memory_order_relaxed);
  if (OthersAreAsked() || (now - last < kAskAgainUs && !round_freed.load(std::memory_order_relaxed))) return;
  if (!asked_us.compare_exchange_strong(last, now, std::memory_order_relaxed)) return;
  round_freed.store(false, std::memory_order_relaxed);
  worker.looked_round.store(asked_round.fetch_add(1, std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  for (auto& other : server.workers()) {
    if (other.get() != &worker) other->loop().Post([] {});
  }
}

bool IsAsked(const Worker& worker) {
  return worker.looked_round.load(std::memory_order_relaxed) != asked_round.load(std::memory_order_relaxed) &&
         MonotonicUs() - asked_us.load(std::memory_order_relaxed) < kAskedUs;
}

size_t CloseBiggest(Worker& worker, bool before_keys) {
  int64_t clients = ClientMemory();
  // The commonest case first: no limit is as low as this.
  if (clients <= MemoryGuard::client_room_least()) return 0;
  int64_t over = clients - MemoryGuard::ClientRoom();
  int64_t of_all = over;  // what those who go on give, too
  bool asked = IsAsked(worker);
  if (before_keys || asked) over = std::max(over, clients - MemoryGuard::ClientRoom(true));
  if (over <= 0) return 0;
  // What clients have read can be forgotten, which costs them a question more; only then have they to go.
  size_t freed = KeyTracking::Shrink(static_cast<size_t>(over));
  if (int64_t garbage = KeyTracking::GarbageBytes(); garbage > 0) {
    over -= garbage;
    of_all -= garbage;
  }
  for (const Victim& victim : Biggest(worker)) {
    if (static_cast<int64_t>(freed) >= (victim.last ? of_all : over)) break;
    CutClient(worker, *victim.connection, victim.bytes, clients);
    victim.connection->DropBuffers();
    freed += victim.bytes;
  }
  if (freed > 0) NoteClientsFreed();
  if (freed > 0 && asked) round_freed.store(true, std::memory_order_relaxed);
  if (static_cast<int64_t>(freed) < over && before_keys && server.workers().size() > 1) AskOthers(worker);
  return freed;
}

}  // namespace

bool OthersAreAsked() {
  if (MonotonicUs() - asked_us.load(std::memory_order_relaxed) >= kAskedUs) return false;
  uint64_t round = asked_round.load(std::memory_order_relaxed);
  return std::any_of(server.workers().begin(), server.workers().end(), [round](const auto& worker) {
    return worker->looked_round.load(std::memory_order_relaxed) != round;
  });
}

size_t KeepClientsInBounds(Worker& worker, bool before_keys) {
  uint64_t round = asked_round.load(std::memory_order_relaxed);
  size_t freed = CloseBiggest(worker, before_keys);
  // Not where it has asked the others itself.
  if (worker.looked_round.load(std::memory_order_relaxed) < round) {
    worker.looked_round.store(round, std::memory_order_relaxed);
  }
  return freed;
}

void NoteInput(Worker& worker, size_t bytes) {
  worker.unwatched_input += bytes;
  if (worker.unwatched_input < kInputUnwatched) return;
  worker.unwatched_input = 0;
  KeepClientsInBounds(worker);
}

bool ReplyMayGrow(size_t bytes) { return static_cast<int64_t>(bytes) <= MemoryGuard::ClientRoom(); }

bool CutWhenOver(Connection& connection) {
  int64_t clients = ClientMemory();
  if (connection.no_evict || clients <= MemoryGuard::client_room_least() ||
      clients - KeyTracking::GarbageBytes() <= MemoryGuard::ClientRoom()) {
    return false;
  }
  CutClient(*connection.worker, connection, connection.BufferBytes(), clients);
  return true;
}

}  // namespace brim
