#include "types/id_tree.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace brim {
namespace {

using Model = std::map<StreamId, uint64_t>;

// Trees of all the payloads that are in use, beside a map.
class IdTreeTest : public ::testing::TestWithParam<int> {
 protected:
  IdTreeTest() : tree(static_cast<uint8_t>(GetParam())) { counted.heap = &heap; }
  ~IdTreeTest() override {
    while (tree.DropLeaf(counted, [](uint8_t*) {})) {
    }
    EXPECT_EQ(counted.bytes, 0u);
    EXPECT_EQ(heap.used_bytes(), 0u);
  }

  uint64_t Below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random); }
  size_t payload_bytes() const { return static_cast<size_t>(GetParam()); }
  uint64_t Get(const uint8_t* payload) const {
    uint64_t number = 0;
    memcpy(&number, payload, std::min(payload_bytes(), sizeof number));
    return number;
  }
  void Put(StreamId id, uint64_t number) {
    bool added;
    uint8_t* payload = tree.Insert(counted, id, &added);
    EXPECT_EQ(added, !model.contains(id));
    memset(payload, 0, payload_bytes());
    memcpy(payload, &number, std::min(payload_bytes(), sizeof number));
    model[id] = payload_bytes() > 0 ? number : 0;
  }
  void Erase(StreamId id) { EXPECT_EQ(tree.Erase(counted, id), model.erase(id) == 1); }

  void Compare(const IdTree& other) {
    ASSERT_TRUE(other.IsConsistent());
    ASSERT_EQ(other.size(), model.size());
    IdTree::Cursor at = other.First();
    for (const auto& [id, number] : model) {
      ASSERT_TRUE(at);
      ASSERT_EQ(at.id(), id);
      ASSERT_EQ(Get(at.payload()), number);
      at.Next();
    }
    ASSERT_FALSE(at);
    at = other.Last();
    for (auto it = model.rbegin(); it != model.rend(); ++it, at.Previous()) ASSERT_EQ(at.id(), it->first);
    ASSERT_FALSE(at);
  }
  void Seek(StreamId id) {
    auto from = model.lower_bound(id);
    IdTree::Cursor at = tree.From(id);
    ASSERT_EQ(static_cast<bool>(at), from != model.end());
    if (at) {
      ASSERT_EQ(at.id(), from->first);
    }
    auto behind = model.upper_bound(id);
    at = tree.Until(id);
    ASSERT_EQ(static_cast<bool>(at), behind != model.begin());
    if (at) {
      ASSERT_EQ(at.id(), std::prev(behind)->first);
    }
    ASSERT_EQ(tree.Find(id) != nullptr, model.contains(id));
  }

  Heap heap;
  CountedHeap counted;
  IdTree tree;
  Model model;
  std::mt19937_64 random{7};
};

TEST_P(IdTreeTest, RandomChanges) {
  for (int round = 0; round < 6; round++) {
    uint64_t range = round % 2 == 0 ? 3000 : 60000;
    for (int i = 0; i < 20000; i++) {
      StreamId id{Below(range) / 4, Below(4)};
      // It grows in some rounds and shrinks in others.
      Below(10) < (round % 3 == 2 ? 3u : 6u) ? Put(id, Below(1000000)) : Erase(id);
      if (i % 50 == 0) Seek({Below(range) / 4, Below(5)});
    }
    ASSERT_NO_FATAL_FAILURE(Compare(tree));
  }
  Seek(StreamId());
  Seek(StreamId::Max());
  while (!model.empty()) {
    auto it = model.lower_bound({Below(20000), 0});
    Erase(it == model.end() ? model.begin()->first : it->first);
  }
  ASSERT_NO_FATAL_FAILURE(Compare(tree));
}

// A stream's way: ids are added at the end and go from the front.
TEST_P(IdTreeTest, QueueFillsItsNodes) {
  for (uint64_t i = 0; i < 50000; i++) Put({i, 0}, i);
  size_t content = model.size() * (sizeof(StreamId) + payload_bytes());
  EXPECT_LT(counted.bytes, content + content / 10);
  ASSERT_NO_FATAL_FAILURE(Compare(tree));
  for (uint64_t i = 0; i < 49990; i++) {
    Erase({i, 0});
    if (i % 1000 == 0) Put({100000 + i, 0}, i);
  }
  ASSERT_NO_FATAL_FAILURE(Compare(tree));
  for (uint64_t i = 60000; i-- > 40000;) Put({i, 1}, i);
  ASSERT_NO_FATAL_FAILURE(Compare(tree));
}

TEST_P(IdTreeTest, CopiesAndMovesItsNodes) {
  for (int i = 0; i < 30000; i++) Put({Below(1 << 20), 0}, Below(1000));
  Heap other_heap;
  CountedHeap other{&other_heap};
  size_t ids = 0;
  IdTree copy = tree.Copy(other, [&](uint8_t*) { ids++; });
  EXPECT_EQ(ids, model.size());
  ASSERT_NO_FATAL_FAILURE(Compare(copy));
  while (copy.DropLeaf(other, [&](uint8_t*) { ids--; })) {
  }
  EXPECT_EQ(ids, 0u);
  EXPECT_EQ(other_heap.used_bytes(), 0u);

  for (auto it = model.begin(); it != model.end();) {
    StreamId id = (it++)->first;
    if (Below(5) != 0) Erase(id);
  }
  heap.own().BeginEvacuation(BlockKind::kPart, SIZE_MAX);
  size_t leaves = 0;
  while (size_t done = tree.Tidy(counted, leaves, 7, [](uint8_t*) {})) leaves += done;
  EXPECT_EQ(leaves, tree.leaves());
  EXPECT_EQ(heap.own().EndEvacuation(BlockKind::kPart), 0u);
  ASSERT_NO_FATAL_FAILURE(Compare(tree));
}

INSTANTIATE_TEST_SUITE_P(Payloads, IdTreeTest, ::testing::Values(0, 8, 20));

}  // namespace
}  // namespace brim
