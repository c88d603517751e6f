#include "server/command_watch.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "base/monotonic.h"
#include "base/numbers.h"
#include "base/ticks.h"
#include "server/blocking.h"
#include "server/command_log.h"
#include "server/config.h"
#include "server/connection.h"
#include "server/latency_monitor.h"
#include "server/redaction.h"
#include "server/server.h"
#include "server/server_context.h"
#include "server/worker.h"

namespace brim {

namespace {

// The thresholds as their settings have them; -1: off.
struct Thresholds {
  int64_t slow_us = -1;
  int64_t request_bytes = -1;
  int64_t reply_bytes = -1;
  bool histograms = true;
};
Thresholds thresholds;

struct Finished {
  const Command& command;
  std::span<const std::string_view> argv;
  int64_t us;
  size_t reply_bytes;
  const Connection* client;  // null: a script's command
};

size_t AsLimit(int64_t bytes) {
  return bytes < 0 ? WatchLimits::kOff : std::min(static_cast<size_t>(bytes), WatchLimits::kOff);
}

void AddEntry(CommandLogKind kind, const Finished& done, int64_t value) {
  CommandLogEntry entry;
  entry.at_s = WallUs() / 1'000'000;
  entry.value = value;
  std::vector<std::string_view> words(done.argv.begin(), done.argv.end());
  std::vector<size_t> secrets;
  FindSecrets(done.command, done.argv, &secrets);
  for (size_t place : secrets) words[place] = kRedacted;
  entry.words = LoggedWords(words);
  entry.address = done.client != nullptr ? done.client->address : "?:0";
  if (done.client != nullptr) entry.name = done.client->name;
  LogOf(kind).Add(std::move(entry));
}

void Log(const Finished& done) {
  if (done.command.flags & kSkipSlowlog) return;
  if (thresholds.slow_us >= 0 && done.us >= thresholds.slow_us) AddEntry(CommandLogKind::kSlow, done, done.us);
  if (done.client == nullptr) return;  // its request and its reply are the script's own
  if (size_t bytes = RequestBytes(done.argv); bytes >= AsLimit(thresholds.request_bytes)) {
    AddEntry(CommandLogKind::kLargeRequest, done, static_cast<int64_t>(bytes));
  }
  if (done.reply_bytes >= AsLimit(thresholds.reply_bytes)) {
    AddEntry(CommandLogKind::kLargeReply, done, static_cast<int64_t>(done.reply_bytes));
  }
}

int64_t TicksToWholeUs(const Worker& worker, uint64_t ticks) {
  return static_cast<int64_t>(TicksToNs(ticks, worker.watch.ns_per_tick) / 1000);
}

}  // namespace

size_t RequestBytes(std::span<const std::string_view> words) {
  constexpr size_t kMarks = 5;  // "$", and the two line ends
  size_t bytes = 3 + std::to_string(words.size()).size();
  for (std::string_view word : words) bytes += kMarks + std::to_string(word.size()).size() + word.size();
  return bytes;
}

void CommandWatch::Configure(const Config& config) {
  thresholds = {config.slowlog_log_slower_than, config.commandlog_request_larger_than,
                config.commandlog_reply_larger_than, config.latency_tracking};
  LogOf(CommandLogKind::kSlow).SetLimit(static_cast<size_t>(config.slowlog_max_len));
  LogOf(CommandLogKind::kLargeRequest).SetLimit(static_cast<size_t>(config.commandlog_large_request_max_len));
  LogOf(CommandLogKind::kLargeReply).SetLimit(static_cast<size_t>(config.commandlog_large_reply_max_len));
  latency_monitor.SetThreshold(config.latency_monitor_threshold);
  for (auto& worker : server.workers()) Refresh(*worker);
}

void CommandWatch::Refresh(Worker& worker) {
  // The comparison in ticks is to let nothing slip by; what it lets through is measured again in microseconds.
  constexpr double kSlack = 0.99;
  int64_t least_us = latency_monitor.threshold_us();
  if (thresholds.slow_us >= 0) least_us = std::min(least_us, thresholds.slow_us);
  WatchLimits& watch = worker.watch;
  watch.ns_per_tick = NsPerTick();
  watch.ticks = UINT64_MAX;
  constexpr int64_t kNever = int64_t{1} << 50;  // some decades
  if (least_us < kNever) watch.ticks = UsToTicks(static_cast<double>(least_us) * kSlack);
  watch.request_bytes = AsLimit(thresholds.request_bytes);
  watch.reply_bytes = AsLimit(thresholds.reply_bytes);
  watch.histograms = thresholds.histograms;
}

void CommandWatch::Note(ServerContext& context, const Command& command, uint64_t ticks, size_t reply_bytes) {
  int64_t us = TicksToWholeUs(context.worker(), ticks);
  latency_monitor.Note(command.flags & kFast ? LatencyEvent::kFastCommand : LatencyEvent::kCommand, us);
  if (context.blocked()) return;          // NoteServed, when it is done
  constexpr size_t kNone = SIZE_MAX / 2;  // replies became fewer: somebody took them
  if (reply_bytes > kNone) reply_bytes = 0;
  Log({command, context.argv(), us, reply_bytes, context.in_script() ? nullptr : &context.connection()});
}

void CommandWatch::NoteServed(Connection& connection, const Waiter& waiter, size_t reply_bytes) {
  Worker& worker = *connection.worker;
  latency_monitor.Note(LatencyEvent::kCommandUnblocking, TicksToWholeUs(worker, waiter.serving_ticks));
  uint64_t ticks = waiter.ticks + waiter.serving_ticks;
  if (worker.watch.histograms) Count(worker, *waiter.command, ticks);
  Log({*waiter.command, waiter.argv, TicksToWholeUs(worker, ticks), reply_bytes, &connection});
}

void CommandWatch::Count(Worker& worker, const Command& command, uint64_t ticks) {
  std::unique_ptr<CallTimes>& times = worker.figures.commands_by_id[static_cast<size_t>(command.id)].times;
  if (times == nullptr) times.reset(new (std::nothrow) CallTimes());
  if (times != nullptr) times->Count(ticks);
}

void CommandWatch::EndSpecial(ServerContext& context, const Command& command, uint64_t ticks) {
  if (context.blocked()) {
    context.connection().waiter->ticks = ticks;
  } else if (context.worker().watch.histograms) {
    Count(context.worker(), command, ticks);
  }
}

std::unique_ptr<LatencyHistogram> CommandWatch::Times(const Command& command) {
  std::unique_ptr<LatencyHistogram> all;
  for (auto& worker : server.workers()) {
    const CallTimes* own = worker->figures.commands_by_id[static_cast<size_t>(command.id)].times.get();
    if (own == nullptr) continue;
    if (all == nullptr) all = std::make_unique<LatencyHistogram>();
    own->AddTo(all.get(), worker->watch.ns_per_tick);
  }
  return all;
}

}  // namespace brim
