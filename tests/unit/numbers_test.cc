#include "base/numbers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "base/glob.h"

namespace brim {
namespace {

TEST(Numbers, Int64) {
  for (const char* bad : {"", " 1", "1 ", "+1", "01", "-0", "-", "1x", "9223372036854775808", "-9223372036854775809"}) {
    int64_t value = 5;
    EXPECT_FALSE(ParseInt64(bad, &value)) << bad;
  }
  for (int64_t n : {int64_t{0}, int64_t{7}, int64_t{-1}, int64_t{100}, int64_t{1234567},
                    std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
    char text[24];
    std::string_view written(text, static_cast<size_t>(FormatInt64(n, text)));
    EXPECT_EQ(written, std::to_string(n));
    int64_t back;
    EXPECT_TRUE(ParseInt64(written, &back));
    EXPECT_EQ(back, n);
  }
}

TEST(Numbers, EveryLengthOfUint64) {
  auto written = [](uint64_t n) {
    char text[24];
    return std::string(text, static_cast<size_t>(FormatUint64(n, text)));
  };
  for (uint64_t power = 1;; power *= 10) {
    for (uint64_t n : {power - 1, power, power + 1, power * 9}) EXPECT_EQ(written(n), std::to_string(n));
    if (power == 10'000'000'000'000'000'000u) break;
  }
  for (int bit = 0; bit < 64; bit++) {
    for (uint64_t n : {(uint64_t{1} << bit) - 1, uint64_t{1} << bit}) EXPECT_EQ(written(n), std::to_string(n));
  }
  EXPECT_EQ(written(UINT64_MAX), "18446744073709551615");
}

std::string Double(double value) {
  char text[40];
  return {text, static_cast<size_t>(FormatDouble17(value, text))};
}

std::string Human(long double value) {
  static char text[5120];
  return {text, static_cast<size_t>(FormatLongDoubleHuman(value, text))};
}

TEST(Numbers, Doubles) {
  EXPECT_EQ(Double(3), "3");
  EXPECT_EQ(Double(-0.0), "-0");
  EXPECT_EQ(Double(0.1), "0.10000000000000001");
  EXPECT_EQ(Double(1e20), "1e+20");
  EXPECT_EQ(Double(INFINITY), "inf");
  EXPECT_EQ(Double(-INFINITY), "-inf");
  EXPECT_EQ(Human(3.0L), "3");
  EXPECT_EQ(Human(10.5L), "10.5");
  EXPECT_EQ(Human(-0.0L), "0");
  double value;
  EXPECT_TRUE(ParseDouble("0x10", &value) && value == 16);
  EXPECT_TRUE(ParseDouble("-inf", &value) && std::isinf(value));
  for (const char* bad : {"", " 1", "1 ", "nan", "1e999", "abc", "1,5"}) EXPECT_FALSE(ParseDouble(bad, &value)) << bad;
}

TEST(Numbers, MemorySizes) {
  int64_t bytes;
  EXPECT_TRUE(ParseMemorySize("100", &bytes) && bytes == 100);
  EXPECT_TRUE(ParseMemorySize("1k", &bytes) && bytes == 1000);
  EXPECT_TRUE(ParseMemorySize("1Kb", &bytes) && bytes == 1024);
  EXPECT_TRUE(ParseMemorySize("8gb", &bytes) && bytes == 8LL << 30);
  for (const char* bad : {"x", "1x", "-1", "1 mb", "99999999999gb"}) EXPECT_FALSE(ParseMemorySize(bad, &bytes)) << bad;
  bool too_large;
  for (const char* large : {"9223372036854775808", "99999999999999999999", "99999999999gb"})
    EXPECT_TRUE(!ParseMemorySize(large, &bytes, &too_large) && too_large) << large;
  EXPECT_TRUE(!ParseMemorySize("99999999999999999999x", &bytes, &too_large) && !too_large);
}

TEST(Numbers, ShortDecimals) {
  EXPECT_EQ(ShortDecimal(50), "50");
  EXPECT_EQ(ShortDecimal(99.9), "99.9");
  EXPECT_EQ(ShortDecimal(100), "100");
  EXPECT_EQ(ShortDecimal(0), "0");
  EXPECT_EQ(ShortDecimal(33.33333333), "33.333333");
}

TEST(Glob, Matches) {
  EXPECT_FALSE(GlobMatch("*", "", false));  // as redis-server
  EXPECT_TRUE(GlobMatch("*", "a", false));
  EXPECT_TRUE(GlobMatch("h?llo", "hello", false));
  EXPECT_TRUE(GlobMatch("h[ae]llo", "hallo", false));
  EXPECT_FALSE(GlobMatch("h[^e]llo", "hello", false));
  EXPECT_TRUE(GlobMatch("h[a-c]*o", "hbxxo", false));
  EXPECT_TRUE(GlobMatch("a\\*b", "a*b", false));
  EXPECT_FALSE(GlobMatch("a\\*b", "axb", false));
  EXPECT_TRUE(GlobMatch("*a*b*c*", "xxaxxbxxc", false));
  EXPECT_FALSE(GlobMatch("*a*b*c", "xxaxxbxxcx", false));
  EXPECT_TRUE(GlobMatch("ABC", "abc", true));
  EXPECT_FALSE(GlobMatch("", "a", false));
  std::string text(200, 'a');
  EXPECT_FALSE(GlobMatch("a*a*a*a*a*a*a*a*a*a*a*a*a*b", text, false));  // no exponential time
}

}  // namespace
}  // namespace brim
