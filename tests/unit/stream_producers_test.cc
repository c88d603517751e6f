#include "types/stream_producers.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <string>

#include "fake_value.h"
#include "types/limits.h"

namespace brim {
namespace {

struct Record {
  std::string iid;
  StreamId id;
  int64_t at_ms;
};
using Model = std::map<std::string, std::deque<Record>>;

class StreamProducersTest : public ::testing::Test {
 protected:
  void SetUp() override { InitStream(value); }
  void TearDown() override { encoding_limits = EncodingLimits(); }

  Stream& stream() { return *value.As<Stream>(); }
  uint64_t Below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random); }
  StreamId NextId() { return {static_cast<uint64_t>(now_ms), sequence++}; }

  bool IsOver(const Record& record) const { return record.at_ms + duration_ms <= now_ms; }
  // As XADD does it; compares what is found.
  void Add(const std::string& pid, const std::string& iid) {
    std::deque<Record>& records = model[pid];
    const Record* known = nullptr;
    for (const Record& record : records) {
      if (record.iid == iid && !IsOver(record)) known = &record;
    }
    const StreamRecord* found = FindRecord(stream(), pid, iid, now_ms);
    ASSERT_EQ(found != nullptr, known != nullptr);
    if (found != nullptr) {
      ASSERT_EQ(found->id, known->id);
      return;
    }
    StreamId id = NextId();
    AddRecord(stream(), pid, iid, id, now_ms);
    while (!records.empty() && (IsOver(records.front()) || records.size() >= maxsize)) records.pop_front();
    records.push_back({iid, id, now_ms});
    added++;
  }
  void Compare(const Stream& compared) {
    ProducerCounts expected;
    for (const auto& [pid, records] : model) {
      size_t live = 0;
      for (const Record& record : records) {
        if (IsOver(record)) continue;
        live++;
        const StreamRecord* found = FindRecord(compared, pid, record.iid, now_ms);
        ASSERT_NE(found, nullptr) << pid << ' ' << record.iid;
        ASSERT_EQ(found->id, record.id);
      }
      expected.producers += live > 0 ? 1 : 0;
      expected.records += live;
    }
    ProducerCounts counts = CountProducers(compared, now_ms);
    ASSERT_EQ(counts.producers, expected.producers);
    ASSERT_EQ(counts.records, expected.records);
    ASSERT_EQ(compared.producers->added, added);
    ASSERT_GE(compared.producers->records, counts.records);
  }
  void CompareMemory() {
    ASSERT_EQ(static_cast<size_t>(UsedByCategory(MemoryCategory::kData) - before), StreamExternalBytes(stream()));
  }

  int64_t before = UsedByCategory(MemoryCategory::kData);
  Heap heap;
  FakeValue value{&heap, Type::kStream, Encoding::kStream, EmptyStreamBytes()};
  Model model;
  int64_t now_ms = 1000000;
  int64_t duration_ms = 100000;
  size_t maxsize = 100;
  uint64_t sequence = 0;
  uint64_t added = 0;
  std::mt19937_64 random{5};
};

TEST_F(StreamProducersTest, NothingUntilTheFirst) {
  EXPECT_EQ(FindRecord(stream(), "p", "i", now_ms), nullptr);
  EXPECT_EQ(stream().producers, nullptr);
  EXPECT_EQ(StreamExternalBytes(stream()), Heap::GrantedSize(sizeof(Stream)));
  EXPECT_EQ(CountProducers(stream(), now_ms).records, 0u);
}

// Few and many ids, few and many producers, times that run out, limits that change.
TEST_F(StreamProducersTest, RandomChanges) {
  for (int round = 0; round < 40; round++) {
    uint64_t pids = round % 3 == 0 ? 300 : 1 + Below(8);
    uint64_t iids = 1 + Below(400);
    uint64_t step = Below(4) == 0 ? 2000 : 20;
    for (int i = 0; i < 2000; i++) {
      now_ms += static_cast<int64_t>(Below(step));
      std::string iid(Below(30), 'x');
      ASSERT_NO_FATAL_FAILURE(Add("p" + std::to_string(Below(pids)), iid + std::to_string(Below(iids))));
    }
    ASSERT_NO_FATAL_FAILURE(Compare(stream()));
    ASSERT_NO_FATAL_FAILURE(CompareMemory());
    if (round % 4 != 3) continue;
    duration_ms = static_cast<int64_t>(1 + Below(200)) * 1000;
    maxsize = 1 + Below(300);
    SetProducerLimits(stream(), static_cast<uint32_t>(duration_ms / 1000), static_cast<uint32_t>(maxsize));
    model.clear();
    ASSERT_NO_FATAL_FAILURE(Compare(stream()));
    ASSERT_EQ(stream().producers->records, 0u);
    ASSERT_NO_FATAL_FAILURE(CompareMemory());
  }
}

TEST_F(StreamProducersTest, SameLimitsForgetNothing) {
  Add("p", "i");
  SetProducerLimits(stream(), 100, 100);
  EXPECT_NE(FindRecord(stream(), "p", "i", now_ms), nullptr);
  SetProducerLimits(stream(), 100, 101);
  EXPECT_EQ(FindRecord(stream(), "p", "i", now_ms), nullptr);
}

TEST_F(StreamProducersTest, LastsUntilItsTimeIsOver) {
  Add("p", "i");
  EXPECT_NE(FindRecord(stream(), "p", "i", now_ms + 99999), nullptr);
  EXPECT_EQ(FindRecord(stream(), "p", "i", now_ms + 100000), nullptr);
}

