#include "memory/heap.h"

#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

namespace brim {

Heap::Shared Heap::shared_;

size_t Heap::BlockSize(const void* block) {
  return Owns(block) ? PageRange::PageOf(block)->block_bytes : malloc_usable_size(const_cast<void*>(block));
}

void* Heap::TryShared(int size_class, BlockKind kind) {
  std::lock_guard guard(shared_.lock);
  return shared_.pools.Allocate(size_class, kind);
}

void* Heap::TryAllocate(size_t bytes, MemoryCategory category, BlockKind kind) {
  if (bytes > kMaxBlock) return TryAllocateBytes(GrantedLarge(bytes), category);
  int c = size_class::Of(bytes);
  size_t granted = size_class::Bytes(c);
  void* block;
  if (bytes <= kMaxOwn) {
    block = own_.Allocate(c, kind);
  } else {
    block = TryShared(c, kind);
    if (block != nullptr) shared_used_ += granted;
  }
  if (block != nullptr) Charge(category, static_cast<int64_t>(granted));
  return block;
}

void* Heap::Allocate(size_t bytes, MemoryCategory category, BlockKind kind) {
  void* block = TryAllocate(bytes, category, kind);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void Heap::Free(void* block, size_t bytes, MemoryCategory category) {
  if (!Owns(block)) {
    FreeBytes(block, category);
    return;
  }
  size_t granted = PageRange::PageOf(block)->block_bytes;
#ifndef NDEBUG
  if (granted != GrantedSize(bytes)) {
    fprintf(stderr, "Free of %zu bytes in a page of %zu\n", bytes, granted);
    abort();
  }
#else
  (void)bytes;
#endif
  Charge(category, -static_cast<int64_t>(granted));
  if (granted <= kMaxOwn) {
    own_.Free(block);
    return;
  }
  shared_used_ -= granted;
  std::lock_guard guard(shared_.lock);
  shared_.pools.Free(block);
}

void* Heap::Reallocate(void* block, size_t old_bytes, size_t new_bytes, MemoryCategory category, BlockKind kind) {
  if (old_bytes <= kMaxBlock && new_bytes <= kMaxBlock && size_class::Of(old_bytes) == size_class::Of(new_bytes)) {
    return block;
  }
  void* fresh = Allocate(new_bytes, category, kind);
  memcpy(fresh, block, old_bytes < new_bytes ? old_bytes : new_bytes);
  Free(block, old_bytes, category);
  return fresh;
}

}  // namespace brim
