#pragma once
// A shard's heap: the blocks that belong to its keys. Blocks up to 1 KB come from pages of the shard's own; those up to
// 16 KB from pages that all shards share (their sizes are many and their pages wide: one set a shard would leave too
// much of them half full); larger ones from the general allocator, whose blocks of that size are system pages of their
// own. Not thread-safe: the caller holds the shard's lock. docs/memory.md draws it.
#include <cstddef>
#include <cstdint>

#include "base/spin_lock.h"
#include "memory/account.h"
#include "memory/page_pools.h"

namespace brim {

class Heap {
 public:
  static constexpr size_t kMaxBlock = size_class::kMaxBlock;
  static constexpr size_t kMaxOwn = 1024;

  // The first heap reserves the range of addresses, before threads start.
  Heap() { PageRange::Reserve(); }
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // A block of at least `bytes` (1 or more), 8-byte aligned, 64-byte aligned where the granted size is a multiple
  // of 64. Throws std::bad_alloc when memory is refused; TryAllocate returns null. O(1).
  void* Allocate(size_t bytes, MemoryCategory category, BlockKind kind = BlockKind::kPart);
  void* TryAllocate(size_t bytes, MemoryCategory category, BlockKind kind = BlockKind::kPart);
  // Sized free: `bytes` as asked for or as granted. O(1).
  void Free(void* block, size_t bytes, MemoryCategory category);
  // A block of the new size with the first min(old, new) bytes kept; the same block where the class is the same. When
  // memory is refused it throws and the old block stays.
  void* Reallocate(void* block, size_t old_bytes, size_t new_bytes, MemoryCategory category,
                   BlockKind kind = BlockKind::kPart);

  // The bytes that a request takes.
  static size_t GrantedSize(size_t bytes) {
    return bytes <= kMaxBlock ? size_class::Bytes(size_class::Of(bytes)) : GrantedLarge(bytes);
  }
  // The bytes that a block takes, told by its page (large: by the general allocator).
  static size_t BlockSize(const void* block);
  // Whether the pointer lies in a page of some heap.
  static bool Owns(const void* pointer) { return PageRange::Owns(pointer); }

  // Granted bytes of live blocks in pages, the shared ones too.
  size_t used_bytes() const { return own_.used_bytes() + shared_used_; }
  // The pages of this shard alone.
  PagePools& own() { return own_; }
  const PagePools& own() const { return own_; }

  // The pages that all shards share; `lock` guards them.
  struct Shared {
    SpinLock lock;
    PagePools pools;
  };
  static Shared& shared() { return shared_; }

  // Whether this block should be moved (another of its size allocated, this one freed): its page is being emptied.
  static bool WorthMoving(const void* block) {
    return Owns(block) && __atomic_load_n(&PageRange::PageOf(block)->evacuating, __ATOMIC_RELAXED);
  }

 private:
  static size_t GrantedLarge(size_t bytes) { return (bytes + 4095) / 4096 * 4096; }
  void* TryShared(int size_class, BlockKind kind);

  static Shared shared_;
  PagePools own_;
  size_t shared_used_ = 0;
};

}  // namespace brim
