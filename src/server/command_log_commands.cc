// SLOWLOG, and COMMANDLOG, which is Valkey's name for it with two logs more.
#include <array>

#include "command/help.h"
#include "commands/arguments.h"
#include "server/command_log.h"
#include "server/server_commands.h"

namespace brim {

namespace {

struct KindName {
  std::string_view name;
  CommandLogKind kind;
};
constexpr KindName kKinds[] = {{"slow", CommandLogKind::kSlow},
                               {"large-request", CommandLogKind::kLargeRequest},
                               {"large-reply", CommandLogKind::kLargeReply}};

// The log that the argument names; null with the error replied.
CommandLog* LogNamedBy(Context& context, size_t i) {
  for (const KindName& row : kKinds) {
    if (ArgIs(context, i, row.name)) return &LogOf(row.kind);
  }
  context.reply().Error("ERR type should be one of the following: slow, large-request, large-reply");
  return nullptr;
}

// How many entries are wanted; -1: all.
bool ParseCount(Context& context, size_t i, int64_t* count) {
  return ParseRangeArg(context, i, -1, INT64_MAX, count, "ERR count should be greater than or equal to -1");
}

void ReplyNewest(Context& context, CommandLog& log, int64_t count) {
  std::vector<CommandLogEntry> entries = log.Newest(count == -1 ? SIZE_MAX : static_cast<size_t>(count));
  Reply& reply = context.reply();
  reply.ArrayHeader(entries.size());
  for (const CommandLogEntry& entry : entries) {
    reply.ArrayHeader(6);
    reply.Integer(entry.id);
    reply.Integer(entry.at_s);
    reply.Integer(entry.value);
    reply.ArrayHeader(entry.words.size());
    for (const std::string& word : entry.words) reply.Bulk(word);
    reply.Bulk(entry.address);
    reply.Bulk(entry.name);
  }
}

void SlowlogGet(Context& context) {
  constexpr int64_t kUsual = 10;
  if (context.argc() > 3) {
    context.reply().Error("ERR unknown subcommand or wrong number of arguments for '" + std::string(context.arg(1)) +
                          "'. Try SLOWLOG HELP.");
    return;
  }
  int64_t count = kUsual;
  if (context.argc() == 3 && !ParseCount(context, 2, &count)) return;
  ReplyNewest(context, LogOf(CommandLogKind::kSlow), count);
}

void SlowlogLen(Context& context) {
  context.reply().Integer(static_cast<int64_t>(LogOf(CommandLogKind::kSlow).size()));
}

void SlowlogReset(Context& context) {
  LogOf(CommandLogKind::kSlow).Clear();
  context.reply().Ok();
}

void CommandlogGet(Context& context) {
  CommandLog* log = LogNamedBy(context, 3);
  int64_t count;
  if (log == nullptr || !ParseCount(context, 2, &count)) return;
  ReplyNewest(context, *log, count);
}

void CommandlogLen(Context& context) {
  if (CommandLog* log = LogNamedBy(context, 2); log != nullptr) {
    context.reply().Integer(static_cast<int64_t>(log->size()));
  }
}

void CommandlogReset(Context& context) {
  CommandLog* log = LogNamedBy(context, 2);
  if (log == nullptr) return;
  log->Clear();
  context.reply().Ok();
}

constexpr uint32_t kControl = kAdmin | kLoading | kStale;
constexpr const char* kGetTips = "request_policy:all_nodes,nondeterministic_output";
constexpr const char* kLenTips = "request_policy:all_nodes,response_policy:agg_sum,nondeterministic_output";
constexpr const char* kResetTips = "request_policy:all_nodes,response_policy:all_succeeded";
constexpr const char* kEach = "O(N) where N is the number of entries answered";
constexpr const char* kAll = "O(N) where N is the number of entries";

constexpr CommandSpec kRows[] = {
    {"slowlog",
     -2,
     0,
     {},
     0,
     Group::kServer,
     "2.2.12",
     "Depends on the subcommand",
     "Commands about the log of slow commands.",
     "",
     nullptr},
    {"slowlog|get",
     -2,
     kControl,
     {},
     0,
     Group::kServer,
     "2.2.12",
     kEach,
     "Answers the newest entries: id, time, microseconds, words, client's address and name (10; -1: all).",
     "[count]",
     SlowlogGet,
     nullptr,
     kGetTips},
    {"slowlog|len",
     2,
     kControl,
     {},
     0,
     Group::kServer,
     "2.2.12",
     "O(1)",
     "Answers how many entries there are.",
     "",
     SlowlogLen,
     nullptr,
     kLenTips},
    {"slowlog|reset",
     2,
     kControl,
     {},
     0,
     Group::kServer,
     "2.2.12",
     kAll,
     "Forgets all entries.",
     "",
     SlowlogReset,
     nullptr,
     kResetTips},
    {"slowlog|help",
     2,
     kLoading | kStale,
     {},
     0,
     Group::kServer,
     "6.2.0",
     "O(1)",
     "Lists SLOWLOG's subcommands.",
     "",
     ContainerHelp},
    {"commandlog",
     -2,
     0,
     {},
     0,
     Group::kServer,
     "8.1.0",
     "Depends on the subcommand",
     "Commands about the logs of slow commands, large requests and large replies.",
     "",
     nullptr},
    {"commandlog|get",
     4,
     kControl,
     {},
     0,
     Group::kServer,
     "8.1.0",
     kEach,
     "Answers the newest entries of a log: id, time, microseconds or bytes, words, client's address and name (-1: "
     "all).",
     "count <SLOW|LARGE-REQUEST|LARGE-REPLY>",
     CommandlogGet,
     nullptr,
     kGetTips},
    {"commandlog|len",
     3,
     kControl,
     {},
     0,
     Group::kServer,
     "8.1.0",
     "O(1)",
     "Answers how many entries a log has.",
     "<SLOW|LARGE-REQUEST|LARGE-REPLY>",
     CommandlogLen,
     nullptr,
     kLenTips},
    {"commandlog|reset",
     3,
     kControl,
     {},
     0,
     Group::kServer,
     "8.1.0",
     kAll,
     "Forgets all entries of a log.",
     "<SLOW|LARGE-REQUEST|LARGE-REPLY>",
     CommandlogReset,
     nullptr,
     kResetTips},
    {"commandlog|help",
     2,
     kLoading | kStale,
     {},
     0,
     Group::kServer,
     "8.1.0",
     "O(1)",
     "Lists COMMANDLOG's subcommands.",
     "",
     ContainerHelp},
};

}  // namespace

const CommandTable kCommandLogCommands = kRows;

}  // namespace brim
