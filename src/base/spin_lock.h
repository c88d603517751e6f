#pragma once
// A lock that is held for some tenths of a microsecond (one command, one allocation), so it spins first; who has spun
// for long (the holder was descheduled, or runs a long command) sleeps in short steps. Releasing is a plain store.
// docs/threads.md says in which order shards are locked.
#include <sched.h>
#include <time.h>

#include <atomic>

namespace brim {

// False with one thread: nothing is locked at all. Set before threads start.
inline bool shard_locking = false;

class SpinLock {
 public:
  void lock() {
    if (!shard_locking) return;
    if (!held_.exchange(true, std::memory_order_acquire)) return;
    waiters_.fetch_add(1, std::memory_order_relaxed);
    do {
      Wait();
    } while (held_.exchange(true, std::memory_order_acquire));
    waiters_.fetch_sub(1, std::memory_order_relaxed);
  }
  // Somebody waits for it: who holds it for work that can go on later lets go.
  bool contended() const { return waiters_.load(std::memory_order_relaxed) > 0; }
  bool try_lock() { return !shard_locking || !held_.exchange(true, std::memory_order_acquire); }
  void unlock() {
    if (shard_locking) held_.store(false, std::memory_order_release);
  }

 private:
  void Wait() {
    for (int spins = 0; held_.load(std::memory_order_relaxed); spins++) {
      if (spins < 200) {
        __builtin_ia32_pause();
      } else if (spins < 220) {
        sched_yield();
      } else {
        timespec nap{0, 50'000};
        nanosleep(&nap, nullptr);
      }
    }
  }

  alignas(64) std::atomic<bool> held_{false};
  std::atomic<int> waiters_{0};
};

}  // namespace brim
