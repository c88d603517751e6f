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

// kAlways: for what threads that are no workers use as well.
template <bool kAlways>
class BasicSpinLock {
 public:
  void lock() {
    if (!locks()) return;
    if (!held_.exchange(true, std::memory_order_acquire)) return;
    waiters_.fetch_add(1, std::memory_order_relaxed);
    do {
      Wait();
    } while (held_.exchange(true, std::memory_order_acquire));
    waiters_.fetch_sub(1, std::memory_order_relaxed);
  }
  // As lock(), but asked now and then, when the wait has become long, `give_up` may say that it is enough: false then.
  template <class GiveUp>
  bool LockUnless(GiveUp&& give_up) {
    if (!locks()) return true;
    if (!held_.exchange(true, std::memory_order_acquire)) return true;
    waiters_.fetch_add(1, std::memory_order_relaxed);
    bool got = false;
    for (int spins = 0;;) {
      if (!held_.load(std::memory_order_relaxed)) {
        got = !held_.exchange(true, std::memory_order_acquire);
        if (got) break;
      }
      Rest(spins++);
      if (spins > kRestsShort && give_up()) break;
    }
    waiters_.fetch_sub(1, std::memory_order_relaxed);
    return got;
  }
  // Somebody waits for it: who holds it for work that can go on later lets go.
  bool contended() const { return waiters_.load(std::memory_order_relaxed) > 0; }
  bool try_lock() { return !locks() || !held_.exchange(true, std::memory_order_acquire); }
  void unlock() {
    if (locks()) held_.store(false, std::memory_order_release);
  }

 private:
  static bool locks() { return kAlways || shard_locking; }

  static constexpr int kSpins = 200;
  static constexpr int kRestsShort = 220;

  static void Rest(int spins) {
    if (spins < kSpins) {
      __builtin_ia32_pause();
    } else if (spins < kRestsShort) {
      sched_yield();
    } else {
      timespec nap{0, 50'000};
      nanosleep(&nap, nullptr);
    }
  }
  void Wait() {
    for (int spins = 0; held_.load(std::memory_order_relaxed); spins++) Rest(spins);
  }

  alignas(64) std::atomic<bool> held_{false};
  std::atomic<int> waiters_{0};
};

using SpinLock = BasicSpinLock<false>;
using ThreadSpinLock = BasicSpinLock<true>;

}  // namespace brim
