// SAVE BGSAVE LASTSAVE BGREWRITEAOF WAITAOF WAIT.
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "server/aof.h"
#include "server/blocking.h"
#include "server/connection.h"
#include "server/journal.h"
#include "server/log.h"
#include "server/persistence.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/worker.h"

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
  bool in_transaction = AsServer(context).in_transaction();
  if (aof.rewriting() || in_transaction) {
    if (schedule || in_transaction) {
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
  // Within a transaction too: what it has done so far is not in the journal yet, and would come behind the cut.
  if (persistence.saving() || AsServer(context).in_transaction()) {
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

constexpr std::string_view kSyncedHere = "*2\r\n:1\r\n:0\r\n";
constexpr std::string_view kSyncedNowhere = "*2\r\n:0\r\n:0\r\n";
constexpr std::string_view kNoLog = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";

// The syncing thread is asked for the local half at once. Replicas: there are none, so who asks for some waits until
// the time is over.
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
    context.reply().Error(kNoLog);
    return;
  }
  uint64_t target = journal.offset();
  bool synced = (local > 0 || replicas > 0) && aof.SyncedUpTo(target);
  if ((replicas > 0 || (local > 0 && !synced)) && context.may_block()) {
    BlockRequest request;
    request.timeout_ms = timeout_ms;
    request.on_timeout = BlockRequest::kText;
    request.text = synced ? kSyncedHere : kSyncedNowhere;
    context.Block(request);
    ServerContext& own = AsServer(context);
    own.worker().sync_waiters.push_back({own.connection().id, target, local > 0, replicas > 0});
    return;
  }
  context.reply().ArrayHeader(2);
  context.reply().Integer(synced ? 1 : 0);
  context.reply().Integer(0);
}

// No replica is there to acknowledge anything.
void Wait(Context& context) {
  int64_t replicas;
  int64_t timeout_ms;
  if (!ParseIntArg(context, 1, &replicas)) return;
  if (!ParseIntArg(context, 2, &timeout_ms, "ERR timeout is not an integer or out of range")) return;
  if (timeout_ms < 0) {
    context.reply().Error("ERR timeout is negative");
  } else if (replicas <= 0 || !context.may_block()) {
    context.reply().Integer(0);
  } else {
    BlockRequest request;
    request.timeout_ms = timeout_ms;
    request.on_timeout = BlockRequest::kText;
    request.text = ":0\r\n";
    context.Block(request);
  }
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
    {"wait",
     3,
     kNoScript,
     {},
     kCatConnection,
     Group::kGeneric,
     "3.0.0",
     "O(1)",
     "Waits until replicas have what the connection wrote.",
     "numreplicas timeout",
     Wait,
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

void AnswerSyncWaiters(Worker& worker) {
  std::erase_if(worker.sync_waiters, [&](const Worker::SyncWaiter& each) {
    Connection* connection = worker.FindConnection(each.connection_id);
    if (connection == nullptr || connection->waiter == nullptr || connection->last_command->handler != Waitaof)
      return true;
    bool without_log = each.wants_local && !aof.enabled();
    bool synced = aof.SyncedUpTo(each.target);
    if (without_log) {
      connection->waiter->text = "-" + std::string(kNoLog) + "\r\n";
    } else if (synced) {
      connection->waiter->text = kSyncedHere;
    }
    if (without_log || (synced && !each.wants_replicas)) return Blocking::Unblock(*connection, false);
    return false;
  });
}

}  // namespace brim
