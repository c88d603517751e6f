#include "types/listpack.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "types/intset.h"

namespace brim {
namespace {

class Bytes final : public ValueBytes {
 public:
  explicit Bytes(size_t size) : bytes_(size) {}
  uint8_t* data() override { return bytes_.data(); }
  size_t size() const override { return bytes_.size(); }
  uint8_t* Resize(size_t bytes) override {
    bytes_.resize(bytes);
    bytes_.shrink_to_fit();  // so that a sanitizer sees every step beyond the end
    return bytes_.data();
  }

 private:
  std::vector<uint8_t> bytes_;
};

std::vector<std::string> Texts(Bytes& value) {
  std::vector<std::string> texts;
  char buffer[24];
  const uint8_t* lp = value.data();
  for (size_t at = listpack::First(lp); at != listpack::kEnd; at = listpack::Next(lp, at)) {
    texts.emplace_back(listpack::Get(lp, at).Text(buffer));
  }
  std::vector<std::string> backward;
  for (size_t at = listpack::Last(lp); at != listpack::kEnd; at = listpack::Previous(lp, at)) {
    backward.emplace_back(listpack::Get(lp, at).Text(buffer));
  }
  EXPECT_EQ(std::vector<std::string>(backward.rbegin(), backward.rend()), texts);
  return texts;
}

std::string RandomText(std::mt19937& random) {
  switch (random() % 8) {
    case 0:
      return std::to_string(static_cast<int64_t>(random()) - (1LL << 31));
    case 1:
      return std::to_string(static_cast<int>(random() % 300) - 100);
    case 2:
      return std::to_string(static_cast<int64_t>(random()) << 32 | random());
    case 3:
      return std::string(random() % 5000, 'x');
    case 4:
      return "0" + std::to_string(random() % 100);
    case 5:
      return "";
    default:
      return std::string(random() % 80, static_cast<char>('a' + random() % 26));
  }
}

TEST(Listpack, AgreesWithAVector) {
  for (unsigned seed = 1; seed <= 20; seed++) {
    std::mt19937 random(seed);
    Bytes value(listpack::kEmptyBytes);
    listpack::Init(value.data());
    std::vector<std::string> model;
    for (int step = 0; step < 400; step++) {
      std::string text = RandomText(random);
      size_t index = model.empty() ? 0 : random() % model.size();
      size_t at =
          model.empty() ? listpack::EndOffset(value.data()) : listpack::At(value.data(), static_cast<int64_t>(index));
      int64_t from_end = static_cast<int64_t>(index) - static_cast<int64_t>(model.size());
      if (!model.empty()) {
        ASSERT_EQ(listpack::At(value.data(), from_end), at);
      }
      switch (random() % 5) {
        case 0:
          listpack::Append(value, text);
          model.push_back(text);
          break;
        case 1:
          listpack::Insert(value, at, text);
          model.insert(model.begin() + static_cast<ptrdiff_t>(index), text);
          break;
        case 2:
          if (model.empty()) break;
          listpack::Replace(value, at, text);
          model[index] = text;
          break;
        case 3: {
          if (model.empty()) break;
          size_t count = std::min<size_t>(random() % 3 + 1, model.size() - index);
          listpack::Erase(value, at, count);
          model.erase(model.begin() + static_cast<ptrdiff_t>(index),
                      model.begin() + static_cast<ptrdiff_t>(index + count));
          break;
        }
        default: {
          std::string_view two[] = {text, "7"};
          listpack::InsertMany(value, at, two, 2);
          model.insert(model.begin() + static_cast<ptrdiff_t>(index), {text, "7"});
        }
      }
      ASSERT_EQ(Texts(value), model) << "seed " << seed << " step " << step;
      ASSERT_EQ(listpack::Count(value.data()), model.size());
      ASSERT_EQ(listpack::TotalBytes(value.data()), value.size());
      ASSERT_TRUE(listpack::IsValid(value.data(), value.size()));
    }
  }
}

TEST(Listpack, FindsEveryOther) {
  Bytes value(listpack::kEmptyBytes);
  listpack::Init(value.data());
  for (const char* text : {"a", "b", "b", "12", "12", "c"}) listpack::Append(value, text);
  const uint8_t* lp = value.data();
  EXPECT_EQ(listpack::Find(lp, listpack::First(lp), "b", 1), listpack::At(lp, 2));
  EXPECT_EQ(listpack::Find(lp, listpack::First(lp), "12", 1), listpack::At(lp, 4));
  EXPECT_EQ(listpack::Find(lp, listpack::First(lp), "c", 1), listpack::kEnd);
  EXPECT_EQ(listpack::Find(lp, listpack::First(lp), "c"), listpack::At(lp, 5));
}

// Bytes as redis-server 7.0 writes them (DUMP of a small hash).
TEST(Listpack, HasTheFormatOfRedis) {
  Bytes value(listpack::kEmptyBytes);
  listpack::Init(value.data());
  listpack::Append(value, "a");
  listpack::Append(value, "1");
  listpack::Append(value, "-2");
  listpack::Append(value, "1000000");
  std::vector<uint8_t> expected = {21, 0,    0,    0, 4,    0,    0x81, 'a',  2, 1,
                                   1,  0xdf, 0xfe, 2, 0xf2, 0x40, 0x42, 0x0f, 4, 0xff};
  expected[0] = static_cast<uint8_t>(expected.size());
  EXPECT_EQ(std::vector<uint8_t>(value.data(), value.data() + value.size()), expected);
}

TEST(Listpack, RefusesMalformedBytes) {
  Bytes value(listpack::kEmptyBytes);
  listpack::Init(value.data());
  for (int i = 0; i < 20; i++) listpack::Append(value, std::string(static_cast<size_t>(i) * 7, 'q'));
  std::mt19937 random(1);
  for (int i = 0; i < 20000; i++) {
    std::vector<uint8_t> copy(value.data(), value.data() + value.size());
    copy[random() % copy.size()] = static_cast<uint8_t>(random());
    if (random() % 4 == 0) copy.resize(random() % copy.size());
    listpack::IsValid(copy.data(), copy.size());  // may be either; must not read beyond the end
  }
}

TEST(Intset, AgreesWithASet) {
  std::mt19937_64 random(3);
  Bytes value(intset::kEmptyBytes);
  intset::Init(value.data());
  std::vector<int64_t> model;
  for (int step = 0; step < 3000; step++) {
    auto number = static_cast<int64_t>(random()) >> (step < 1000 ? 50 : step < 2000 ? 35 : 1);
    if (step % 3 == 2 && !model.empty()) number = model[random() % model.size()];
    auto at = std::lower_bound(model.begin(), model.end(), number);
    bool there = at != model.end() && *at == number;
    ASSERT_EQ(intset::Contains(value.data(), number), there);
    if (random() % 3 != 0) {
      ASSERT_EQ(intset::Add(value, number), !there);
      if (!there) model.insert(at, number);
    } else {
      ASSERT_EQ(intset::Remove(value, number), there);
      if (there) model.erase(at);
    }
    ASSERT_EQ(intset::Count(value.data()), model.size());
    ASSERT_EQ(intset::TotalBytes(value.data()), value.size());
    ASSERT_TRUE(intset::IsValid(value.data(), value.size()));
  }
  for (size_t i = 0; i < model.size(); i++) ASSERT_EQ(intset::Get(value.data(), i), model[i]);
}

}  // namespace
}  // namespace brim
