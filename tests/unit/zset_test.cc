#include "types/zset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "fake_value.h"
#include "types/limits.h"

namespace brim {
namespace {

using Pair = std::pair<double, std::string>;  // sorted as the set is
using Pairs = std::vector<Pair>;

class ZsetTest : public ::testing::Test {
 protected:
  void SetUp() override { InitZset(value); }

  Pairs Order() const {
    Pairs pairs;
    for (auto& [member, score] : model) pairs.emplace_back(score, member);
    std::sort(pairs.begin(), pairs.end());
    return pairs;
  }
  static Pairs Read(const Value& v, ZsetRanks ranks, bool backward) {
    Pairs pairs;
    ZsetForRanks(v, ranks, backward, [&](std::string_view member, double score) {
      pairs.emplace_back(score, member);
      return true;
    });
    return pairs;
  }
  void Set(const std::string& member, double score) {
    ZsetSet(value, member, score);
    model[member] = score;
  }
  void Compare() {
    Pairs order = Order();
    ASSERT_EQ(ZsetLength(value), order.size());
    ASSERT_EQ(Read(value, {0, SIZE_MAX}, false), order);
    std::reverse(order.begin(), order.end());
    ASSERT_EQ(Read(value, {0, SIZE_MAX}, true), order);
    if (value.external()) {
      ASSERT_TRUE(value.As<Zset>()->tree.IsConsistent());
      ASSERT_EQ(value.As<Zset>()->table.size(), order.size());
    }
  }
  static size_t CountIf(const Pairs& order, auto&& wanted) {
    return static_cast<size_t>(std::count_if(order.begin(), order.end(), wanted));
  }

  std::mt19937_64 random{11};
  uint64_t Below(uint64_t n) { return random() % n; }
  // Few different ones, so that equal scores are common; whole and broken numbers of all widths.
  double RandomScore() {
    switch (Below(6)) {
      case 0:
        return static_cast<double>(static_cast<int64_t>(random()));
      case 1:
        return std::numeric_limits<double>::infinity() * (Below(2) ? 1 : -1);
      case 2:
        return static_cast<double>(Below(1000)) / 7;
      default:
        return static_cast<double>(Below(40)) - 20;
    }
  }
  std::string RandomMember(size_t pool) {
    size_t n = Below(pool);
    if (n % 3 == 0) return std::to_string(n);
    if (n % 97 == 1) return std::string(n % 300, 'x') + std::to_string(n);
    return "member" + std::to_string(n);
  }

  void CheckReads(const Pairs& order) {
    std::string member = RandomMember(500);
    auto known = model.find(member);
    double score = 0;
    size_t rank = 0;
    ASSERT_EQ(ZsetScore(value, member, &score), known != model.end());
    ASSERT_EQ(ZsetRank(value, member, &rank), known != model.end());
    if (known != model.end()) {
      ASSERT_EQ(score, known->second);
      ASSERT_EQ(order[rank], Pair(score, member));
    }
    ZsetScoreRange range{RandomScore(), RandomScore(), Below(2) == 0, Below(2) == 0};
    size_t wanted = CountIf(order, [&](const Pair& p) {
      return (range.without_min ? p.first > range.min : p.first >= range.min) &&
             (range.without_max ? p.first < range.max : p.first <= range.max);
    });
    ZsetRanks ranks = ZsetRanksOf(value, range);
    ASSERT_EQ(ranks.size(), wanted);
    if (wanted == 0) return;
    double lowest = order[ranks.begin].first;
    ASSERT_TRUE(range.without_min ? lowest > range.min : lowest >= range.min);
  }

