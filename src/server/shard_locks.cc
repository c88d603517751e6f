#include "server/shard_locks.h"

#include <sched.h>
#include <time.h>

#include <bit>

#include "server/busy_turn.h"
#include "server/pause.h"
#include "server/script_watch.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr int kSpins = 200;
constexpr int kYields = 220;

void Rest(int* round) {
  if (*round < kSpins) {
    __builtin_ia32_pause();
  } else if (*round < kYields) {
    sched_yield();
  } else {
    timespec nap{0, 50'000};
    nanosleep(&nap, nullptr);
  }
  ++*round;
}

enum class Wait : uint8_t { kLocked, kKept, kClaimed };

// Waits for one shard as long as nobody keeps it or claims it.
Wait LockOne(int index) {
  Shard& shard = shards[index];
  Wait result = Wait::kLocked;
  shard.lock().LockUnless([&] {
    if (ScriptClaim::claiming()) {
      result = Wait::kClaimed;
    } else if (ScriptWatch::BusyWith(uint64_t{1} << index) != nullptr) {
      result = Wait::kKept;
    }
    return result != Wait::kLocked;
  });
  return result;
}

}  // namespace

uint64_t AllShards() { return shards.count() == 64 ? ~uint64_t{0} : (uint64_t{1} << shards.count()) - 1; }

void UnlockShards(uint64_t mask) {
  if (!shard_locking) return;
  for (uint64_t rest = mask; rest; rest &= rest - 1) shards[std::countr_zero(rest)].lock().unlock();
}

bool LockShards(Worker& worker, uint64_t mask) {
  if (!shard_locking) return true;
  for (;;) {
    Wait result = Wait::kLocked;
    uint64_t rest = mask;
    for (; rest; rest &= rest - 1) {
      int index = std::countr_zero(rest);
      if (shards[index].lock().try_lock()) continue;
      result = LockOne(index);
      if (result != Wait::kLocked) break;
    }
    if (result == Wait::kLocked) return true;
    UnlockShards(mask & ~rest);
    if (result == Wait::kKept) return false;
    ScriptClaim::LetPass(worker);
  }
}

bool LockUnlessKept(Shard& shard) { return shard.lock().try_lock() || LockOne(shard.index()) == Wait::kLocked; }

void LockPatiently(Worker& worker, Shard& shard) {
  for (;;) {
    if (shard.lock().try_lock()) return;
    Wait result = LockOne(shard.index());
    if (result == Wait::kLocked) return;
    if (result == Wait::kClaimed) {
      ScriptClaim::LetPass(worker);
    } else {
      AnswerWhileBusy(worker);
    }
  }
}

ScriptClaim::Taken ScriptClaim::TakeToken() {
  for (int round = 0; token_.exchange(true, std::memory_order_acquire); Rest(&round)) {
    if (round < kSpins) continue;
    if (claiming()) return Taken::kBeginAnew;
    if (ScriptWatch::Busy() != nullptr) return Taken::kBusy;
  }
  return Taken::kYes;
}

bool ScriptClaim::TakeTokenFirst(Worker& worker) {
  for (int round = 0; token_.exchange(true, std::memory_order_acquire); Rest(&round)) {
    if (round < kSpins) continue;
    if (claiming()) LetPass(worker);
    if (ScriptWatch::Busy() != nullptr) return false;
  }
  return true;
}

void ScriptClaim::LockMore(Worker& worker, uint64_t mask) {
  claiming_.store(true, std::memory_order_seq_cst);
  for (uint64_t rest = mask; rest; rest &= rest - 1) {
    ShardLock& lock = shards[std::countr_zero(rest)].lock();
    for (int round = 0; !lock.try_lock(); Rest(&round)) {
      if (round > kYields && ScriptWatch::PastThreshold(ScriptWatch::Of(worker.index()))) AnswerWhileBusy(worker);
    }
  }
  claiming_.store(false, std::memory_order_seq_cst);
}

bool ScriptClaim::LockAll() {
  claiming_.store(true, std::memory_order_seq_cst);
  uint64_t locked = 0;
  bool kept = false;
  for (uint64_t rest = AllShards(); rest && !kept; rest &= rest - 1) {
    uint64_t bit = rest & -rest;
    ShardLock& lock = shards[std::countr_zero(rest)].lock();
    for (int round = 0; !kept && !lock.try_lock(); Rest(&round)) {
      kept = round > kYields && ScriptWatch::BusyWith(bit) != nullptr;
    }
    if (!kept) locked |= bit;
  }
  claiming_.store(false, std::memory_order_seq_cst);
  if (kept) UnlockShards(locked);
  return !kept;
}

void ScriptClaim::Pause(Worker& worker) {
  claiming_.store(true, std::memory_order_seq_cst);
  thread_pause.BeginFirst(worker.index(), [&worker] {
    if (ScriptWatch::PastThreshold(ScriptWatch::Of(worker.index()))) AnswerWhileBusy(worker);
  });
  claiming_.store(false, std::memory_order_seq_cst);
}

void ScriptClaim::LetPass(Worker& worker) {
  // Outside, so that a pause need not wait for this thread.
  thread_pause.Leave(worker.index());
  for (int round = 0; claiming(); Rest(&round)) {
  }
  thread_pause.Enter(worker.index());
}

}  // namespace brim
