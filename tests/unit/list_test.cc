#include "types/list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "base/random.h"
#include "fake_value.h"
#include "types/limits.h"

namespace brim {
namespace {

using Texts = std::deque<std::string>;

class ListTest : public ::testing::Test {
 protected:
  void SetUp() override { InitList(value); }
  void TearDown() override { encoding_limits = EncodingLimits(); }

  List& list() { return *value.As<List>(); }

  static std::string TextAt(ListPlace place) {
    char buffer[24];
    return std::string(place.Get().Text(buffer));
  }
  static Texts Read(const List& list, bool backward) {
    Texts texts;
    ListPlace place = ListSeek(list, backward ? -1 : 0);
    for (; place; place = backward ? ListPrevious(place) : ListNext(place)) texts.push_back(TextAt(place));
    return texts;
  }

  void Push(const std::string& text, bool front) {
    ListPush(list(), text, front);
    front ? model.push_front(text) : model.push_back(text);
  }
  void PushMany(const Texts& texts, bool front) {
    std::vector<std::string_view> views(texts.begin(), texts.end());
    ListPushMany(list(), views, front);
    for (const std::string& text : texts) front ? model.push_front(text) : model.push_back(text);
  }
  void Pop(bool front) {
    if (model.empty()) return;
    ListPop(list(), front);
    front ? model.pop_front() : model.pop_back();
  }
  void Insert(size_t index, const std::string& text, bool behind) {
    ListInsert(list(), ListSeek(list(), static_cast<int64_t>(index)), text, behind);
    model.insert(model.begin() + static_cast<std::ptrdiff_t>(index + behind), text);
  }
  void Replace(size_t index, const std::string& text) {
    ListReplace(list(), ListSeek(list(), static_cast<int64_t>(index)), text);
    model[index] = text;
  }
  void EraseRange(size_t index, size_t count) {
    ListEraseRange(list(), index, count);
    if (index >= model.size()) return;
    count = std::min(count, model.size() - index);
    auto begin = model.begin() + static_cast<std::ptrdiff_t>(index);
    model.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
  }
  // Removes up to `most` elements equal to the text, as LREM does.
  void EraseEqual(const std::string& text, size_t most, bool backward) {
    ListNeedle needle(text);
    ListPlace place = ListSeek(list(), backward ? -1 : 0);
    for (size_t left = most; place && left > 0;) {
      if (needle.Equals(place)) {
        place = ListErase(list(), place, backward);
        left--;
      } else {
        place = backward ? ListPrevious(place) : ListNext(place);
      }
    }
    if (backward) std::reverse(model.begin(), model.end());
    for (auto it = model.begin(); it != model.end() && most > 0;) {
      bool equal = *it == text;
      it = equal ? model.erase(it) : it + 1;
      most -= equal;
    }
    if (backward) std::reverse(model.begin(), model.end());
  }

  // Links, counts and the sum of sizes, and the elements in both directions.
  void Compare() {
    size_t nodes = 0;
    size_t elements = 0;
    size_t bytes = 0;
    ListNode* previous = nullptr;
    for (ListNode* node = list().head; node != nullptr; previous = node, node = node->next) {
      ASSERT_EQ(node->previous, previous);
      const uint8_t* lp = node->listpack();
      if (!node->plain()) {
        ASSERT_TRUE(listpack::IsValid(lp, listpack::TotalBytes(lp)));
      }
      ASSERT_GT(listpack::Count(lp), 0U);
      elements += listpack::Count(lp);
      bytes += Heap::BlockSize(node);
      nodes++;
    }
    ASSERT_EQ(list().tail, previous);
    ASSERT_EQ(list().nodes, nodes);
    ASSERT_EQ(list().node_bytes, bytes);
    ASSERT_EQ(elements, model.size());
    ASSERT_EQ(ListLength(value), model.size());
    ASSERT_EQ(Read(list(), false), model);
    Texts backward = Read(list(), true);
    std::reverse(backward.begin(), backward.end());
    ASSERT_EQ(backward, model);
  }

  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); }
  std::string Text() {
    switch (Below(8)) {
      case 0:
        return std::to_string(static_cast<int64_t>(random()) >> Below(60));
      case 1:
        return std::string(Below(300), 'x');
      case 2:
        return Below(4) ? std::string() : std::string(3000 + Below(9000), 'y');
      default:
        return (Below(2) ? "e" : "") + std::to_string(Below(40));
    }
  }
  void RandomStep() {
    size_t n = model.size();
    switch (Below(n > 400 ? 8 : 14)) {
      case 0:
        EraseEqual(Text(), 1 + Below(4), Below(2));
        break;
      case 1:
        EraseRange(Below(n + 2), Below(12));
        break;
      case 2:
        EraseRange(Below(3) ? 0 : n - n / 3, n / 3);
        break;
      case 3:
        Pop(true);
        break;
      case 4:
        Pop(false);
        break;
      case 5:
      case 6:
        if (n > 0) Insert(Below(n), Text(), Below(2));
        break;
      case 7:
        if (n > 0) Replace(Below(n), Text());
        break;
      default:
        Push(Text(), Below(2));
    }
  }
  void RandomWalk(int steps) {
    for (int i = 0; i < steps; i++) {
      RandomStep();
      if (i % 16 == 0 || i + 1 == steps) Compare();
      if (HasFatalFailure()) FAIL() << "step " << i;
    }
  }