// An entry whose id is ahead of the clock is as old as others, and a clock that goes back does no harm.
TEST_F(StreamProducersTest, IdsAheadOfTheClock) {
  AddRecord(stream(), "p", "i", {1u << 30, 0}, now_ms);
  EXPECT_EQ(FindRecord(stream(), "p", "i", now_ms + 100000), nullptr);
  AddRecord(stream(), "p", "j", {1u << 30, 1}, now_ms - 50000);
  EXPECT_NE(FindRecord(stream(), "p", "i", now_ms), nullptr);
  EXPECT_NE(FindRecord(stream(), "p", "j", now_ms + 99999), nullptr);
  EXPECT_EQ(FindRecord(stream(), "p", "j", now_ms + 100000), nullptr);
}

// Producers that come once and never again go as others add.
TEST_F(StreamProducersTest, ProducersThatAreGone) {
  for (int i = 0; i < 1000; i++) AddRecord(stream(), "once" + std::to_string(i), "i", NextId(), now_ms);
  EXPECT_EQ(stream().producers->count, 1000u);
  now_ms += duration_ms;
  for (int i = 0; i < 600; i++) AddRecord(stream(), "other", std::to_string(i), NextId(), now_ms);
  EXPECT_EQ(stream().producers->count, 1u);
  EXPECT_EQ(stream().producers->records, maxsize);
  ASSERT_NO_FATAL_FAILURE(CompareMemory());
}

TEST_F(StreamProducersTest, TakenBackAndReplaced) {
  for (int i = 0; i < 10; i++) Add("p", std::to_string(i));
  AddRecord(stream(), "p", "new", NextId(), now_ms);
  ForgetNewest(stream(), "p");
  EXPECT_EQ(FindRecord(stream(), "p", "new", now_ms), nullptr);
  ASSERT_NO_FATAL_FAILURE(Compare(stream()));
  DropUpTo(stream(), "p", "nope");
  DropUpTo(stream(), "nobody", "3");
  DropUpTo(stream(), "p", "3");
  model["p"].erase(model["p"].begin(), model["p"].begin() + 4);
  ASSERT_NO_FATAL_FAILURE(Compare(stream()));
}

TEST_F(StreamProducersTest, Copies) {
  for (int i = 0; i < 3000; i++) Add("p" + std::to_string(Below(20)), std::to_string(Below(1000)));
  int64_t streams = streams_with_producers.load();
  {
    FakeValue copy{&heap, Type::kStream, Encoding::kStream, EmptyStreamBytes()};
    CopyStream(value, copy);
    ASSERT_NO_FATAL_FAILURE(Compare(*copy.As<Stream>()));
    EXPECT_EQ(StreamExternalBytes(*copy.As<Stream>()), StreamExternalBytes(stream()));
    EXPECT_EQ(streams_with_producers.load(), streams + 1);
  }
  EXPECT_EQ(streams_with_producers.load(), streams);
  ASSERT_NO_FATAL_FAILURE(Compare(stream()));
}

// In slices of any size; nothing is left.
TEST_F(StreamProducersTest, FreedInSlices) {
  for (int i = 0; i < 3000; i++) Add("p" + std::to_string(Below(20)), std::to_string(Below(1000)));
  Stream* alone = new (heap.Allocate(sizeof(Stream), MemoryCategory::kData)) Stream(&heap);
  alone->producers = CopyProducers(alone->heap, *stream().producers);
  EXPECT_GE(StreamFreeEffort(*alone), alone->producers->records);
  int slices = 1;
  while (!StreamFreeSome(heap, alone, 100)) slices++;
  EXPECT_GT(slices, 10);
  ASSERT_NO_FATAL_FAILURE(CompareMemory());
}

// A walk that moves what lies in pages that are being emptied leaves everything as it was.
TEST_F(StreamProducersTest, Tidied) {
  for (int i = 0; i < 6000; i++) Add("p" + std::to_string(Below(500)), std::to_string(Below(1000)));
  uint64_t cursor = 0;
  int slices = 1;
  while (!StreamTidySome(stream(), &cursor)) slices++;
  EXPECT_GT(slices, 3);
  ASSERT_NO_FATAL_FAILURE(Compare(stream()));
  ASSERT_NO_FATAL_FAILURE(CompareMemory());
}

// The index alone: every hash falls on few slots, so that chains wrap and holes are filled.
TEST(PlaceTable, RandomChanges) {
  Heap heap;
  CountedHeap counted{&heap};
  std::mt19937 random(3);
  for (uint32_t hashes : {1u, 5u, 64u, UINT32_MAX}) {
    PlaceTable table;
    std::map<uint32_t, uint32_t> model;  // place > hash
    for (int i = 0; i < 4000; i++) {
      uint32_t place = random() % (i < 2000 ? 300 : 40);
      auto known = model.find(place);
      if (known == model.end()) {
        uint32_t hash = random() % hashes;
        table.Insert(counted, hash, place);
        model[place] = hash;
      } else if (random() % 4 == 0 && !model.contains(place + 1000)) {
        table.Move(known->second, place, place + 1000);
        model[place + 1000] = known->second;
        model.erase(known);
      } else {
        table.Erase(counted, known->second, place);
        model.erase(known);
        if (auto moved = model.find(place + 1000); moved != model.end()) {
          table.Erase(counted, moved->second, moved->first);
          model.erase(moved);
        }
      }
      ASSERT_EQ(table.size(), model.size());
    }
    for (const auto& [place, hash] : model) {
      ASSERT_EQ(table.Find(hash, [&, wanted = place](uint32_t found) { return found == wanted; }), place);
      ASSERT_EQ(table.Find(hash, [](uint32_t) { return false; }), PlaceTable::kNone);
    }
    table.Free(counted);
    EXPECT_EQ(counted.bytes, 0u);
  }
}

}  // namespace
}  // namespace brim