  Heap heap;
  FakeValue value{&heap, Type::kZset};
  std::map<std::string, double> model;
};

TEST_F(ZsetTest, BeginsEmpty) {
  EXPECT_EQ(ZsetLength(value), 0u);
  EXPECT_EQ(value.encoding(), Encoding::kListpack);
  EXPECT_EQ(value.size(), EmptyZsetBytes());
  EXPECT_EQ(ZsetRanksOf(value, ZsetScoreRange{-1, 1}).size(), 0u);
  EXPECT_FALSE(ZsetRemove(value, "a"));
  Compare();
}

TEST_F(ZsetTest, ConvertsByCountAndByLength) {
  for (int i = 0; i < 128; i++) Set("m" + std::to_string(i), i % 7);
  EXPECT_EQ(value.encoding(), Encoding::kListpack);
  Compare();
  Set("m5", 100);
  EXPECT_EQ(value.encoding(), Encoding::kListpack);
  Set("one more", -1);
  EXPECT_EQ(value.encoding(), Encoding::kSkiplist);
  Compare();

  FakeValue other(&heap, Type::kZset);
  InitZset(other);
  ZsetSet(other, std::string(64, 'a'), 1);
  EXPECT_EQ(other.encoding(), Encoding::kListpack);
  ZsetSet(other, std::string(65, 'a'), 1);
  EXPECT_EQ(other.encoding(), Encoding::kSkiplist);
  EXPECT_EQ(ZsetLength(other), 2u);
}

TEST_F(ZsetTest, KeepsScoresExactly) {
  for (int round = 0; round < 2; round++) {
    for (double score :
         {0.1, -0.0, 1e300, 4.9e-324, 1.0 / 3, 9007199254740993.0, -4503599627370496.0, 3.0e38, -128.0}) {
      ZsetSet(value, "a", score);
      double read = 7;
      ASSERT_TRUE(ZsetScore(value, "a", &read));
      EXPECT_EQ(read, score);
    }
    ZsetConvertToTree(value);
  }
}

TEST_F(ZsetTest, FollowsTheRules) {
  for (int round = 0; round < 2; round++) {
    ZsetSet(value, "a", 5);
    double result = 0;
    auto add = [&](const char* member, double score, ZsetAddRules rules) {
      return ZsetAdd(value, member, score, rules, &result);
    };
    EXPECT_EQ(add("a", 6, {.only_new = true}), ZsetAddResult::kRefused);
    EXPECT_EQ(add("b", 6, {.only_existing = true}), ZsetAddResult::kRefused);
    EXPECT_EQ(add("a", 5, {}), ZsetAddResult::kSame);
    EXPECT_EQ(add("a", 4, {.only_greater = true}), ZsetAddResult::kRefused);
    EXPECT_EQ(add("a", 6, {.only_less = true}), ZsetAddResult::kRefused);
    EXPECT_EQ(add("a", 6, {.only_greater = true}), ZsetAddResult::kUpdated);
    EXPECT_EQ(add("a", -2, {.increment = true}), ZsetAddResult::kUpdated);
    EXPECT_EQ(result, 4);
    EXPECT_EQ(add("a", -2, {.only_greater = true, .increment = true}), ZsetAddResult::kRefused);
    EXPECT_EQ(add("inf", INFINITY, {.increment = true}), ZsetAddResult::kAdded);
    EXPECT_EQ(add("inf", -INFINITY, {.increment = true}), ZsetAddResult::kNan);
    EXPECT_EQ(ZsetLength(value), 2u);
    ZsetRemove(value, "inf");
    ZsetConvertToTree(value);
  }
}

TEST_F(ZsetTest, CombinesScores) {
  auto sum = [](double a, double b) { return a + b; };
  for (int round = 0; round < 2; round++) {
    double score = 0;
    ZsetSet(value, "a", -0.0);
    ZsetCombine(value, "a", 0, sum);
    ASSERT_TRUE(ZsetScore(value, "a", &score));
    EXPECT_FALSE(std::signbit(score));
    ZsetCombine(value, "a", 7, sum);
    ZsetCombine(value, "new", 2, sum);
    ZsetCombine(value, "a", 0.5, sum);
    EXPECT_EQ(Read(value, {0, 9}, false), (Pairs{{2, "new"}, {7.5, "a"}}));
    ZsetRemove(value, "a");
    ZsetRemove(value, "new");
    ZsetConvertToTree(value);
  }
}

TEST_F(ZsetTest, PacksSmallResults) {
  ZsetConvertToTree(value);
  for (int i = 0; i < 129; i++) Set("m" + std::to_string(i), i % 10);
  ZsetPackIfSmall(value);
  EXPECT_EQ(value.encoding(), Encoding::kSkiplist);
  ZsetRemove(value, "m0");
  model.erase("m0");
  Set("m1", -0.0);
  ZsetPackIfSmall(value);
  EXPECT_EQ(value.encoding(), Encoding::kListpack);
  Compare();
  double score = 1;
  ASSERT_TRUE(ZsetScore(value, "m1", &score));
  EXPECT_FALSE(std::signbit(score));
  EXPECT_EQ(heap.used_bytes(), Heap::GrantedSize(value.size()));
}

TEST_F(ZsetTest, AgreesWithAModel) {
  for (int round = 0; round < 4; round++) {
    size_t pool = round % 2 == 0 ? 60 : 3000;
    if (round == 2) ZsetConvertToTree(value);
    for (int step = 0; step < 6000; step++) {
      std::string member = RandomMember(pool);
      if (Below(100) < 65) {
        Set(member, RandomScore());
      } else {
        ASSERT_EQ(ZsetRemove(value, member), model.erase(member) == 1);
      }
      if (step % 200 == 0) {
        Compare();
        CheckReads(Order());
      }
    }
    Compare();
    // Back to little by removing runs.
    while (model.size() > 20) {
      Pairs order = Order();
      size_t begin = Below(order.size());
      size_t end = std::min(order.size() + 1, begin + Below(300));
      ZsetRemoveRanks(value, {begin, end});
      for (size_t i = begin; i < std::min(end, order.size()); i++) model.erase(order[i].second);
      if (Below(5) == 0) Compare();
    }
    Compare();
  }
}

TEST_F(ZsetTest, FindsLexRanges) {
  for (int i = 0; i < 26; i++) Set(std::string(1, static_cast<char>('a' + i)), 3);
  auto text = [](std::string_view t, bool without) {
    return ZsetLexRange::Bound{ZsetLexRange::Bound::kText, without, t};
  };
  ZsetLexRange::Bound lowest{ZsetLexRange::Bound::kLowest, true, {}};
  ZsetLexRange::Bound highest{ZsetLexRange::Bound::kHighest, true, {}};
  for (int round = 0; round < 2; round++) {
    for (bool backward : {false, true}) {
      auto find = [&](const ZsetLexRange::Bound& min, const ZsetLexRange::Bound& max) {
        ZsetRanks ranks = ZsetRanksOf(value, {min, max}, backward);
        return ranks.size() == 0 ? std::pair<size_t, size_t>(0, 0) : std::pair(ranks.begin, ranks.end);
      };
      EXPECT_EQ(find(lowest, highest), std::pair(size_t{0}, size_t{26}));
      EXPECT_EQ(find(text("c", false), text("e", false)), std::pair(size_t{2}, size_t{5}));
      EXPECT_EQ(find(text("c", true), text("e", true)), std::pair(size_t{3}, size_t{4}));
      EXPECT_EQ(find(text("cc", true), highest), std::pair(size_t{3}, size_t{26}));
      EXPECT_EQ(find(lowest, text("b", true)), std::pair(size_t{0}, size_t{1}));
      EXPECT_EQ(find(highest, lowest), std::pair(size_t{0}, size_t{0}));
      EXPECT_EQ(find(text("e", false), text("c", false)), std::pair(size_t{0}, size_t{0}));
      EXPECT_EQ(find(text("e", false), text("e", true)), std::pair(size_t{0}, size_t{0}));
    }
    ZsetConvertToTree(value);
  }
}

TEST_F(ZsetTest, ScansAndSamplesEverything) {
  for (int round = 0; round < 2; round++) {
    std::set<std::string> scanned;
    for (uint64_t cursor = 0;;) {
      cursor = ZsetScan(value, cursor, [&](std::string_view member, double score) {
        EXPECT_EQ(model[std::string(member)], score);
        scanned.emplace(member);
        return true;
      });
      if (cursor == 0) break;
    }
    EXPECT_EQ(scanned.size(), model.size());
    std::set<std::string> sampled;
    ZsetSample(value, model.size(), [&](std::string_view member, double) { return sampled.emplace(member).second; });
    EXPECT_EQ(sampled.size(), model.size());
    for (int i = 0; i < (round == 0 ? 100 : 5000); i++) Set(RandomMember(4000), RandomScore());
    std::set<std::string> drawn;
    size_t count = 0;
    ZsetDraw(value, 2000, [&](std::string_view member, double) {
      drawn.emplace(member);
      return ++count > 0;
    });
    EXPECT_EQ(count, 2000u);
    EXPECT_GT(drawn.size(), std::min<size_t>(model.size(), 2000) / 2);
  }
}

TEST_F(ZsetTest, CopiesAndFreesInSlices) {
  for (int i = 0; i < 5000; i++) Set(RandomMember(9000), RandomScore());
  size_t before = heap.used_bytes();
  FakeValue copy(&heap, Type::kZset);
  CopyZset(value, copy);
  EXPECT_EQ(copy.encoding(), Encoding::kSkiplist);
  EXPECT_EQ(Read(copy, {0, SIZE_MAX}, false), Order());
  EXPECT_EQ(heap.used_bytes() - before, ZsetExternalBytes(*copy.As<Zset>()));
  auto* zset = static_cast<Zset*>(copy.ReleaseStructure());
  EXPECT_GE(ZsetFreeEffort(*zset), model.size());
  int slices = 1;
  while (!ZsetFreeSome(heap, zset, 200)) slices++;
  EXPECT_GT(slices, 10);
  EXPECT_EQ(heap.used_bytes(), before);
}

TEST_F(ZsetTest, MovesItsBlocksOutOfGaps) {
  for (int i = 0; i < 20000; i++) Set("m" + std::to_string(i), RandomScore());
  for (int i = 0; i < 20000; i++) {
    if (i % 5 == 0) continue;
    ZsetRemove(value, "m" + std::to_string(i));
    model.erase("m" + std::to_string(i));
  }
  size_t before = heap.own().page_bytes();
  EXPECT_GT(heap.own().BeginEvacuation(BlockKind::kPart, SIZE_MAX), 0u);
  uint64_t cursor = 0;
  while (!ZsetTidy(heap, value.As<Zset>(), &cursor)) {
  }
  EXPECT_EQ(heap.own().EndEvacuation(BlockKind::kPart), 0u);
  EXPECT_LT(heap.own().page_bytes(), before);
  Compare();
}

}  // namespace
}  // namespace brim
