// SAVE BGSAVE LASTSAVE BGREWRITEAOF WAITAOF.
#include "commands/arguments.h"
#include "server/aof.h"
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
  if (aof.rewriting()) {
    if (schedule) {
      persistence.Schedule();
      context.reply().Simple("Background saving scheduled");
    } else {
      context.reply().Error(
          "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to "
          "schedule "
          "a BGSAVE whenever possible.");
    }
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

void Bgrewriteaof(Context& context) {
  if (aof.rewriting()) {
    context.reply().Error("ERR Background append only file rewriting already in progress");
    return;
  }
  if (persistence.saving()) {
    aof.Schedule();
    context.reply().Simple("Background append only file rewriting scheduled");
    return;
  }
  std::string error;
  if (aof.StartRewrite(&error)) {
    context.reply().Simple("Background append only file rewriting started");
  } else {
    context.reply().Error(
        "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.");
  }
}

// The local half is done at once: what was written is synced now. Replicas: none yet.
void Waitaof(Context& context) {
  int64_t local;
  int64_t replicas;
  int64_t timeout_ms;
  if (!ParseRangeArg(context, 1, 0, 1, &local, "ERR value is out of range, must be between 0 and 1") ||
      !ParseRangeArg(context, 2, 0, INT64_MAX, &replicas, "ERR value is out of range, must be positive") ||
      !ParseIntArg(context, 3, &timeout_ms)) {
    return;
  }
  if (timeout_ms < 0) {
    context.reply().Error("ERR timeout is negative");
    return;
  }
  if (local > 0 && !aof.enabled()) {
    context.reply().Error("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
    return;
  }
  bool synced = local > 0 && aof.CommitAndSync();
  context.reply().ArrayHeader(2);
  context.reply().Integer(synced ? 1 : 0);
  context.reply().Integer(0);
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
    {"bgrewriteaof",
     1,
     kAdmin | kNoScript | kNoAsyncLoading | kExclusive,
     {},
     0,
     Group::kServer,
     "1.0.0",
     "O(1)",
     "Rewrites the append-only file to what is needed for what is there now, while the server goes on.",
     "",
     Bgrewriteaof},
    {"waitaof",
     4,
     kBlocking,
     {},
     kCatConnection,
     Group::kGeneric,
     "7.2.0",
     "O(1)",
     "Waits until what the connection wrote is on the disk here, and on replicas' disks.",
     "numlocal numreplicas timeout",
     Waitaof,
     nullptr,
     "request_policy:all_shards,response_policy:agg_min"},
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
