#pragma once
// Who holds memory: every allocated byte is counted once, in one category. docs/memory.md.
//
// Each thread counts in counters of its own, and folds what it owes into one process-wide figure in small leases, so
// that a write costs no shared cache line and the limit still holds.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>

namespace brim {

enum class MemoryCategory : uint8_t {
  kData,    // keys and values
  kTables,  // hash table segments and directories
  kExpiryEviction,
  kClientsIn,   // query buffers
  kClientsOut,  // replies not sent yet
  kTransactions,
  kReplication,
  kAof,
  kScripts,
  kPubSub,    // subscriptions, prefixes of client-side caching
  kTracking,  // which client knows which key (client-side caching)
  kCluster,
  kConfig,
  kTls,    // OpenSSL's, but for the record buffers in use, which are clients' input
  kFixed,  // everything else that the process allocates for itself
  kCount
};
inline constexpr size_t kMemoryCategories = static_cast<size_t>(MemoryCategory::kCount);
const char* CategoryName(MemoryCategory category);

// A command is refused because what it would take does not fit under the limit; `bytes` more would have to be free.
class MemoryRefused : public std::bad_alloc {
 public:
  explicit MemoryRefused(size_t wanted) : bytes(wanted) {}
  size_t bytes;
};
// Used memory that no single command may pass; set with the limits.
inline std::atomic<int64_t> used_ceiling{INT64_MAX};
// Before a big allocation, while nothing is changed yet: throws MemoryRefused when it would pass the ceiling. What is
// small is left to the ladder.
void RequireRoom(size_t bytes);
// For a command that builds a structure element by element: looks now and then whether it still fits, and throws
// MemoryRefused when not. What is built so far has to free itself.
class RoomWatch {
 public:
  RoomWatch();
  void Added() {
    if (++elements_ % 256 == 0) Look();
  }

 private:
  void Look() const;
  int64_t before_;
  size_t elements_ = 0;
};

// General allocation, charged by the size the allocator grants. AllocateBytes throws std::bad_alloc when memory is
// refused, TryAllocateBytes returns null. Any thread.
void* AllocateBytes(size_t bytes, MemoryCategory category);
void* TryAllocateBytes(size_t bytes, MemoryCategory category);
void FreeBytes(void* memory, MemoryCategory category);

// For containers whose memory belongs to a category.
template <class T, MemoryCategory kCategory>
struct CountedAllocator {
  using value_type = T;
  template <class U>
  struct rebind {
    using other = CountedAllocator<U, kCategory>;
  };
  CountedAllocator() = default;
  template <class U>
  CountedAllocator(const CountedAllocator<U, kCategory>&) {}
  T* allocate(size_t count) { return static_cast<T*>(AllocateBytes(count * sizeof(T), kCategory)); }
  void deallocate(T* memory, size_t) { FreeBytes(memory, kCategory); }
  template <class U>
  bool operator==(const CountedAllocator<U, kCategory>&) const {
    return true;
  }
};

namespace account_detail {
struct ThreadCounters {
  std::atomic<int64_t> by_category[kMemoryCategories];
  std::atomic<int64_t> owed;  // not yet folded into the global figure
  ThreadCounters* next;
};
extern std::atomic<int64_t> global_used;
extern int64_t lease_bytes;
ThreadCounters* RegisterThread();
extern thread_local constinit ThreadCounters* mine;
inline ThreadCounters& Mine() { return mine != nullptr ? *mine : *RegisterThread(); }
void Fold(ThreadCounters& counters, int64_t owed);
}  // namespace account_detail

// Counts bytes (negative: given back) in the calling thread.
inline void Charge(MemoryCategory category, int64_t bytes) {
  account_detail::ThreadCounters& own = account_detail::Mine();
  auto& counter = own.by_category[static_cast<size_t>(category)];
  counter.store(counter.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  int64_t owed = own.owed.load(std::memory_order_relaxed) + bytes;
  if (owed > account_detail::lease_bytes || owed < -account_detail::lease_bytes) [[unlikely]] {
    account_detail::Fold(own, owed);
  } else {
    own.owed.store(owed, std::memory_order_relaxed);
  }
}

// Bytes that operator new has allocated count as that category's, not as kFixed, as long as this lives. One thread at a
// time.
template <MemoryCategory kCategory>
class Recharge {
 public:
  Recharge() = default;
  ~Recharge() { Set(0); }
  Recharge(const Recharge&) = delete;
  Recharge& operator=(const Recharge&) = delete;
  void Set(size_t bytes) {
    auto change = static_cast<int64_t>(bytes) - static_cast<int64_t>(bytes_);
    if (change == 0) return;
    Charge(kCategory, change);
    Charge(MemoryCategory::kFixed, -change);
    bytes_ = bytes;
  }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_ = 0;
};

// A reserve that small allocations are served from when the system refuses memory, so that a change that has begun can
// be ended. KeepReserve fills it up if the system lets it; true when it is whole, false: memory is short. Any thread.
bool KeepReserve();
// Used for pages by page_range: the reserve is touched.
void NoteShortage();
// Whether the system has refused memory since the reserve was last whole.
bool MemoryIsShort();

// The sum as this thread sees it: exact but for the other threads' leases. A few instructions.
inline int64_t UsedMemoryFast() {
  return account_detail::global_used.load(std::memory_order_relaxed) +
         account_detail::Mine().owed.load(std::memory_order_relaxed);
}
// Exact sums over all threads. O(threads).
int64_t UsedMemory();
std::array<int64_t, kMemoryCategories> UsedByCategory();
int64_t UsedByCategory(MemoryCategory category);
// How much a thread may owe before it folds. Before threads start.
void SetLeaseBytes(int64_t bytes);

struct AllocatorStats {
  size_t allocated = 0;
  size_t active = 0;
  size_t resident = 0;
  size_t retained = 0;
  size_t metadata = 0;
};
// The general allocator's own figures (zeros where it has none, as under sanitizers).
AllocatorStats GetAllocatorStats();
const char* AllocatorName();
// Gives free pages of the general allocator back to the system.
void PurgeAllocator();
// Of those, the pages that have been free for a tenth of a second. The allocator does it itself as it is used; this is
// for when it is not.
void DecayAllocator();
std::string MallocStatsText();

// Debug check: the bytes counted for the general allocator (all categories, less the page heaps' `heap_bytes`) agree
// with its own figure, apart from what libc had allocated before MarkAccountBaseline. Call with other threads at rest.
void MarkAccountBaseline(int64_t heap_bytes);
bool AccountBalances(int64_t heap_bytes, int64_t* difference);

}  // namespace brim
