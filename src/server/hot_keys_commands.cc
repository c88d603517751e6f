// HOTKEYS.
#include "base/monotonic.h"
#include "base/ticks.h"
#include "command/help.h"
#include "commands/arguments.h"
#include "server/hot_keys.h"
#include "server/server_commands.h"
#include "server/server_context.h"

namespace brim {

namespace {

bool Fail(Context& context, std::string_view text) {
  context.reply().Error(text);
  return false;
}

// METRICS count metric ...; *at is behind it then. Metrics that are not known are for newer servers.
bool ReadMetrics(Context& context, HotKeyOptions* options, size_t* at) {
  int64_t count;
  if (!ParseInt64(context.arg((*at)++), &count) || count <= 0) {
    return Fail(context, "ERR METRICS count must be positive");
  }
  if (static_cast<size_t>(count) > context.argc() - *at) {
    return Fail(context, "ERR METRICS count does not match number of metric types provided");
  }
  for (; count > 0; count--, (*at)++) {
    bool* metric = ArgIs(context, *at, "CPU") ? &options->cpu : ArgIs(context, *at, "NET") ? &options->net : nullptr;
    if (metric == nullptr) continue;
    if (*metric) {
      return Fail(context,
                  std::string("ERR METRICS ") + (metric == &options->cpu ? "CPU" : "NET") + " defined more than once");
    }
    *metric = true;
  }
  return options->cpu || options->net || Fail(context, "ERR METRICS no valid metrics passed");
}

bool ReadOption(Context& context, HotKeyOptions* options, size_t* at) {
  constexpr int64_t kSecondsMost = 1'000'000'000;
  size_t option = *at;
  if (option + 1 >= context.argc()) return Fail(context, errors::kSyntax);
  *at += 2;
  if (ArgIs(context, option, "COUNT")) {
    return ParseRangeArg(context, option + 1, 1, 64, &options->count, "ERR COUNT must be between 1 and 64");
  }
  if (ArgIs(context, option, "DURATION")) {
    return ParseRangeArg(context, option + 1, 0, kSecondsMost, &options->duration_s,
                         "ERR DURATION must be between 0 and 1000000000");
  }
  if (ArgIs(context, option, "SAMPLE")) {
    return ParseRangeArg(context, option + 1, 1, INT32_MAX, &options->sample_ratio,
                         "ERR SAMPLE ratio must be positive");
  }
  if (ArgIs(context, option, "SLOTS")) {
    return Fail(context, "ERR SLOTS parameter cannot be used in non-cluster mode");
  }
  return Fail(context, errors::kSyntax);
}

void Start(Context& context) {
  HotKeyOptions options;
  if (context.argc() < 4 || !ArgIs(context, 2, "METRICS")) {
    context.reply().Error("ERR METRICS parameter is required");
    return;
  }
  size_t at = 3;
  if (!ReadMetrics(context, &options, &at)) return;
  while (at < context.argc()) {
    if (!ReadOption(context, &options, &at)) return;
  }
  if (hot_keys.running()) {
    context.reply().Error("ERR hotkey tracking session already in progress");
    return;
  }
  hot_keys.Start(options, context.now_ms());
  context.reply().Ok();
}

void Stop(Context& context) {
  if (!hot_keys.running()) {
    context.reply().Null();
    return;
  }
  hot_keys.Stop(context.now_ms());
  context.reply().Ok();
}

void Reset(Context& context) {
  if (hot_keys.running()) {
    context.reply().Error("ERR hotkey tracking session in progress, stop tracking first");
    return;
  }
  hot_keys.Reset();
  context.reply().Ok();
}

void ReplyKeys(Reply& reply, const char* name, bool by_bytes) {
  auto figures = hot_keys.Heaviest(by_bytes);
  reply.Bulk(name);
  reply.ArrayHeader(figures.size() * 2);
  for (const HotKeys::Figure& figure : figures) {
    reply.Bulk(figure.key);
    reply.Integer(static_cast<int64_t>(by_bytes ? static_cast<double>(figure.weight) : TicksToUs(figure.weight)));
  }
}

void Get(Context& context) {
  Reply& reply = context.reply();
  if (!hot_keys.started()) {
    reply.Null();
    return;
  }
  hot_keys.Cron(context.now_ms());
  const HotKeyOptions& options = hot_keys.options();
  HotKeys::Totals totals = hot_keys.Sum();
  auto field = [&reply](const char* name, int64_t value) {
    reply.Bulk(name);
    reply.Integer(value);
  };
  reply.ArrayHeader(1);
  reply.MapHeader(7u + options.cpu * 3u + options.net * 2u);
  field("tracking-active", hot_keys.running());
  field("sample-ratio", options.sample_ratio);
  reply.Bulk("selected-slots");
  reply.ArrayHeader(1);
  reply.ArrayHeader(2);
  reply.Integer(0);
  reply.Integer(16383);
  field("all-commands-all-slots-us", static_cast<int64_t>(TicksToUs(totals.ticks)));
  field("net-bytes-all-commands-all-slots", static_cast<int64_t>(totals.bytes));
  field("collection-start-time-unix-ms", hot_keys.started_ms());
  int64_t until_ms = hot_keys.running() ? context.now_ms() : hot_keys.ended_ms();
  field("collection-duration-ms", until_ms - hot_keys.started_ms());
  if (options.cpu) {
    field("total-cpu-time-user-ms", totals.user_us / 1000);
    field("total-cpu-time-sys-ms", totals.system_us / 1000);
  }
  if (options.net) field("total-net-bytes", static_cast<int64_t>(totals.net_bytes));
  if (options.cpu) ReplyKeys(reply, "by-cpu-time-us", false);
  if (options.net) ReplyKeys(reply, "by-net-bytes", true);
}

constexpr uint32_t kFlags = kAdmin | kNoScript | kExclusive;

constexpr CommandSpec kRows[] = {
    {"hotkeys",
     -2,
     0,
     {},
     0,
     Group::kServer,
     "8.6.0",
     "Depends on the subcommand",
     "Commands about keys that are used much.",
     "",
     nullptr},
    {"hotkeys|get",
     2,
     kFlags,
     {},
     0,
     Group::kServer,
     "8.6.0",
     "O(K) where K is the number of keys answered",
     "Answers the keys that took most.",
     "",
     Get,
     nullptr,
     "nondeterministic_output"},
    {"hotkeys|help",
     2,
     kLoading | kStale,
     {},
     0,
     Group::kServer,
     "8.6.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"hotkeys|reset", 2, kFlags, {}, 0, Group::kServer, "8.6.0", "O(1)", "Forgets what was seen.", "", Reset},
    {"hotkeys|start",
     -2,
     kFlags,
     {},
     0,
     Group::kServer,
     "8.6.0",
     "O(1)",
     "Begins to look at which keys commands take their time for.",
     "METRICS count [CPU] [NET] [COUNT k] [DURATION seconds] [SAMPLE ratio] [SLOTS count slot [slot ...]]",
     Start},
    {"hotkeys|stop", 2, kFlags, {}, 0, Group::kServer, "8.6.0", "O(1)", "Ends it; what was seen is kept.", "", Stop},
};

}  // namespace

const CommandTable kHotKeysCommands = kRows;

}  // namespace brim
