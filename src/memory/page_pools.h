#pragma once
// Pages cut into blocks of one size each: a pool per size class and kind of block. The mechanism of a heap, without a
// lock and without counting into categories.
//
// Evacuation: a pool whose free blocks would fill whole pages has pages too many. Its emptiest ones are taken off the
// lists that blocks are handed out from; who owns their blocks moves them (allocates anew, frees), and a page that
// became empty goes back to the system.
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memory/page_range.h"
#include "memory/size_classes.h"

namespace brim {

// Blocks that are found by the key they begin with are kept apart from those that only their structure knows.
enum class BlockKind : uint8_t { kPart, kEntry };

// For tests: every page but the one in use is evacuated, whether that gains anything or not.
inline std::atomic<bool> compaction_stress{false};

class PagePools {
 public:
  PagePools() = default;
  ~PagePools() { Purge(); }
  PagePools(const PagePools&) = delete;
  PagePools& operator=(const PagePools&) = delete;

  // A block of the class, or null when memory is refused. O(1).
  void* Allocate(int size_class, BlockKind kind);
  // O(1).
  void Free(void* block);

  size_t used_bytes() const { return used_bytes_[0] + used_bytes_[1]; }  // granted bytes of live blocks
  size_t page_bytes() const { return page_bytes_[0] + page_bytes_[1]; }  // of pages that hold blocks
  size_t kept_bytes() const { return kept_bytes_; }                      // of empty pages kept for the next
  size_t used_bytes(BlockKind kind) const { return used_bytes_[static_cast<int>(kind)]; }
  // What pages hold beside blocks.
  size_t gap_bytes(BlockKind kind) const {
    return page_bytes_[static_cast<int>(kind)] - used_bytes_[static_cast<int>(kind)];
  }
  // Gives the kept pages back to the system. Returns their bytes.
  size_t Purge();

  // Chooses pages to be emptied: in each pool of the kind the emptiest ones, as many as the pool's free blocks can
  // replace, `most` a pool. Returns their number. O(pages of the kind).
  size_t BeginEvacuation(BlockKind kind, size_t most);
  // A page of the kind that is being emptied, or null.
  HeapPage* Evacuating(BlockKind kind) const { return evacuating_[static_cast<int>(kind)]; }
  // Pages that are still not empty serve again; returns their number. `one`: this page only.
  size_t EndEvacuation(BlockKind kind, HeapPage* one = nullptr);

  static BlockKind KindOf(const HeapPage* page) {
    return page->pool < size_class::kClasses ? BlockKind::kPart : BlockKind::kEntry;
  }
  // A bit for each block in use, in the order of addresses; `live` has room for the page's capacity, all zeros.
  static void LiveMap(const HeapPage* page, uint8_t* live);
  static constexpr size_t kLiveMapBytes = (128 << 10) / 8 / 8;

 private:
  static constexpr int kPools = 2 * size_class::kClasses;
  static int SizeOf(size_t block_bytes);
  HeapPage* NewPage(int pool);
  void Release(HeapPage* page);
  HeapPage*& ListOf(const HeapPage* page);
  void Link(HeapPage* page);
  void Unlink(HeapPage* page);
  void Evacuate(HeapPage* page);
  size_t EvacuatePool(int pool, size_t most);

  HeapPage* partial_[kPools] = {};  // pages with room, the one in use first
  HeapPage* evacuating_[2] = {};
  HeapPage* kept_[3] = {};
  int kept_count_[3] = {};
  size_t used_bytes_[2] = {};  // by kind
  size_t page_bytes_[2] = {};
  size_t kept_bytes_ = 0;
};

}  // namespace brim
