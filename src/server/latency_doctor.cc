#include "server/latency_doctor.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <thread>

#include "server/command_log.h"
#include "server/compactor.h"
#include "server/info.h"
#include "server/latency_monitor.h"
#include "server/memory_guard.h"
#include "server/memory_policy.h"
#include "server/server.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

namespace {

struct Finding {
  LatencyEvent event;
  size_t spikes = 0;
  double mean_ms = 0;
  double deviation_ms = 0;
  double period_s = 0;
  uint64_t worst_ms = 0;
};

// Nothing: there was no such event.
bool Examine(LatencyEvent event, Finding* finding) {
  LatencyHistory history = latency_monitor.HistoryOf(event);
  if (history.samples.empty()) return false;
  auto count = static_cast<double>(history.samples.size());
  *finding = {.event = event, .spikes = history.samples.size(), .worst_ms = history.worst_ms};
  for (const LatencySample& sample : history.samples) finding->mean_ms += static_cast<double>(sample.ms) / count;
  for (const LatencySample& sample : history.samples) {
    finding->deviation_ms += std::abs(static_cast<double>(sample.ms) - finding->mean_ms) / count;
  }
  auto span_s = static_cast<double>(history.samples.back().at_s - history.samples.front().at_s);
  if (count > 1) finding->period_s = span_s / (count - 1);
  return true;
}

std::string Describe(const Finding& f) {
  std::string text = fmt::format("{}: {} second{} with spikes, {:.0f} ms on average (mean deviation {:.0f} ms)",
                                 EventName(f.event), f.spikes, f.spikes == 1 ? "" : "s", f.mean_ms, f.deviation_ms);
  if (f.spikes > 1) text += fmt::format(", one every {:.1f} s", f.period_s);
  return text + fmt::format(", {} ms at worst.", f.worst_ms);
}

std::string CommandAdvice() {
  const Config& config = server.config();
  int64_t threshold_us = config.latency_monitor_threshold * 1000;
  if (config.slowlog_log_slower_than < 0 || config.slowlog_max_len == 0) {
    return "Commands took that long, and the slow log is off, which would name them: CONFIG SET "
           "slowlog-log-slower-than 10000, and CONFIG SET slowlog-max-len 128.";
  }
  if (config.slowlog_log_slower_than > threshold_us) {
    return fmt::format(
        "The slow log notes commands from {} us on, the latency monitor events from {} us on: CONFIG SET "
        "slowlog-log-slower-than {} lets it name all of them.",
        config.slowlog_log_slower_than, threshold_us, threshold_us);
  }
  CommandLogEntry slowest;
  for (CommandLogEntry& entry : LogOf(CommandLogKind::kSlow).Newest(SIZE_MAX)) {
    if (entry.value > slowest.value) slowest = std::move(entry);
  }
  if (slowest.words.empty()) return "Commands took that long. SLOWLOG GET names the next ones; the log is empty now.";
  std::string name = slowest.words[0].substr(0, slowest.words[0].find_first_of("\r\n"));
  return fmt::format(
      "The slowest command that SLOWLOG GET still knows is {}, {} us, from {}. Commands over many elements (KEYS, "
      "SMEMBERS, SORT, LRANGE of everything) have a sibling that takes a part at a time (SCAN, SSCAN, ranges).",
      name, slowest.value, slowest.address);
}

std::string ExpireAdvice() {
  uint64_t expired = 0;
  for (int i = 0; i < shards.count(); i++) expired += shards[i].expired_keys.load();
  return fmt::format(
      "Many keys end at the same time ({} expired since start), or big ones do: spread their times. CONFIG SET "
      "active-expire-effort (now {}) bounds a turn's share, CONFIG SET lazyfree-lazy-expire yes frees big values "
      "beside.",
      expired, server.config().active_expire_effort);
}

std::string EvictionAdvice() {
  uint64_t evicted = 0;
  for (int i = 0; i < shards.count(); i++) evicted += shards[i].evicted_keys.load();
  return fmt::format(
      "Keys go to make room ({} evicted since start, policy {}, {} allowed). CONFIG SET maxmemory-eviction-tenacity "
      "(now {}) bounds how long one command works on that, CONFIG SET lazyfree-lazy-eviction yes frees big values "
      "beside; MEMORY DOCTOR tells what fills the memory.",
      evicted, PolicyName(eviction.policy), HumanBytes(MemoryGuard::used_limit()),
      server.config().maxmemory_eviction_tenacity);
}

std::string DefragAdvice() {
  return fmt::format(
      "A slice of compaction is to end after 200 us; one that takes long was kept off the CPU, or moved one big block. "
      "{} slices took {} ms since start. CONFIG SET active-defrag-cycle-max (now {}) bounds the share of the time.",
      compaction_figures.slices.load(), compaction_figures.time_us.load() / 1000,
      server.config().active_defrag_cycle_max);
}

std::string DiskAdvice() {
  return fmt::format(
      "The disk of the append-only file is slow (appendfsync {}): look for other writers on it. CONFIG SET appendfsync "
      "everysec waits for it in a thread of its own.",
      server.config().appendfsync);
}

std::string SaveAdvice() {
  return "A snapshot begins and ends with all threads at rest, which waits for the commands that run then (SLOWLOG "
         "GET), and walks the keys in slices of 200 us: longer ones were kept off the CPU, or wrote one big value.";
}

// What concerns the machine rather than one kind of work.
std::vector<std::string> MachineAdvice() {
  std::vector<std::string> advice;
  std::ifstream pages("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  if (std::getline(pages, line) && line.find("[always]") != std::string::npos) {
    advice.emplace_back(
        "Transparent huge pages are on for every process, which makes page faults slow: echo madvise > "
        "/sys/kernel/mm/transparent_hugepage/enabled.");
  }
  unsigned cores = std::thread::hardware_concurrency();
  if (cores > 0 && server.workers().size() > cores) {
    advice.push_back(
        fmt::format("There are {} threads on {} cores: they wait for each other. Start with `threads {}`, or fewer.",
                    server.workers().size(), cores, cores));
  }
  return advice;
}

struct Advisor {
  std::string (*say)();
  std::vector<LatencyEvent> about;
};

const Advisor kAdvisors[] = {
    {CommandAdvice, {LatencyEvent::kCommand, LatencyEvent::kFastCommand, LatencyEvent::kCommandUnblocking}},
    {ExpireAdvice, {LatencyEvent::kExpireCycle}},
    {EvictionAdvice, {LatencyEvent::kEvictionCycle, LatencyEvent::kEvictionDelete}},
    {DefragAdvice, {LatencyEvent::kDefragCycle}},
    {DiskAdvice, {LatencyEvent::kAofWrite, LatencyEvent::kAofFsyncAlways}},
    {SaveAdvice, {LatencyEvent::kSaveCut, LatencyEvent::kSaveSlice}},
};

}  // namespace

