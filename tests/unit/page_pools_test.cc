// Pages of blocks: hand-out and return, what is given back, and evacuation of sparse pages.
#include "memory/page_pools.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>
#include <vector>

#include "memory/heap.h"

namespace brim {
namespace {

class PagePoolsTest : public testing::Test {
 protected:
  PagePoolsTest() { PageRange::Reserve(); }
  PagePools pools;
};

TEST_F(PagePoolsTest, ClassesGrowAndFit) {
  size_t before = 0;
  for (size_t bytes = 1; bytes <= size_class::kMaxBlock; bytes++) {
    int c = size_class::Of(bytes);
    ASSERT_LT(c, size_class::kClasses);
    size_t granted = size_class::Bytes(c);
    ASSERT_GE(granted, bytes);
    ASSERT_GE(granted, before);
    ASSERT_LE(granted - bytes, bytes <= size_class::kFineBytes ? 7 : bytes / 16);
    before = granted;
  }
}

TEST_F(PagePoolsTest, BlocksDoNotOverlap) {
  std::mt19937 random(1);
  struct Block {
    uint8_t* at;
    size_t bytes;
    uint8_t fill;
  };
  std::vector<Block> blocks;
  size_t used = 0;
  for (int i = 0; i < 60000; i++) {
    if (blocks.empty() || random() % 5 < 3) {
      size_t bytes = 1 + random() % (random() % 8 == 0 ? 16384 : 600);
      int c = size_class::Of(bytes);
      auto* at = static_cast<uint8_t*>(pools.Allocate(c, random() % 2 ? BlockKind::kPart : BlockKind::kEntry));
      ASSERT_NE(at, nullptr);
      size_t granted = size_class::Bytes(c);
      ASSERT_EQ(PageRange::PageOf(at)->block_bytes, granted);
      ASSERT_TRUE(granted % 64 != 0 || reinterpret_cast<uintptr_t>(at) % 64 == 0);
      auto fill = static_cast<uint8_t>(random());
      memset(at, fill, granted);
      blocks.push_back({at, granted, fill});
      used += granted;
    } else {
      size_t n = random() % blocks.size();
      Block block = blocks[n];
      for (size_t k = 0; k < block.bytes; k++) ASSERT_EQ(block.at[k], block.fill);
      pools.Free(block.at);
      used -= block.bytes;
      blocks[n] = blocks.back();
      blocks.pop_back();
    }
    ASSERT_EQ(pools.used_bytes(), used);
  }
  for (const Block& block : blocks) pools.Free(block.at);
  EXPECT_EQ(pools.page_bytes(), 0u);
  EXPECT_GT(pools.kept_bytes(), 0u);
  pools.Purge();
  EXPECT_EQ(pools.kept_bytes(), 0u);
}

// Fills some pages, leaves each block with the given chance, and returns those that stay.
std::vector<void*> Sparse(PagePools& pools, size_t bytes, int count, unsigned keep_of_ten, BlockKind kind) {
  std::mt19937 random(7);
  std::vector<void*> all;
  std::vector<void*> live;
  for (int i = 0; i < count; i++) all.push_back(pools.Allocate(size_class::Of(bytes), kind));
  for (void* block : all) {
    if (random() % 10 < keep_of_ten) {
      live.push_back(block);
    } else {
      pools.Free(block);
    }
  }
  return live;
}

TEST_F(PagePoolsTest, EvacuationFreesPages) {
  for (size_t bytes : {16u, 100u, 700u, 3000u, 9000u}) {
    std::vector<void*> live = Sparse(pools, bytes, 4000, 3, BlockKind::kEntry);
    size_t before = pools.page_bytes();
    ASSERT_GT(pools.BeginEvacuation(BlockKind::kEntry, SIZE_MAX), 0u);
    // Nothing is handed out from pages that are being emptied.
    for (void*& block : live) {
      HeapPage* page = PageRange::PageOf(block);
      if (!page->evacuating) continue;
      void* moved = pools.Allocate(size_class::Of(bytes), BlockKind::kEntry);
      ASSERT_FALSE(PageRange::PageOf(moved)->evacuating);
      pools.Free(block);
      block = moved;
    }
    EXPECT_EQ(pools.Evacuating(BlockKind::kEntry), nullptr);
    EXPECT_LE(pools.page_bytes(), before / 2) << bytes;
    // All free blocks together fill not much more than a page now.
    EXPECT_LE(pools.BeginEvacuation(BlockKind::kEntry, SIZE_MAX), 1u) << bytes;
    pools.EndEvacuation(BlockKind::kEntry);
    EXPECT_EQ(std::set<void*>(live.begin(), live.end()).size(), live.size());
    for (void* block : live) pools.Free(block);
  }
}

TEST_F(PagePoolsTest, EndedEvacuationServesAgain) {
  std::vector<void*> live = Sparse(pools, 200, 2000, 5, BlockKind::kPart);
  size_t before = pools.page_bytes();
  size_t begun = pools.BeginEvacuation(BlockKind::kPart, SIZE_MAX);
  ASSERT_GT(begun, 1u);
  HeapPage* one = pools.Evacuating(BlockKind::kPart);
  EXPECT_EQ(pools.EndEvacuation(BlockKind::kPart, one), 1u);
  EXPECT_FALSE(one->evacuating);
  EXPECT_EQ(pools.EndEvacuation(BlockKind::kPart), begun - 1);
  EXPECT_EQ(pools.page_bytes(), before);
  // The gaps are filled before a page is added.
  size_t gaps = pools.gap_bytes(BlockKind::kPart) / 200;
  for (size_t i = 0; i + 100 < gaps; i++) live.push_back(pools.Allocate(size_class::Of(200), BlockKind::kPart));
  EXPECT_EQ(pools.page_bytes(), before);
  for (void* block : live) pools.Free(block);
  EXPECT_EQ(pools.page_bytes(), 0u);
}

TEST_F(PagePoolsTest, KindsDoNotShareAPage) {
  void* part = pools.Allocate(size_class::Of(50), BlockKind::kPart);
  void* entry = pools.Allocate(size_class::Of(50), BlockKind::kEntry);
  EXPECT_NE(PageRange::PageOf(part), PageRange::PageOf(entry));
  EXPECT_EQ(PagePools::KindOf(PageRange::PageOf(part)), BlockKind::kPart);
  EXPECT_EQ(PagePools::KindOf(PageRange::PageOf(entry)), BlockKind::kEntry);
  pools.Free(part);
  pools.Free(entry);
}

TEST_F(PagePoolsTest, LiveMapShowsWhatIsInUse) {
  std::vector<void*> blocks;
  for (int i = 0; i < 100; i++) blocks.push_back(pools.Allocate(size_class::Of(64), BlockKind::kEntry));
  HeapPage* page = PageRange::PageOf(blocks[0]);
  for (int i = 0; i < 100; i += 3) pools.Free(blocks[static_cast<size_t>(i)]);
  uint8_t live[PagePools::kLiveMapBytes] = {};
  PagePools::LiveMap(page, live);
  for (size_t i = 0; i < 100; i++) EXPECT_EQ(live[i / 8] >> (i % 8) & 1, i % 3 != 0) << i;
  for (size_t i = 100; i < page->capacity; i++) EXPECT_EQ(live[i / 8] >> (i % 8) & 1, 0) << i;
  for (size_t i = 0; i < 100; i++) {
    if (i % 3 != 0) pools.Free(blocks[i]);
  }
}

TEST_F(PagePoolsTest, RefusedMemoryIsAnException) {
  Heap heap;
  PageRange::SetFailAfterForTest(1);
  EXPECT_EQ(heap.TryAllocate(100, MemoryCategory::kData), nullptr);
  PageRange::SetFailAfterForTest(1);
  EXPECT_THROW(heap.Allocate(100, MemoryCategory::kData), std::bad_alloc);
  void* block = heap.Allocate(100, MemoryCategory::kData);
  Heap::shared().pools.Purge();
  PageRange::SetFailAfterForTest(1);
  EXPECT_THROW(heap.Reallocate(block, 100, 12000, MemoryCategory::kData), std::bad_alloc);
  PageRange::SetFailAfterForTest(0);
  EXPECT_EQ(heap.used_bytes(), Heap::GrantedSize(100));
  heap.Free(block, 100, MemoryCategory::kData);
}

}  // namespace
}  // namespace brim
