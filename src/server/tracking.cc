#include "server/tracking.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "base/hash.h"
#include "base/monotonic.h"
#include "base/numbers.h"
#include "base/random.h"
#include "base/spin_lock.h"
#include "command/context.h"
#include "command/keys.h"
#include "server/connection.h"
#include "server/push.h"
#include "server/server.h"
#include "server/shard_locks.h"
#include "server/tracking_table.h"
#include "server/transaction.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr int kShardsMost = 64;
constexpr int kWorkersMost = 64;
constexpr size_t kBatchBytes = 64 << 10;  // of changed keys that are told at once
constexpr size_t kEntriesASlice = 64;     // given up under one shard's lock, freed under the garbage's
constexpr size_t kEntriesATurn = 2048;    // under pressure
constexpr int64_t kSliceUs = 500;

// What a worker knows of its clients in broadcast mode, and of what its commands have changed. Its own thread.
struct Local {
  std::map<Prefix, std::vector<Connection*>, std::less<>> by_prefix;
  std::vector<std::string> prefixes;  // of all workers' clients, as of `version`
  uint64_t version = 0;
  std::map<std::string, bool> changed;  // key > whether by a command
  size_t changed_bytes = 0;
  uint64_t origin = 0;  // the connection whose commands they were; 0: nobody's
};

// Tables that nobody uses any more: whoever has time, or wants their memory, frees a slice of them.
class Garbage {
 public:
  void Add(std::unique_ptr<TrackingTable> table) {
    std::lock_guard guard(lock_);
    keys_.fetch_add(table->keys(), std::memory_order_relaxed);
    tables_.fetch_add(1, std::memory_order_relaxed);
    TrackingTable* added = table.release();
    added->next = std::exchange(first_, added);
  }
  bool empty() const { return tables_.load(std::memory_order_relaxed) == 0; }
  size_t keys() const { return keys_.load(std::memory_order_relaxed); }
  void FreeSlice() {
    std::lock_guard guard(lock_);
    FreeLocked();
  }
  // False, with nothing done: another thread does it now.
  bool TryFreeSlice() {
    std::unique_lock guard(lock_, std::try_to_lock);
    if (guard) FreeLocked();
    return guard.owns_lock();
  }

 private:
  void FreeLocked() {
    if (first_ == nullptr) return;
    size_t freed = first_->FreeSome(kEntriesASlice);
    keys_.fetch_sub(freed, std::memory_order_relaxed);
    if (freed >= kEntriesASlice) return;
    delete std::exchange(first_, first_->next);
    tables_.fetch_sub(1, std::memory_order_relaxed);
  }

  SpinLock lock_;
  TrackingTable* first_ = nullptr;
  std::atomic<size_t> keys_{0};
  std::atomic<size_t> tables_{0};
};

// A place in memory made when tracking is first used.
struct Tables {
  std::unique_ptr<TrackingTable> of_shard[kShardsMost];
  Local of_worker[kWorkersMost];
};

Tables tables;
Garbage garbage;
std::atomic<size_t> tracking_clients{0};
std::atomic<size_t> tracked_keys{0};
std::atomic<size_t> broadcast_clients[kWorkersMost];
std::atomic<size_t> all_broadcast_clients{0};
// Prefixes of all workers' clients. Workers keep copies and look at the version.
std::mutex prefixes_mutex;
std::map<std::string, size_t, std::less<>> all_prefixes;
std::atomic<uint64_t> prefixes_version{1};

Local& LocalOf(const Worker& worker) { return tables.of_worker[worker.index()]; }

constexpr std::string_view kInvalidate = ">2\r\n$10\r\ninvalidate\r\n";
constexpr std::string_view kInvalidateMessage = "$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";

// A client in the tables: its connection's number and its worker.
uint64_t ItemOf(const Connection& connection) {
  return connection.id << 6 | static_cast<uint64_t>(connection.worker->index());
}
int WorkerOf(uint64_t item) { return static_cast<int>(item & 63); }
uint64_t IdOf(uint64_t item) { return item >> 6; }

