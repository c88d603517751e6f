#include "types/hyperloglog.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>

#include "fake_value.h"
#include "types/limits.h"
#include "types/string.h"

namespace brim {
namespace {

class HyperLogLogTest : public ::testing::Test {
 protected:
  HyperLogLogTest() { Set(EmptyHll()); }
  ~HyperLogLogTest() override { encoding_limits.hll_sparse_max_bytes = 3000; }

  void Set(std::string_view text) {
    char* bytes = ResizeString(value, text.size());
    memcpy(bytes, text.data(), text.size());
  }
  std::string Text() const {
    char buffer[24];
    return std::string(ReadString(value, buffer));
  }
  HllRegisters Registers() const {
    HllRegisters registers;
    EXPECT_TRUE(HllMerge(Text(), &registers));
    return registers;
  }
  uint64_t Count() const {
    uint64_t count = 0;
    EXPECT_TRUE(HllCount(Text(), &count));
    return count;
  }

  Heap heap;
  FakeValue value{&heap, Type::kString, Encoding::kRaw, 1};
};

TEST_F(HyperLogLogTest, SparseAndDenseHoldTheSameRegisters) {
  std::mt19937 random(7);
  for (size_t limit : {size_t{0}, size_t{40}, size_t{3000}, size_t{20000}}) {
    encoding_limits.hll_sparse_max_bytes = limit;
    Set(EmptyHll());
    HllRegisters model;
    for (int round = 0; round < 12000; round++) {
      uint32_t index = random() % 3 == 0 ? random() % 64 : random() % kHllRegisters;
      auto count = static_cast<uint8_t>(1 + random() % (random() % 5000 == 0 ? 51 : 5));
      HllChange expected = model.values[index] < count ? HllChange::kChanged : HllChange::kNone;
      model.values[index] = std::max(model.values[index], count);
      ASSERT_EQ(HllRaise(value, index, count), expected);
      if (round % 1000 != 0) continue;
      ASSERT_EQ(memcmp(Registers().values, model.values, kHllRegisters), 0);
      ASSERT_EQ(Count(), HllCount(model));
      ASSERT_TRUE(HllIsDense(Text()) || Text().size() <= std::max<size_t>(limit, EmptyHll().size()));
    }
    ASSERT_TRUE(HllMakeDense(value));
    EXPECT_EQ(Text().size(), kHllDenseBytes);
    ASSERT_EQ(memcmp(Registers().values, model.values, kHllRegisters), 0);
  }
}

TEST_F(HyperLogLogTest, CountsWithinItsError) {
  uint64_t n = 0;
  for (uint64_t checked : {1, 10, 100, 1000, 10000, 100000}) {
    while (n < checked) HllAdd(value, "element " + std::to_string(n++));
    EXPECT_NEAR(static_cast<double>(Count()), static_cast<double>(n), 1 + 0.03 * static_cast<double>(n));
  }
}

TEST_F(HyperLogLogTest, BytesAreThoseOfRedisServer) {
  for (const char* element : {"a", "b", "c", "d"}) EXPECT_EQ(HllAdd(value, element), HllChange::kChanged);
  EXPECT_EQ(HllAdd(value, "a"), HllChange::kNone);
  EXPECT_EQ(HllDescribe(Text()), "Z:7292 v:1,1 Z:1143 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603");
  EXPECT_EQ(Count(), 4u);
}

TEST_F(HyperLogLogTest, RunsAreJoined) {
  for (uint32_t i : {5, 7, 6, 8, 4}) HllRaise(value, i, 3);
  EXPECT_EQ(HllDescribe(Text()), "z:4 v:3,1 v:3,4 Z:16375");
  HllRaise(value, 6, 4);
  EXPECT_EQ(HllDescribe(Text()), "z:4 v:3,2 v:4,1 v:3,2 Z:16375");
}

TEST_F(HyperLogLogTest, RaiseAllMerges) {
  for (size_t limit : {size_t{0}, size_t{20000}}) {
    encoding_limits.hll_sparse_max_bytes = limit;
    Set(EmptyHll());
    HllRegisters some;
    HllRegisters more;
    std::mt19937 random(3);
    for (int i = 0; i < 300; i++) {
      some.values[random() % kHllRegisters] = 1 + random() % 20;
      more.values[random() % kHllRegisters] = 1 + random() % 20;
    }
    ASSERT_TRUE(HllRaiseAll(value, some));
    ASSERT_TRUE(HllRaiseAll(value, more));
    for (uint32_t i = 0; i < kHllRegisters; i++) {
      ASSERT_EQ(Registers().values[i], std::max(some.values[i], more.values[i]));
    }
  }
}

TEST_F(HyperLogLogTest, CachedCount) {
  std::string text = Text();
  uint64_t count = 1;
  EXPECT_TRUE(HllCachedCount(text, &count));
  EXPECT_EQ(count, 0u);
  HllSetCachedCount(text.data(), 1234567890123);
  EXPECT_TRUE(HllCachedCount(text, &count));
  EXPECT_EQ(count, 1234567890123u);
  HllForgetCachedCount(text.data());
  EXPECT_FALSE(HllCachedCount(text, &count));
}

TEST_F(HyperLogLogTest, RefusesWhatIsNone) {
  EXPECT_FALSE(IsHll(""));
  EXPECT_FALSE(IsHll("HYLL"));
  EXPECT_TRUE(IsHll(EmptyHll()));
  EXPECT_FALSE(IsHll("hyll" + std::string(EmptyHll().substr(4))));
  std::string dense(kHllDenseBytes, '\0');
  dense.replace(0, 4, "HYLL");
  EXPECT_TRUE(IsHll(dense));
  EXPECT_FALSE(IsHll(dense + "x"));
  uint64_t count;
  HllRegisters registers;
  std::string short_one(EmptyHll().substr(0, kHllHeaderBytes));
  EXPECT_FALSE(HllCount(short_one, &count));
  EXPECT_FALSE(HllMerge(short_one + "\x7f", &registers));
  Set(short_one + "\x10");
  EXPECT_EQ(HllRaise(value, 5000, 3), HllChange::kCorrupt);
  EXPECT_EQ(HllRaise(value, 5000, 40), HllChange::kCorrupt);
  EXPECT_FALSE(HllMakeDense(value));
}

TEST(HyperLogLogSelfTest, Passes) { EXPECT_EQ(HllSelfTest(), ""); }

}  // namespace
}  // namespace brim
