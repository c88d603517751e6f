// SAVE BGSAVE LASTSAVE.
#include "commands/arguments.h"
#include "server/log.h"
#include "server/persistence.h"
#include "server/server_commands.h"
#include "server/server_context.h"

namespace brim {

namespace {

void Save(Context& context) {
  if (persistence.saving()) {
    context.reply().Error("ERR Background save already in progress");
    return;
  }
  std::string error;
  if (persistence.SaveNow(&error)) {
    context.reply().Ok();
  } else {
    context.reply().Error("ERR");
  }
}

void Bgsave(Context& context) {
  bool schedule = false;
  if (context.argc() > 1) {
    schedule = context.argc() == 2 && ArgIs(context, 1, "SCHEDULE");
    if (!schedule) {
      context.reply().Error(errors::kSyntax);
      return;
    }
  }
  if (persistence.saving()) {
    context.reply().Error("ERR Background save already in progress");
    return;
  }
  std::string error;
  if (!persistence.StartSave(&error)) {
    context.reply().Error("ERR");
    return;
  }
  LogNotice("Background saving started");
  context.reply().Simple("Background saving started");
}

void Lastsave(Context& context) { context.reply().Integer(persistence.figures().last_save_s); }

constexpr CommandSpec kRows[] = {
    {"save",
     1,
     kAdmin | kNoScript | kNoMulti | kNoAsyncLoading | kExclusive,
     {},
     0,
     Group::kServer,
     "1.0.0",
     "O(N) where N is the number of keys",
     "Saves everything to disk, and serves nobody meanwhile.",
     "",
     Save},
    {"bgsave",
     -1,
     kAdmin | kNoScript | kNoAsyncLoading | kExclusive,
     {},
     0,
     Group::kServer,
     "1.0.0",
     "O(1)",
     "Saves everything to disk, as it is now, while the server goes on.",
     "[SCHEDULE]",
     Bgsave},
    {"lastsave",
     1,
     kLoading | kStale | kFast | kExclusive,
     {},
     kCatAdmin | kCatDangerous,
     Group::kServer,
     "1.0.0",
     "O(1)",
     "Answers the time of the last save, in seconds since 1970.",
     "",
     Lastsave,
     nullptr,
     "nondeterministic_output"},
};

}  // namespace

const CommandTable kPersistenceCommands = kRows;

}  // namespace brim
