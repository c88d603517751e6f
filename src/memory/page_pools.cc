#include "memory/page_pools.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "memory/poison.h"

namespace brim {

namespace {

constexpr int kKeptPages[3] = {8, 4, 2};
constexpr size_t kTinyBlock = 256;     // up to here pages of 16 KB
constexpr size_t kNarrowBlock = 1024;  // up to here pages of 32 KB, 128 KB above
constexpr size_t kSystemPage = 4096;
constexpr size_t kWideSpan = 32 << 10;

// How many blocks a page of that size class has. Wide pages span the fewest system pages, 32 KB at least, that blocks
// fill exactly: steps of 1/16 make that 128 KB at most.
uint32_t CapacityOf(size_t block_bytes, uint8_t units) {
  size_t most = units * PageRange::kUnit / block_bytes;
  if (block_bytes <= kNarrowBlock) return static_cast<uint32_t>(most);
  for (size_t n = 1; n <= most; n++) {
    if (n * block_bytes >= kWideSpan && n * block_bytes % kSystemPage == 0) return static_cast<uint32_t>(n);
  }
  return static_cast<uint32_t>(most);
}

}  // namespace

int PagePools::SizeOf(size_t block_bytes) {
  return block_bytes <= kTinyBlock ? 0 : block_bytes <= kNarrowBlock ? 1 : 2;
}

HeapPage*& PagePools::ListOf(const HeapPage* page) {
  return page->evacuating ? evacuating_[static_cast<int>(KindOf(page))] : partial_[page->pool];
}

void PagePools::Link(HeapPage* page) {
  HeapPage*& first = ListOf(page);
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

void PagePools::Unlink(HeapPage* page) {
  HeapPage*& first = ListOf(page);
  if (first == page) {
    first = page->next;
    if (first != nullptr) first->previous = nullptr;
  } else {
    page->previous->next = page->next;
    if (page->next != nullptr) page->next->previous = page->previous;
  }
  page->next = page->previous = nullptr;
}

HeapPage* PagePools::NewPage(int pool) {
  size_t block_bytes = size_class::Bytes(pool % size_class::kClasses);
  int size = SizeOf(block_bytes);
  HeapPage* page = kept_[size];
  if (page != nullptr) {
    kept_[size] = page->next;
    kept_count_[size]--;
    kept_bytes_ -= page->bytes();
  } else {
    page = PageRange::Take(size);
    if (page == nullptr) return nullptr;
  }
  page->free_list = nullptr;
  page->bump = 0;
  page->used = 0;
  page->block_bytes = static_cast<uint32_t>(block_bytes);
  page->capacity = CapacityOf(block_bytes, page->units);
  page->pool = static_cast<uint16_t>(pool);
  page->evacuating = false;
  page_bytes_[pool >= size_class::kClasses] += page->bytes();
  ASAN_POISON_MEMORY_REGION(page->memory(), page->units * PageRange::kUnit);
  Link(page);
  return page;
}

void PagePools::Release(HeapPage* page) {
  Unlink(page);
  bool evacuated = page->evacuating;
  __atomic_store_n(&page->evacuating, false, __ATOMIC_RELAXED);
  int size = SizeOf(page->block_bytes);
  page_bytes_[static_cast<int>(KindOf(page))] -= page->bytes();
  if (!evacuated && kept_count_[size] < kKeptPages[size]) {
    page->next = kept_[size];
    kept_[size] = page;
    kept_count_[size]++;
    kept_bytes_ += page->bytes();
  } else {
    PageRange::Give(page, size);
  }
}

size_t PagePools::Purge() {
  size_t bytes = kept_bytes_;
  for (int size = 0; size < 3; size++) {
    while (HeapPage* page = kept_[size]) {
      kept_[size] = page->next;
      PageRange::Give(page, size);
    }
    kept_count_[size] = 0;
  }
  kept_bytes_ = 0;
  return bytes;
}

void* PagePools::Allocate(int size_class, BlockKind kind) {
  int pool = size_class + (kind == BlockKind::kEntry ? size_class::kClasses : 0);
  HeapPage* page = partial_[pool];
  if (page == nullptr && (page = NewPage(pool)) == nullptr) return nullptr;
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
  used_bytes_[static_cast<int>(kind)] += page->block_bytes;
  if (page->full()) Unlink(page);
  return block;
}

void PagePools::Free(void* block) {
  HeapPage* page = PageRange::PageOf(block);
#ifndef NDEBUG
  memset(block, 0x5A, page->block_bytes);
#endif
  bool was_full = page->full();
  memcpy(block, &page->free_list, sizeof(void*));
  page->free_list = block;
  page->used--;
  used_bytes_[static_cast<int>(KindOf(page))] -= page->block_bytes;
  ASAN_POISON_MEMORY_REGION(block, page->block_bytes);
  // An evacuating page is in its list, full or not.
  if (was_full && !page->evacuating) Link(page);
  if (page->used == 0) Release(page);
}

void PagePools::Evacuate(HeapPage* page) {
  Unlink(page);
  __atomic_store_n(&page->evacuating, true, __ATOMIC_RELAXED);
  Link(page);
}

size_t PagePools::EvacuatePool(int pool, size_t most) {
  HeapPage* in_use = partial_[pool];
  if (in_use == nullptr || in_use->next == nullptr) return 0;
  // The pool's free blocks, without those of the page in use that were never touched: they cost nothing.
  size_t free_blocks = in_use->bump / in_use->block_bytes - in_use->used;
  size_t count = 0;
  for (HeapPage* page = in_use->next; page != nullptr; page = page->next) {
    free_blocks += page->capacity - page->used;
    count++;
  }
  if (!compaction_stress.load(std::memory_order_relaxed)) most = std::min(most, free_blocks / in_use->capacity);
  most = std::min(most, count);
  if (most == 0) return 0;
  // Asked for many times a second while memory is short, and then mostly for one page or none: no list is made for one.
  auto emptier = [](const HeapPage* a, const HeapPage* b) { return a->used < b->used; };
  if (most == 1) {
    HeapPage* emptiest = in_use->next;
    for (HeapPage* page = emptiest->next; page != nullptr; page = page->next) {
      if (emptier(page, emptiest)) emptiest = page;
    }
    Evacuate(emptiest);
    return 1;
  }
  std::vector<HeapPage*> pages;
  pages.reserve(count);
  for (HeapPage* page = in_use->next; page != nullptr; page = page->next) pages.push_back(page);
  std::nth_element(pages.begin(), pages.begin() + static_cast<ptrdiff_t>(most) - 1, pages.end(), emptier);
  for (size_t i = 0; i < most; i++) Evacuate(pages[i]);
  return most;
}

size_t PagePools::BeginEvacuation(BlockKind kind, size_t most) {
  int first = kind == BlockKind::kEntry ? size_class::kClasses : 0;
  size_t pages = 0;
  for (int pool = first; pool < first + size_class::kClasses; pool++) pages += EvacuatePool(pool, most);
  return pages;
}

size_t PagePools::EndEvacuation(BlockKind kind, HeapPage* one) {
  size_t pages = 0;
  while (HeapPage* page = one != nullptr ? one : Evacuating(kind)) {
    Unlink(page);
    __atomic_store_n(&page->evacuating, false, __ATOMIC_RELAXED);
    if (!page->full()) Link(page);
    pages++;
    if (one != nullptr) break;
  }
  return pages;
}

void PagePools::LiveMap(const HeapPage* page, uint8_t* live) {
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

}  // namespace brim
