#pragma once
// A shard: a cut of the keyspace by key hash, with everything that belongs to its keys. docs/threads.md.
// All members need the shard's lock (or the pause of all threads), but for what says otherwise.
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "memory/heap.h"
#include "store/access.h"
#include "store/cut.h"
#include "store/keyspace.h"
#include "store/lock.h"
#include "store/notify.h"

namespace brim {

// One connection's WATCH: set when any of its keys changes. Written under the shards' locks, read by EXEC under them.
struct WatchFlag {
  std::atomic<bool> touched{false};
};

// A waiting BLPOP and the like; server/blocking knows the rest.
struct KeyWaiter {
  virtual ~KeyWaiter() = default;
};

enum class Removal : uint8_t { kExpired, kEvicted };

// What the layers above want to hear of the shard's own doings.
class ShardObserver {
 public:
  virtual ~ShardObserver() = default;
  // A key went by itself; called before its entry is freed.
  virtual void KeyRemoved(Shard& shard, int db, std::string_view key, Removal why) = 0;
  // Fields of a hash are about to go because their time has come.
  virtual void FieldsRemoved(Shard& shard, int db, std::string_view key, std::span<const std::string_view> fields) = 0;
  // They have; `emptied`: the hash goes with them. Called once for several calls of the other.
  virtual void HashShrunk(Shard& shard, int db, std::string_view key, bool emptied) = 0;
};
inline ShardObserver* shard_observer = nullptr;  // set once by main before threads start

class Shard {
 public:
  Shard(int index, int databases);
  ~Shard();

  int index() const { return index_; }
  ShardLock& lock() { return lock_; }
  Heap& heap() { return heap_; }
  int databases() const { return static_cast<int>(keyspaces_.size()); }
  Keyspace& db(int i) { return *keyspaces_[static_cast<size_t>(i)]; }
  void SwapDatabases(int a, int b);

  // --- the access clocks (LRU, LFU): see store/access.h
  AccessClock& clock() { return clock_; }

  // --- expiry. Deletes a key that is past its time: counts, tells the observer, marks watchers.
  void RemoveExpired(KeyRef& ref);
  // Visits keys whose time may have come, until `deadline_us` (monotonic); continues where it stopped. Returns true
  // when it has been around once.
  bool ExpireCycle(int64_t now_ms, int64_t deadline_us);
  // --- eviction: removes one key by the policy. Bytes freed, or 0 when nothing may go.
  size_t EvictOne(int64_t now_ms);

  // --- lazy freeing
  void FreeLater(const Detached& detached);
  void FreeLater(std::unique_ptr<Keyspace> keyspace);
  bool has_garbage() const { return !garbage_.empty() || !condemned_.empty(); }
  // Frees for about `budget` blocks; true when nothing is left.
  bool FreeGarbage(size_t budget);
  // Replaces the database by an empty one; the old is freed now or in slices later.
  void FlushDatabase(int db, bool lazy);

  // --- compaction: closing gaps in the heap's pages, until the deadline (MonotonicUs; a step or two longer). True when
  // there is nothing to be done at present. Gaps of up to `tolerated` bytes are no reason to begin. compaction.cc.
  bool Compact(int64_t deadline_us, size_t tolerated);
  uint64_t compaction_moved = 0;  // blocks
  ShardCut cut;                   // of a snapshot that is being taken

  // --- watched keys
  // `expired`: the key is there but past its time; deleting it is then no change.
  void Watch(int db, std::string_view key, WatchFlag* flag, bool expired);
  void Unwatch(int db, std::string_view key, WatchFlag* flag);
  // The key has changed. Costs nothing where nobody watches.
  void TouchWatchers(int db, std::string_view key, bool by_expiry = false) {
    if (!watches_.empty()) Touch(db, key, by_expiry);
  }
  // The key was past its time when this WATCH came, or came to be so by SWAPDB, and nothing has changed since.
  bool WatchedAsExpired(int db, std::string_view key, const WatchFlag* flag) const;
  // FLUSHDB, SWAPDB: every watched key of the database that exists now or in `other`. A key past its time that goes, or
  // comes where there is none, is no change.
  void TouchWatchersOfDb(int db, Keyspace* other, int64_t now_ms);

