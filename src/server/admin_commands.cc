// TIME ROLE SHUTDOWN: the process as a whole.
#include "base/monotonic.h"
#include "commands/arguments.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/persistence.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/server_context.h"

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

void Shutdown(Context& context) {
  bool save = false;
  bool nosave = false;
  bool abort = false;
  bool force = false;
  for (size_t i = 1; i < context.argc(); i++) {
    if (ArgIs(context, i, "SAVE")) {
      save = true;
    } else if (ArgIs(context, i, "NOSAVE")) {
      nosave = true;
    } else if (ArgIs(context, i, "ABORT")) {
      abort = true;
    } else if (ArgIs(context, i, "FORCE")) {
      force = true;
    } else if (!ArgIs(context, i, "NOW")) {
      context.reply().Error(errors::kSyntax);
      return;
    }
  }
  if ((save && nosave) || (abort && context.argc() > 2)) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  if (abort) {
    context.reply().Error("ERR No shutdown in progress.");
    return;
  }
  std::string error;
  if ((save || (!nosave && persistence.has_save_points())) && !persistence.SaveNow(&error) && !force) {
    LogWarning("Error trying to save the DB, can't exit.");
    context.reply().Error("ERR Errors trying to SHUTDOWN. Check logs.");
    return;
  }
  persistence.SavedForExit();
  LogWarning("User requested shutdown...");
  // The connection ends with the process: who waited for that can start another one on the same port.
  server.RequestStop();
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
     Shutdown},
};

}  // namespace

const CommandTable kAdminCommands = kRows;

}  // namespace brim