void AppendBulk(std::string* to, std::string_view bytes) {
  char number[24];
  to->push_back('$');
  to->append(number, static_cast<size_t>(FormatUint64(bytes.size(), number)));
  to->append("\r\n").append(bytes).append("\r\n");
}

void AppendArrayHeader(std::string* to, size_t count) { *to += "*" + std::to_string(count) + "\r\n"; }

// To a connection that invalidations end at: a push, or, in RESP2, a message if it is subscribed to something.
void SendTo(Connection& to, bool redirected, std::string_view keys) {
  PushQueue& pushes = to.worker->pushes;
  if (to.resp >= 3) {
    pushes.Send(to, kInvalidate, keys, nullptr, PushQueue::Place::kBehindReply);
  } else if (redirected && to.subscriptions != nullptr) {
    std::string head = "*3\r\n";
    pushes.Send(to, head.append(kInvalidateMessage), keys, nullptr, PushQueue::Place::kBehindReply);
  }
}

// Invalidations for a connection of another worker that one of this worker's redirects to.
class RedirectPush final : public Push {
 public:
  static RedirectPush* Make(uint64_t id, std::string_view keys) {
    auto* push = new (keys.size()) RedirectPush(id, keys.size());
    memcpy(static_cast<void*>(push + 1), keys.data(), keys.size());
    return push;
  }
  void Deliver(Worker& worker) override {
    Connection* to = worker.FindConnection(id_);
    if (to != nullptr) SendTo(*to, true, {reinterpret_cast<const char*>(this + 1), size_});
  }

 private:
  RedirectPush(uint64_t id, size_t size) : id_(id), size_(size) {}
  uint64_t id_;
  size_t size_;
};

void TellBroken(Connection& connection) {
  Tracking& tracking = *connection.tracking;
  tracking.broken = true;
  if (connection.resp < 3) return;
  std::string number = ":" + std::to_string(tracking.redirect) + "\r\n";
  connection.worker->pushes.Send(connection, ">2\r\n$21\r\ntracking-redir-broken\r\n", number, nullptr,
                                 PushQueue::Place::kBehindReply);
}

// `keys` is what is invalid: an array's bytes, or a null. The connection's thread.
void Invalidate(Connection& connection, std::string_view keys) {
  Tracking& tracking = *connection.tracking;
  Worker& worker = *connection.worker;
  if (tracking.redirect == 0) {
    SendTo(connection, false, keys);
  } else if (tracking.redirect_worker == &worker) {
    Connection* to = worker.FindConnection(tracking.redirect);
    to != nullptr ? SendTo(*to, true, keys) : TellBroken(connection);
  } else if (Owns(*tracking.redirect_worker, tracking.redirect)) {
    PushReference push(RedirectPush::Make(tracking.redirect, keys));
    tracking.redirect_worker->pushes.Post(push.get(), 1);
  } else {
    TellBroken(connection);
  }
}

// One key, for the clients of one worker that remembered it.
class KeyPush final : public Push {
 public:
  static KeyPush* Make(std::string_view key, std::span<const uint64_t> items, uint64_t origin) {
    auto* push = new (items.size_bytes() + key.size()) KeyPush(key.size(), items.size(), origin);
    auto* end = reinterpret_cast<char*>(std::copy(items.begin(), items.end(), push->items()));
    memcpy(end, key.data(), key.size());
    return push;
  }
  void Deliver(Worker& worker) override {
    std::string keys = "*1\r\n";
    AppendBulk(&keys, {reinterpret_cast<const char*>(items() + count_), key_size_});
    for (size_t i = 0; i < count_; i++) {
      Connection* connection = worker.FindConnection(IdOf(items()[i]));
      if (connection == nullptr || connection->tracking == nullptr || connection->tracking->broadcast) continue;
      if (connection->tracking->no_loop && connection->id == origin_) continue;
      brim::Invalidate(*connection, keys);
    }
  }

