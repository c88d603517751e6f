// TIME ROLE SHUTDOWN: the process as a whole.
#include "base/monotonic.h"
#include "commands/arguments.h"
#include "server/connection.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/shutdown.h"

namespace brim {

namespace {

void Time(Context& context) {
  int64_t now_us = WallUs();
  context.reply().ArrayHeader(2);
  context.reply().Bulk(std::to_string(now_us / 1'000'000));
  context.reply().Bulk(std::to_string(now_us % 1'000'000));
}

void Role(Context& context) {
  context.reply().ArrayHeader(3);
  context.reply().Bulk("master");
  context.reply().Integer(0);
  context.reply().ArrayHeader(0);
}

void ShutdownCommand(Context& context) {
  ShutdownFlags flags;
  bool abort = false;
  for (size_t i = 1; i < context.argc(); i++) {
    if (ArgIs(context, i, "SAVE")) {
      flags.save = true;
    } else if (ArgIs(context, i, "NOSAVE")) {
      flags.nosave = true;
    } else if (ArgIs(context, i, "NOW")) {
      flags.now = true;
    } else if (ArgIs(context, i, "FORCE")) {
      flags.force = true;
    } else if (ArgIs(context, i, "ABORT")) {
      abort = true;
    } else {
      context.reply().Error(errors::kSyntax);
      return;
    }
  }
  bool any = flags.save || flags.nosave || flags.now || flags.force;
  if ((flags.save && flags.nosave) || (abort && any)) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  if (abort) {
    if (ending.Abort()) {
      context.reply().Ok();
    } else {
      context.reply().Error("ERR No shutdown in progress.");
    }
    return;
  }
  constexpr std::string_view kFailed = "ERR Errors trying to SHUTDOWN. Check logs.";
  if (!flags.now && !context.may_block()) {
    context.reply().Error("ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client");
    return;
  }
  Shutdown::Answer answer = ending.Begin(flags);
  if (answer == Shutdown::Answer::kRefused) {
    context.reply().Error(kFailed);
  } else if (answer == Shutdown::Answer::kWaits) {
    std::string text = "-" + std::string(kFailed) + "\r\n";
    BlockRequest request;
    request.on_timeout = BlockRequest::kText;
    request.text = text;
    context.Block(request);
    Connection& connection = AsServer(context).connection();
    ending.AddClient(connection.worker, connection.id);
  }
}

constexpr CommandSpec kRows[] = {
    {"time",
     1,
     kLoading | kStale | kFast,
     {},
     0,
     Group::kServer,
     "2.6.0",
     "O(1)",
     "Answers the server's time: seconds since 1970, and microseconds.",
     "",
     Time,
     nullptr,
     "nondeterministic_output"},
    {"role",
     1,
     kNoScript | kLoading | kStale | kFast | kSentinel,
     {},
     kCatAdmin | kCatDangerous,
     Group::kServer,
     "2.8.12",
     "O(1)",
     "Answers the server's role in replication.",
     "",
     Role},
    {"shutdown",
     -1,
     kAdmin | kNoScript | kLoading | kStale | kNoMulti | kSentinel | kAllowBusy | kExclusive,
     {},
     0,
     Group::kServer,
     "1.0.0",
     "O(1)",
     "Ends the server.",
     "[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]",
     ShutdownCommand},
};

}  // namespace

const CommandTable kAdminCommands = kRows;

}  // namespace brim
