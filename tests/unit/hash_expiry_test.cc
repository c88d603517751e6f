#include "types/hash_expiry.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "fake_value.h"
#include "types/expiry_hint.h"
#include "types/limits.h"

namespace brim {
namespace {

constexpr int64_t kNow = kHintBaseMs + 1'000'000 * kHintUnitMs;  // the beginning of a unit

struct Cell {
  std::string text;
  int64_t at_ms;
};
using Model = std::map<std::string, Cell>;

// A value that remembers when it is said to be next due.
class NotedValue : public DetachedValue {
 public:
  using DetachedValue::DetachedValue;
  void NoteDue(int64_t at_ms) override { noted_ms = std::min(noted_ms, at_ms); }
  int64_t noted_ms = INT64_MAX;
};

class HashExpiryTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    saved_ = encoding_limits;
    encoding_limits.hash_max_listpack_entries = GetParam();
    value_ = std::make_unique<NotedValue>(&heap_, Type::kHash, Encoding::kListpack, EmptyHashBytes());
    InitHash(*value_);
  }
  void TearDown() override {
    value_.reset();
    EXPECT_EQ(heap_.used_bytes(), 0U);
    encoding_limits = saved_;
  }

  static Model Read(const Value& value) {
    Model model;
    HashForEachTimed(value, [&](std::string_view field, std::string_view text, int64_t at_ms) {
      EXPECT_TRUE(model.emplace(field, Cell{std::string(text), at_ms}).second) << field;
    });
    return model;
  }
  static void ExpectSame(const Model& got, const Model& wanted) {
    ASSERT_EQ(got.size(), wanted.size());
    for (auto& [field, cell] : wanted) {
      auto it = got.find(field);
      ASSERT_NE(it, got.end()) << field;
      ASSERT_EQ(it->second.text, cell.text) << field;
      ASSERT_EQ(it->second.at_ms, cell.at_ms) << field;
    }
  }
  void Check() {
    Value& value = *value_;
    ASSERT_EQ(HashLength(value), model_.size());
    ExpectSame(Read(value), model_);
    size_t timed = 0;
    int64_t earliest = INT64_MAX;
    for (auto& [field, cell] : model_) {
      char buffer[24];
      std::string_view text;
      ASSERT_TRUE(HashGet(value, field, buffer, &text)) << field;
      ASSERT_EQ(text, cell.text);
      ASSERT_EQ(HashFieldTime(value, field), cell.at_ms);
      timed += cell.at_ms >= 0 ? 1 : 0;
      if (cell.at_ms >= 0) earliest = std::min(earliest, cell.at_ms);
    }
    ASSERT_EQ(HashFieldTime(value, "never"), kNoField);
    // Timed encodings exactly as long as there is a time.
    ASSERT_EQ(HashIsTimed(value), timed > 0);
    ASSERT_EQ(HashTimedFields(value), timed);
    ASSERT_LE(HashNextDue(value), earliest);
    ASSERT_LE(value_->noted_ms, earliest);
    if (!value.external()) {
      ASSERT_EQ(HashNextDue(value), earliest);
    }
    ASSERT_EQ(heap_.used_bytes(), value.external() ? ExternalBytes(value, 0) : Heap::GrantedSize(value.size()));
  }
  // Deletes what is due and compares with the model.
  void Expire(int64_t now_ms) {
    DueFields due;
    std::set<std::string> gone;
    while (due.Find(*value_, now_ms)) {
      for (std::string_view name : due.names()) ASSERT_TRUE(gone.emplace(name).second) << name;
      due.Delete(*value_);
    }
    for (auto it = model_.begin(); it != model_.end();) {
      bool past = FieldIsDue(it->second.at_ms, now_ms);
      // A table's fields are found when their unit is over.
      bool must = past && (ExpiryHint(it->second.at_ms) < ExpiryHint(now_ms));
      bool went = gone.contains(it->first);
      ASSERT_TRUE(!went || past) << it->first;
      ASSERT_TRUE(went || !must) << it->first;
      it = went ? model_.erase(it) : std::next(it);
    }
    Check();
  }

