#include "store/shard.h"

#include <algorithm>

#include "base/monotonic.h"

namespace brim {

namespace {

std::string DbKey(int db, std::string_view key) {
  std::string text(reinterpret_cast<const char*>(&db), sizeof db);
  return text.append(key);
}
int DbOf(const std::string& db_key) {
  int db;
  memcpy(&db, db_key.data(), sizeof db);
  return db;
}
std::string_view KeyOf(const std::string& db_key) { return std::string_view(db_key).substr(sizeof(int)); }

}  // namespace

Shard::Shard(int index, int databases) : index_(index) {
  for (int i = 0; i < databases; i++) keyspaces_.push_back(std::make_unique<Keyspace>(this, &heap_, i));
}

Shard::~Shard() {
  while (!FreeGarbage(1 << 20)) {
  }
}

void Shard::SwapDatabases(int a, int b) {
  std::swap(keyspaces_[static_cast<size_t>(a)], keyspaces_[static_cast<size_t>(b)]);
  db(a).SetDb(a);
  db(b).SetDb(b);
}

void Shard::RemoveByItself(KeyRef& ref, Removal why, bool lazy) {
  int db_index = ref.keyspace().db();
  if (shard_observer != nullptr) shard_observer->KeyRemoved(*this, db_index, ref.key(), why);
  TouchWatchers(db_index, ref.key(), why == Removal::kExpired);
  auto& counter = why == Removal::kExpired ? expired_keys : evicted_keys;
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  ref.keyspace().Erase(ref, lazy);
}

void Shard::FreeLater(const Detached& detached) {
  garbage_.push_back(detached);
  lazyfree_pending.fetch_add(1, std::memory_order_relaxed);
}

void Shard::FreeLater(std::unique_ptr<Keyspace> keyspace) {
  lazyfree_pending.fetch_add(keyspace->size(), std::memory_order_relaxed);
  condemned_.push_back(std::move(keyspace));
}

bool Shard::FreeGarbage(size_t budget) {
  if (!garbage_.empty()) {
    if (FreeSome(heap_, &garbage_.front(), budget)) {
      garbage_.pop_front();
      lazyfree_pending.fetch_sub(1, std::memory_order_relaxed);
      lazyfreed_objects.fetch_add(1, std::memory_order_relaxed);
    }
  } else if (!condemned_.empty()) {
    Keyspace& keyspace = *condemned_.front();
    size_t before = keyspace.size();
    bool done = keyspace.DrainSome(budget / 64 + 1);
    lazyfree_pending.fetch_sub(before - keyspace.size(), std::memory_order_relaxed);
    lazyfreed_objects.fetch_add(before - keyspace.size(), std::memory_order_relaxed);
    if (done) condemned_.pop_front();
  }
  return !has_garbage();
}

void Shard::FlushDatabase(int index, bool lazy) {
  // The Keyspace stays where it is: other threads prefetch from its table without the lock.
  Keyspace& keyspace = db(index);
  if (keyspace.size() == 0) return;
  Cut::BeforeFlush(*this, keyspace);
  SignalAllReady(index);
  auto old = std::make_unique<Keyspace>(this, &heap_, index);
  keyspace.SwapContents(*old);
  if (lazy) FreeLater(std::move(old));
}

void Shard::Watch(int db_index, std::string_view key, WatchFlag* flag, bool expired) {
  watches_[DbKey(db_index, key)].push_back({flag, expired});
}

void Shard::Unwatch(int db_index, std::string_view key, WatchFlag* flag) {
  auto it = watches_.find(DbKey(db_index, key));
  if (it == watches_.end()) return;
  std::erase_if(it->second, [flag](const Watcher& watcher) { return watcher.flag == flag; });
  if (it->second.empty()) watches_.erase(it);
}

void Shard::Touch(int db_index, std::string_view key, bool by_expiry) {
  auto it = watches_.find(DbKey(db_index, key));
  if (it == watches_.end()) return;
  for (Watcher& watcher : it->second) {
    if (!by_expiry || !watcher.expired) watcher.flag->touched.store(true, std::memory_order_relaxed);
    watcher.expired = false;
  }
}

bool Shard::WatchedAsExpired(int db_index, std::string_view key, const WatchFlag* flag) const {
  auto it = watches_.find(DbKey(db_index, key));
  if (it == watches_.end()) return false;
  for (const Watcher& watcher : it->second) {
    if (watcher.flag == flag) return watcher.expired;
  }
  return false;
}

void Shard::TouchWatchersOfDb(int db_index, Keyspace* other, int64_t now_ms) {
  for (auto& [db_key, watchers] : watches_) {
    if (DbOf(db_key) != db_index) continue;
    uint64_t hash = HashBytes(KeyOf(db_key));
    bool is_there = static_cast<bool>(db(db_index).Find(KeyOf(db_key), hash));
    KeyRef next = other == nullptr ? KeyRef() : other->Find(KeyOf(db_key), hash);
    if (!is_there && !next) continue;
    bool next_expired = next && next.entry().has_expiry() && next.expiry_ms() < now_ms;
    for (Watcher& watcher : watchers) {
      bool was_nothing = watcher.expired || !is_there;
      watcher.expired = was_nothing && next_expired;
      if (was_nothing && (!next || next_expired)) continue;
      watcher.flag->touched.store(true, std::memory_order_relaxed);
    }
  }
}

void Shard::AddWaiter(int db_index, std::string_view key, KeyWaiter* waiter) {
  waiters_[DbKey(db_index, key)].push_back(waiter);
}

void Shard::RemoveWaiter(int db_index, std::string_view key, KeyWaiter* waiter) {
  auto it = waiters_.find(DbKey(db_index, key));
  if (it == waiters_.end()) return;
  std::erase(it->second, waiter);
  if (it->second.empty()) waiters_.erase(it);
}

std::deque<KeyWaiter*>* Shard::WaitersOf(int db_index, std::string_view key) {
  auto it = waiters_.find(DbKey(db_index, key));
  return it == waiters_.end() ? nullptr : &it->second;
}

void Shard::SignalReady(int db_index, std::string_view key) {
  if (waiters_.empty() || WaitersOf(db_index, key) == nullptr) return;
  for (const ReadyKey& r : ready) {
    if (r.db == db_index && r.key == key) return;
  }
  thread_local uint64_t signals = 0;
  ready.push_back({db_index, std::string(key), signals++});
}

void Shard::SignalAllReady(int db_index) {
  for (auto& [db_key, waiting] : waiters_) {
    if (DbOf(db_key) == db_index) SignalReady(db_index, KeyOf(db_key));
  }
}

void ShardSet::Build(int count, int databases) {
  shards_.clear();
  for (int i = 0; i < count; i++) shards_.push_back(std::make_unique<Shard>(i, databases));
  mask_ = static_cast<size_t>(count) - 1;
}

}  // namespace brim
