#include "types/table.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "memory/heap.h"

namespace brim {
namespace {

// A block that holds a number; its hash may be forced to collide.
struct Item {
  uint64_t key;
};
uint64_t HashOfItem(const void* block) { return HashBytes({reinterpret_cast<const char*>(block), sizeof(Item)}); }

class TableTest : public ::testing::Test {
 protected:
  Item* Add(uint64_t key) {
    auto* item = static_cast<Item*>(heap.Allocate(sizeof(Item), MemoryCategory::kData));
    item->key = key;
    table.Insert(HashOfItem(item), item);
    return item;
  }
  Table::Slot Find(uint64_t key) {
    Item probe{key};
    return table.Find(HashOfItem(&probe), [key](const void* b) { return static_cast<const Item*>(b)->key == key; });
  }
  void Remove(uint64_t key) {
    Table::Slot slot = Find(key);
    auto* item = slot.As<Item>();
    table.Erase(HashOfItem(item), slot);
    heap.Free(item, sizeof(Item), MemoryCategory::kData);
  }
  void TearDown() override {
    table.ForEach([&](Table::Slot slot) { heap.Free(slot.block(), sizeof(Item), MemoryCategory::kData); });
    Table(&heap, HashOfItem).Swap(table);
    EXPECT_EQ(heap.used_bytes(), 0u);
  }
  Heap heap;
  Table table{&heap, HashOfItem};
};

TEST_F(TableTest, FindsWhatWasInsertedWhileGrowing) {
  for (uint64_t i = 0; i < 20000; i++) {
    Add(i);
    if (i % 97 == 0) {
      for (uint64_t j = 0; j <= i; j += 31) ASSERT_TRUE(Find(j)) << i << " " << j;
    }
  }
  for (uint64_t i = 0; i < 20000; i++) ASSERT_TRUE(Find(i));
  for (uint64_t i = 20000; i < 40000; i++) ASSERT_FALSE(Find(i));
}

// Room made beforehand is neither more than growing would take nor in the way of more than was expected.
TEST_F(TableTest, ReservedRoomFitsWhatComes) {
  for (uint64_t expected : {1, 7, 100, 1000, 30000}) {
    Reserve(table, expected);
    size_t made = table.table_bytes();
    EXPECT_LE(made, 16 * expected + 256) << expected;
    for (uint64_t i = 0; i < expected; i++) Add(i);
    EXPECT_LE(table.table_bytes(), made + made / 5 + 192) << expected;
    Reserve(table, 10 * expected);  // not empty: nothing happens
    for (uint64_t i = expected; i < 3 * expected; i++) Add(i);
    for (uint64_t i = 0; i < 3 * expected; i++) ASSERT_TRUE(Find(i)) << expected;
    for (uint64_t i = 0; i < 3 * expected; i++) Remove(i);
    EXPECT_EQ(table.table_bytes(), 0u);
  }
}

TEST_F(TableTest, StaysWellFilled) {
  for (uint64_t i = 0; i < 200000; i++) {
    Add(i);
    if (i > 2000 && i % 5000 == 0) {
      double fill = static_cast<double>(table.size()) / static_cast<double>(table.capacity());
      EXPECT_GT(fill, 0.75) << i;
    }
  }
}

// As a copy of another table is made: splits then put everything into one half.
TEST_F(TableTest, KeepsWhatComesInHashOrder) {
  for (int round = 0; round < 50; round++) {
    std::map<uint64_t, uint64_t> by_hash;
    for (uint64_t i = 0; i < 3000; i++) {
      Item probe{i + static_cast<uint64_t>(round) * 100000};
      by_hash[HashOfItem(&probe)] = probe.key;
    }
    for (auto [hash, key] : by_hash) Add(key);
    ASSERT_EQ(table.size(), by_hash.size());
    size_t seen = 0;
    table.ForEach([&](Table::Slot) { seen++; });
    ASSERT_EQ(seen, by_hash.size());
    for (auto [hash, key] : by_hash) ASSERT_TRUE(Find(key));
    for (auto [hash, key] : by_hash) Remove(key);
    ASSERT_EQ(table.size(), 0u);
  }
}

TEST_F(TableTest, ShrinksWhenEmptied) {
  for (uint64_t i = 0; i < 100000; i++) Add(i);
  size_t full = table.table_bytes();
  for (uint64_t i = 0; i < 98000; i++) Remove(i);
  EXPECT_LT(table.table_bytes(), full / 6);
  for (uint64_t i = 98000; i < 100000; i++) ASSERT_TRUE(Find(i));
}

TEST_F(TableTest, AgreesWithAModelUnderChurn) {
  std::set<uint64_t> model;
  uint64_t seed = 7;
  for (int i = 0; i < 300000; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t key = (seed >> 33) % 3000;
    if (model.count(key)) {
      ASSERT_TRUE(Find(key));
      Remove(key);
      model.erase(key);
    } else {
      ASSERT_FALSE(Find(key));
      Add(key);
      model.insert(key);
    }
    ASSERT_EQ(table.size(), model.size());
  }
}

TEST_F(TableTest, KeepsFlagsAndStatesThroughGrowth) {
  for (uint64_t i = 0; i < 5000; i++) {
    Add(i);
    Table::Slot slot = Find(i);
    slot.SetFlag(i % 3 == 0);
    slot.SetState(static_cast<uint8_t>(i));
  }
  for (uint64_t i = 0; i < 5000; i++) {
    ASSERT_EQ(Find(i).flag(), i % 3 == 0);
    ASSERT_EQ(Find(i).state(), static_cast<uint8_t>(i));
  }
}

TEST_F(TableTest, ScanMissesNothingWhileTheTableGrowsAndShrinks) {
  for (uint64_t i = 0; i < 10000; i++) Add(i);
  for (int round = 0; round < 3; round++) {
    std::set<uint64_t> seen;
    uint64_t cursor = 0;
    uint64_t next = 100000 + static_cast<uint64_t>(round) * 100000;
    uint64_t first = next;
    do {
      cursor = table.Scan(cursor, [&](Table::Slot slot) { seen.insert(slot.As<Item>()->key); });
      ASSERT_LT(cursor, uint64_t{1} << Table::kMaxDepth);
      for (int i = 0; i < 200; i++) {
        if (round == 1 && next > first + 400) {
          Remove(--next);
        } else {
          Add(next++);
        }
      }
    } while (cursor != 0);
    for (uint64_t i = 0; i < 10000; i++) ASSERT_TRUE(seen.count(i)) << i;
    while (next > first) Remove(--next);
  }
}

TEST_F(TableTest, RandomReachesEverything) {
  for (uint64_t i = 0; i < 300; i++) Add(i);
  std::map<uint64_t, int> times;
  for (int i = 0; i < 60000; i++) times[table.Random().As<Item>()->key]++;
  EXPECT_EQ(times.size(), 300u);
  for (auto& [key, n] : times) {
    EXPECT_GT(n, 40);
    EXPECT_LT(n, 800);
  }
}

TEST_F(TableTest, HintsAreLowerBounds) {
  for (uint64_t i = 0; i < 20000; i++) {
    Item* item = Add(i);
    table.LowerHint(HashOfItem(item), static_cast<uint32_t>(1000 + i));
  }
  uint64_t position = 0;
  std::set<uint64_t> due;
  while (!table.VisitHints(&position, 16, 1100, [&](uint64_t word, uint32_t) {
    Table::VisitSegment(word, [&](Table::Slot slot) { due.insert(slot.As<Item>()->key); });
    return Table::kNoHint;
  })) {
  }
  for (uint64_t i = 0; i < 100; i++) EXPECT_TRUE(due.count(i)) << i;
}

TEST_F(TableTest, DrainsInPieces) {
  for (uint64_t i = 0; i < 5000; i++) Add(i);
  size_t freed = 0;
  while (!table.Drain(3, [&](Table::Slot slot) {
    heap.Free(slot.block(), sizeof(Item), MemoryCategory::kData);
    freed++;
  })) {
  }
  EXPECT_EQ(freed, 5000u);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.table_bytes(), 0u);
}

}  // namespace
}  // namespace brim
