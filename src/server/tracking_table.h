#pragma once
// One shard's part of what clients remember: key > the clients to be told when it changes. Charged to kTracking.
// Under the shard's lock, or every thread paused.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "memory/account.h"

namespace brim {

class TrackingTable {
 public:
  struct Entry {
    Entry* next;
    uint64_t hash;
    uint32_t key_size;
    uint32_t count;
    union {
      uint64_t one;
      uint64_t* many;  // ascending; room for the next power of two
    };
    std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), key_size}; }
    std::span<const uint64_t> clients() const { return {count == 1 ? &one : many, count}; }
    size_t memory_bytes() const;
  };
  static void Destroy(Entry* entry);

  TrackingTable() = default;
  TrackingTable(const TrackingTable&) = delete;
  TrackingTable& operator=(const TrackingTable&) = delete;
  ~TrackingTable();

  bool empty() const { return keys_ == 0; }
  size_t keys() const { return keys_; }
  size_t items() const { return items_; }
  // True when the key is new.
  bool Add(std::string_view key, uint64_t hash, uint64_t client);
  // Takes the key's entry out, which the caller destroys; null: there is none.
  Entry* Take(std::string_view key, uint64_t hash);
  // Takes any entry out; the table is not empty.
  Entry* TakeAny();
  // Of a table that nobody uses any more: frees about that many entries, whole buckets of them. Returns how many;
  // fewer: the table is empty. O(most).
  size_t FreeSome(size_t most);

  TrackingTable* next = nullptr;  // in the list of tables that nobody uses any more

 private:
  // The table is cut into parts, so that none takes long to grow.
  static constexpr size_t kParts = 64;
  struct Part {
    std::vector<Entry*, CountedAllocator<Entry*, MemoryCategory::kTracking>> buckets;
    size_t size = 0;
    Entry** Bucket(uint64_t hash) { return &buckets[hash / kParts & (buckets.size() - 1)]; }
    Entry** Find(std::string_view key, uint64_t hash);
    // To another power of two; std::bad_alloc leaves it as it is. O(buckets).
    void Resize(size_t count);
  };
  static uint64_t Spread(uint64_t hash) { return hash * 0x9E3779B97F4A7C15 >> 20; }
  static void AddClient(Entry* entry, uint64_t client);
  Entry* TakeFrom(Part& part, Entry** link);

  std::array<Part, kParts> parts_;
  size_t keys_ = 0;
  size_t items_ = 0;
  size_t freed_parts_ = 0;  // FreeSome's position
};

}  // namespace brim