  std::string Field() { return (random_() % 3 == 0 ? "" : "field:") + std::to_string(random_() % span_); }
  std::string Text() {
    switch (random_() % 3) {
      case 0:
        return std::to_string(static_cast<int64_t>(random_()) >> (random_() % 64));
      case 1:
        return std::string(random_() % 60, 'x');
      default:
        return random_() % 8 == 0 ? std::string(200, 'y') : "text";
    }
  }
  int64_t Time() {
    switch (random_() % 4) {
      case 0:
        return 1 + static_cast<int64_t>(random_() % 1000);
      case 1:
        return kFieldTimeMax - static_cast<int64_t>(random_() % 3);
      default:
        return kNow + static_cast<int64_t>(random_() % 60'000);
    }
  }

  void Step();

  EncodingLimits saved_;
  Heap heap_;
  std::unique_ptr<NotedValue> value_;
  Model model_;
  std::mt19937_64 random_{GetParam() + 5};
  size_t span_ = 20;
};

void HashExpiryTest::Step() {
  std::string field = Field();
  std::string text = Text();
  auto it = model_.find(field);
  switch (random_() % 8) {
    case 0:
    case 1:
      ASSERT_EQ(HashSet(*value_, field, text), it == model_.end());
      model_[field] = {text, kNoTime};
      break;
    case 2:
      ASSERT_EQ(HashSetKeepingTime(*value_, field, text), it == model_.end());
      model_[field] = {text, it == model_.end() ? kNoTime : it->second.at_ms};
      break;
    case 3:
    case 4:
    case 5: {
      int64_t at_ms = Time();
      ASSERT_EQ(HashSetFieldTime(*value_, field, at_ms), it != model_.end());
      if (it != model_.end()) it->second.at_ms = at_ms;
      break;
    }
    case 6:
      ASSERT_EQ(HashSetFieldTime(*value_, field, kNoTime), it != model_.end());
      if (it != model_.end()) it->second.at_ms = kNoTime;
      break;
    default:
      ASSERT_EQ(HashDelete(*value_, field), it != model_.end());
      if (it != model_.end()) model_.erase(it);
      break;
  }
}

TEST_P(HashExpiryTest, FollowsAModel) {
  for (size_t round = 0; round < 40; round++) {
    span_ = round % 4 == 0 ? 3 : round % 4 == 1 ? 2000 : 60;
    for (int i = 0; i < 300; i++) {
      Step();
      if (HasFatalFailure()) return;
    }
    Check();
    if (HasFatalFailure()) return;
    if (round % 2 == 1) Expire(kNow + static_cast<int64_t>(random_() % 60'000));
    if (HasFatalFailure()) return;
  }
  Expire(kFieldTimeMax);
}

TEST_P(HashExpiryTest, CopiesAndFrees) {
  span_ = 3000;
  for (int i = 0; i < 5000; i++) Step();
  {
    NotedValue copy(&heap_, Type::kHash, Encoding::kListpack, EmptyHashBytes());
    CopyHash(*value_, copy);
    ASSERT_EQ(copy.encoding(), value_->encoding());
    ExpectSame(Read(copy), model_);
    ASSERT_EQ(HashTimedFields(copy), HashTimedFields(*value_));
    ASSERT_LE(copy.noted_ms, HashNextDue(*value_));
    ASSERT_TRUE(HashIsTimed(copy));
    if (copy.external()) {
      // In slices, as lazy freeing does.
      Detached detached{Type::kHash, copy.encoding(), copy.ReleaseStructure()};
      int slices = 1;
      while (!FreeSome(heap_, &detached, 100)) slices++;
      ASSERT_GT(slices, 1);
    }
  }
  Check();
}

TEST_P(HashExpiryTest, BlocksMove) {
  span_ = 3000;
  for (int i = 0; i < 8000; i++) Step();
  if (!value_->external()) return;
  for (int i = 0; i < 500; i++) {
    std::string field = Field();
    HashDelete(*value_, field);
    model_.erase(field);
  }
  heap_.own().BeginEvacuation(BlockKind::kPart, SIZE_MAX);
  uint64_t cursor = 0;
  while (!TidyStructure(heap_, Type::kHash, value_->encoding(), value_->pointer(), &cursor)) {
  }
  heap_.own().EndEvacuation(BlockKind::kPart);
  Check();
  Expire(kNow + 30'000);
}

TEST_P(HashExpiryTest, HidesWhatIsDue) {
  for (int i = 0; i < 100; i++) {
    std::string field = "f" + std::to_string(i);
    HashSet(*value_, field, std::to_string(i));
    if (i % 3 != 0) HashSetFieldTime(*value_, field, i % 3 == 1 ? kNow - 1 : kNow);
  }
  ASSERT_EQ(HashLiveLength(*value_, kNow), 67U);
  ASSERT_EQ(HashLiveLength(*value_, INT64_MIN), 100U);
  auto visible = [](std::string_view field) { return std::stoi(std::string(field.substr(1))) % 3 != 1; };
  size_t seen = 0;
  HashForEachLive(*value_, kNow, [&](std::string_view field, std::string_view) {
    seen++;
    ASSERT_TRUE(visible(field));
  });
  ASSERT_EQ(seen, 67U);
  std::set<std::string> scanned;
  uint64_t cursor = 0;
  do {
    cursor = HashScanLive(*value_, cursor, kNow, [&](std::string_view field, std::string_view) {
      ASSERT_TRUE(visible(field));
      scanned.emplace(field);
    });
  } while (cursor != 0);
  ASSERT_EQ(scanned.size(), 67U);
  std::set<std::string> sampled;
  HashSampleLive(*value_, kNow, 67, true, [&](std::string_view field, std::string_view) { sampled.emplace(field); });
  ASSERT_EQ(sampled, scanned);
  std::set<std::string> drawn;
  HashSampleLive(*value_, kNow, 5000, false, [&](std::string_view field, std::string_view) { drawn.emplace(field); });
  ASSERT_EQ(drawn, scanned);
}

TEST(ExpiryHintTest, IsALowerBound) {
  for (int64_t at_ms : {int64_t{1}, kHintBaseMs - 1, kHintBaseMs, kNow, kNow + 255, kNow + 256, kFieldTimeMax}) {
    EXPECT_LE(EarliestOfHint(ExpiryHint(at_ms)), at_ms);
  }
  EXPECT_EQ(EarliestOfHint(Table::kNoHint), INT64_MAX);
}

INSTANTIATE_TEST_SUITE_P(Encodings, HashExpiryTest, ::testing::Values(0, 8, 512, 100'000));

}  // namespace
}  // namespace brim
