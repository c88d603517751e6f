#include "memory/heap.h"

#include <malloc.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#if defined(__SANITIZE_ADDRESS__)
#define BRIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BRIM_ASAN 1
#endif
#endif
#ifdef BRIM_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

namespace brim {

namespace {

constexpr size_t kUnit = 64 << 10;
constexpr size_t kWidePage =
    256 << 10;  // pages of classes above kNarrowBlock, so that what is left at the end stays small
constexpr size_t kNarrowBlock = 1024;
constexpr int kKeptPages[2] = {8, 4};  // empty pages a heap keeps for itself
std::atomic<int> fail_after{0};

}  // namespace

// The reserved range and what of it is free; shared by all heaps.
struct HeapRange {
  std::mutex mutex;
  uint8_t* begin = nullptr;
  HeapPage* pages = nullptr;
  size_t bytes = 0;
  size_t next = 0;               // never used from here on
  HeapPage* free_pages[2] = {};  // 64 KB, 256 KB; their memory is given back

  HeapRange() {
    for (size_t wanted = size_t{1} << 40; wanted >= size_t{1} << 28; wanted /= 2) {
      void* memory = mmap(nullptr, wanted + kWidePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (memory == MAP_FAILED) continue;
      size_t table = wanted / kUnit * sizeof(HeapPage);
      void* descriptors =
          mmap(nullptr, table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (descriptors == MAP_FAILED) {
        munmap(memory, wanted + kWidePage);
        continue;
      }
      auto address = (reinterpret_cast<uintptr_t>(memory) + kWidePage - 1) / kWidePage * kWidePage;
      begin = reinterpret_cast<uint8_t*>(address);
      pages = static_cast<HeapPage*>(descriptors);
      bytes = wanted;
      madvise(begin, bytes, MADV_NOHUGEPAGE);
      Heap::range_begin_ = address;
      Heap::range_bytes_ = bytes;
      return;
    }
    fprintf(stderr, "Cannot reserve address space for keys\n");
    abort();
  }

  // A page of `units`, readable and writable, all zeros. Null when memory is refused.
  HeapPage* Take(size_t units) {
    if (int left = fail_after.load(std::memory_order_relaxed); left > 0) {
      fail_after.store(left - 1, std::memory_order_relaxed);
      if (left == 1) return nullptr;
    }
    std::lock_guard guard(mutex);
    HeapPage*& list = free_pages[units == 1 ? 0 : 1];
    if (list != nullptr) {
      HeapPage* page = list;
      list = page->next;
      return page;
    }
    // Wide pages lie at multiples of their size.
    size_t at = units == 1 ? next : (next + kWidePage - 1) / kWidePage * kWidePage;
    if (at + units * kUnit > bytes) return nullptr;
    if (mprotect(begin + at, units * kUnit, PROT_READ | PROT_WRITE) != 0) return nullptr;
    for (size_t skipped = next; skipped < at; skipped += kUnit) {
      // What alignment skips serves as narrow pages.
      if (mprotect(begin + skipped, kUnit, PROT_READ | PROT_WRITE) != 0) break;
      HeapPage* narrow = &pages[skipped / kUnit];
      narrow->units = 1;
      narrow->next = free_pages[0];
      free_pages[0] = narrow;
    }
    next = at + units * kUnit;
    HeapPage* page = &pages[at / kUnit];
    page->units = static_cast<uint8_t>(units);
    for (size_t i = 1; i < units; i++) page[i].head = static_cast<uint8_t>(i);
    return page;
  }

  void Give(HeapPage* page) {
    ASAN_UNPOISON_MEMORY_REGION(page->memory(), page->bytes());
    madvise(page->memory(), page->bytes(), MADV_DONTNEED);
    std::lock_guard guard(mutex);
    HeapPage*& list = free_pages[page->units == 1 ? 0 : 1];
    page->next = list;
    list = page;
  }
};

namespace {

HeapRange& Range() {
  static HeapRange range;
  return range;
}

[[noreturn]] void OutOfMemory(size_t bytes) {
  fprintf(stderr, "Out of memory allocating %zu bytes for keys\n", bytes);
  abort();
}

}  // namespace

uint8_t* HeapPage::memory() const { return Range().begin + static_cast<size_t>(this - Range().pages) * kUnit; }

HeapPage* Heap::PageOf(const void* block) {
  size_t unit = (reinterpret_cast<uintptr_t>(block) - range_begin_) / kUnit;
  HeapPage* page = &Range().pages[unit];
  return page - page->head;
}

size_t Heap::GrantedLarge(size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

size_t Heap::BlockSize(const void* block) {
  return Owns(block) ? PageOf(block)->block_bytes : malloc_usable_size(const_cast<void*>(block));
}

void Heap::Link(HeapPage* page) {
  HeapPage*& first = partial_[page->size_class];
  // Behind the page in use: it is left alone until it is full.
  page->previous = first;
  page->next = nullptr;
  if (first == nullptr) {
    first = page;
    return;
  }
  page->next = first->next;
  if (first->next != nullptr) first->next->previous = page;
  first->next = page;
}

void Heap::Unlink(HeapPage* page) {
  HeapPage*& first = partial_[page->size_class];
  if (first == page) {
    first = page->next;
    if (first != nullptr) first->previous = nullptr;
  } else {
    page->previous->next = page->next;
    if (page->next != nullptr) page->next->previous = page->previous;
  }
  page->next = page->previous = nullptr;
}

HeapPage* Heap::NewPage(int c) {
  size_t block_bytes = ClassBytes(c);
  int wide = block_bytes > kNarrowBlock;
  HeapPage* page = kept_[wide];
  if (page != nullptr) {
    kept_[wide] = page->next;
    kept_count_[wide]--;
    free_page_bytes_ -= page->bytes();
  } else {
    page = Range().Take(wide ? kWidePage / kUnit : 1);
    if (page == nullptr) return nullptr;
    page_bytes_ += page->bytes();
  }
  page->owner = this;
  page->free_list = nullptr;
  page->bump = 0;
  page->used = 0;
  page->block_bytes = static_cast<uint32_t>(block_bytes);
  page->size_class = static_cast<uint16_t>(c);
  ASAN_POISON_MEMORY_REGION(page->memory(), page->bytes());
  Link(page);
  return page;
}

void Heap::ReleasePage(HeapPage* page) {
  Unlink(page);
  int wide = page->units > 1;
  if (kept_count_[wide] < kKeptPages[wide]) {
    page->next = kept_[wide];
    kept_[wide] = page;
    kept_count_[wide]++;
    free_page_bytes_ += page->bytes();
  } else {
    page_bytes_ -= page->bytes();
    Range().Give(page);
  }
}

size_t Heap::Purge() {
  size_t bytes = free_page_bytes_;
  for (int wide = 0; wide < 2; wide++) {
    while (HeapPage* page = kept_[wide]) {
      kept_[wide] = page->next;
      page_bytes_ -= page->bytes();
      Range().Give(page);
    }
    kept_count_[wide] = 0;
  }
  free_page_bytes_ = 0;
  return bytes;
}

Heap::Heap() { Range(); }

Heap::~Heap() { Purge(); }

void* Heap::TryAllocate(size_t bytes, MemoryCategory category) {
  if (bytes > kMaxBlock) return TryAllocateBytes(GrantedLarge(bytes), category);
  int c = ClassOf(bytes);
  HeapPage* page = partial_[c];
  if (page == nullptr && (page = NewPage(c)) == nullptr) return nullptr;
  void* block = page->free_list;
  if (block != nullptr) {
    ASAN_UNPOISON_MEMORY_REGION(block, page->block_bytes);
    memcpy(&page->free_list, block, sizeof(void*));
  } else {
    block = page->memory() + page->bump;
    page->bump += page->block_bytes;
    ASAN_UNPOISON_MEMORY_REGION(block, page->block_bytes);
  }
  page->used++;
  if (page->free_list == nullptr && page->bump + page->block_bytes > page->bytes()) Unlink(page);
  used_bytes_ += page->block_bytes;
  Charge(category, page->block_bytes);
  return block;
}

void* Heap::Allocate(size_t bytes, MemoryCategory category) {
  void* block = TryAllocate(bytes, category);
  if (block == nullptr) OutOfMemory(bytes);
  return block;
}

void Heap::Free(void* block, size_t bytes, MemoryCategory category) {
  if (!Owns(block)) {
    FreeBytes(block, category);
    return;
  }
  HeapPage* page = PageOf(block);
#ifndef NDEBUG
  if (page->owner != this || page->block_bytes != GrantedSize(bytes)) {
    fprintf(stderr, "Free of %zu bytes in a page of %u\n", bytes, page->block_bytes);
    abort();
  }
  memset(block, 0x5A, page->block_bytes);
#else
  (void)bytes;
#endif
  bool was_full = page->free_list == nullptr && page->bump + page->block_bytes > page->bytes();
  memcpy(block, &page->free_list, sizeof(void*));
  page->free_list = block;
  page->used--;
  used_bytes_ -= page->block_bytes;
  Charge(category, -static_cast<int64_t>(page->block_bytes));
  ASAN_POISON_MEMORY_REGION(block, page->block_bytes);
  if (was_full) Link(page);
  if (page->used == 0) ReleasePage(page);
}

void* Heap::Reallocate(void* block, size_t old_bytes, size_t new_bytes, MemoryCategory category) {
  if (old_bytes <= kMaxBlock && new_bytes <= kMaxBlock && ClassOf(old_bytes) == ClassOf(new_bytes)) return block;
  void* fresh = Allocate(new_bytes, category);
  memcpy(fresh, block, old_bytes < new_bytes ? old_bytes : new_bytes);
  Free(block, old_bytes, category);
  return fresh;
}

void Heap::LiveMap(const HeapPage* page, uint8_t* live) {
  for (uint32_t i = 0; i * page->block_bytes < page->bump; i++) live[i / 8] |= static_cast<uint8_t>(1 << (i % 8));
  for (void* block = page->free_list; block != nullptr;) {
    auto i = static_cast<uint32_t>(static_cast<uint8_t*>(block) - page->memory()) / page->block_bytes;
    live[i / 8] &= static_cast<uint8_t>(~(1 << (i % 8)));
    ASAN_UNPOISON_MEMORY_REGION(block, sizeof(void*));
    void* next;
    memcpy(&next, block, sizeof next);
    ASAN_POISON_MEMORY_REGION(block, sizeof(void*));
    block = next;
  }
}

void Heap::PageFill(const void* inside, uint32_t* used, uint32_t* capacity) {
  const HeapPage* page = PageOf(inside);
  *used = page->used;
  *capacity = page->capacity();
}

void Heap::SetFailAfterForTest(int requests) { fail_after.store(requests, std::memory_order_relaxed); }

}  // namespace brim
