#include "persist/legacy_encodings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/numbers.h"

namespace brim {
namespace {

using Bytes = std::vector<uint8_t>;
using Texts = std::vector<std::string>;
using Pairs = std::vector<std::pair<std::string, std::string>>;

void PutLittle(Bytes& to, uint64_t n, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) to.push_back(static_cast<uint8_t>(n >> (8 * i)));
}

void PutText(Bytes& to, std::string_view text) { to.insert(to.end(), text.begin(), text.end()); }

Bytes Joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// Encoding and data of a ziplist's entry.
Bytes ZiplistText(std::string_view text, size_t length_bytes) {
  Bytes body;
  size_t size = text.size();
  if (length_bytes == 1) {
    body = {static_cast<uint8_t>(size)};
  } else if (length_bytes == 2) {
    body = {static_cast<uint8_t>(0x40 | size >> 8), static_cast<uint8_t>(size)};
  } else {
    body = {0x80, static_cast<uint8_t>(size >> 24), static_cast<uint8_t>(size >> 16), static_cast<uint8_t>(size >> 8),
            static_cast<uint8_t>(size)};
  }
  PutText(body, text);
  return body;
}

Bytes ZiplistBody(std::string_view text) {
  int64_t n = 0;
  if (!ParseInt64(text, &n)) return ZiplistText(text, text.size() < 64 ? 1 : text.size() < 16384 ? 2 : 5);
  if (n >= 0 && n <= 12) return {static_cast<uint8_t>(0xf1 + n)};
  struct Width {
    uint8_t encoding;
    size_t bytes;
  };
  for (Width width : {Width{0xfe, 1}, Width{0xc0, 2}, Width{0xf0, 3}, Width{0xd0, 4}}) {
    int64_t limit = int64_t{1} << (8 * width.bytes - 1);
    if (n < -limit || n >= limit) continue;
    Bytes body = {width.encoding};
    PutLittle(body, static_cast<uint64_t>(n), width.bytes);
    return body;
  }
  Bytes body = {0xe0};
  PutLittle(body, static_cast<uint64_t>(n), 8);
  return body;
}

// A ziplist of such bodies; `wide` tells of each entry before in five bytes.
Bytes Ziplist(const std::vector<Bytes>& bodies, bool wide = false) {
  Bytes entries;
  size_t previous = 0;
  size_t last = 10;
  for (const Bytes& body : bodies) {
    last = 10 + entries.size();
    if (wide || previous >= 254) {
      entries.push_back(254);
      PutLittle(entries, previous, 4);
    } else {
      entries.push_back(static_cast<uint8_t>(previous));
    }
    entries.insert(entries.end(), body.begin(), body.end());
    previous = 10 + entries.size() - last;
  }
  Bytes all;
  PutLittle(all, 10 + entries.size() + 1, 4);
  PutLittle(all, last, 4);
  PutLittle(all, std::min<size_t>(bodies.size(), 65535), 2);
  return Joined({all, entries, {0xff}});
}

Bytes ZiplistOf(const Texts& texts, bool wide = false) {
  std::vector<Bytes> bodies;
  for (const std::string& text : texts) bodies.push_back(ZiplistBody(text));
  return Ziplist(bodies, wide);
}

void PutZipmapLength(Bytes& to, size_t length) {
  if (length >= 254) {
    to.push_back(254);
    PutLittle(to, length, 4);
  } else {
    to.push_back(static_cast<uint8_t>(length));
  }
}

Bytes Zipmap(const Pairs& pairs, uint8_t unused = 0) {
  Bytes all = {static_cast<uint8_t>(std::min<size_t>(pairs.size(), 254))};
  for (const auto& [field, value] : pairs) {
    PutZipmapLength(all, field.size());
    PutText(all, field);
    PutZipmapLength(all, value.size());
    all.push_back(unused);
    PutText(all, value);
    all.insert(all.end(), unused, 0xff);
  }
  all.push_back(0xff);
  return all;
}

Bytes Back(size_t body) {
  size_t bytes = body <= 127 ? 1 : body < 16383 ? 2 : body < 2097151 ? 3 : 4;
  Bytes back(bytes);
  for (size_t i = bytes; i-- > 0; body >>= 7) back[i] = static_cast<uint8_t>((body & 127) | (i == 0 ? 0 : 128));
  return back;
}

// A listpack of bodies as they are, back lengths added.
Bytes Listpack(const std::vector<Bytes>& bodies) {
  Bytes elements;
  for (const Bytes& body : bodies) elements = Joined({elements, body, Back(body.size())});
  Bytes all;
  PutLittle(all, 6 + elements.size() + 1, 4);
  PutLittle(all, std::min<size_t>(bodies.size(), 65535), 2);
  return Joined({all, elements, {0xff}});
}

Bytes ListpackBody(std::string_view text) {
  int64_t n = 0;
  size_t size = text.size();
  Bytes body;
  if (!ParseInt64(text, &n)) {
    if (size < 64) {
      body = {static_cast<uint8_t>(0x80 | size)};
    } else if (size < 4096) {
      body = {static_cast<uint8_t>(0xe0 | size >> 8), static_cast<uint8_t>(size)};
    } else {
      body = {0xf0};
      PutLittle(body, size, 4);
    }
    PutText(body, text);
    return body;
  }
  if (n >= 0 && n <= 127) return {static_cast<uint8_t>(n)};
  if (n >= -4096 && n <= 4095) return {static_cast<uint8_t>(0xc0 | (n >> 8 & 31)), static_cast<uint8_t>(n)};
  size_t bytes = n == static_cast<int16_t>(n)     ? 2
                 : n >= -(1 << 23) && n < 1 << 23 ? 3
                 : n == static_cast<int32_t>(n)   ? 4
                                                  : 8;
  body = {static_cast<uint8_t>(bytes == 8 ? 0xf4 : 0xef + bytes)};
  PutLittle(body, static_cast<uint64_t>(n), bytes);
  return body;
}

Bytes ListpackOf(const Texts& texts) {
  std::vector<Bytes> bodies;
  for (const std::string& text : texts) bodies.push_back(ListpackBody(text));
  return Listpack(bodies);
}

Bytes Intset(uint32_t width, const std::vector<int64_t>& numbers) {
  Bytes all;
  PutLittle(all, width, 4);
  PutLittle(all, numbers.size(), 4);
  for (int64_t n : numbers) PutLittle(all, static_cast<uint64_t>(n), width);
  return all;
}

// One walk of any format into texts, on a copy that ends where its memory ends, so that a sanitizer sees every step
// beyond.
struct Walked {
  WalkResult result;
  Texts texts;
  bool operator==(const Walked&) const = default;
};
using Walk = std::function<Walked(const Bytes&, size_t stop_after)>;
constexpr size_t kNever = std::numeric_limits<size_t>::max();

template <typename WalkBytes>
Walk Collecting(WalkBytes walk) {
  return [walk](const Bytes& bytes, size_t stop_after) {
    Bytes exact(bytes.begin(), bytes.end());
    exact.shrink_to_fit();
    Walked walked;
    auto each = [&](std::string_view text) {
      walked.texts.emplace_back(text);
      return walked.texts.size() < stop_after;
    };
    walked.result = walk(std::span<const uint8_t>(exact), each);
    return walked;
  };
}

const Walk ziplist = Collecting([](auto bytes, auto& each) {
  auto result = WalkZiplist(bytes, each);
  EXPECT_EQ(CheckZiplist(bytes), result != WalkResult::kMalformed);
  return result;
});
const Walk listpack_walk = Collecting([](auto bytes, auto& each) {
  auto result = WalkListpack(bytes, each);
  EXPECT_EQ(CheckListpack(bytes), result != WalkResult::kMalformed);
  return result;
});
// Fields and values, alternating; a stop is seen at the pair's end.
const Walk zipmap = Collecting([](auto bytes, auto& each) {
  auto result = WalkZipmap(bytes, [&](std::string_view field, std::string_view value) {
    bool go_on = each(field);
    return each(value) && go_on;
  });
  EXPECT_EQ(CheckZipmap(bytes), result != WalkResult::kMalformed);
  return result;
});
const Walk intset_walk = Collecting([](auto bytes, auto& each) {
  auto result = WalkIntset(bytes, [&](int64_t number) { return each(std::to_string(number)); });
  EXPECT_EQ(CheckIntset(bytes), result != WalkResult::kMalformed);
  return result;
});

Walked Done(Texts texts) { return {WalkResult::kDone, std::move(texts)}; }
const Walked malformed = {WalkResult::kMalformed, {}};

bool IsMalformed(const Walk& walk, const Bytes& bytes) { return walk(bytes, kNever) == malformed; }

Texts Flat(const Pairs& pairs) {
  Texts texts;
  for (const auto& [field, value] : pairs) {
    texts.push_back(field);
    texts.push_back(value);
  }
  return texts;
}

std::vector<Texts> TextsAtTheEdges() {
  std::vector<Texts> lists = {{}, {""}, {"a"}, {"a", "", "b"}};
  for (size_t size : {1,   63,  64,  121, 125, 126,  127,  128,   247,   248,   249,   250,
                      251, 252, 253, 254, 255, 4095, 4096, 16379, 16380, 16383, 16384, 70000}) {
    lists.push_back({std::string(size, 'x'), "behind", std::string(size, 'y')});
  }
  Texts numbers;
  for (int bits : {0, 1, 2, 3, 4, 7, 8, 12, 13, 15, 16, 23, 24, 31, 32, 62}) {
    for (int64_t off : {-2, -1, 0, 1}) {
      numbers.push_back(std::to_string((int64_t{1} << bits) + off));
      numbers.push_back(std::to_string(-(int64_t{1} << bits) + off));
    }
  }
  numbers.push_back("9223372036854775807");
  numbers.push_back("-9223372036854775808");
  lists.push_back(numbers);
  return lists;
}

Texts RandomTexts(std::mt19937_64& random) {
  Texts texts(random() % 40);
  for (std::string& text : texts) {
    switch (random() % 5) {
      case 0:
        text = std::to_string(static_cast<int64_t>(random()) >> (random() % 64));
        break;
      case 1:
        text.assign(random() % 600, static_cast<char>(random()));
        break;
      case 2:
        text.assign(random() % 20000, 'z');
        break;
      default:
        text.assign(random() % 70, static_cast<char>('a' + random() % 26));
    }
  }
  return texts;
}

// A small value of every encoding, and how it is walked.
struct Sample {
  const char* name;
  Walk walk;
  Bytes bytes;
};

std::vector<Sample> Samples() {
  Texts texts = {
      "key", "7", "-3", "300", "-70000", "100000000", "1234567890123", std::string(70, 't'), "", std::string(300, 'l'),
      "end"};
  Pairs pairs = {{"field", "value"}, {"", ""}, {std::string(260, 'f'), "v"}, {"g", std::string(255, 'w')}};
  return {
      {"ziplist", ziplist, ZiplistOf(texts)},
      {"wide ziplist", ziplist, ZiplistOf(texts, true)},
      {"ziplist with a long length", ziplist, Ziplist({ZiplistText("abc", 5), ZiplistText("de", 2)})},
      {"empty ziplist", ziplist, Ziplist({})},
      {"zipmap", zipmap, Zipmap(pairs)},
      {"zipmap with unused bytes", zipmap, Zipmap(pairs, 3)},
      {"empty zipmap", zipmap, Zipmap({})},
      {"listpack", listpack_walk, ListpackOf(texts)},
      {"listpack with a wide text", listpack_walk, ListpackOf({std::string(4100, 'w'), "1"})},
      {"empty listpack", listpack_walk, ListpackOf({})},
      {"intset of 2", intset_walk, Intset(2, {-32768, -1, 0, 5, 32767})},
      {"intset of 4", intset_walk, Intset(4, {-70000, 0, 1 << 30})},
      {"intset of 8", intset_walk, Intset(8, {std::numeric_limits<int64_t>::min(), 0, 1LL << 40})},
      {"empty intset", intset_walk, Intset(2, {})},
  };
}

// The example in Redis's ziplist.c, and the text that it appends next.
TEST(LegacyEncodings, ZiplistHasTheFormatOfRedis) {
  Bytes two = {0x0f, 0, 0, 0, 0x0c, 0, 0, 0, 2, 0, 0, 0xf3, 2, 0xf6, 0xff};
  EXPECT_EQ(ziplist(two, kNever), Done({"2", "5"}));
  EXPECT_EQ(ZiplistOf({"2", "5"}), two);
  Bytes three = {0x1c, 0,    0,    0,    0x0e, 0,    0,    0,    3,    0,    0,    0xf3, 2,    0xf6,
                 2,    0x0b, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x57, 0x6f, 0x72, 0x6c, 0x64, 0xff};
  EXPECT_EQ(ziplist(three, kNever), Done({"2", "5", "Hello World"}));
}

// The example in Redis's zipmap.c.
TEST(LegacyEncodings, ZipmapHasTheFormatOfRedis) {
  Bytes bytes = {2,   3,   'f', 'o', 'o', 3, 0,   'b', 'a', 'r', 5,   'h',
                 'e', 'l', 'l', 'o', 5,   0, 'w', 'o', 'r', 'l', 'd', 0xff};
  EXPECT_EQ(zipmap(bytes, kNever), Done({"foo", "bar", "hello", "world"}));
  EXPECT_EQ(Zipmap({{"foo", "bar"}, {"hello", "world"}}), bytes);
}

TEST(LegacyEncodings, ZiplistEncodings) {
  auto one = [](const Bytes& body) { return ziplist(Ziplist({body}), kNever); };
  for (int n = 0; n <= 12; n++) EXPECT_EQ(one({static_cast<uint8_t>(0xf1 + n)}), Done({std::to_string(n)}));
  EXPECT_EQ(one({0xfe, 0x80}), Done({"-128"}));
  EXPECT_EQ(one({0xc0, 0x39, 0x30}), Done({"12345"}));
  EXPECT_EQ(one({0xc0, 0xff, 0xff}), Done({"-1"}));
  EXPECT_EQ(one({0xf0, 0x00, 0x00, 0x80}), Done({"-8388608"}));
  EXPECT_EQ(one({0xf0, 0xff, 0xff, 0x7f}), Done({"8388607"}));
  EXPECT_EQ(one({0xd0, 0x00, 0x00, 0x00, 0x80}), Done({"-2147483648"}));
  EXPECT_EQ(one({0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80}), Done({"-9223372036854775808"}));
  EXPECT_EQ(one({0x00}), Done({""}));
  EXPECT_EQ(one({0x02, 'h', 'i'}), Done({"hi"}));
  EXPECT_EQ(one({0x40, 0x02, 'h', 'i'}), Done({"hi"}));
  EXPECT_EQ(one(ZiplistText(std::string(0x1234, 'q'), 2)), Done({std::string(0x1234, 'q')}));
  EXPECT_EQ(one({0x80, 0, 0, 0, 2, 'h', 'i'}), Done({"hi"}));
  EXPECT_EQ(one(ZiplistText(std::string(0x12345, 'q'), 5)), Done({std::string(0x12345, 'q')}));
  for (int first = 0xc0; first <= 0xff; first++) {
    bool known = first % 16 == 0 || first >= 0xf1;
    Bytes body = {static_cast<uint8_t>(first), 0, 0, 0, 0, 0, 0, 0, 0};
    if (!known || first == 0xff) {
      EXPECT_EQ(one(body), malformed) << first;
      EXPECT_EQ(one({static_cast<uint8_t>(first)}), malformed) << first;
    }
  }
}

TEST(LegacyEncodings, ListpackEncodings) {
  auto one = [](const Bytes& body) { return listpack_walk(Listpack({body}), kNever); };
  EXPECT_EQ(one({0x7f}), Done({"127"}));
  EXPECT_EQ(one({0x80}), Done({""}));
  EXPECT_EQ(one({0x82, 'h', 'i'}), Done({"hi"}));
  EXPECT_EQ(one({0xdf, 0xff}), Done({"-1"}));
  EXPECT_EQ(one({0xcf, 0xff}), Done({"4095"}));
  EXPECT_EQ(one({0xe0, 0x02, 'h', 'i'}), Done({"hi"}));
  EXPECT_EQ(one({0xf0, 2, 0, 0, 0, 'h', 'i'}), Done({"hi"}));
  EXPECT_EQ(one({0xf1, 0x00, 0x80}), Done({"-32768"}));
  EXPECT_EQ(one({0xf2, 0x00, 0x00, 0x80}), Done({"-8388608"}));
  EXPECT_EQ(one({0xf3, 0, 0, 0, 0x80}), Done({"-2147483648"}));
  EXPECT_EQ(one({0xf4, 0, 0, 0, 0, 0, 0, 0, 0x80}), Done({"-9223372036854775808"}));
  for (int first = 0xf5; first <= 0xff; first++) EXPECT_EQ(one({static_cast<uint8_t>(first)}), malformed);
}

TEST(LegacyEncodings, RoundTrips) {
  std::vector<Texts> lists = TextsAtTheEdges();
  std::mt19937_64 random(11);
  for (int i = 0; i < 150; i++) lists.push_back(RandomTexts(random));
  for (const Texts& texts : lists) {
    ASSERT_EQ(ziplist(ZiplistOf(texts), kNever), Done(texts));
    ASSERT_EQ(ziplist(ZiplistOf(texts, true), kNever), Done(texts));
    ASSERT_EQ(listpack_walk(ListpackOf(texts), kNever), Done(texts));
    Pairs pairs;
    for (size_t i = 0; i + 1 < texts.size(); i += 2) pairs.emplace_back(texts[i], texts[i + 1]);
    for (uint8_t unused : {0, 1, 4, 255}) {
      ASSERT_EQ(zipmap(Zipmap(pairs, unused), kNever), Done(Flat(pairs)));
    }
  }
}

TEST(LegacyEncodings, RoundTripsOfIntsets) {
  std::mt19937_64 random(12);
  for (uint32_t width : {2, 4, 8}) {
    for (size_t count : {0, 1, 2, 100, 3000}) {
      std::set<int64_t> numbers;
      while (numbers.size() < count) numbers.insert(static_cast<int64_t>(random()) >> (64 - 8 * width));
      Texts texts;
      for (int64_t n : numbers) texts.push_back(std::to_string(n));
      ASSERT_EQ(intset_walk(Intset(width, {numbers.begin(), numbers.end()}), kNever), Done(texts));
    }
  }
}

TEST(LegacyEncodings, StopWhereTheyAreTold) {
  for (const Sample& sample : Samples()) {
    Walked all = sample.walk(sample.bytes, kNever);
    ASSERT_EQ(all.result, WalkResult::kDone) << sample.name;
    for (size_t stop = 1; stop <= all.texts.size(); stop++) {
      Walked walked = sample.walk(sample.bytes, stop);
      EXPECT_EQ(walked.result, WalkResult::kStopped) << sample.name;
      size_t per_call = std::string_view(sample.name).find("zipmap") != std::string_view::npos ? 2 : 1;
      EXPECT_EQ(walked.texts.size(), (stop + per_call - 1) / per_call * per_call) << sample.name;
    }
  }
}

TEST(LegacyEncodings, EveryTruncationIsMalformed) {
  for (const Sample& sample : Samples()) {
    for (size_t size = 0; size < sample.bytes.size(); size++) {
      Bytes cut(sample.bytes.begin(), sample.bytes.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_TRUE(IsMalformed(sample.walk, cut)) << sample.name << " cut to " << size;
    }
    for (uint8_t extra : {0x00, 0xff}) {
      EXPECT_TRUE(IsMalformed(sample.walk, Joined({sample.bytes, {extra}}))) << sample.name;
    }
  }
}

// The total bytes follow the cut, so that what is inside decides.
TEST(LegacyEncodings, CutsWithAFittingTotalAreMalformed) {
  for (const Sample& sample : Samples()) {
    std::string_view name = sample.name;
    if (name.find("list") == std::string_view::npos) continue;
    for (size_t size = 4; size < sample.bytes.size(); size++) {
      for (bool terminated : {false, true}) {
        Bytes cut;
        PutLittle(cut, size, 4);
        cut.insert(cut.end(), sample.bytes.begin() + 4, sample.bytes.begin() + static_cast<ptrdiff_t>(size));
        if (terminated) cut.back() = 0xff;
        EXPECT_TRUE(IsMalformed(sample.walk, cut)) << name << " cut to " << size;
      }
    }
  }
}

// Whether that byte is one of many equal ones: changed, they change no structure.
bool InsideAText(const Bytes& bytes, size_t at) {
  constexpr size_t kAround = 8;
  if (at < kAround || at + kAround >= bytes.size()) return false;
  auto here = bytes.begin() + static_cast<ptrdiff_t>(at);
  return std::all_of(here - kAround, here + kAround, [&](uint8_t byte) { return byte == *here; });
}

// May be well formed or not; must not read outside, and must hand over nothing when malformed.
TEST(LegacyEncodings, EveryChangedByteIsSafe) {
  for (const Sample& sample : Samples()) {
    for (size_t at = 0; at < sample.bytes.size(); at++) {
      Bytes changed = sample.bytes;
      const int step = InsideAText(sample.bytes, at) ? 85 : 1;
      for (int value = 0; value < 256; value += step) {
        changed[at] = static_cast<uint8_t>(value);
        Walked walked = sample.walk(changed, kNever);
        if (walked.result == WalkResult::kMalformed) {
          ASSERT_TRUE(walked.texts.empty()) << sample.name;
        } else {
          ASSERT_EQ(walked.result, WalkResult::kDone) << sample.name;
        }
      }
    }
  }
}

TEST(LegacyEncodings, ManyChangedBytesAreSafe) {
  std::mt19937_64 random(13);
  for (const Sample& sample : Samples()) {
    for (int i = 0; i < 3000; i++) {
      Bytes changed = sample.bytes;
      size_t changes = random() % 6 + 1;
      for (size_t c = 0; c < changes; c++) {
        static constexpr uint8_t kTelling[] = {0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xf0, 0xfd, 0xfe, 0xff};
        changed[random() % changed.size()] =
            random() % 2 == 0 ? kTelling[random() % 10] : static_cast<uint8_t>(random());
      }
      sample.walk(changed, kNever);
    }
  }
  for (int i = 0; i < 20000; i++) {
    Bytes noise(random() % 40);
    for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
    for (const Walk& walk : {ziplist, zipmap, listpack_walk, intset_walk}) walk(noise, kNever);
  }
}

TEST(LegacyEncodings, ZiplistHeaderIsChecked) {
  const Bytes good = ZiplistOf({"a", "bc", "1000"});
  // Total bytes, offset of the last entry, count: one too few, one too many, far too many.
  for (size_t at : {0, 4, 8}) {
    for (int off : {-1, 1, 100}) {
      Bytes bad = good;
      bad[at] = static_cast<uint8_t>(bad[at] + off);
      EXPECT_TRUE(IsMalformed(ziplist, bad)) << at << " " << off;
    }
  }
  for (size_t at : {1, 2, 3, 5, 6, 7, 9}) {
    Bytes bad = good;
    bad[at] = 1;
    EXPECT_TRUE(IsMalformed(ziplist, bad)) << at;
  }
  Bytes first = good;
  first[4] = 10;  // an entry, but not the last
  EXPECT_TRUE(IsMalformed(ziplist, first));
  Bytes unknown = good;
  unknown[8] = unknown[9] = 0xff;
  EXPECT_EQ(ziplist(unknown, kNever), Done({"a", "bc", "1000"}));
  Bytes open = good;
  open.back() = 0;
  EXPECT_TRUE(IsMalformed(ziplist, open));
  Bytes empty = Ziplist({});
  empty[4] = 0;
  EXPECT_TRUE(IsMalformed(ziplist, empty));
}

TEST(LegacyEncodings, ZiplistTellsOfTheEntryBefore) {
  const Bytes good = ZiplistOf({"a", "bc", "1000"});
  for (size_t at : {10, 13, 17}) {  // where the entries begin
    for (int value = 0; value < 256; value++) {
      Bytes bad = good;
      bad[at] = static_cast<uint8_t>(value);
      EXPECT_EQ(IsMalformed(ziplist, bad), value != good[at]) << at << " " << value;
    }
  }
  Bytes wide = ZiplistOf({"a", "bc"}, true);
  EXPECT_FALSE(IsMalformed(ziplist, wide));
  Bytes far = wide;
  far[10 + 7 + 4] = 1;
  EXPECT_TRUE(IsMalformed(ziplist, far));
  for (size_t at : {10, 10 + 7}) {
    Bytes ended = wide;
    ended[at] = 255;
    EXPECT_TRUE(IsMalformed(ziplist, ended)) << at;
  }
}

TEST(LegacyEncodings, ZiplistLengthsEndBeforeTheTerminator) {
  // One byte more than there is: the text would take in the terminator.
  for (size_t length_bytes : {1, 2, 5}) {
    Bytes bad = Ziplist({ZiplistText("abc", length_bytes)});
    bad[10 + length_bytes] = 4;
    EXPECT_TRUE(IsMalformed(ziplist, bad)) << length_bytes;
  }
  EXPECT_TRUE(IsMalformed(ziplist, Ziplist({{0x80, 0xff, 0xff, 0xff, 0xff, 'a'}})));
  EXPECT_TRUE(IsMalformed(ziplist, Ziplist({{0x80, 0x80, 0, 0, 0, 'a'}})));
  for (const Bytes& cut : {Bytes{0x40},
                           {0x80, 0, 0, 0},
                           {0xc0, 1},
                           {0xd0, 1, 2, 3},
                           {0xe0, 1, 2, 3, 4, 5, 6, 7},
                           {0xf0, 1, 2},
                           {0xfe},
                           {}}) {
    EXPECT_TRUE(IsMalformed(ziplist, Ziplist({cut}))) << cut.size();
  }
}

TEST(LegacyEncodings, CountsBeyondTheHeader) {
  Texts texts;
  for (size_t count : {65534, 65535, 65536}) {
    texts.resize(count, "1");
    EXPECT_EQ(ziplist(ZiplistOf(texts), kNever), Done(texts));
    Bytes bytes = ZiplistOf(texts);
    bytes[8] = 0xfe;
    bytes[9] = 0xff;
    EXPECT_EQ(IsMalformed(ziplist, bytes), count != 65534);
  }
  Pairs pairs;
  for (size_t count : {253, 254, 255, 300}) {
    pairs.resize(count, {"f", "v"});
    Bytes bytes = Zipmap(pairs);
    EXPECT_EQ(zipmap(bytes, kNever), Done(Flat(pairs)));
    bytes[0] = 255;
    EXPECT_TRUE(IsMalformed(zipmap, bytes));
    bytes[0] = 253;
    EXPECT_EQ(IsMalformed(zipmap, bytes), count != 253);
  }
}

TEST(LegacyEncodings, ZipmapIsChecked) {
  const Bytes good = Zipmap({{"ab", "cd"}, {"ef", "gh"}}, 1);
  ASSERT_FALSE(IsMalformed(zipmap, good));
  for (int count = 0; count < 256; count++) {
    Bytes bytes = good;
    bytes[0] = static_cast<uint8_t>(count);
    EXPECT_EQ(IsMalformed(zipmap, bytes), count != 2 && count != 254) << count;
  }
  // Lengths of the second pair: its field, its value, what is unused.
  for (size_t at : {9, 12, 13}) {
    for (int value = 0; value < 256; value++) {
      Bytes bytes = good;
      bytes[at] = static_cast<uint8_t>(value);
      if (value <= good[at]) continue;  // less may be well formed by chance
      EXPECT_TRUE(IsMalformed(zipmap, bytes)) << at << " " << value;
    }
  }
  Bytes open = good;
  open.back() = 0;
  EXPECT_TRUE(IsMalformed(zipmap, open));
  Bytes early = good;
  early[9] = 0xff;
  EXPECT_TRUE(IsMalformed(zipmap, early));
  EXPECT_TRUE(IsMalformed(zipmap, {1, 254, 0xff, 0xff, 0xff, 0xff, 'a', 0, 0, 0xff}));
  Bytes marked = Zipmap({{std::string(300, 'f'), "v"}});
  ASSERT_EQ(marked[1], 254);
  marked[1] = 255;  // ends the zipmap: never a length's mark
  EXPECT_TRUE(IsMalformed(zipmap, marked));
  // Lengths in more bytes than they need.
  EXPECT_TRUE(IsMalformed(zipmap, {1, 254, 1, 0, 0, 0, 'a', 0, 0, 0xff}));
  EXPECT_TRUE(IsMalformed(zipmap, {1, 1, 'a', 254, 0, 0, 0, 0, 0, 0xff}));
  EXPECT_TRUE(IsMalformed(zipmap, {1, 1, 'a', 0xff}));     // no value
  EXPECT_TRUE(IsMalformed(zipmap, {1, 1, 'a', 0, 0xff}));  // nothing tells what is unused
  EXPECT_FALSE(IsMalformed(zipmap, {1, 1, 'a', 0, 0, 0xff}));
}

TEST(LegacyEncodings, ListpackIsChecked) {
  const Bytes good = ListpackOf({"a", "bc", "1000", std::string(200, 'x')});
  for (size_t at : {0, 1, 2, 3, 4, 5}) {
    Bytes bad = good;
    bad[at]++;
    EXPECT_TRUE(IsMalformed(listpack_walk, bad)) << at;
  }
  Bytes unknown = good;
  unknown[4] = unknown[5] = 0xff;
  EXPECT_EQ(listpack_walk(unknown, kNever), listpack_walk(good, kNever));
  for (size_t at : {8UL, 12UL, 15UL, good.size() - 3, good.size() - 2, good.size() - 1}) {  // back lengths, terminator
    for (int value = 0; value < 256; value++) {
      Bytes bad = good;
      bad[at] = static_cast<uint8_t>(value);
      EXPECT_EQ(IsMalformed(listpack_walk, bad), value != good[at]) << at << " " << value;
    }
  }
  EXPECT_TRUE(IsMalformed(listpack_walk, Listpack({{0xf0, 0xff, 0xff, 0xff, 0xff, 'a'}})));
  for (const Bytes& cut : {Bytes{0xc0}, {0xe0}, {0xf0, 0, 0, 0}, {0xf1, 1}, {0xf2, 1, 2}, {0xf3, 1, 2, 3}, {0xf4, 1}}) {
    EXPECT_TRUE(IsMalformed(listpack_walk, Listpack({cut}))) << cut.size();
  }
}

TEST(LegacyEncodings, IntsetIsChecked) {
  for (uint32_t width = 0; width < 300; width++) {
    Bytes bytes = Intset(8, {});
    bytes[0] = static_cast<uint8_t>(width);
    bytes[1] = static_cast<uint8_t>(width >> 8);
    EXPECT_EQ(IsMalformed(intset_walk, bytes), width != 2 && width != 4 && width != 8) << width;
  }
  for (uint32_t width : {2, 4, 8}) {
    const Bytes good = Intset(width, {-5, 0, 9});
    EXPECT_EQ(intset_walk(good, kNever), Done({"-5", "0", "9"}));
    for (size_t at : {4, 5, 6, 7}) {
      Bytes bad = good;
      bad[at]++;
      EXPECT_TRUE(IsMalformed(intset_walk, bad)) << width << " " << at;
    }
    EXPECT_TRUE(IsMalformed(intset_walk, Intset(width, {-5, -5})));
    EXPECT_TRUE(IsMalformed(intset_walk, Intset(width, {0, -1})));  // ascending only when unsigned
    EXPECT_TRUE(IsMalformed(intset_walk, Intset(width, {1, 3, 2})));
  }
  // A count whose bytes would wrap in 32 bits.
  EXPECT_TRUE(IsMalformed(intset_walk, {8, 0, 0, 0, 0, 0, 0, 0x20}));
}

}  // namespace
}  // namespace brim
