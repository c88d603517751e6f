#include "server/pause.h"

#include <sched.h>
#include <time.h>

#include "server/script_watch.h"

namespace brim {

namespace {

constexpr int kSpins = 100;

void Nap() {
  timespec nap{0, 20'000};
  nanosleep(&nap, nullptr);
}

}  // namespace

void ThreadPause::Enter(int thread) {
  if (threads_ <= 1) return;
  for (;;) {
    inside_[thread].value.store(true, std::memory_order_seq_cst);
    // The pauser sets `requested_` and then looks at `inside_`; one of us sees the other.
    if (!requested_.load(std::memory_order_seq_cst)) return;
    inside_[thread].value.store(false, std::memory_order_seq_cst);
    while (requested_.load(std::memory_order_acquire)) Nap();
  }
}

void ThreadPause::Park(int thread) {
  Leave(thread);
  Enter(thread);
}

bool ThreadPause::OthersInside(int thread) const {
  for (int i = 0; i < threads_; i++) {
    if (i != thread && inside_[i].value.load(std::memory_order_seq_cst)) return true;
  }
  return false;
}

bool ThreadPause::Begin(int thread) {
  if (threads_ <= 1) return true;
  for (;;) {
    while (first_.load(std::memory_order_relaxed) || !mutex_.try_lock()) {
      if (ScriptWatch::Busy() != nullptr) return false;
      Leave(thread);
      Nap();
      Enter(thread);
    }
    requested_.store(true, std::memory_order_seq_cst);
    bool back = false;  // another goes first, or a script takes too long
    for (int spins = 0; !back && OthersInside(thread); spins++) {
      if (spins > kSpins) {
        Nap();
        back = first_.load(std::memory_order_relaxed) || ScriptWatch::Busy() != nullptr;
      } else {
        sched_yield();
      }
    }
    if (!back) return true;
    End();
    if (ScriptWatch::Busy() != nullptr) return false;
  }
}

void ThreadPause::BeginFirst(int thread, const std::function<void()>& waiting) {
  if (threads_ <= 1) return;
  first_.store(true, std::memory_order_seq_cst);
  while (!mutex_.try_lock()) {
    Nap();
    waiting();
  }
  requested_.store(true, std::memory_order_seq_cst);
  while (OthersInside(thread)) {
    Nap();
    waiting();
  }
  first_.store(false, std::memory_order_seq_cst);
}

void ThreadPause::End() {
  if (threads_ <= 1) return;
  requested_.store(false, std::memory_order_seq_cst);
  mutex_.unlock();
}

}  // namespace brim