 private:
  KeyPush(size_t key_size, size_t count, uint64_t origin) : key_size_(key_size), count_(count), origin_(origin) {}
  uint64_t* items() { return reinterpret_cast<uint64_t*>(this + 1); }
  size_t key_size_;
  size_t count_;
  uint64_t origin_;
};

// Everything is invalid, for all that track.
class FlushPush final : public Push {
 public:
  void Deliver(Worker& worker) override {
    for (const auto& [id, connection] : worker.connections()) {
      if (connection->tracking != nullptr) brim::Invalidate(*connection, connection->resp >= 3 ? "_\r\n" : "$-1\r\n");
    }
  }
};

// What one batch has changed, in order of the keys, for a worker's clients in broadcast mode.
class BroadcastPush final : public Push {
 public:
  // Each key is a size (32 bits), whether a command did it (a byte), and its bytes.
  static BroadcastPush* Make(const std::map<std::string, bool>& changed, size_t bytes, uint64_t origin) {
    size_t size = bytes + changed.size() * kFrame;
    auto* push = new (size) BroadcastPush(size, origin);
    char* to = push->text();
    for (const auto& [key, by_command] : changed) {
      auto key_size = static_cast<uint32_t>(key.size());
      memcpy(to, &key_size, sizeof key_size);
      to[sizeof key_size] = by_command ? 1 : 0;
      memcpy(to + kFrame, key.data(), key.size());
      to += kFrame + key.size();
    }
    return push;
  }
  void Deliver(Worker& worker) override {
    for (const auto& [prefix, connections] : LocalOf(worker).by_prefix) {
      std::string all = KeysOf(prefix, false);
      if (all.empty()) continue;
      for (Connection* connection : connections) {
        bool own = connection->tracking->no_loop && connection->id == origin_;
        std::string keys = own ? KeysOf(prefix, true) : std::string();
        if (own && keys.empty()) continue;
        brim::Invalidate(*connection, own ? keys : all);
      }
    }
  }

 private:
  static constexpr size_t kFrame = sizeof(uint32_t) + 1;
  BroadcastPush(size_t size, uint64_t origin) : size_(size), origin_(origin) {}
  char* text() { return reinterpret_cast<char*>(this + 1); }
  // The array of those with the prefix, `by_others`: less what commands have changed. Empty: none.
  std::string KeysOf(std::string_view prefix, bool by_others) {
    std::string keys;
    size_t count = 0;
    for (const char* at = text(); at < text() + size_;) {
      uint32_t key_size;
      memcpy(&key_size, at, sizeof key_size);
      std::string_view key{at + kFrame, key_size};
      if (key.starts_with(prefix) && !(by_others && at[sizeof key_size] != 0)) {
        AppendBulk(&keys, key);
        count++;
      }
      at += kFrame + key_size;
    }
    if (count == 0) return keys;
    std::string array;
    AppendArrayHeader(&array, count);
    return array + keys;
  }
  size_t size_;
  uint64_t origin_;
};

uint64_t Serving(const Worker& worker) { return worker.serving == nullptr ? 0 : worker.serving->id; }

// The entry's clients are told, one message a worker; the entry goes. The shard is locked.
void TellClients(TrackingTable::Entry* entry) {
  tracked_keys.fetch_sub(1, std::memory_order_relaxed);
  Worker* current = current_worker;
  uint64_t origin = current == nullptr ? 0 : Serving(*current);
  try {
    std::span<const uint64_t> all = entry->clients();
    std::vector<uint64_t> items;
    uint64_t done = 0;  // workers, a bit each
    for (size_t i = 0; i < all.size(); i++) {
      int worker = WorkerOf(all[i]);
      if (done >> worker & 1) continue;
      done |= uint64_t{1} << worker;
      items.clear();
      for (size_t k = i; k < all.size(); k++) {
        if (WorkerOf(all[k]) == worker) items.push_back(all[k]);
      }
      PushReference push(KeyPush::Make(entry->key(), items, origin));
      server.workers()[static_cast<size_t>(worker)]->pushes.Post(push.get(), items.size());
    }
  } catch (const std::bad_alloc&) {
    NoteShortage();
  }
  TrackingTable::Destroy(entry);
}

