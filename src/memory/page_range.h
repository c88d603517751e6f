#pragma once
// The range of addresses that all pages of keys' blocks lie in, reserved at start. Whether a pointer is in a page, and
// in which, is arithmetic. The range's memory stays mapped for ever: free pages are given back to the system (they read
// as zeros), which is what lets a prefetch without a lock read a stale address.
#include <cstddef>
#include <cstdint>

namespace brim {

// One page. Descriptors lie in an array of their own, one per kUnit of the range.
struct HeapPage {
  HeapPage* next;
  HeapPage* previous;
  void* free_list;  // freed blocks, linked through their first 8 bytes
  uint32_t bump;    // offset of the first block never handed out
  uint32_t used;    // live blocks
  uint32_t block_bytes;
  uint32_t capacity;  // blocks
  uint16_t pool;
  uint8_t units;    // 0 in the descriptors of a page's further units
  uint8_t head;     // how many units before this one the page begins
  bool evacuating;  // its blocks are being moved out; read without a lock as a hint
  uint8_t* memory() const;
  // What its blocks span; the rest of its addresses is never touched.
  uint32_t bytes() const { return capacity * block_bytes; }
  bool full() const { return used == capacity; }
};

class PageRange {
 public:
  static constexpr size_t kUnit = 16 << 10;
  static constexpr uint8_t kSizes[] = {1, 2, 8};  // units of a page: 16, 32, 128 KB

  // Reserves the range, once; before threads start.
  static void Reserve();
  static bool Owns(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) - begin_ < bytes_; }
  // The page that holds the block; the pointer must be owned.
  static HeapPage* PageOf(const void* block) {
    HeapPage* page = &pages_[(reinterpret_cast<uintptr_t>(block) - begin_) / kUnit];
    return page - page->head;
  }
  // A page of kSizes[size] units, readable and writable, all zeros; its descriptor's other fields are the caller's to
  // fill. Null when memory is refused. Any thread.
  static HeapPage* Take(int size);
  // Gives the page's memory back to the system; its addresses are kept for the next Take. Any thread.
  static void Give(HeapPage* page, int size);
  // For tests: the n-th page request from now on is refused (0: none).
  static void SetFailAfterForTest(int requests);

 private:
  friend struct HeapPage;
  static inline uintptr_t begin_ = 0;
  static inline size_t bytes_ = 0;
  static inline HeapPage* pages_ = nullptr;
};

inline uint8_t* HeapPage::memory() const {
  return reinterpret_cast<uint8_t*>(PageRange::begin_ +
                                    static_cast<size_t>(this - PageRange::pages_) * PageRange::kUnit);
}

}  // namespace brim
