// The table of keys that clients have read: it holds what a map holds, and takes no more room than what is in it needs.
#include "server/tracking_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

#include "base/hash.h"
#include "base/table_room.h"
#include "memory/account.h"

namespace brim {
namespace {

int64_t Used() { return UsedByCategory(MemoryCategory::kTracking); }

std::string Name(int i) { return "key:" + std::to_string(i); }

TEST(TableRoom, FewLeftTakeLittle) {
  size_t room = 1 << 20;
  size_t rebuilt = 0;
  for (size_t used = room; used-- > 0;) {
    size_t less = LessRoom(used, room, 16);
    if (less == 0) continue;
    EXPECT_LE(used, room / 8);
    EXPECT_GE(less, std::max<size_t>(used * 2, 16));
    room = less;
    rebuilt++;
    EXPECT_EQ(LessRoom(used, room, 16), 0U);
  }
  EXPECT_EQ(room, 16U);
  EXPECT_LT(rebuilt, 10U);
}

TEST(TrackingTable, HoldsWhatAMapHolds) {
  int64_t before = Used();
  std::mt19937 random(5);
  std::map<std::string, std::set<uint64_t>> model;
  {
    TrackingTable table;
    for (int round = 0; round < 200'000; round++) {
      // It grows for a while, then falls to few keys, and again.
      bool grows = round / 50'000 % 2 == 0;
      std::string key = Name(static_cast<int>(random() % 20'000));
      if (random() % 8 < (grows ? 7U : 1U)) {
        uint64_t client = random() % 5;
        EXPECT_EQ(table.Add(key, HashBytes(key), client), !model.contains(key));
        model[key].insert(client);
        continue;
      }
      TrackingTable::Entry* entry = table.Take(key, HashBytes(key));
      ASSERT_EQ(entry != nullptr, model.contains(key));
      if (entry == nullptr) continue;
      std::set<uint64_t> clients(entry->clients().begin(), entry->clients().end());
      EXPECT_EQ(clients, model[key]);
      model.erase(key);
      TrackingTable::Destroy(entry);
    }
    EXPECT_EQ(table.keys(), model.size());
    while (!table.empty()) {
      TrackingTable::Entry* entry = table.TakeAny();
      EXPECT_EQ(model.erase(std::string(entry->key())), 1U);
      TrackingTable::Destroy(entry);
    }
    EXPECT_TRUE(model.empty());
    EXPECT_EQ(table.items(), 0U);
  }
  EXPECT_EQ(Used(), before);
}

TEST(TrackingTable, FewLeftTakeLittle) {
  constexpr int kMany = 200'000;
  constexpr int kFew = 500;
  int64_t before = Used();
  TrackingTable table;
  for (int i = 0; i < kMany; i++) table.Add(Name(i), HashBytes(Name(i)), 1);
  int64_t many = Used() - before;
  for (int i = kFew; i < kMany; i++) TrackingTable::Destroy(table.Take(Name(i), HashBytes(Name(i))));
  EXPECT_LT(Used() - before, many / kMany * kFew * 3);
}

TEST(TrackingTable, IsFreedInSlices) {
  constexpr size_t kMany = 50'000;
  constexpr size_t kSlice = 64;
  int64_t before = Used();
  TrackingTable table;
  for (size_t i = 0; i < kMany; i++) {
    std::string key = Name(static_cast<int>(i));
    table.Add(key, HashBytes(key), 1);
    if (i % 3 == 0) table.Add(key, HashBytes(key), 2);
  }
  size_t freed = 0;
  for (size_t slice = kSlice; slice >= kSlice; freed += slice) {
    slice = table.FreeSome(kSlice);
    EXPECT_LT(slice, kSlice + 32);  // a bucket's
  }
  EXPECT_EQ(freed, kMany);
  EXPECT_EQ(Used(), before);
}

}  // namespace
}  // namespace brim