void NoteForBroadcast(Worker& worker, std::string_view key, bool by_command) {
  Local& local = LocalOf(worker);
  if (local.version != prefixes_version.load(std::memory_order_acquire)) {
    std::lock_guard guard(prefixes_mutex);
    local.prefixes.clear();
    for (const auto& [prefix, count] : all_prefixes) local.prefixes.push_back(prefix);
    local.version = prefixes_version.load(std::memory_order_relaxed);
  }
  auto fits = [key](const std::string& prefix) { return key.starts_with(prefix); };
  if (std::none_of(local.prefixes.begin(), local.prefixes.end(), fits)) return;
  local.origin = Serving(worker);
  auto [at, added] = local.changed.insert_or_assign(std::string(key), by_command);
  if (added) local.changed_bytes += key.size();
  worker.broadcast_due = true;
  if (local.changed_bytes > kBatchBytes) KeyTracking::EndBatch(worker);
}

void AddPrefix(Connection& connection, std::string_view prefix) {
  auto [at, added] = connection.tracking->prefixes.emplace(prefix);
  if (!added) return;
  LocalOf(*connection.worker).by_prefix[*at].push_back(&connection);
  std::lock_guard guard(prefixes_mutex);
  if (all_prefixes[std::string(prefix)]++ == 0) prefixes_version.fetch_add(1, std::memory_order_release);
}

void RemovePrefixes(Connection& connection) {
  Local& local = LocalOf(*connection.worker);
  for (const Prefix& prefix : connection.tracking->prefixes) {
    auto here = local.by_prefix.find(prefix);
    std::erase(here->second, &connection);
    if (here->second.empty()) local.by_prefix.erase(here);
    std::lock_guard guard(prefixes_mutex);
    auto at = all_prefixes.find(std::string_view(prefix));
    if (--at->second > 0) continue;
    all_prefixes.erase(at);
    prefixes_version.fetch_add(1, std::memory_order_release);
  }
  connection.tracking->prefixes.clear();
}

void CountBroadcaster(Connection& connection, bool on) {
  size_t change = on ? 1 : ~size_t{0};
  broadcast_clients[connection.worker->index()].fetch_add(change, std::memory_order_relaxed);
  all_broadcast_clients.fetch_add(change);
}

// The table's shard is locked.
void Condemn(std::unique_ptr<TrackingTable> table) {
  tracked_keys.fetch_sub(table->keys(), std::memory_order_relaxed);
  garbage.Add(std::move(table));
}

// Takes entries out of the worker's share of the shards while `more` says so (no shard locked). Returns their bytes.
template <class More>
size_t GiveUp(int first, int step, More&& more) {
  size_t bytes = 0;
  for (int i = first; i < shards.count(); i += step) {
    Shard& shard = shards[i];
    bool left = true;
    while (left && more(bytes)) {
      KeptGuard guard(shard);
      if (!guard) break;
      TrackingTable* table = tables.of_shard[i].get();
      size_t n = 0;
      for (; n < kEntriesASlice && table != nullptr && !table->empty() && more(bytes); n++) {
        TrackingTable::Entry* entry = table->TakeAny();
        bytes += entry->memory_bytes();
        TellClients(entry);
      }
      left = n == kEntriesASlice;
    }
  }
  return bytes;
}

// Nobody tracks any more: what is left in the worker's share of the shards serves nobody.
void CondemnTables(int first, int step) {
  for (int i = first; i < shards.count(); i += step) {
    KeptGuard guard(shards[i]);
    // Who begins meanwhile counts himself before he remembers a key here.
    if (!guard || tracking_clients.load() > 0) continue;
    if (tables.of_shard[i] != nullptr) Condemn(std::move(tables.of_shard[i]));
  }
}

}  // namespace

