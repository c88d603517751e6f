#pragma once
// A shard's heap: the blocks that belong to its keys. Small sizes come from pages of one size class each (8-byte steps
// up to 512 bytes, steps of 1/16 above, up to 16 KB); larger ones from the general allocator. Not thread-safe: the
// caller holds the shard's lock. docs/memory.md draws it.
//
// All pages lie in one range of addresses reserved at start, so whether a pointer is a heap's, and which page it is in,
// is arithmetic. The range's memory stays mapped for ever: free pages are given back to the system (they read as
// zeros), which is what lets a prefetch without the lock read a stale address.
#include <bit>
#include <cstddef>
#include <cstdint>

#include "memory/account.h"

namespace brim {

class Heap;

// One page. Descriptors lie in an array of their own, one per 64 KB of the range.
struct HeapPage {
  Heap* owner;
  HeapPage* next;
  HeapPage* previous;
  void* free_list;  // freed blocks, linked through their first 8 bytes
  uint32_t bump;    // offset of the first block never handed out
  uint32_t used;    // live blocks
  uint32_t block_bytes;
  uint16_t size_class;
  uint8_t units;  // of 64 KB; 0 in the descriptors of a page's further units
  uint8_t head;   // how many units before this one the page begins
  uint8_t* memory() const;
  uint32_t bytes() const { return static_cast<uint32_t>(units) << 16; }
  uint32_t capacity() const { return bytes() / block_bytes; }
};

class Heap {
 public:
  static constexpr size_t kMaxBlock = 16384;
  static constexpr size_t kFineBytes = 512;
  static constexpr int kClasses = 145;

  // The first heap reserves the range, before threads start.
  Heap();
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // A block of at least `bytes` (1 or more), 8-byte aligned, 64-byte aligned where the granted size is a multiple
  // of 64. Aborts when memory is refused; TryAllocate returns null. O(1).
  void* Allocate(size_t bytes, MemoryCategory category);
  void* TryAllocate(size_t bytes, MemoryCategory category);
  // Sized free: `bytes` as asked for or as granted. O(1).
  void Free(void* block, size_t bytes, MemoryCategory category);
  // A block of the new size with the first min(old, new) bytes kept; the same block where the class is the same.
  void* Reallocate(void* block, size_t old_bytes, size_t new_bytes, MemoryCategory category);

  // The bytes that a request takes.
  static size_t GrantedSize(size_t bytes) {
    return bytes <= kMaxBlock ? ClassBytes(ClassOf(bytes)) : GrantedLarge(bytes);
  }
  // The bytes that a block takes, told by its page (large: by the general allocator).
  static size_t BlockSize(const void* block);
  // Whether the pointer lies in a page of some heap.
  static bool Owns(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) - range_begin_ < range_bytes_; }

  // Granted bytes of live blocks in pages / of pages / of pages that hold nothing and are kept for reuse.
  size_t used_bytes() const { return used_bytes_; }
  size_t page_bytes() const { return page_bytes_; }
  size_t free_page_bytes() const { return free_page_bytes_; }
  // Gives the kept free pages back to the system. Returns their bytes.
  size_t Purge();

  // Calls fn(const void* block, size_t bytes) for each live block of the page that holds `inside`. O(blocks).
  template <class Fn>
  static void ForEachLive(const void* inside, Fn&& fn);
  // Blocks in use and blocks that fit, of the page that holds `inside`.
  static void PageFill(const void* inside, uint32_t* used, uint32_t* capacity);

  // Whether moving this block (allocating another of its size, freeing it) helps to empty its page: the page has gaps
  // and is not the one that the next block of the size comes from.
  bool WorthMoving(const void* block) const {
    if (!Owns(block)) return false;
    const HeapPage* page = PageOf(block);
    return page != partial_[page->size_class] && page->used < page->capacity() - page->capacity() / 8;
  }

  // For tests: the n-th page request from now on is refused (0: never).
  static void SetFailAfterForTest(int requests);

 private:
  static int ClassOf(size_t bytes) {
    if (bytes <= kFineBytes) return static_cast<int>((bytes + 7) / 8) + (bytes == 0);
    int log = std::bit_width(bytes - 1) - 1;  // 9..13
    return 65 + (log - 9) * 16 + static_cast<int>(((bytes - 1) >> (log - 4)) - 16);
  }
  static size_t ClassBytes(int c) {
    if (c <= 64) return static_cast<size_t>(c) * 8;
    int log = (c - 65) / 16 + 9;
    return static_cast<size_t>((c - 65) % 16 + 17) << (log - 4);
  }
  static size_t GrantedLarge(size_t bytes);
  static HeapPage* PageOf(const void* block);
  void* AllocateSlow(int c, MemoryCategory category);
  HeapPage* NewPage(int c);
  void ReleasePage(HeapPage* page);
  void Link(HeapPage* page);
  void Unlink(HeapPage* page);
  static void LiveMap(const HeapPage* page, uint8_t* live);

  static inline uintptr_t range_begin_ = 0;
  static inline size_t range_bytes_ = 0;
  friend struct HeapRange;

  HeapPage* partial_[kClasses] = {};  // pages of a class with room, the one in use first
  HeapPage* kept_[2] = {};            // empty pages by size: 64 KB, 256 KB
  int kept_count_[2] = {};
  size_t used_bytes_ = 0;
  size_t page_bytes_ = 0;
  size_t free_page_bytes_ = 0;
};

template <class Fn>
void Heap::ForEachLive(const void* inside, Fn&& fn) {
  const HeapPage* page = PageOf(inside);
  uint8_t live[(256 << 10) / 8 / 8] = {};
  LiveMap(page, live);
  for (uint32_t i = 0; i * page->block_bytes < page->bump; i++) {
    if (live[i / 8] >> (i % 8) & 1)
      fn(static_cast<const void*>(page->memory() + i * page->block_bytes), page->block_bytes);
  }
}

}  // namespace brim
