#include "server/purge.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <mutex>

#include "base/monotonic.h"
#include "memory/account.h"
#include "memory/pressure.h"
#include "memory/resident.h"
#include "server/shard_locks.h"
#include "server/tracking.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr int64_t kAllocatorPurgeUs = 2000;
constexpr auto kDecayEvery = std::chrono::seconds(1);
std::atomic<int64_t> next_allocator_purge_us{0};
std::atomic<bool> clients_freed{false};
std::atomic<int> purging{0};              // threads
std::atomic<int> purging_for_clients{0};  // of them: what clients held is in it

// Counts a thread as long as it gives pages back.
class Purging {
 public:
  Purging() : for_clients_(clients_freed.exchange(false, std::memory_order_relaxed) ? 1 : 0) {
    purging_for_clients.fetch_add(for_clients_, std::memory_order_relaxed);
    purging.fetch_add(1, std::memory_order_relaxed);
  }
  ~Purging() {
    purging.fetch_sub(1, std::memory_order_relaxed);
    purging_for_clients.fetch_sub(for_clients_, std::memory_order_relaxed);
  }
  Purging(const Purging&) = delete;
  Purging& operator=(const Purging&) = delete;

 private:
  const int for_clients_;
};

// By how much resident memory falls.
template <class Fn>
size_t FallOf(Fn&& give_back) {
  Purging mark;
  size_t before = ResidentBytes();
  give_back();
  size_t after = ResidentBytes();
  return before > after ? before - after : 0;
}

size_t PurgeHeaps() {
  size_t bytes = 0;
  for (int i = 0; i < shards.count(); i++) {
    KeptGuard guard(shards[i]);
    if (!guard) continue;
    bytes += shards[i].heap().own().Purge();
  }
  Heap::Shared& shared = Heap::shared();
  std::lock_guard guard(shared.lock);
  return bytes + shared.pools.Purge();
}

}  // namespace

size_t PurgeEverything() {
  for (int i = 0; i < shards.count(); i++) {
    while (!shards[i].FreeGarbage(1 << 16)) {
    }
  }
  while (KeyTracking::FreeGarbage(1 << 16) > 0) {
  }
  size_t bytes = PurgeHeaps();
  PurgeAllocator();
  return bytes;
}

void Purger::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Purger::Stop() {
  {
    std::lock_guard guard(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Purger::Ask() {
  int64_t now = MonotonicUs();
  int64_t due = next_allocator_purge_us.load(std::memory_order_relaxed);
  if (now < due || !next_allocator_purge_us.compare_exchange_strong(due, now + kAllocatorPurgeUs)) return;
  {
    std::lock_guard guard(mutex_);
    asked_ = true;
  }
  wake_.notify_one();
}

void Purger::Run() {
  pthread_setname_np(pthread_self(), "brim-purge");
  // The allocator's part of this thread is set up now: when it is asked for first there may be no memory for it.
  PurgeAllocator();
  std::unique_lock lock(mutex_);
  for (;;) {
    bool asked = wake_.wait_for(lock, kDecayEvery, [this] { return asked_ || stop_; });
    if (stop_) return;
    asked_ = false;
    lock.unlock();
    if (!asked) {
      DecayAllocator();
      lock.lock();
      continue;
    }
    if (size_t fell = FallOf(PurgeAllocator); fell > 0) CountRung(Rung::kGiveBack, fell);
    lock.lock();
  }
}

void NoteClientsFreed() { clients_freed.store(true, std::memory_order_relaxed); }

bool IsGivingBack() { return purging.load(std::memory_order_relaxed) > 0 || IsGivingBackClients(); }

bool IsGivingBackClients() {
  if (purging_for_clients.load(std::memory_order_relaxed) > 0) return true;
  return clients_freed.load(std::memory_order_relaxed) &&
         MonotonicUs() < next_allocator_purge_us.load(std::memory_order_relaxed);
}

size_t GiveBackFreePages() {
  int64_t now = MonotonicUs();
  int64_t due = next_allocator_purge_us.load(std::memory_order_relaxed);
  if (now < due || !next_allocator_purge_us.compare_exchange_strong(due, now + kAllocatorPurgeUs)) return 0;
  return FallOf([] {
    PurgeHeaps();
    PurgeAllocator();
  });
}

}  // namespace brim
