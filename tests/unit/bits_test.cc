#include "base/bits.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <string>
#include <vector>

namespace brim {
namespace {

// Texts of all lengths around words and vectors; runs of equal bytes, so that searches go far.
std::string Draw(std::mt19937& random, size_t size) {
  std::string text(size, random() % 2 ? '\0' : '\xff');
  for (size_t i = random() % 40; i < size; i += 1 + random() % 70) text[i] = static_cast<char>(random());
  return text;
}

bool Bit(const std::string& text, uint64_t at) {
  return at / 8 < text.size() && (static_cast<uint8_t>(text[at / 8]) >> (7 - at % 8) & 1);
}

TEST(BitsTest, CountsAndFindsAsBitByBit) {
  std::mt19937 random(1);
  for (int round = 0; round < 3000; round++) {
    std::string text = Draw(random, 1 + random() % 200);
    uint64_t bits = text.size() * 8;
    uint64_t first = random() % bits;
    uint64_t last = first + random() % (bits - first);
    uint64_t count = 0;
    int64_t found[2] = {-1, -1};
    for (uint64_t at = first; at <= last; at++) {
      bool bit = Bit(text, at);
      count += bit ? 1 : 0;
      if (found[bit] < 0) found[bit] = static_cast<int64_t>(at);
      EXPECT_EQ(BitAt(text, at), bit);
    }
    EXPECT_EQ(CountBits(text, first, last), count);
    EXPECT_EQ(FindBit(text, first, last, false), found[0]);
    EXPECT_EQ(FindBit(text, first, last, true), found[1]);
    if (first == 0 && last == bits - 1) {
      EXPECT_EQ(CountBits(text), count);
    }
  }
  EXPECT_EQ(CountBits(""), 0u);
  EXPECT_FALSE(BitAt("", 0));
}

TEST(BitsTest, ReadsAndWritesFields) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 20000; round++) {
    std::string text(1 + random() % 24, '\0');
    for (char& c : text) c = static_cast<char>(random());
    auto width = static_cast<unsigned>(1 + random() % 64);
    uint64_t at = random() % (text.size() * 8 + 20);
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++) value = value << 1 | (Bit(text, at + i) ? 1 : 0);
    ASSERT_EQ(ReadBits(text, at, width), value) << at << " " << width;
    if (at + width > text.size() * 8) continue;
    uint64_t fresh = random() >> (64 - width);
    std::string before = text;
    WriteBits(text.data(), at, width, fresh);
    ASSERT_EQ(ReadBits(text, at, width), fresh);
    for (uint64_t i = 0; i < text.size() * 8; i++) {
      if (i >= at && i < at + width) continue;
      ASSERT_EQ(Bit(text, i), Bit(before, i));
    }
  }
}

bool Combined(BitOperation operation, const std::vector<bool>& bits) {
  size_t ones = 0;
  for (bool bit : bits) ones += bit ? 1 : 0;
  bool others = ones > (bits[0] ? 1u : 0u);
  switch (operation) {
    case BitOperation::kAnd:
      return ones == bits.size();
    case BitOperation::kOr:
      return ones > 0;
    case BitOperation::kXor:
      return ones % 2 == 1;
    case BitOperation::kNot:
      return !bits[0];
    case BitOperation::kDiff:
      return bits[0] && !others;
    case BitOperation::kDiff1:
      return !bits[0] && others;
    case BitOperation::kAndOr:
      return bits[0] && others;
    default:
      return ones == 1;
  }
}

TEST(BitsTest, CombinesAsBitByBit) {
  std::mt19937 random(3);
  for (int round = 0; round < 400; round++) {
    auto operation = static_cast<BitOperation>(random() % 8);
    size_t count = operation == BitOperation::kNot ? 1 : 2 + random() % 4;
    std::vector<std::string> texts;
    std::vector<std::string_view> views;
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
      texts.push_back(random() % 10 == 0 ? "" : Draw(random, random() % (round % 20 == 0 ? 9000 : 100)));
      longest = std::max(longest, texts.back().size());
    }
    for (const std::string& text : texts) views.emplace_back(text);
    std::string result(longest + 1, 'x');
    CombineBits(operation, views.data(), count, result.data(), longest);
    EXPECT_EQ(result[longest], 'x');
    for (uint64_t at = 0; at < longest * 8; at++) {
      std::vector<bool> bits;
      for (const std::string& text : texts) bits.push_back(Bit(text, at));
      ASSERT_EQ(Bit(result, at), Combined(operation, bits)) << static_cast<int>(operation) << " " << at;
    }
  }
  // Absent keys.
  std::string_view none[2] = {};
  CombineBits(BitOperation::kOne, none, 2, nullptr, 0);
}

}  // namespace
}  // namespace brim
