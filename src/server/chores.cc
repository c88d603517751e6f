#include "server/chores.h"

#include "server/server.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr int64_t kIdleUs = 5000;  // without a command

bool IsIdle(const Worker& worker, int64_t now_us) {
  return now_us - worker.last_busy_us.load(std::memory_order_relaxed) > kIdleUs;
}

}  // namespace

ChoreShare ChoresOf(const Worker& worker, int64_t now_us) {
  auto all = static_cast<int>(server.workers().size());
  int idle = 0;
  int before = 0;  // idle ones before this
  for (int i = 0; i < all; i++) {
    if (!IsIdle(*server.workers()[static_cast<size_t>(i)], now_us)) continue;
    if (i < worker.index()) before++;
    idle++;
  }
  if (idle == 0 || idle == all) return {.first = worker.index(), .step = all, .workers = all};
  if (!IsIdle(worker, now_us)) return {.workers = idle};
  return {.first = before, .step = idle, .workers = idle, .relieves = true};
}

}  // namespace brim
