// How long things took: the histogram of a command's calls, the monitor's samples, and how LATENCY GRAPH draws them.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "base/spark_line.h"
#include "base/ticks.h"
#include "server/latency_histogram.h"
#include "server/latency_monitor.h"

namespace brim {
namespace {

using Pairs = std::vector<std::pair<uint64_t, uint64_t>>;

Pairs BarsOf(const LatencyHistogram& histogram) {
  Pairs pairs;
  for (const LatencyHistogram::Bar& bar : histogram.Bars()) pairs.emplace_back(bar.us, bar.calls);
  return pairs;
}

TEST(LatencyHistogram, OneCallIsEveryPercentile) {
  LatencyHistogram histogram;
  histogram.Count(81'000);
  EXPECT_EQ(histogram.calls(), 1u);
  // As redis-server prints it: p0=80.896, p100=81.407.
  EXPECT_EQ(histogram.PercentileNs(0), 80'896u);
  for (double percent : {0.001, 50.0, 99.9, 100.0, 200.0}) EXPECT_EQ(histogram.PercentileNs(percent), 81'407u);
}

TEST(LatencyHistogram, NothingCounted) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.calls(), 0u);
  EXPECT_EQ(histogram.PercentileNs(50), 0u);
  EXPECT_TRUE(histogram.Bars().empty());
}

TEST(LatencyHistogram, EndsOfTheScale) {
  LatencyHistogram histogram;
  histogram.Count(0);
  histogram.Count(uint64_t{1} << 60);
  EXPECT_EQ(histogram.PercentileNs(50), 1u);
  EXPECT_EQ(histogram.PercentileNs(100), 1'002'438'655u);
  EXPECT_EQ(BarsOf(histogram), (Pairs{{1, 1}, {1073741, 2}}));
}

TEST(LatencyHistogram, BarsAreRedisPowersOfTwo) {
  LatencyHistogram histogram;
  // Each just within, and just beyond, a bar's step.
  for (uint64_t ns : {1031, 1032, 2063, 33'023, 33'024, 541'065'215, 541'065'216}) histogram.Count(ns);
  EXPECT_EQ(BarsOf(histogram), (Pairs{{1, 1}, {2, 3}, {33, 4}, {66, 5}, {541065, 6}, {1073741, 7}}));
}

// Against the values themselves: a percentile is never below the exact one, and above it by less than a 128th.
TEST(LatencyHistogram, PercentilesToTwoDigits) {
  std::mt19937_64 random(7);
  std::vector<uint64_t> values;
  LatencyHistogram histogram;
  for (int i = 0; i < 20'000; i++) {
    uint64_t ns = std::min<uint64_t>(random() >> (34 + random() % 29), LatencyHistogram::kLongestNs);
    values.push_back(std::max<uint64_t>(ns, 1));
    histogram.Count(ns);
  }
  std::sort(values.begin(), values.end());
  EXPECT_EQ(histogram.calls(), values.size());
  for (double percent : {0.1, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    auto rank = static_cast<size_t>(percent / 100 * static_cast<double>(values.size()) + 0.5);
    uint64_t exact = values[rank - 1];
    uint64_t told = histogram.PercentileNs(percent);
    EXPECT_GE(told, exact) << percent;
    EXPECT_LE(told, exact + exact / 128 + 1) << percent;
  }
}

constexpr uint64_t kTwoNsATick = uint64_t{2} << kTickBits;

// Through ticks each value stays within a 64th.
TEST(CallTimes, AddUpInNanoseconds) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 2000; i++) {
    CallTimes times;
    uint64_t ticks = random() >> (35 + random() % 22);
    times.Count(ticks);
    LatencyHistogram histogram;
    times.AddTo(&histogram, kTwoNsATick);
    ASSERT_EQ(histogram.calls(), 1u);
    uint64_t ns = ticks * 2;
    EXPECT_LE(histogram.PercentileNs(0), ns + 256) << ticks;
    EXPECT_GE(histogram.PercentileNs(100) + ns / 64 + 2, std::min(ns, LatencyHistogram::kLongestNs)) << ticks;
    if (ns >= 512 && ns < LatencyHistogram::kLongestNs) {
      EXPECT_LE(histogram.PercentileNs(100), ns + ns / 64 + 2) << ticks;
    }
  }
}

TEST(CallTimes, AnyTicks) {
  CallTimes times;
  for (uint64_t ticks : {uint64_t{0}, uint64_t{1}, uint64_t{127}, uint64_t{128}, UINT64_MAX}) times.Count(ticks);
  LatencyHistogram histogram;
  times.AddTo(&histogram, kTwoNsATick);
  EXPECT_EQ(histogram.calls(), 5u);
  EXPECT_EQ(histogram.PercentileNs(100), 1'002'438'655u);
}

TEST(CallTimes, SumsOfWorkers) {
  CallTimes one;
  CallTimes other;
  uint64_t calls = 0;
  for (uint64_t ticks = 1; ticks < 3'000'000; ticks = ticks * 3 + 1) {
    one.Count(ticks);
    other.Count(ticks * 7);
    calls += 2;
  }
  LatencyHistogram sum;
  one.AddTo(&sum, kTwoNsATick);
  other.AddTo(&sum, kTwoNsATick);
  EXPECT_EQ(sum.calls(), calls);
  EXPECT_EQ(sum.Bars().back().calls, calls);
}

TEST(CallTimes, TakeMemoryForWhatTheyHold) {
  CallTimes times;
  size_t empty = times.MemoryUsage();
  for (int i = 0; i < 1000; i++) times.Count(5000);
  EXPECT_EQ(times.MemoryUsage(), empty + 1024);
}

TEST(Ticks, NanosecondsAgree) {
  uint64_t ns_per_tick = NsPerTick();
  ASSERT_GT(ns_per_tick, 0u);
  auto ticks = static_cast<uint64_t>(1e9);
  EXPECT_NEAR(static_cast<double>(TicksToNs(ticks, ns_per_tick)) / 1000, TicksToUs(ticks), TicksToUs(ticks) / 100);
  EXPECT_EQ(TicksToNs(0, ns_per_tick), 0u);
  EXPECT_GT(TicksToNs(UINT64_MAX / 8, uint64_t{1} << kTickBits), uint64_t{1} << 60);  // does not overflow
}

TEST(LatencyMonitor, NotesFromTheThresholdOn) {
  LatencyMonitor monitor;
  monitor.Note(LatencyEvent::kCommand, 1'000'000'000);
  EXPECT_FALSE(monitor.on());
  monitor.SetThreshold(0);
  monitor.Note(LatencyEvent::kCommand, 1'000'000'000);
  EXPECT_TRUE(monitor.HistoryOf(LatencyEvent::kCommand).samples.empty());
  monitor.SetThreshold(10);
  EXPECT_TRUE(monitor.on());
  monitor.Note(LatencyEvent::kCommand, 9999);
  EXPECT_TRUE(monitor.HistoryOf(LatencyEvent::kCommand).samples.empty());
  monitor.Note(LatencyEvent::kCommand, 10'999);
  LatencyHistory history = monitor.HistoryOf(LatencyEvent::kCommand);
  ASSERT_EQ(history.samples.size(), 1u);
  EXPECT_EQ(history.samples[0].ms, 10u);
  EXPECT_EQ(history.worst_ms, 10u);
  EXPECT_TRUE(monitor.HistoryOf(LatencyEvent::kAofWrite).samples.empty());
  EXPECT_TRUE(monitor.Reset(LatencyEvent::kCommand));
  EXPECT_FALSE(monitor.Reset(LatencyEvent::kCommand));
  EXPECT_EQ(monitor.HistoryOf(LatencyEvent::kCommand).worst_ms, 0u);
}

TEST(LatencyMonitor, HugeThresholdIsOff) {
  LatencyMonitor monitor;
  monitor.SetThreshold(INT64_MAX);
  monitor.Note(LatencyEvent::kCommand, INT64_MAX);
  EXPECT_FALSE(monitor.on());
  EXPECT_TRUE(monitor.HistoryOf(LatencyEvent::kCommand).samples.empty());
}

TEST(LatencyMonitor, WorstOfEachSecond) {
  LatencyMonitor monitor;
  monitor.SetThreshold(1);
  // The second may change in between, once.
  for (int64_t ms : {5, 50, 20}) monitor.Note(LatencyEvent::kExpireCycle, ms * 1000);
  LatencyHistory history = monitor.HistoryOf(LatencyEvent::kExpireCycle);
  EXPECT_LE(history.samples.size(), 2u);
  EXPECT_EQ(history.worst_ms, 50u);
}

TEST(LatencyMonitor, KeepsTheLast160Seconds) {
  LatencyMonitor monitor;
  monitor.SetThreshold(1);
  for (int64_t second = 1000; second < 1200; second++) {
    monitor.Add(LatencyEvent::kAofWrite, {second, static_cast<uint64_t>(1200 - second)});
    monitor.Add(LatencyEvent::kAofWrite, {second, 0});
  }
  LatencyHistory history = monitor.HistoryOf(LatencyEvent::kAofWrite);
  ASSERT_EQ(history.samples.size(), 160u);
  EXPECT_EQ(history.worst_ms, 200u);
  for (size_t i = 0; i < history.samples.size(); i++) {
    EXPECT_EQ(history.samples[i].at_s, static_cast<int64_t>(1040 + i));
    EXPECT_EQ(history.samples[i].ms, 160 - i);
  }
}

TEST(LatencyMonitor, EventNamesGoBothWays) {
  for (size_t i = 0; i < kLatencyEvents; i++) {
    auto event = static_cast<LatencyEvent>(i);
    EXPECT_FALSE(EventName(event).empty());
    EXPECT_EQ(FindEvent(EventName(event)), event);
  }
  EXPECT_FALSE(FindEvent("COMMAND"));
  EXPECT_FALSE(FindEvent(""));
}

TEST(SparkLine, AsRedisDrawsIt) {
  // The drawing of redis-server 7.0.15 for these samples.
  std::vector<SparkPoint> points = {{700, "4s"}, {1707, "3s"}, {7, "2s"}, {300, "0s"}};
  EXPECT_EQ(DrawSparkLine(points, 80, 4), " #  \n |  \no|  \n||_#\n    \n4320\nssss\n");
}

TEST(SparkLine, OnePointAndMoreThanFit) {
  EXPECT_EQ(DrawSparkLine({}, 80, 4), "");
  std::vector<SparkPoint> points = {{10, "12m"}};
  EXPECT_EQ(DrawSparkLine(points, 80, 2), " \n_\n \n1\n2\nm\n");
  points = {{0, "a"}, {0, "b"}, {5, ""}};
  EXPECT_EQ(DrawSparkLine(points, 2, 1), "__\n  \nab\n\n#\n \n");
}

}  // namespace
}  // namespace brim
