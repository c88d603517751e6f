#include "memory/page_range.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "memory/account.h"
#include "memory/poison.h"

namespace brim {

namespace {

constexpr size_t kLargestRange = size_t{1} << 40;
constexpr size_t kSmallestRange = size_t{1} << 28;
constexpr size_t kSystemPage = 4096;
constexpr size_t kOpenStep = 4 << 20;  // made readable and writable at once
constexpr size_t kReserve = 2 << 20;   // open beyond what is in use, for when the system refuses more

std::mutex mutex;
size_t next_unit = 0;          // never used from here on
size_t open_bytes = 0;         // readable and writable up to here
HeapPage* given_back[3] = {};  // by size; their memory is the system's
std::atomic<int> fail_after{0};

// Makes the bytes readable and writable, to the end of their last system page.
bool Open(uint8_t* base, size_t from, size_t bytes) {
  size_t begin = from / kSystemPage * kSystemPage;
  size_t end = (from + bytes + kSystemPage - 1) / kSystemPage * kSystemPage;
  return mprotect(base + begin, end - begin, PROT_READ | PROT_WRITE) == 0;
}

}  // namespace

void PageRange::Reserve() {
  std::lock_guard guard(mutex);
  if (bytes_ != 0) return;
  for (size_t wanted = kLargestRange; wanted >= kSmallestRange; wanted /= 2) {
    void* memory = mmap(nullptr, wanted + kUnit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) continue;
    void* descriptors = mmap(nullptr, wanted / kUnit * sizeof(HeapPage) + kSystemPage, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (descriptors == MAP_FAILED) {
      munmap(memory, wanted + kUnit);
      continue;
    }
    begin_ = (reinterpret_cast<uintptr_t>(memory) + kUnit - 1) / kUnit * kUnit;
    pages_ = static_cast<HeapPage*>(descriptors);
    bytes_ = wanted;
    madvise(reinterpret_cast<void*>(begin_), bytes_, MADV_NOHUGEPAGE);
    return;
  }
  fprintf(stderr, "Cannot reserve address space for keys\n");
  abort();
}

HeapPage* PageRange::Take(int size) {
  if (int left = fail_after.load(std::memory_order_relaxed); left > 0) {
    fail_after.store(left - 1, std::memory_order_relaxed);
    if (left == 1) return nullptr;
  }
  std::lock_guard guard(mutex);
  if (HeapPage* page = given_back[size]; page != nullptr) {
    given_back[size] = page->next;
    return page;
  }
  uint8_t units = kSizes[size];
  size_t end = (next_unit + units) * kUnit;
  if (end > bytes_) return nullptr;
  if (end + kReserve > open_bytes && open_bytes < bytes_) {
    size_t step = std::min(std::max(end + kReserve - open_bytes, kOpenStep), bytes_ - open_bytes);
    if (Open(reinterpret_cast<uint8_t*>(begin_), open_bytes, step) &&
        Open(reinterpret_cast<uint8_t*>(pages_), open_bytes / kUnit * sizeof(HeapPage),
             step / kUnit * sizeof(HeapPage))) {
      open_bytes += step;
    } else {
      NoteShortage();
      if (end > open_bytes) return nullptr;
    }
  }
  HeapPage* page = &pages_[next_unit];
  next_unit += units;
  page->units = units;
  for (uint8_t i = 1; i < units; i++) page[i].head = i;
  return page;
}

void PageRange::Give(HeapPage* page, int size) {
  size_t bytes = page->units * kUnit;
  ASAN_UNPOISON_MEMORY_REGION(page->memory(), bytes);
  madvise(page->memory(), bytes, MADV_DONTNEED);
  std::lock_guard guard(mutex);
  page->next = given_back[size];
  given_back[size] = page;
}

void PageRange::SetFailAfterForTest(int requests) { fail_after.store(requests, std::memory_order_relaxed); }

}  // namespace brim