size_t Tracking::MemoryBytes() const {
  constexpr size_t kNode = 64;
  size_t bytes = sizeof(Tracking);
  for (const Prefix& prefix : prefixes) bytes += kNode + prefix.capacity();
  return bytes;
}

void KeyTracking::Start(Connection& connection, const TrackingOptions& options) {
  if (connection.tracking == nullptr) {
    connection.tracking = std::make_unique<Tracking>();
    tracking_clients.fetch_add(1);
    changed_hook.store(Changed);
  }
  Tracking& tracking = *connection.tracking;
  if (options.broadcast && !tracking.broadcast) CountBroadcaster(connection, true);
  tracking.broadcast = options.broadcast;
  tracking.opt_in = options.opt_in;
  tracking.opt_out = options.opt_out;
  tracking.no_loop = options.no_loop;
  tracking.broken = false;
  tracking.redirect = options.redirect;
  tracking.redirect_worker = options.redirect_worker;
  if (!options.broadcast) return;
  if (options.prefixes.empty()) AddPrefix(connection, {});
  for (std::string_view prefix : options.prefixes) AddPrefix(connection, prefix);
}

void KeyTracking::Stop(Connection& connection) {
  if (connection.tracking == nullptr) return;
  RemovePrefixes(connection);
  if (connection.tracking->broadcast) CountBroadcaster(connection, false);
  connection.tracking.reset();
  tracking_clients.fetch_sub(1);
}

void KeyTracking::Remember(Connection& connection, const Command& command, std::span<const std::string_view> argv) {
  Tracking& tracking = *connection.tracking;
  if (tracking.broadcast || (tracking.opt_in && !tracking.caching) || (tracking.opt_out && tracking.caching)) return;
  Worker& worker = *connection.worker;
  worker.key_positions.clear();
  FindKeys(command, argv, &worker.key_positions);
  for (const KeyPosition& position : worker.key_positions) {
    std::string_view key = argv[position.index];
    uint64_t hash = HashBytes(key);
    auto shard = shards.IndexOf(hash);
    try {
      std::unique_ptr<TrackingTable>& table = tables.of_shard[shard];
      if (table == nullptr) table = std::make_unique<TrackingTable>();
      if (!table->Add(key, hash, ItemOf(connection))) continue;
      size_t keys = tracked_keys.fetch_add(1, std::memory_order_relaxed) + 1;
      for (; max_keys > 0 && keys > max_keys && !table->empty(); keys--) TellClients(table->TakeAny());
    } catch (const std::bad_alloc&) {
      // It is not remembered: the client is not to keep it either.
      NoteShortage();
      std::string keys = "*1\r\n";
      AppendBulk(&keys, key);
      Invalidate(connection, keys);
    }
  }
}

void KeyTracking::EndCommand(Connection& connection, const Command* command) {
  // CLIENT CACHING holds for the next command, or the next transaction.
  if (!connection.tracking->caching) return;
  if (connection.transaction != nullptr && connection.transaction->in_multi) return;
  bool of_client = command != nullptr && std::string_view(command->spec->name).starts_with("client|");
  if (!of_client) connection.tracking->caching = false;
}

void KeyTracking::Changed(std::string_view key, uint64_t hash, bool by_command) {
  Worker* worker = current_worker;
  if (worker != nullptr && all_broadcast_clients.load(std::memory_order_relaxed) > 0) {
    try {
      NoteForBroadcast(*worker, key, by_command);
    } catch (const std::bad_alloc&) {
      NoteShortage();  // the change is made; there is no memory to tell of it
    }
  }
  TrackingTable* table = tables.of_shard[shards.IndexOf(hash)].get();
  if (table == nullptr || table->empty()) return;
  if (TrackingTable::Entry* entry = table->Take(key, hash)) TellClients(entry);
}

void KeyTracking::Flushed() {
  if (current_worker == nullptr || changed_hook.load(std::memory_order_relaxed) == nullptr) return;
  for (auto& table : tables.of_shard) {
    if (table != nullptr && !table->empty()) Condemn(std::move(table));
  }
  PushReference push(new (0) FlushPush());
  for (auto& each : server.workers()) each->pushes.Post(push.get(), 1);
}

