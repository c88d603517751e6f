#pragma once
// A consistent cut of all databases, handed to a sink while the server goes on serving, without a fork and without a
// copy.
//
// Each entry carries one bit, its epoch. Beginning a cut (every thread paused) turns the process's epoch over: whatever
// was there before now has the other bit and is still to be handed over. A walk goes over each shard in slices; an
// entry that is about to change or to go before the walk comes by is handed over first, as it was. New entries are born
// with the new epoch and are none of the cut's. In the end every entry has it, and the next cut can begin. A big value
// is handed over in parts; a command that is about to change it hands over the rest first.
// docs/snapshot.md.
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/monotonic.h"
#include "store/keyspace.h"

namespace brim {

class Shard;

// How much of an entry is to be taken.
struct CutPace {
  bool hurry = false;       // all: a command cannot go on before, and others cannot either
  bool awaited = false;     // a command waits for it that can be asked again
  int64_t deadline_us = 0;  // else some, until then (monotonic) or until somebody waits for the shard
};

// What takes the entries of a cut. The shard's lock is held.
class CutSink {
 public:
  virtual ~CutSink() = default;
  // An entry as it was at the cut. `db`: the number of its database then. False: some of it is left, which the next
  // call for it goes on with; until then the entry neither changes nor moves, and of its shard only such entries are
  // handed over as are in a hurry.
  virtual bool Take(Shard& shard, int db, const KeyRef& ref, const CutPace& pace) = 0;
  // False: the shard's walk is to wait. What is about to change does not ask.
  virtual bool HasRoom(Shard& shard) = 0;
  // Whether one shard's walk holds up all the others. Any thread, no lock.
  virtual bool Alone() = 0;
  // Whether that one should come to its end: what others handed over meanwhile has become much. Any thread, no lock.
  virtual bool Urgent() = 0;
  // The shard's last entry was taken.
  virtual void ShardDone(Shard& shard) = 0;
  // CPU time that threads of its own have used since it was asked last, microseconds. Any thread, no lock.
  virtual int64_t TakeBackgroundUs() = 0;
};

class Cut {
 public:
  // For tests: every slice of a big value is as small as can be.
  static inline std::atomic<bool> stress{false};

  static bool running() { return shards_left_.load(std::memory_order_acquire) > 0; }
  // Every thread paused; no cut may be running. The sink has to live until running() is false.
  static void Begin(CutSink* sink);
  // While one is running: whether the sink takes more from the shard's walk. Needs its lock.
  static bool HasRoom(Shard& shard) { return sink_->HasRoom(shard); }
  static bool Alone() { return sink_->Alone(); }
  static bool Urgent() { return sink_->Urgent() || MonotonicUs() < awaited_until_us_.load(std::memory_order_relaxed); }
  static int64_t TakeBackgroundUs() { return sink_->TakeBackgroundUs(); }
  // Whether the walk is done with the shard. Needs its lock.
  static bool Done(const Shard& shard);
  // A slice of the shard's walk, until the deadline (monotonic) or the sink has no room. True when there is no more to
  // do here. Needs the shard's lock.
  static bool Walk(Shard& shard, int64_t deadline_us);

  // Some of an entry that a command is about to change, which can wait while others are served; what the shard is in
  // the middle of goes first. Until the deadline (monotonic), the sink has no room, or somebody waits for the shard.
  // True: it has been handed over, or is none of the cut's. Needs the shard's lock.
  static bool HandSome(Shard& shard, const KeyRef& ref, int64_t deadline_us);

  // Before the entry changes or goes. Two loads and a compare when no cut is running. Needs the shard's lock.
  static void Before(const KeyRef& ref) {
    if (ref.entry().epoch() != entry_epoch && running()) HandOver(ref);
  }
  // Before all entries of a database go at once. O(entries of the cut that are left).
  static void BeforeFlush(Shard& shard, Keyspace& keyspace);

 private:
  static void HandOver(const KeyRef& ref);
  static bool HandOverFrom(Shard& shard, size_t database, const KeyRef& ref, const CutPace& pace);
  static bool GoOnWithOpen(Shard& shard, const CutPace& pace);
  static inline CutSink* sink_ = nullptr;
  static inline std::atomic<int> shards_left_{0};
  static inline std::atomic<int64_t> awaited_until_us_{0};  // by HandSome, a moment ago
};

// A shard's part of a cut.
struct ShardCut {
  struct Database {
    Keyspace* keyspace;
    int number;
  };
  std::vector<Database> databases;  // as they were numbered at the cut
  size_t at = 0;
  uint64_t cursor = 0;
  // A big value that was handed over in part: nothing of it may be moved.
  Entry* open = nullptr;
  size_t open_database = 0;  // whose it is, in `databases`
  bool running = false;
};

}  // namespace brim
