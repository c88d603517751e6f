#include "server/chores.h"

#include "server/server.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr int64_t kIdleUs = 5000;  // without a command

bool IsBusy(const Worker& worker, int64_t now_us) {
  return now_us - worker.last_busy_us.load(std::memory_order_relaxed) <= kIdleUs;
}

bool IsAwake(const Worker& worker, int64_t now_us) {
  return now_us - worker.last_turn_us.load(std::memory_order_relaxed) <= kIdleUs;
}

}  // namespace

ChoreShare ChoresOf(const Worker& worker, int64_t now_us) {
  auto all = static_cast<int>(server.workers().size());
  int busy = 0;
  int free = 0;    // those that could do it for the others; who sleeps has to wake first
  int before = 0;  // of them before this
  for (int i = 0; i < all; i++) {
    const Worker& each = *server.workers()[static_cast<size_t>(i)];
    if (IsBusy(each, now_us)) {
      busy++;
    } else if (&each == &worker || IsAwake(each, now_us)) {
      if (i < worker.index()) before++;
      free++;
    }
  }
  if (busy == 0 || free == 0) return {.first = worker.index(), .step = all, .workers = all};
  if (IsBusy(worker, now_us)) return {.workers = free};
  return {.first = before, .step = free, .workers = free, .relieves = true};
}

}  // namespace brim
