#pragma once
// Taking the locks of shards: several at once in ascending order, and what happens when a script keeps one for long.
// docs/threads.md, docs/scripts.md.
#include <cstdint>

#include "store/shard.h"

namespace brim {

class Worker;

uint64_t AllShards();

// Locks the shards (a bit each). No shard may be held. False, with none locked: a script past its threshold keeps one
// of them. Lets go of all while a script that has written asks for more (ScriptClaim).
bool LockShards(Worker& worker, uint64_t mask);
void UnlockShards(uint64_t mask);

// For work that can be done another time: false when a script keeps the shard. No shard may be held.
bool LockUnlessKept(Shard& shard);

// As lock(), for what has to be done now; the worker's clients are answered meanwhile when a script keeps the shard. No
// shard may be held.
void LockPatiently(Worker& worker, Shard& shard);

// Unlocks at the end of a scope, if the lock was had.
class KeptGuard {
 public:
  explicit KeptGuard(Shard& shard) : shard_(LockUnlessKept(shard) ? &shard : nullptr) {}
  ~KeptGuard() {
    if (shard_ != nullptr) shard_->lock().unlock();
  }
  KeptGuard(const KeptGuard&) = delete;
  KeptGuard& operator=(const KeptGuard&) = delete;
  explicit operator bool() const { return shard_ != nullptr; }

 private:
  Shard* shard_;
};

// A script that has written may find that it needs a shard it has not locked. It cannot begin anew, and to wait for
// the lock while it holds others could be a deadlock. So at most one thread at a time may be in that position: it
// holds the token, taken before the first command that is not read-only; and while it waits, everybody else who waits
// for locks lets go of those it has.
class ScriptClaim {
 public:
  enum class Taken : uint8_t { kYes, kBeginAnew, kBusy };
  // For a script that holds shards and has done nothing yet but read. kBeginAnew: somebody claims more shards and may
  // wait for those held here. kBusy: the script that has the token is past its threshold.
  static Taken TakeToken();
  // For a transaction with scripts, which holds nothing yet. False: as kBusy.
  static bool TakeTokenFirst(Worker& worker);
  static void GiveToken() { token_.store(false, std::memory_order_release); }

  // With the token and shards held: locks these as well, whatever the order. Clients are answered if it takes long.
  static void LockMore(Worker& worker, uint64_t mask);
  // With the token and no shard held: locks all; scripts that wait for the token with shards held let go of these.
  // False, with none locked: a script past its threshold keeps one.
  static bool LockAll();
  // With the token and shards held: every other thread paused.
  static void Pause(Worker& worker);

  // Somebody does one of these: whoever waits for locks is to let go of what he has.
  static bool claiming() { return claiming_.load(std::memory_order_relaxed); }
  // Waits outside until it is done. No shard may be held.
  static void LetPass(Worker& worker);

 private:
  static inline std::atomic<bool> token_{false};
  static inline std::atomic<bool> claiming_{false};
};

}  // namespace brim
