#include "memory/account.h"

#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>

#include "base/thread_exit.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BRIM_PLAIN_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define BRIM_PLAIN_MALLOC 1
#endif
#endif

#ifndef BRIM_PLAIN_MALLOC
#include <jemalloc/jemalloc.h>
// Few arenas, free pages given back within a tenth of a second: a small process that does not grow behind its owner's
// back.
extern "C" {
const char* malloc_conf =
    "narenas:2,tcache_max:4096,dirty_decay_ms:100,muzzy_decay_ms:0,background_thread:false,thp:never";
}
#endif

namespace brim {

namespace account_detail {

std::atomic<int64_t> global_used{0};
int64_t lease_bytes = 16 << 10;
thread_local constinit ThreadCounters* mine = nullptr;

namespace {

// Counters are never freed: a thread's are given to the next new thread.
std::atomic<ThreadCounters*> all{nullptr};
std::mutex mutex;
constexpr int kSparesMost = 256;
ThreadCounters* spare[kSparesMost];
int spares = 0;

// Later charges of this thread (what others do at its end) register again.
void GiveBack() {
  std::lock_guard guard(mutex);
  if (mine != nullptr && spares < kSparesMost) spare[spares++] = mine;
  mine = nullptr;
}

// The first thread's counters are static: operator new comes here before anything is set up. Some more are, for threads
// that begin when there is no memory.
constexpr int kStatics = 8;
alignas(64) char statics[kStatics][(sizeof(ThreadCounters) + 63) / 64 * 64];
int statics_taken = 0;

void* CountersMemory() {
  void* memory = statics_taken == 0 ? nullptr : aligned_alloc(64, sizeof(statics[0]));
  if (memory != nullptr) return memory;
  if (statics_taken == kStatics) abort();
  return statics[statics_taken++];
}

}  // namespace

ThreadCounters* RegisterThread() {
  std::lock_guard guard(mutex);
  if (spares > 0) {
    mine = spare[--spares];
  } else {
    auto* counters = new (CountersMemory()) ThreadCounters();
    counters->next = all.load(std::memory_order_relaxed);
    all.store(counters, std::memory_order_release);
    mine = counters;
  }
  ThreadExit<GiveBack>::Arm();
  return mine;
}

void Fold(ThreadCounters& counters, int64_t owed) {
  global_used.fetch_add(owed, std::memory_order_relaxed);
  counters.owed.store(0, std::memory_order_relaxed);
}

}  // namespace account_detail

namespace {

[[maybe_unused]] int64_t baseline = 0;

size_t GrantedBytes(void* memory) { return malloc_usable_size(memory); }

}  // namespace

const char* CategoryName(MemoryCategory category) {
  constexpr const char* kNames[] = {
      "data",    "tables", "expiry_eviction", "clients_in", "clients_out", "transactions", "replication", "aof",
      "scripts", "pubsub", "tracking",        "cluster",    "config",      "tls",          "fixed"};
  return kNames[static_cast<size_t>(category)];
}

namespace {

constexpr size_t kReserveBytes = 1 << 20;
constexpr size_t kReservePart = 256 << 10;  // larger requests are refused, not served from the reserve
constexpr size_t kBigBytes = 64 << 10;
std::atomic<void*> reserve{nullptr};
std::atomic<bool> memory_is_short{false};

// The system has refused: gives the reserve up for a small request.
void* FromReserve(size_t bytes) {
  NoteShortage();
  if (bytes > kReservePart) return nullptr;
  void* held = reserve.exchange(nullptr, std::memory_order_acq_rel);
  free(held);
  return held == nullptr ? nullptr : malloc(bytes);
}

}  // namespace

bool KeepReserve() {
  if (reserve.load(std::memory_order_acquire) == nullptr) {
    void* fresh = malloc(kReserveBytes);
    void* nothing = nullptr;
    if (fresh != nullptr && !reserve.compare_exchange_strong(nothing, fresh)) free(fresh);
    if (fresh == nullptr) return false;
  }
  memory_is_short.store(false, std::memory_order_relaxed);
  return true;
}

void NoteShortage() { memory_is_short.store(true, std::memory_order_relaxed); }
bool MemoryIsShort() { return memory_is_short.load(std::memory_order_relaxed); }

void RequireRoom(size_t bytes) {
  if (bytes < kBigBytes) return;
  if (UsedMemoryFast() + static_cast<int64_t>(bytes) > used_ceiling.load(std::memory_order_relaxed)) {
    throw MemoryRefused(bytes);
  }
}

RoomWatch::RoomWatch() : before_(UsedMemoryFast()) {}

void RoomWatch::Look() const {
  int64_t used = UsedMemoryFast();
  if (used <= used_ceiling.load(std::memory_order_relaxed)) return;
  // Twice what it took so far: how much it takes in the end is not known.
  throw MemoryRefused(static_cast<size_t>(used > before_ ? 2 * (used - before_) : 1));
}

void* TryAllocateBytes(size_t bytes, MemoryCategory category) {
  void* memory = malloc(bytes);
  if (memory == nullptr) [[unlikely]]
    memory = FromReserve(bytes);
  if (memory != nullptr) Charge(category, static_cast<int64_t>(GrantedBytes(memory)));
  return memory;
}

void* AllocateBytes(size_t bytes, MemoryCategory category) {
  void* memory = TryAllocateBytes(bytes, category);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void FreeBytes(void* memory, MemoryCategory category) {
  if (memory == nullptr) return;
  Charge(category, -static_cast<int64_t>(GrantedBytes(memory)));
  free(memory);
}

std::array<int64_t, kMemoryCategories> UsedByCategory() {
  std::array<int64_t, kMemoryCategories> sum{};
  for (auto* c = account_detail::all.load(std::memory_order_acquire); c != nullptr; c = c->next) {
    for (size_t i = 0; i < kMemoryCategories; i++) sum[i] += c->by_category[i].load(std::memory_order_relaxed);
  }
  return sum;
}

int64_t UsedByCategory(MemoryCategory category) {
  int64_t sum = 0;
  for (auto* c = account_detail::all.load(std::memory_order_acquire); c != nullptr; c = c->next) {
    sum += c->by_category[static_cast<size_t>(category)].load(std::memory_order_relaxed);
  }
  return sum;
}

int64_t UsedMemory() {
  int64_t sum = 0;
  for (int64_t bytes : UsedByCategory()) sum += bytes;
  return sum;
}

void SetLeaseBytes(int64_t bytes) { account_detail::lease_bytes = bytes; }

#ifdef BRIM_PLAIN_MALLOC

AllocatorStats GetAllocatorStats() { return {}; }
const char* AllocatorName() { return "libc"; }
void PurgeAllocator() {}
void DecayAllocator() {}
std::string MallocStatsText() { return "Stats not supported for the current allocator"; }
void MarkAccountBaseline(int64_t) {}
bool AccountBalances(int64_t, int64_t* difference) {
  *difference = 0;
  return true;
}

#else

AllocatorStats GetAllocatorStats() {
  uint64_t epoch = 1;
  size_t size = sizeof epoch;
  mallctl("epoch", &epoch, &size, &epoch, size);
  AllocatorStats stats;
  size = sizeof(size_t);
  mallctl("stats.allocated", &stats.allocated, &size, nullptr, 0);
  mallctl("stats.active", &stats.active, &size, nullptr, 0);
  mallctl("stats.resident", &stats.resident, &size, nullptr, 0);
  mallctl("stats.retained", &stats.retained, &size, nullptr, 0);
  mallctl("stats.metadata", &stats.metadata, &size, nullptr, 0);
  return stats;
}

const char* AllocatorName() { return "jemalloc-5.3.0"; }

namespace {

void CallAllArenas(const char* what) {
  char name[32];
  snprintf(name, sizeof name, "arena.%u.%s", static_cast<unsigned>(MALLCTL_ARENAS_ALL), what);
  mallctl(name, nullptr, nullptr, nullptr, 0);
}

}  // namespace

void PurgeAllocator() {
  mallctl("thread.tcache.flush", nullptr, nullptr, nullptr, 0);
  CallAllArenas("purge");
}

void DecayAllocator() { CallAllArenas("decay"); }

std::string MallocStatsText() {
  std::string text;
  malloc_stats_print([](void* out, const char* part) { static_cast<std::string*>(out)->append(part); }, &text, nullptr);
  return text;
}

namespace {

int64_t Difference(int64_t heap_bytes) {
  int64_t counted = UsedMemory() - heap_bytes;
  return static_cast<int64_t>(GetAllocatorStats().allocated) - counted;
}

}  // namespace

void MarkAccountBaseline(int64_t heap_bytes) { baseline = Difference(heap_bytes); }

bool AccountBalances(int64_t heap_bytes, int64_t* difference) {
  *difference = Difference(heap_bytes) - baseline;
  // libc keeps a few buffers of its own (stdio, getaddrinfo, thread stacks' bookkeeping).
  return *difference > -(256 << 10) && *difference < (256 << 10);
}

#endif

}  // namespace brim

// All C++ allocations of the process that no category claims are "fixed".
using brim::MemoryCategory;

void* operator new(size_t bytes) {
  void* memory = brim::TryAllocateBytes(bytes, MemoryCategory::kFixed);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new[](size_t bytes) { return operator new(bytes); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return brim::TryAllocateBytes(bytes, MemoryCategory::kFixed);
}
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return brim::TryAllocateBytes(bytes, MemoryCategory::kFixed);
}
void* operator new(size_t bytes, std::align_val_t align) {
  void* memory = aligned_alloc(static_cast<size_t>(align), (bytes + static_cast<size_t>(align) - 1) /
                                                               static_cast<size_t>(align) * static_cast<size_t>(align));
  if (memory == nullptr) throw std::bad_alloc();
  brim::Charge(MemoryCategory::kFixed, static_cast<int64_t>(malloc_usable_size(memory)));
  return memory;
}
void* operator new[](size_t bytes, std::align_val_t align) { return operator new(bytes, align); }
void operator delete(void* memory) noexcept { brim::FreeBytes(memory, MemoryCategory::kFixed); }
void operator delete[](void* memory) noexcept { brim::FreeBytes(memory, MemoryCategory::kFixed); }
void operator delete(void* memory, size_t) noexcept { brim::FreeBytes(memory, MemoryCategory::kFixed); }
void operator delete[](void* memory, size_t) noexcept { brim::FreeBytes(memory, MemoryCategory::kFixed); }
void operator delete(void* memory, std::align_val_t) noexcept { brim::FreeBytes(memory, MemoryCategory::kFixed); }
void operator delete[](void* memory, std::align_val_t) noexcept { brim::FreeBytes(memory, MemoryCategory::kFixed); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  brim::FreeBytes(memory, MemoryCategory::kFixed);
}
void operator delete[](void* memory, size_t, std::align_val_t) noexcept {
  brim::FreeBytes(memory, MemoryCategory::kFixed);
}