std::string DiagnoseLatency() {
  const int64_t threshold_ms = server.config().latency_monitor_threshold;
  std::string seen;
  std::array<bool, kLatencyEvents> found{};
  int number = 0;
  for (size_t i = 0; i < kLatencyEvents; i++) {
    Finding finding;
    if (!Examine(static_cast<LatencyEvent>(i), &finding)) continue;
    found[i] = true;
    seen += fmt::format("{}. {}\n", ++number, Describe(finding));
  }
  if (number == 0 && threshold_ms == 0) {
    return "The latency monitor is off: nothing is known. CONFIG SET latency-monitor-threshold 100 makes it note "
           "whatever keeps this server for 100 ms or longer.\n";
  }
  if (number == 0) {
    return fmt::format("Nothing has kept this server for {} ms or longer since the monitor was turned on or reset.\n",
                       threshold_ms);
  }
  std::string text = "What has kept this server:\n\n" + seen + "\nWhat to do:\n\n";
  if (threshold_ms == 0) text += "- The latency monitor is off by now: these are samples of before.\n";
  for (const Advisor& advisor : kAdvisors) {
    bool wanted = false;
    for (LatencyEvent event : advisor.about) wanted |= found[static_cast<size_t>(event)];
    if (wanted) text += "- " + advisor.say() + "\n";
  }
  for (const std::string& advice : MachineAdvice()) text += "- " + advice + "\n";
  return text;
}

}  // namespace brim