  // --- waiting clients, first come first served
  void AddWaiter(int db, std::string_view key, KeyWaiter* waiter);
  void RemoveWaiter(int db, std::string_view key, KeyWaiter* waiter);
  std::deque<KeyWaiter*>* WaitersOf(int db, std::string_view key);
  bool has_waiters() const { return !waiters_.empty(); }
  // Remembers that the key got a value, or lost its stream, if somebody waits for it.
  void SignalReady(int db, std::string_view key);
  // Every key of the database that somebody waits for (SWAPDB, FLUSHDB).
  void SignalAllReady(int db);
  struct ReadyKey {
    int db;
    std::string key;
    uint64_t order;  // among what this thread has signalled
  };
  std::vector<ReadyKey> ready;
  // Waiters whose command writes to a second key (BLMOVE): while there are any, commands here lock every shard.
  int movers = 0;

  // --- figures (relaxed atomics: INFO sums them without the lock)
  std::atomic<uint64_t> expired_keys{0};
  std::atomic<uint64_t> expired_fields{0};
  std::atomic<uint64_t> evicted_keys{0};
  std::atomic<uint64_t> lazyfreed_objects{0};
  std::atomic<uint64_t> lazyfree_pending{0};

 private:
  void Touch(int db, std::string_view key, bool by_expiry);
  void RemoveByItself(KeyRef& ref, Removal why, bool lazy);
  bool FindDue(Keyspace& keyspace, int64_t now_ms);
  bool RemoveDue(Keyspace& keyspace, int64_t now_ms, int64_t deadline_us);

  int index_;
  ShardLock lock_;
  Heap heap_;
  AccessClock clock_;
  std::vector<std::unique_ptr<Keyspace>> keyspaces_;
  std::deque<Detached> garbage_;
  std::deque<std::unique_ptr<Keyspace>> condemned_;
  struct Watcher {
    WatchFlag* flag;
    bool expired;
  };
  std::unordered_map<std::string, std::vector<Watcher>> watches_;
  std::unordered_map<std::string, std::deque<KeyWaiter*>> waiters_;
  std::vector<Entry*> due_;         // keys
  std::vector<Entry*> due_hashes_;  // with fields
  int expire_db_ = 0;
  uint64_t expire_position_ = 0;
  uint32_t evict_db_ = 0;
  // Where CompactParts is: database, position in it, and the big values of that position that are done.
  struct {
    bool running = false;
    uint32_t shared_round = 0;  // the round of the shared pages that this walk serves; 0: none
    uint32_t shared_round_done = 0;
    int db = 0;
    uint64_t cursor = 0;
    void* structure = nullptr;
    uint64_t structure_cursor = 0;
    std::vector<void*> structures_done;
    size_t pages = 0;      // of the shard's own that this walk is to empty
    size_t gaps_left = 0;  // by the last walk, if it was of no use
  } walk_;
  friend class EntryMover;
  // Moves one entry to a fresh block. False when no database points at it, or a cut is in the middle of it.
  bool MoveEntry(Entry* entry);
  bool CompactEntries(int64_t deadline_us, size_t tolerated);
  bool CompactParts(int64_t deadline_us, size_t tolerated);
  bool BeginWalk(size_t tolerated);
  bool CompactKeys(Keyspace& keyspace, int64_t deadline_us);
  bool CompactValue(Entry& entry, int64_t deadline_us);
};

// Settings that deletions obey; written while every thread is paused.
struct LazyFreeSettings {
  bool eviction = false;
  bool expire = false;
  bool server_del = false;
  bool user_del = false;
  bool user_flush = false;
};
inline LazyFreeSettings lazyfree;

// The shards of the process, made once before threads start; their number is a power of two.
class ShardSet {
 public:
  void Build(int count, int databases);
  int count() const { return static_cast<int>(shards_.size()); }
  Shard& operator[](int i) { return *shards_[static_cast<size_t>(i)]; }
  Shard& Of(uint64_t hash) { return *shards_[IndexOf(hash)]; }
  // Bits 11..: not those that place a key inside its table.
  size_t IndexOf(uint64_t hash) const { return hash >> 11 & mask_; }

 private:
  std::vector<std::unique_ptr<Shard>> shards_;
  size_t mask_ = 0;
};
inline ShardSet shards;

// As Shard::Compact for entries, in the pages that all shards share. The caller holds the locks of all shards.
bool CompactSharedEntries(int64_t deadline_us, size_t tolerated);
// Chooses shared pages of parts to be emptied; every shard's CompactParts then walks. False when there are none. Any
// thread, no lock.
bool BeginSharedParts(size_t tolerated);

}  // namespace brim
