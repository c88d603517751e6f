#include "server/admission.h"

#include <x86intrin.h>

#include <algorithm>
#include <cmath>

#include "base/monotonic.h"
#include "base/random.h"
#include "memory/account.h"
#include "memory/pressure.h"
#include "server/blocking.h"
#include "server/client_limits.h"
#include "server/compactor.h"
#include "server/connection.h"
#include "server/latency_monitor.h"
#include "server/purge.h"
#include "server/shard_locks.h"
#include "server/tracking.h"
#include "server/transaction.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr int64_t kBackgroundUs = 500;
constexpr int64_t kMakeRoomUs = 1'000'000;
constexpr int64_t kResampleUs = 250;
constexpr int64_t kPatienceUs = 1'000'000;  // with resident memory that is being given back, before keys go for it
constexpr int64_t kEvictAtOnce = 64 << 10;  // bytes of keys that go before resident memory is looked at again
constexpr size_t kFreeBlocks = 256;

// The ladder's view of this process, for one climb by one worker.
class Process final : public PressureSource {
 public:
  Process(Worker& worker, int64_t budget_us, size_t room = 0)
      : worker_(worker),
        sampled_us_(MonotonicUs()),
        deadline_us_(sampled_us_ + budget_us),
        room_(static_cast<int64_t>(room)) {}
  ~Process() {
    if (evicting_us_ > 0) latency_monitor.Note(LatencyEvent::kEvictionCycle, evicting_us_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  int64_t UsedOver() override { return MemoryGuard::UsedOver() + room_; }

  int64_t ResidentOver() override {
    if (MemoryGuard::ResidentOver() <= 0) return MemoryGuard::ResidentOver();
    int64_t now = MonotonicUs();
    if (stale_ || now - sampled_us_ > kResampleUs) {
      sampled_us_ = now;
      stale_ = false;
      MemoryGuard::Sample(now);
    }
    return MemoryGuard::ResidentOver();
  }

  bool TimeIsOver() override { return MonotonicUs() >= deadline_us_; }

  bool IsGivingBack() override {
    if (MemoryIsShort() || MemoryGuard::OverForUs(MonotonicUs()) >= kPatienceUs) return false;
    if (MemoryGuard::ResidentOver() >= MemoryGuard::Slack()) return IsGivingBackClients();
    return brim::IsGivingBack() || OthersAreAsked();
  }

  size_t Step(Rung rung, int64_t wanted) override {
    switch (rung) {
      case Rung::kGiveBack:
        return GiveBack();
      case Rung::kCompact:
        return Compact();
      case Rung::kCutClients:
        return KeepClientsInBounds(worker_, true);
      default: {
        int64_t start = latency_monitor.on() ? MonotonicUs() : 0;
        size_t freed = Evict(wanted);
        if (start != 0) evicting_us_ += MonotonicUs() - start;
        return freed;
      }
    }
  }

 private:
  size_t GiveBack() {
    // Memory that is free already, only not given back yet, goes before anything else.
    for (int i = 0; i < shards.count(); i++) {
      Shard& shard = shards[i];
      KeptGuard guard(shard);
      if (!guard || !shard.has_garbage()) continue;
      int64_t before = UsedMemoryFast();
      shard.FreeGarbage(kFreeBlocks);
      return static_cast<size_t>(std::max<int64_t>(before - UsedMemoryFast(), 1));
    }
    if (size_t freed = KeyTracking::FreeGarbage(kFreeBlocks); freed > 0) return freed;
    if (MemoryGuard::ResidentOver() <= 0) return 0;
    size_t freed = GiveBackFreePages();
    stale_ = freed > 0;
    return freed;
  }

  size_t Compact() {
    size_t freed = 0;
    int64_t left = deadline_us_ - MonotonicUs();
    if (left <= 0) return 0;
    int first = static_cast<int>(RandomBelow(static_cast<uint64_t>(shards.count())));
    Compactor::Slice(worker_, first, 1, std::min<int64_t>(left, 200), true, &freed);
    stale_ = freed > 0;
    return freed;
  }

  // Keys until used memory fits, or kEvictAtOnce of them when only resident memory does not.
  size_t Evict(int64_t wanted) {
    if (eviction.policy == EvictionPolicy::kNoEviction) return 0;
    auto count = static_cast<uint32_t>(shards.count());
    auto at = static_cast<uint32_t>(RandomBelow(count));
    auto aim = static_cast<size_t>(std::clamp<int64_t>(wanted, 1, kEvictAtOnce));
    size_t freed = 0;
    uint32_t barren = 0;  // shards in a row that had nothing to give
    while (freed < aim && barren < count) {
      Shard& shard = shards[static_cast<int>(at++ % count)];
      KeptGuard guard(shard);
      size_t bytes = guard ? EvictFrom(shard) : 0;
      if (guard && !shard.ready.empty()) Blocking::ServeReady(worker_, uint64_t{1} << shard.index());
      barren = bytes > 0 ? 0 : barren + 1;
      freed += bytes;
    }
    return freed;
  }

  size_t EvictFrom(Shard& shard) {
    LatencySpan span(LatencyEvent::kEvictionDelete);
    return shard.EvictOne(worker_.now_ms);
  }

  Worker& worker_;
  int64_t evicting_us_ = 0;  // while the latency monitor is on
  int64_t sampled_us_;
  int64_t deadline_us_;
  int64_t room_;  // that is to be free below the limit
  bool stale_ = false;
};

}  // namespace

void Admission::Configure(int tenacity) {
  // Redis's scale: up to 10 linear, 50 us a step; then 15 % more a step; 100 has no end.
  if (tenacity <= 10) {
    budget_us_ = 50 * tenacity;
  } else if (tenacity < 100) {
    budget_us_ = static_cast<int64_t>(500.0 * std::pow(1.15, tenacity - 10));
  } else {
    budget_us_ = INT64_MAX / 2;
  }
}

bool Admission::Admit(Connection& connection, const Command& command) {
  const Transaction* transaction = connection.transaction.get();
  bool in_multi = transaction != nullptr && transaction->in_multi;
  // What can be refused, and what may make it worse; the rest is served, and the background frees.
  if (!in_multi && !(command.flags & (kDenyOom | kWrite | kRunsScript))) return true;
  Process process(*connection.worker, budget_us_);
  Relief relief = ClimbLadder(process);
  // Keys that go make room soon; without eviction the time that is over has not.
  bool stuck = relief == Relief::kStuck ||
               (relief == Relief::kRunning && eviction.policy == EvictionPolicy::kNoEviction && process.UsedOver() > 0);
  connection.worker->ticks = __rdtsc();      // what making room took is no time of the command's
  connection.worker->out_of_memory = stuck;  // a script's commands are refused by what holds when it begins
  if (!stuck) return true;
  bool refuse = (command.flags & kDenyOom) != 0;
  if (in_multi) {
    if (Transactions::IsExec(command)) {
      refuse = (transaction->flags & kDenyOom) != 0;
    } else if (!Transactions::TakenWhenFull(command)) {
      refuse = true;
    }
  }
  if (refuse) CountRung(Rung::kRefuse, 0);
  return !refuse;
}

bool Admission::MakeRoom(Worker& worker, size_t bytes) {
  if (MemoryGuard::used_limit() == 0) return true;
  if (static_cast<int64_t>(bytes) > MemoryGuard::used_limit()) return false;
  Process process(worker, kMakeRoomUs, bytes);
  Relief relief = ClimbLadder(process);
  // Resident memory that is on its way to the system is waited for by nobody else either.
  bool fits = relief == Relief::kFits || (relief == Relief::kRunning && process.UsedOver() <= 0);
  if (!fits) CountRung(Rung::kRefuse, 0);
  return fits;
}

bool Admission::RelieveInBackground(Worker& worker) {
  if (!MemoryGuard::NeedsRelief()) return true;
  Process process(worker, std::min(budget_us_, kBackgroundUs));
  return ClimbLadder(process) != Relief::kRunning;
}

}  // namespace brim