  std::mt19937_64 random{7};
  Heap heap;
  FakeValue value{&heap, Type::kList, Encoding::kQuicklist, EmptyListBytes()};
  Texts model;
};

TEST_F(ListTest, EmptyAndOne) {
  Compare();
  EXPECT_FALSE(ListSeek(list(), 0));
  EXPECT_FALSE(ListSeek(list(), -1));
  Push("one", true);
  Compare();
  EXPECT_FALSE(ListSeek(list(), 1));
  EXPECT_FALSE(ListSeek(list(), -2));
  EXPECT_FALSE(ListNext(ListSeek(list(), 0)));
  EXPECT_FALSE(ListPrevious(ListSeek(list(), 0)));
  Pop(false);
  Compare();
  EXPECT_EQ(list().node_bytes, 0U);
}

TEST_F(ListTest, RandomWithDefaultNodes) { RandomWalk(6000); }

TEST_F(ListTest, RandomWithFewElementsANode) {
  for (int limit : {1, 2, 3, 7}) {
    encoding_limits.list_max_listpack_size = limit;
    RandomWalk(1500);
  }
}

TEST_F(ListTest, RandomWithPlainNodes) {
  for (size_t threshold : {1, 3, 100, 4000}) {
    encoding_limits.list_packed_threshold = threshold;
    encoding_limits.list_max_listpack_size = threshold == 3 ? 4 : -1;
    RandomWalk(1500);
  }
}

TEST_F(ListTest, SeekFindsEveryIndex) {
  encoding_limits.list_max_listpack_size = 5;
  for (int i = 0; i < 203; i++) Push(std::to_string(i), i % 3 == 0);
  for (int64_t i = 0; i < 203; i++) {
    ASSERT_EQ(TextAt(ListSeek(list(), i)), model[static_cast<size_t>(i)]);
    ASSERT_EQ(TextAt(ListSeek(list(), i - 203)), model[static_cast<size_t>(i)]);
  }
  EXPECT_FALSE(ListSeek(list(), INT64_MAX));
  EXPECT_FALSE(ListSeek(list(), INT64_MIN));
}

TEST_F(ListTest, NodesAreFullAndTight) {
  for (int i = 0; i < 100000; i++) Push("element:" + std::to_string(10000000 + i), false);
  size_t stored = 0;
  for (const std::string& text : model) stored += listpack::ElementBytes(text);
  EXPECT_LT(list().node_bytes, stored + stored / 100);
  EXPECT_EQ(heap.used_bytes(), ListExternalBytes(list()));
}

TEST_F(ListTest, SparseNeighboursMerge) {
  for (int i = 0; i < 20000; i++) Push(i % 40 ? "goes away" : "stays here", false);
  size_t nodes = list().nodes;
  EraseEqual("goes away", SIZE_MAX, false);
  Compare();
  EXPECT_LT(list().nodes, nodes / 8);
}

