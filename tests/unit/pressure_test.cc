// The pressure ladder over a fake memory: which rungs are stepped on, in which order, and when it ends.
#include "memory/pressure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

namespace brim {
namespace {

// Each rung holds some bytes; a step frees at most `step` of them. What is freed counts for both kinds of memory, but
// giving back and compaction leave used memory as it is.
class FakeMemory final : public PressureSource {
 public:
  int64_t used_over = 0;
  int64_t resident_over = -1000;
  std::map<Rung, int64_t> holds;
  int64_t step = 10;
  int steps_left = 1000;
  std::vector<Rung> climbed;  // each rung that gave something, once for neighbours

  int64_t UsedOver() override { return used_over; }
  int64_t ResidentOver() override { return resident_over; }
  bool TimeIsOver() override { return --steps_left <= 0; }
  size_t Step(Rung rung, int64_t wanted) override {
    asked.push_back(rung);
    int64_t freed = std::min({holds[rung], step, std::max<int64_t>(wanted, 1)});
    if (freed == 0) return 0;
    holds[rung] -= freed;
    resident_over -= freed;
    if (rung == Rung::kCutClients || rung == Rung::kEvict) used_over -= freed;
    if (climbed.empty() || climbed.back() != rung) climbed.push_back(rung);
    return static_cast<size_t>(freed);
  }
  bool IsGivingBack() override { return giving_back; }
  bool giving_back = false;
  std::vector<Rung> asked;
};

TEST(PressureTest, NoKeyGoesForWhatIsBeingGivenBack) {
  FakeMemory memory;
  memory.giving_back = true;
  memory.resident_over = 100;
  memory.holds = {{Rung::kCutClients, 20}, {Rung::kEvict, 1000}};
  EXPECT_EQ(ClimbLadder(memory), Relief::kRunning);
  EXPECT_EQ(memory.holds[Rung::kEvict], 1000);
  EXPECT_EQ(memory.holds[Rung::kCutClients], 0);
  // Used memory is another matter.
  memory.used_over = 30;
  EXPECT_EQ(ClimbLadder(memory), Relief::kRunning);
  EXPECT_EQ(memory.holds[Rung::kEvict], 970);
}

TEST(PressureTest, DoesNothingWhenMemoryFits) {
  FakeMemory memory;
  memory.holds = {{Rung::kGiveBack, 100}, {Rung::kEvict, 100}};
  EXPECT_EQ(ClimbLadder(memory), Relief::kFits);
  EXPECT_TRUE(memory.asked.empty());
}

TEST(PressureTest, ClimbsInOrder) {
  FakeMemory memory;
  memory.resident_over = 100;
  memory.used_over = 40;
  memory.holds = {{Rung::kGiveBack, 20}, {Rung::kCompact, 30}, {Rung::kCutClients, 25}, {Rung::kEvict, 1000}};
  EXPECT_EQ(ClimbLadder(memory), Relief::kFits);
  EXPECT_EQ(memory.climbed, (std::vector<Rung>{Rung::kGiveBack, Rung::kCompact, Rung::kCutClients, Rung::kEvict}));
  EXPECT_LE(memory.used_over, 0);
  EXPECT_LE(memory.resident_over, 0);
  // Of the keys went what the lower rungs could not give, and no more.
  EXPECT_GE(memory.holds[Rung::kEvict], 1000 - 25 - memory.step);
}

TEST(PressureTest, KeysStayWhenLowerRungsAreEnough) {
  FakeMemory memory;
  memory.resident_over = 60;
  memory.holds = {{Rung::kGiveBack, 20}, {Rung::kCompact, 50}, {Rung::kCutClients, 500}, {Rung::kEvict, 500}};
  EXPECT_EQ(ClimbLadder(memory), Relief::kFits);
  EXPECT_EQ(memory.climbed, (std::vector<Rung>{Rung::kGiveBack, Rung::kCompact}));
}

TEST(PressureTest, CompactionIsLeftOutForUsedMemory) {
  FakeMemory memory;
  memory.used_over = 15;
  memory.holds = {{Rung::kCompact, 500}, {Rung::kEvict, 500}};
  EXPECT_EQ(ClimbLadder(memory), Relief::kFits);
  EXPECT_EQ(memory.climbed, (std::vector<Rung>{Rung::kEvict}));
  EXPECT_EQ(std::count(memory.asked.begin(), memory.asked.end(), Rung::kCompact), 0);
}

TEST(PressureTest, BeginsAtTheBottomAfterEachStep) {
  // Evicting opens gaps, which compaction then closes: the lower rung is asked first each time.
  FakeMemory memory;
  memory.resident_over = 30;
  memory.used_over = 30;
  memory.holds = {{Rung::kEvict, 500}};
  EXPECT_EQ(ClimbLadder(memory), Relief::kFits);
  EXPECT_EQ(memory.asked.front(), Rung::kGiveBack);
  EXPECT_EQ(std::count(memory.asked.begin(), memory.asked.end(), Rung::kGiveBack), 3);
}

TEST(PressureTest, IsStuckWhenNothingGives) {
  FakeMemory memory;
  memory.used_over = 10;
  memory.holds = {{Rung::kCutClients, 5}};
  EXPECT_EQ(ClimbLadder(memory), Relief::kStuck);
  EXPECT_EQ(memory.used_over, 5);
}

TEST(PressureTest, EndsWhenTheTimeIsOver) {
  FakeMemory memory;
  memory.used_over = 1000;
  memory.steps_left = 3;
  memory.holds = {{Rung::kEvict, 1000}};
  EXPECT_EQ(ClimbLadder(memory), Relief::kRunning);
  EXPECT_EQ(memory.used_over, 970);
}

TEST(PressureTest, CountsWhatEachRungGave) {
  uint64_t times = rung_figures[static_cast<size_t>(Rung::kEvict)].times.load();
  uint64_t bytes = rung_figures[static_cast<size_t>(Rung::kEvict)].bytes.load();
  FakeMemory memory;
  memory.used_over = 25;
  memory.holds = {{Rung::kEvict, 100}};
  ClimbLadder(memory);
  EXPECT_EQ(rung_figures[static_cast<size_t>(Rung::kEvict)].times.load() - times, 3u);
  EXPECT_EQ(rung_figures[static_cast<size_t>(Rung::kEvict)].bytes.load() - bytes, 25u);
}

}  // namespace
}  // namespace brim
