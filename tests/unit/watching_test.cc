// What MONITOR and HOTKEYS stand on: quoting in two steps, and the table of heavy keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/hash.h"
#include "base/quoting.h"
#include "server/hot_keys.h"

namespace brim {
namespace {

TEST(Quoting, TwoStepsAgree) {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; i++) {
    std::string text(random() % 40, '\0');
    for (char& c : text) c = static_cast<char>(random());
    std::string quoted(QuotedBytes(text), '\0');
    EXPECT_EQ(PutQuoted(quoted.data(), text), quoted.data() + quoted.size());
    EXPECT_EQ(quoted, QuoteWord(text));
    std::vector<std::string> words;
    ASSERT_TRUE(SplitWords(quoted, &words));
    EXPECT_EQ(words, std::vector<std::string>{text});
  }
}

TEST(HeavyKeys, AHeavyKeyIsNotMissed) {
  HeavyKeys keys;
  std::mt19937 random(11);
  uint64_t true_weight = 0;
  for (int i = 0; i < 200'000; i++) {
    std::string light = "light:" + std::to_string(random() % 100'000);
    keys.Add(light, HashBytes(light), 1 + random() % 3);
    if (i % 50 == 0) {
      keys.Add("heavy", HashBytes("heavy"), 10);
      true_weight += 10;
    }
  }
  auto slots = keys.slots();
  auto heaviest =
      std::max_element(slots.begin(), slots.end(), [](const auto& a, const auto& b) { return a.weight < b.weight; });
  EXPECT_EQ(heaviest->key, "heavy");
  EXPECT_GE(heaviest->weight, true_weight);
}

TEST(HeavyKeys, FewKeysAreExact) {
  HeavyKeys keys;
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < 200; i++) {
      std::string key = "key:" + std::to_string(i);
      keys.Add(key, HashBytes(key), static_cast<uint64_t>(i + 1));
    }
  }
  keys.Add("nothing", HashBytes("nothing"), 0);
  size_t found = 0;
  for (const HeavyKeys::Slot& slot : keys.slots()) {
    if (slot.weight == 0) continue;
    found++;
    EXPECT_EQ(slot.weight, 10 * (std::stoul(slot.key.substr(4)) + 1)) << slot.key;
  }
  EXPECT_EQ(found, 200u);
}

}  // namespace
}  // namespace brim
