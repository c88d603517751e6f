#include "server/server.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "memory/account.h"
#include "persist/temporary_files.h"
#include "resp/errors.h"
#include "server/admission.h"
#include "server/aof.h"
#include "server/journal.h"
#include "server/log.h"
#include "server/memory_guard.h"
#include "server/pause.h"
#include "server/persistence.h"
#include "server/placement.h"
#include "server/process.h"
#include "server/purge.h"
#include "server/script_watch.h"
#include "server/transaction.h"

namespace brim {

namespace {

constexpr int64_t kLoadPulseUs = 20'000;

}  // namespace

Server server;

int Server::connected_clients() const {
  int count = 0;
  for (auto& worker : workers_) count += worker->connection_count.load(std::memory_order_relaxed);
  return count;
}

void Server::Dispatch(int fd, Transport transport) {
  if (connected_clients() >= static_cast<int>(config().maxclients)) {
    constexpr std::string_view kRefusal = "-ERR max number of clients reached\r\n";
    // Before a handshake nothing can be said.
    ssize_t sent = transport == Transport::kTls ? 0 : write(fd, kRefusal.data(), kRefusal.size());
    (void)sent;
    close(fd);
    rejected_connections.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  uint64_t id = NextConnectionId();
  Worker& worker = placement.ForNew(id, transport);
  // Counted at once, so that a burst does not slip past maxclients.
  worker.connection_count.fetch_add(1, std::memory_order_relaxed);
  if (worker.index() == 0) {
    worker.Adopt(id, fd, transport);  // listeners live on the first worker's thread
  } else {
    worker.loop().PostArrival([&worker, id, fd, transport] { worker.Adopt(id, fd, transport); });
  }
}

namespace {

int64_t PageHeapBytes() {
  int64_t bytes = 0;
  for (int i = 0; i < shards.count(); i++) bytes += static_cast<int64_t>(shards[i].heap().used_bytes());
  return bytes;
}

// Debug builds: what the categories sum to is what the allocator has handed out, give or take what its caches and
// libraries that allocate past operator new hold.
void CheckAccount() {
#ifndef NDEBUG
  constexpr int64_t kTolerated = 512 << 10;
  PurgeAllocator();
  int64_t difference;
  if (AccountBalances(PageHeapBytes(), &difference) || std::abs(difference) <= kTolerated) return;
  LogWarning("The memory categories and the allocator differ by " + std::to_string(difference) + " bytes");
  abort();
#endif
}

}  // namespace

// Clients are answered meanwhile: with LOADING, unless the command needs no data. They all are the first worker's.
bool Server::Load() {
  loading.running = true;
  loading.started_s = WallUs() / 1'000'000;
  load_pulse = [](uint64_t bytes) {
    static int64_t next_us = 0;
    int64_t now = MonotonicUs();
    if (now < next_us) return;
    server.loading.bytes = server.loading.bytes_before + bytes;
    server.workers_[0]->TurnWhileLoading();
    if (server.stopping() || server.stop_signal.load(std::memory_order_relaxed) != 0) {
      LogWarning("Received shutdown signal during loading, exiting now.");
      _exit(0);
    }
    next_us = MonotonicUs() + kLoadPulseUs;
  };
  int stale = RemoveStaleTemporaries(WorkingFolder());
  if (stale > 0)
    LogNotice("Removed " + std::to_string(stale) + " unfinished snapshots that processes have left behind");
  bool good = aof.Start(*workers_[0]) && (config().appendonly || persistence.Load());
  load_pulse = nullptr;
  loading.running = false;
  return good;
}

int Server::Run() {
  int threads = config().threads;
  shard_locking = threads > 1;
  thread_pause.SetThreads(threads);
  ScriptWatch::SetThreads(threads);
  shard_observer = this;
  for (int i = 0; i < threads; i++) workers_.push_back(std::make_unique<Worker>(i));
  if (TlsContexts::Wanted(config()) && !tls.Renew(config())) {
    LogWarning("Failed to configure TLS. Check logs for more info.");
    return 1;
  }
  if (!listeners.Open(config(), &workers_[0]->loop())) return 1;
  LogNotice("Server initialized");
  startup_memory = UsedMemory();
  MemoryGuard::MarkFootprint();
  MarkAccountBaseline(PageHeapBytes());
  if (!Load()) return 1;
  LogNotice("Ready to accept connections");
  NotifySupervisor(config().supervised);
  for (int i = 1; i < threads; i++) {
    threads_.emplace_back([this, i] {
      pthread_setname_np(pthread_self(), ("brim-" + std::to_string(i)).c_str());
      workers_[static_cast<size_t>(i)]->Run();
    });
  }
  purger.Start();
  workers_[0]->Run();
  purger.Stop();
  for (auto& thread : threads_) thread.join();
  aof.End();
  CheckAccount();
  listeners.Close();
  workers_.clear();
  LogWarning("Brim is now ready to exit, bye bye...");
  return 0;
}

void Server::CountError(Worker& worker, const Reply& reply) {
  CountError(worker, std::string(reply.last_error_code()));
}

void Server::CountError(Worker& worker, const std::string& code) {
  worker.figures.error_replies++;
  auto& errors = worker.figures.errors_by_code;
  auto it = errors.find(code);
  if (it != errors.end()) {
    it->second++;
  } else {
    // Scripts can make up as many as they like.
    constexpr size_t kCodesMost = 128;
    errors[errors.size() < kCodesMost ? code : "ERRORSTATS_OVERFLOW"]++;
  }
}

bool Server::ProtectedCommandAllowed(const Command& command, Connection& connection) const {
  const std::string name = command.container != nullptr ? command.container->spec->name : command.spec->name;
  auto allowed = name == "debug" ? config().enable_debug_command : config().enable_module_command;
  if (allowed == ProtectedAction::kYes) return true;
  if (allowed == ProtectedAction::kNo) return false;
  return connection.IsLocal();
}

bool Server::PauseHolds(const Command& command, Connection& connection) const {
  if (connection.monitor) return false;
  std::string_view name = command.spec->name;
  if (name.starts_with("client") || name == "quit" || name == "reset" || name == "hello" || name == "auth")
    return false;
  if (!pause_writes_only_) return true;
  if (command.flags & (kWrite | kMayReplicate)) return true;
  return name == "exec" && connection.transaction != nullptr &&
         (connection.transaction->flags & (kWrite | kMayReplicate)) != 0;
}

void Server::AddPaused(Worker& worker, uint64_t connection_id) { worker.paused_connections.push_back(connection_id); }

void Server::PauseClients(int64_t until_ms, bool writes_only) {
  bool was = pausing();
  // Pauses add up: the later end, and "all" once anybody said so.
  pause_writes_only_ = was ? pause_writes_only_ && writes_only : writes_only;
  pause_until_ms_ = was ? std::max(pause_until_ms_, until_ms) : until_ms;
  expiry_paused.store(true, std::memory_order_relaxed);
  pausing_.store(true, std::memory_order_relaxed);
}

void Server::UnpauseClients() {
  pausing_.store(false, std::memory_order_relaxed);
  expiry_paused.store(false, std::memory_order_relaxed);
  pause_until_ms_ = 0;
  for (auto& worker : workers_) {
    worker->loop().Post([w = worker.get()] { w->ResumePaused(); });
  }
}

void Server::CheckPauseEnd(int64_t now_ms) {
  if (!pausing() || now_ms < pause_until_ms_) return;
  if (!thread_pause.Begin(0)) return;
  if (pausing() && now_ms >= pause_until_ms_) UnpauseClients();
  thread_pause.End();
}

void Server::KeyRemoved(Shard&, int db, std::string_view key, Removal why) {
  if (journal.on()) {
    bool lazy = why == Removal::kExpired ? lazyfree.expire : lazyfree.eviction;
    std::string_view words[] = {lazy ? "UNLINK" : "DEL", key};
    if (effects != nullptr) {
      effects->Add(db, words);
    } else {
      journal.AppendOne(db, words, WallUs() / 1000);
    }
  }
  if (auto* hook = changed_hook.load(std::memory_order_relaxed); hook != nullptr) hook(key, HashBytes(key), false);
  if (notify_hook == nullptr) return;
  NotifyClass event_class = why == Removal::kExpired ? kNotifyExpired : kNotifyEvicted;
  if (notify_classes & event_class) notify_hook(why == Removal::kExpired ? "expired" : "evicted", key, db);
}

void Server::FieldsRemoved(Shard&, int db, std::string_view key, std::span<const std::string_view> fields) {
  if (!journal.on()) return;
  std::vector<std::string_view> words = {"HDEL", key};
  words.insert(words.end(), fields.begin(), fields.end());
  if (effects != nullptr) {
    effects->Add(db, words);
  } else {
    journal.AppendOne(db, words, WallUs() / 1000);
  }
}

void Server::HashShrunk(Shard&, int db, std::string_view key, bool emptied) {
  if (auto* hook = changed_hook.load(std::memory_order_relaxed); hook != nullptr) hook(key, HashBytes(key), false);
  if (notify_hook == nullptr) return;
  if (notify_classes & kNotifyHash) notify_hook("hexpired", key, db);
  if (emptied && (notify_classes & kNotifyGeneric)) notify_hook("del", key, db);
}

void Server::ResetStatistics() {
  for (auto& worker : workers_) {
    size_t commands = worker->figures.commands_by_id.size();
    worker->figures = WorkerFigures();
    worker->figures.commands_by_id.resize(commands);
    worker->keyspace_figures.hits.store(0, std::memory_order_relaxed);
    worker->keyspace_figures.misses.store(0, std::memory_order_relaxed);
  }
  for (int i = 0; i < shards.count(); i++) {
    shards[i].expired_keys.store(0, std::memory_order_relaxed);
    shards[i].expired_fields.store(0, std::memory_order_relaxed);
    shards[i].evicted_keys.store(0, std::memory_order_relaxed);
    shards[i].lazyfreed_objects.store(0, std::memory_order_relaxed);
  }
  rejected_connections.store(0, std::memory_order_relaxed);
  peak_memory.store(UsedMemory(), std::memory_order_relaxed);
}

uint64_t Server::TotalChanges() const {
  uint64_t total = 0;
  for (auto& worker : workers_) total += worker->keyspace_figures.changes.load(std::memory_order_relaxed);
  return total;
}

}  // namespace brim
