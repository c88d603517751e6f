#include "server/pause.h"

#include <sched.h>
#include <time.h>

namespace brim {

namespace {

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

void ThreadPause::Begin(int thread) {
  if (threads_ <= 1) return;
  while (!mutex_.try_lock()) {
    Leave(thread);
    Nap();
    Enter(thread);
  }
  requested_.store(true, std::memory_order_seq_cst);
  for (int i = 0; i < threads_; i++) {
    if (i == thread) continue;
    for (int spins = 0; inside_[i].value.load(std::memory_order_seq_cst); spins++) {
      if (spins > 100) {
        Nap();
      } else {
        sched_yield();
      }
    }
  }
}

void ThreadPause::End() {
  if (threads_ <= 1) return;
  requested_.store(false, std::memory_order_seq_cst);
  mutex_.unlock();
}

}  // namespace brim