void KeyTracking::EndBatch(Worker& worker) {
  worker.broadcast_due = false;
  Local& local = LocalOf(worker);
  if (local.changed.empty()) return;
  PushReference push(BroadcastPush::Make(local.changed, local.changed_bytes, local.origin));
  local.changed.clear();
  local.changed_bytes = 0;
  for (auto& each : server.workers()) {
    size_t clients = broadcast_clients[each->index()].load(std::memory_order_relaxed);
    if (clients > 0) each->pushes.Post(push.get(), clients);
  }
}

bool KeyTracking::Cron(Worker& worker) {
  if (changed_hook.load(std::memory_order_relaxed) == nullptr) return true;
  int64_t until = MonotonicUs() + kSliceUs;
  auto step = static_cast<int>(server.workers().size());
  if (tracked_keys.load(std::memory_order_relaxed) > 0 && tracking_clients.load(std::memory_order_relaxed) == 0) {
    CondemnTables(worker.index(), step);
  }
  while (!garbage.empty()) {
    if (MonotonicUs() >= until) return false;
    if (!garbage.TryFreeSlice()) break;  // another one goes on with it
  }
  if (max_keys == 0 || tracked_keys.load(std::memory_order_relaxed) <= max_keys) return true;
  // Clients are told no faster than they are written to.
  bool over_time = PushQueue::AnyIsBehind();
  size_t given_up = 0;
  GiveUp(worker.index(), step, [&](size_t) {
    if (over_time || tracked_keys.load(std::memory_order_relaxed) <= max_keys) return false;
    if (given_up++ % 16 == 0 && MonotonicUs() >= until) over_time = true;
    return !over_time;
  });
  return !over_time;
}

size_t KeyTracking::FreeGarbage(size_t entries) {
  if (garbage.empty()) return 0;
  int64_t before = UsedMemoryFast();
  for (size_t done = 0; done < entries && !garbage.empty(); done += kEntriesASlice) garbage.FreeSlice();
  return static_cast<size_t>(std::max<int64_t>(before - UsedMemoryFast(), 1));
}

int64_t KeyTracking::GarbageBytes() {
  size_t keys = garbage.keys();
  if (keys == 0) return 0;
  // Its keys take what others do.
  auto share = static_cast<double>(keys) / static_cast<double>(keys + tracked_keys.load(std::memory_order_relaxed));
  return static_cast<int64_t>(share * static_cast<double>(UsedByCategory(MemoryCategory::kTracking)));
}

size_t KeyTracking::Shrink(size_t bytes) {
  size_t freed = FreeGarbage(kEntriesATurn);
  if (tracked_keys.load(std::memory_order_relaxed) == 0) return freed;
  size_t enough = bytes - std::min(bytes, static_cast<size_t>(std::max<int64_t>(GarbageBytes(), 0)));
  size_t given_up = 0;
  auto count = static_cast<uint64_t>(shards.count());
  auto first = RandomBelow(count);
  for (uint64_t i = 0; i < count && freed < enough && given_up < kEntriesATurn; i++) {
    auto at = static_cast<int>((first + i) % count);
    freed +=
        GiveUp(at, shards.count(), [&](size_t more) { return freed + more < enough && given_up++ < kEntriesATurn; });
  }
  return freed;
}

size_t KeyTracking::Clients() { return tracking_clients.load(std::memory_order_relaxed); }
size_t KeyTracking::Keys() { return tracked_keys.load(std::memory_order_relaxed); }
size_t KeyTracking::Items() {
  size_t items = 0;
  for (const auto& table : tables.of_shard) items += table == nullptr ? 0 : table->items();
  return items;
}
size_t KeyTracking::Prefixes() {
  std::lock_guard guard(prefixes_mutex);
  return all_prefixes.size();
}

}  // namespace brim
