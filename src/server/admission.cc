#include "server/admission.h"

#include <cmath>

#include "base/monotonic.h"
#include "base/random.h"
#include "server/connection.h"
#include "server/transaction.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

void Admission::Configure(int64_t limit_bytes, int tenacity) {
  limit_ = limit_bytes;
  // Redis's scale: up to 10 linear, 50 us a step; then 15 % more a step; 100 has no end.
  if (tenacity <= 10) {
    budget_us_ = 50 * tenacity;
  } else if (tenacity < 100) {
    budget_us_ = static_cast<int64_t>(500.0 * std::pow(1.15, tenacity - 10));
  } else {
    budget_us_ = INT64_MAX / 2;
  }
}

Admission::Outcome Admission::Relieve(int64_t now_ms, int64_t budget_us) {
  int64_t deadline = MonotonicUs() + budget_us;
  auto count = static_cast<uint32_t>(shards.count());
  auto at = static_cast<uint32_t>(RandomBelow(count));
  uint32_t barren = 0;  // shards in a row that had nothing to give
  for (uint32_t turn = 1;; turn++) {
    if (UsedMemoryFast() <= limit_) return Outcome::kFits;
    Shard& shard = shards[static_cast<int>(at++ % count)];
    shard.lock().lock();
    // Memory that is free already, only not given back yet, goes before any key.
    bool freed = shard.has_garbage();
    if (freed) {
      shard.FreeGarbage(256);
    } else if (eviction.policy != EvictionPolicy::kNoEviction) {
      freed = shard.EvictOne(now_ms) > 0;
    }
    shard.lock().unlock();
    barren = freed ? 0 : barren + 1;
    if (barren >= count) return UsedMemoryFast() <= limit_ ? Outcome::kFits : Outcome::kStuck;
    if ((turn & 15) == 0 && MonotonicUs() > deadline) return Outcome::kRunning;
  }
}

bool Admission::Admit(Connection& connection, const Command& command) {
  Outcome outcome = Relieve(connection.worker->now_ms, budget_us_);
  if (outcome != Outcome::kStuck) return true;
  const Transaction* transaction = connection.transaction.get();
  if (transaction != nullptr && transaction->in_multi) {
    if (Transactions::IsExec(command)) return !(transaction->flags & kDenyOom);
    if (!Transactions::TakenWhenFull(command)) return false;
  }
  return !(command.flags & kDenyOom);
}

bool Admission::RelieveInBackground(int64_t now_ms) {
  return !NeedsRelief() || Relieve(now_ms, budget_us_ < 2000 ? budget_us_ : 2000) != Outcome::kRunning;
}

}  // namespace brim
