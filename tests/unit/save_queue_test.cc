// What waits for the thread that writes a snapshot: no piece comes between two of one long record.
#include "persist/save_queue.h"

#include <gtest/gtest.h>
#include <liblzf/lzf.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/monotonic.h"
#include "persist/rdb_writer.h"

namespace brim {
namespace {

std::string Drain(SaveQueue& queue) {
  std::string all;
  for (SavePiece piece; queue.Pop(&piece);) {
    all += piece.bytes;
    queue.Done(std::move(piece));
  }
  return all;
}

TEST(SaveQueue, LongRecordsStayWhole) {
  SaveQueue queue(2);
  queue.Push({"a", {}});
  queue.PushPart(0, {"1", {}}, true, false);
  queue.Push({"b", {}});
  queue.PushPart(1, {"x", {}}, true, false);
  queue.PushPart(0, {"2", {}}, false, false);
  queue.PushPart(1, {"y", {}}, false, true);
  queue.PushPart(0, {"3", {}}, false, true);
  queue.PushPart(0, {"4", {}}, true, true);
  EXPECT_EQ(queue.bytes(), 8u);
  EXPECT_EQ(queue.bytes(0), 4u);
  queue.End();
  EXPECT_EQ(Drain(queue), "a123bxy4");
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_EQ(queue.bytes(0), 0u);
}

// A snapshot that is given up: the writer does not wait for what will not come.
TEST(SaveQueue, EndsWithinARecord) {
  SaveQueue queue(1);
  queue.PushPart(0, {"1", {}}, true, false);
  queue.Push({"a", {}});
  queue.End();
  EXPECT_EQ(Drain(queue), "1");
}

TEST(SaveQueue, ManyWriters) {
  constexpr int kWriters = 4;
  constexpr int kRecords = 2000;
  SaveQueue queue(kWriters);
  std::vector<std::thread> writers;
  for (int t = 0; t < kWriters; t++) {
    writers.emplace_back([&queue, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < kRecords; i++) {
        unsigned pieces = 1 + random() % 5;
        for (unsigned p = 0; p < pieces; p++) {
          std::string bytes = p == 0 ? "<" + std::to_string(t) : std::string(1, static_cast<char>('a' + t));
          if (p + 1 == pieces) bytes += ">";
          queue.PushPart(static_cast<size_t>(t), {bytes, {}}, p == 0, p + 1 == pieces);
        }
      }
    });
  }
  std::string all;
  std::thread reader([&] { all = Drain(queue); });
  for (std::thread& writer : writers) writer.join();
  queue.End();
  reader.join();
  int records = 0;
  for (size_t at = 0; at < all.size(); records++) {
    ASSERT_EQ(all[at], '<');
    char own = static_cast<char>('a' + (all[at + 1] - '0'));
    for (at += 2; all[at] != '>'; at++) ASSERT_EQ(all[at], own);
    at++;
  }
  EXPECT_EQ(records, kWriters * kRecords);
}

TEST(SaveQueue, WaitsForALaneThatIsBeingWritten) {
  constexpr size_t kPiece = 1000;
  constexpr size_t kMost = 4 * kPiece;
  SaveQueue queue(2);
  size_t longest = 0;
  std::thread writer([&queue] {
    for (SavePiece piece; queue.Pop(&piece);) {
      std::this_thread::sleep_for(std::chrono::microseconds(300));
      queue.Done(std::move(piece));
    }
  });
  for (int i = 0; i < 200; i++) {
    queue.PushPart(1, {std::string(kPiece, 'x'), {}}, i == 0, i == 199);
    longest = std::max(longest, queue.bytes(1));
    queue.AwaitRoom(1, kMost, INT64_MAX);
  }
  queue.End();
  writer.join();
  EXPECT_LE(longest, kMost);
  EXPECT_GE(longest, 2 * kPiece);
}

TEST(SaveQueue, WaitsForNoOtherLane) {
  SaveQueue queue(2);
  queue.PushPart(0, {"1", {}}, true, false);
  SavePiece piece;
  ASSERT_TRUE(queue.Pop(&piece));  // the record of lane 0 is being written now
  queue.Done(std::move(piece));
  queue.PushPart(1, {"x", {}}, true, true);
  queue.AwaitRoom(1, 1, INT64_MAX);
  int64_t until = MonotonicUs() + 2000;
  queue.PushPart(0, {"2", {}}, false, false);
  queue.AwaitRoom(0, 1, until);
  EXPECT_GE(MonotonicUs(), until);
}

std::string Unpacked(const std::string& packed, size_t size) {
  std::string text(size, '\0');
  unsigned got =
      lzf_decompress(packed.data(), static_cast<unsigned>(packed.size()), text.data(), static_cast<unsigned>(size));
  return got == size ? text : "broken";
}

TEST(LongTexts, PiecesAreOneText) {
  std::mt19937_64 random(3);
  for (size_t size : {16384, 65535, 65536, 65537, 300'000, 5'000'000}) {
    std::string text;
    while (text.size() < size) text += "item " + std::to_string(random() % 1000) + ", ";
    text.resize(size);
    std::string packed;
    ASSERT_TRUE(RdbWriter::LongCompressed(text, &packed)) << size;
    EXPECT_LT(packed.size(), size * 6 / 10);
    EXPECT_EQ(Unpacked(packed, size), text) << size;
  }
}

TEST(LongTexts, WhatDoesNotShrinkIsLeft) {
  std::mt19937_64 random(4);
  std::string noise;
  while (noise.size() < 2'000'000) noise += static_cast<char>(random());
  std::string packed;
  EXPECT_FALSE(RdbWriter::LongCompressed(noise, &packed));
  EXPECT_LT(packed.size(), 400'000u);  // it was not all tried
  EXPECT_FALSE(RdbWriter::LongCompressed(noise.substr(0, 20'000), &packed));
}

TEST(LongTexts, NeverLongerThanTheBuffer) {
  // Shrinks by a tenth, so that 8 MB are too few for 12.
  std::mt19937_64 random(5);
  std::string text;
  while (text.size() < 12'000'000) text += static_cast<char>(text.size() % 64 < 16 ? 'x' : random());
  std::string packed;
  EXPECT_FALSE(RdbWriter::LongCompressed(text, &packed));
  EXPECT_LT(packed.size(), RdbWriter::kLongCompressedMax + (128u << 10));
}

}  // namespace
}  // namespace brim
