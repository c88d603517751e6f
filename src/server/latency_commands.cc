// LATENCY: what the latency monitor has seen, and how long commands took.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/monotonic.h"
#include "base/spark_line.h"
#include "command/help.h"
#include "commands/arguments.h"
#include "server/command_watch.h"
#include "server/latency_doctor.h"
#include "server/latency_monitor.h"
#include "server/server_commands.h"
#include "server/server_context.h"

namespace brim {

namespace {

LatencyEvent EventAt(size_t i) { return static_cast<LatencyEvent>(i); }

void Latest(Context& context) {
  Reply& reply = context.reply();
  size_t header = reply.BeginDeferred();
  size_t events = 0;
  for (size_t i = 0; i < kLatencyEvents; i++) {
    LatencyHistory history = latency_monitor.HistoryOf(EventAt(i));
    if (history.samples.empty()) continue;
    events++;
    reply.ArrayHeader(4);
    reply.Bulk(EventName(EventAt(i)));
    reply.Integer(history.samples.back().at_s);
    reply.Integer(static_cast<int64_t>(history.samples.back().ms));
    reply.Integer(static_cast<int64_t>(history.worst_ms));
  }
  reply.EndDeferredArray(header, events);
}

LatencyHistory HistoryNamedBy(Context& context, size_t i) {
  std::optional<LatencyEvent> event = FindEvent(context.arg(i));
  return event ? latency_monitor.HistoryOf(*event) : LatencyHistory();
}

void History(Context& context) {
  LatencyHistory history = HistoryNamedBy(context, 2);
  context.reply().ArrayHeader(history.samples.size());
  for (const LatencySample& sample : history.samples) {
    context.reply().ArrayHeader(2);
    context.reply().Integer(sample.at_s);
    context.reply().Integer(static_cast<int64_t>(sample.ms));
  }
}

// The largest whole unit that the time fills.
std::string AgeOf(int64_t seconds) {
  constexpr int64_t kMinute = 60;
  constexpr int64_t kHour = 60 * kMinute;
  constexpr int64_t kDay = 24 * kHour;
  if (seconds < kMinute) return fmt::format("{}s", seconds);
  if (seconds < kHour) return fmt::format("{}m", seconds / kMinute);
  if (seconds < kDay) return fmt::format("{}h", seconds / kHour);
  return fmt::format("{}d", seconds / kDay);
}

void Graph(Context& context) {
  constexpr size_t kColumns = 80;
  constexpr int kRows = 4;
  LatencyHistory history = HistoryNamedBy(context, 2);
  if (history.samples.empty()) {
    context.reply().Error("ERR No samples available for event '" + std::string(context.arg(2)) + "'");
    return;
  }
  std::vector<SparkPoint> points;
  int64_t now_s = WallUs() / 1'000'000;
  uint64_t high = 0;
  uint64_t low = UINT64_MAX;
  for (const LatencySample& sample : history.samples) {
    points.push_back({sample.ms, AgeOf(now_s - sample.at_s)});
    high = std::max(high, sample.ms);
    low = std::min(low, sample.ms);
  }
  std::string text = fmt::format("{} - high {} ms, low {} ms (all time high {} ms)\n{}\n", context.arg(2), high, low,
                                 history.worst_ms, std::string(kColumns, '-'));
  text += DrawSparkLine(points, kColumns, kRows);
  context.reply().Verbatim(text, "txt");
}

void Reset(Context& context) {
  int64_t events = 0;
  if (context.argc() == 2) {
    for (size_t i = 0; i < kLatencyEvents; i++) events += latency_monitor.Reset(EventAt(i)) ? 1 : 0;
  }
  for (size_t i = 2; i < context.argc(); i++) {
    std::optional<LatencyEvent> event = FindEvent(context.arg(i));
    if (event && latency_monitor.Reset(*event)) events++;
  }
  context.reply().Integer(events);
}

void Doctor(Context& context) { context.reply().Verbatim(DiagnoseLatency(), "txt"); }

// False: it was not called.
bool ReplyTimes(Reply& reply, const Command& command) {
  std::unique_ptr<LatencyHistogram> times = CommandWatch::Times(command);
  if (times == nullptr) return false;
  std::vector<LatencyHistogram::Bar> bars = times->Bars();
  reply.Bulk(command.spec->name);
  reply.MapHeader(2);
  reply.Bulk("calls");
  reply.Integer(static_cast<int64_t>(times->calls()));
  reply.Bulk("histogram_usec");
  reply.MapHeader(bars.size());
  for (const LatencyHistogram::Bar& bar : bars) {
    reply.Integer(static_cast<int64_t>(bar.us));
    reply.Integer(static_cast<int64_t>(bar.calls));
  }
  return true;
}

// By name, also "container|subcommand"; null: there is none.
const Command* FindByFullName(std::string_view name) {
  size_t bar = name.find('|');
  const Command* command = registry.Find(name.substr(0, bar));
  if (command == nullptr || bar == std::string_view::npos) return command;
  return registry.FindSub(*command, name.substr(bar + 1));
}

void Histogram(Context& context) {
  Reply& reply = context.reply();
  size_t header = reply.BeginDeferred();
  size_t commands = 0;
  if (context.argc() == 2) {
    for (auto& command : registry.all()) commands += ReplyTimes(reply, *command) ? 1 : 0;
  }
  for (size_t i = 2; i < context.argc(); i++) {
    const Command* command = FindByFullName(context.arg(i));
    if (command == nullptr) continue;
    commands += ReplyTimes(reply, *command) ? 1 : 0;
    for (const Command* sub : command->subcommands) commands += ReplyTimes(reply, *sub) ? 1 : 0;
  }
  reply.EndDeferredMap(header, commands);
}

constexpr uint32_t kControl = kAdmin | kNoScript | kLoading | kStale;
constexpr const char* kTips = "nondeterministic_output,request_policy:all_nodes,response_policy:special";
constexpr const char* kResetTips = "request_policy:all_nodes,response_policy:all_succeeded";

constexpr CommandSpec kRows[] = {
    {"latency",
     -2,
     0,
     {},
     0,
     Group::kServer,
     "2.8.13",
     "Depends on the subcommand",
     "Commands about what has kept the server.",
     "",
     nullptr},
    {"latency|doctor",
     2,
     kControl | kExclusive,
     {},
     0,
     Group::kServer,
     "2.8.13",
     "O(1)",
     "Explains in words what has kept the server, and what to do about it.",
     "",
     Doctor,
     nullptr,
     kTips},
    {"latency|graph",
     3,
     kControl,
     {},
     0,
     Group::kServer,
     "2.8.13",
     "O(1)",
     "Draws an event's samples.",
     "event",
     Graph,
     nullptr,
     kTips},
    {"latency|history",
     3,
     kControl,
     {},
     0,
     Group::kServer,
     "2.8.13",
     "O(1)",
     "Answers an event's samples: the second, and its longest time in milliseconds.",
     "event",
     History,
     nullptr,
     kTips},
    {"latency|latest",
     2,
     kControl,
     {},
     0,
     Group::kServer,
     "2.8.13",
     "O(1)",
     "Answers each event's last sample and its longest ever.",
     "",
     Latest,
     nullptr,
     kTips},
    {"latency|reset",
     -2,
     kControl,
     {},
     0,
     Group::kServer,
     "2.8.13",
     "O(1)",
     "Forgets the samples of the events named, or of all.",
     "[event [event ...]]",
     Reset,
     nullptr,
     kResetTips},
    {"latency|histogram",
     -2,
     kControl | kExclusive,
     {},
     0,
     Group::kServer,
     "7.0.0",
     "O(N) where N is the number of commands that were called",
     "Answers how many calls of the commands named, or of all, took at most how many microseconds.",
     "[command [command ...]]",
     Histogram,
     nullptr,
     kTips},
    {"latency|help",
     2,
     kLoading | kStale,
     {},
     0,
     Group::kServer,
     "2.8.13",
     "O(1)",
     "Lists LATENCY's subcommands.",
     "",
     ContainerHelp},
};

}  // namespace

const CommandTable kLatencyCommands = kRows;

}  // namespace brim