TEST_F(ListTest, NumbersCompareAsTexts) {
  for (const char* text : {"1", "01", "1.0", "+1", "-1", " 1", ""}) Push(text, false);
  EXPECT_TRUE(ListNeedle("1").Equals(ListSeek(list(), 0)));
  for (int64_t i = 1; i < 7; i++) EXPECT_FALSE(ListNeedle("1").Equals(ListSeek(list(), i)));
  EXPECT_TRUE(ListNeedle("01").Equals(ListSeek(list(), 1)));
  EXPECT_FALSE(ListNeedle("01").Equals(ListSeek(list(), 0)));
  EXPECT_TRUE(ListNeedle("").Equals(ListSeek(list(), 6)));
}

TEST_F(ListTest, CopyIsTheSameAndItsOwn) {
  encoding_limits.list_packed_threshold = 2000;
  for (int i = 0; i < 3000; i++) Push(Text(), i % 2);
  Heap other_heap;
  FakeValue copy{&other_heap, Type::kList, Encoding::kQuicklist, EmptyListBytes()};
  CopyList(value, copy);
  EXPECT_EQ(ListExternalBytes(*copy.As<List>()), ListExternalBytes(list()));
  EraseRange(0, 2999);
  EXPECT_EQ(ListLength(copy), 3000U);
  EXPECT_EQ(Read(*copy.As<List>(), true).size(), 3000U);
}

// Many at once lie as they would when pushed one by one: nodes are as full, none has more than the limits say.
TEST_F(ListTest, PushesMany) {
  encoding_limits.list_packed_threshold = 9000;
  for (int64_t limit : {-2, -1, 3, 1, 100, -3}) {
    encoding_limits.list_max_listpack_size = limit;
    for (bool front : {false, true}) {
      for (int round = 0; round < 300; round++) {
        Texts texts(1 + RandomBelow(round % 10 == 0 ? 200 : 6));
        for (std::string& text : texts) {
          size_t size = RandomBelow(10);
          if (RandomBelow(40) == 0) size = RandomBelow(12000);
          text = RandomBelow(3) == 0 ? std::to_string(RandomBelow(100'000)) : std::string(size, 'x');
        }
        PushMany(texts, front);
        if (RandomBelow(8) == 0) Pop(!front);
      }
      Compare();
      EraseRange(0, model.size() - 1);
    }
    size_t elements = limit > 0 ? static_cast<size_t>(limit) : SIZE_MAX;
    for (ListNode* node = list().head; node != nullptr; node = node->next) {
      EXPECT_LE(listpack::Count(node->listpack()), elements);
      EXPECT_GE(listpack::Count(node->listpack()), 1U);
    }
  }
  encoding_limits = EncodingLimits();
  EraseRange(0, model.size() - 1);
  List* other = new (heap.Allocate(sizeof(List), MemoryCategory::kData)) List{&heap};
  ListPush(*other, model.front(), false);
  for (int i = 0; i < 3000; i++) {
    Texts texts;
    for (int j = 0; j < i % 50; j++) texts.push_back("element " + std::to_string(i * j));
    PushMany(texts, false);
    for (const std::string& text : texts) ListPush(*other, text, false);
  }
  Compare();
  EXPECT_EQ(list().nodes, other->nodes);
  EXPECT_EQ(list().node_bytes, other->node_bytes);
  ListFree(heap, other);
}

TEST_F(ListTest, FreesInSlices) {
  auto* freed = new (heap.Allocate(sizeof(List), MemoryCategory::kData)) List{&heap};
  size_t before = heap.used_bytes() - Heap::GrantedSize(sizeof(List));
  for (int i = 0; i < 5000; i++) ListPush(*freed, "some element", true);
  size_t effort = ListFreeEffort(*freed);
  ASSERT_GT(effort, 4U);
  size_t slices = 1;
  while (!ListFreeSome(heap, freed, 2)) slices++;
  EXPECT_GE(slices, effort / 2);
  EXPECT_EQ(heap.used_bytes(), before);
}

TEST_F(ListTest, TidyKeepsTheElements) {
  List* other = new (heap.Allocate(sizeof(List), MemoryCategory::kData)) List{&heap};
  for (int i = 0; i < 60000; i++) {
    Push("element " + std::to_string(i), false);
    ListPush(*other, "element " + std::to_string(i), false);
  }
  ListFree(heap, other);  // every second block of the pages is free now
  uint64_t cursor = 0;
  while (!ListTidySome(list(), &cursor)) {
  }
  Compare();
}

}  // namespace
}  // namespace brim
