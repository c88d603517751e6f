// EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO: running scripts and functions.
#include "base/ascii.h"
#include "base/numbers.h"
#include "commands/arguments.h"
#include "script/script_commands.h"
#include "server/aof.h"
#include "server/dispatch.h"
#include "server/journal.h"
#include "server/memory_guard.h"
#include "server/persistence.h"
#include "server/server_context.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr size_t kFirstKey = 3;

// How many keys; false with the error replied.
bool ReadKeyCount(Context& context, const char* not_a_number, size_t* keys) {
  int64_t count;
  if (!ParseInt64(context.arg(2), &count)) {
    context.reply().Error(not_a_number);
    return false;
  }
  if (count > static_cast<int64_t>(context.argc() - kFirstKey)) {
    context.reply().Error("ERR Number of keys can't be greater than number of args");
    return false;
  }
  if (count < 0) {
    context.reply().Error("ERR Number of keys can't be negative");
    return false;
  }
  *keys = static_cast<size_t>(count);
  return true;
}

// What a script says that it does is looked at before it begins. Null, or the error.
std::string_view RefusalOf(const ScriptRun& run, bool read_only_command) {
  if (run.flags & kScriptCompat) return {};
  if (!(run.flags & kScriptNoWrites) && !replaying) {
    if (persistence.RefusesWrites()) return errors::kMisconf;
    if (aof.failing()) return errors::kAofFailing;
    if (read_only_command) return "ERR Can not execute a script with write flag using *_ro command.";
  }
  if (run.oom && !(run.flags & (kScriptAllowOom | kScriptNoWrites))) return errors::kOom;
  return {};
}

void RunScript(ServerContext& context, ScriptKind kind, ScriptRun* run, bool read_only_command) {
  Worker& worker = context.worker();
  run->context = &context;
  run->first_arg = kFirstKey;
  run->oom = worker.out_of_memory && MemoryGuard::NeedsRelief();
  run->used_bytes = UsedMemoryFast();
  run->read_only = read_only_command || (run->flags & kScriptNoWrites);
  std::string_view refusal = RefusalOf(*run, read_only_command);
  if (!refusal.empty()) {
    context.reply().Error(refusal);
    return;
  }
  int db = context.db();
  bool outer = context.in_transaction();
  context.SetInTransaction(true);
  WorkerScripts::Of(worker.index()).Run(kind, run);
  context.SetInTransaction(outer);
  if (context.db() != db) context.SetDb(db);  // SELECT is the script's own
}

void EvalSha(Context& context);
void EvalShaRo(Context& context);

void RunEval(Context& given, bool read_only) {
  ServerContext& context = AsServer(given);
  WorkerScripts& scripts = WorkerScripts::Of(context.worker().index());
  if (context.in_transaction() || replaying || scripts.found_at != WorkerScripts::Now()) FindScript(context, scripts);
  ScriptRun run;
  bool by_digest = context.spec().handler == EvalSha || context.spec().handler == EvalShaRo;
  if (by_digest && context.arg(1).size() != kDigestDigits) {
    context.reply().Error(errors::kNoScript);
    return;
  }
  if (!ReadKeyCount(context, "ERR value is not an integer or out of range", &run.keys)) return;
  if (scripts.script == nullptr) {
    context.reply().Error(scripts.error);
    return;
  }
  run.name = scripts.script->script->digest;
  run.function = scripts.script->reference;
  run.flags = scripts.script->script->flags;
  RunScript(context, ScriptKind::kEval, &run, read_only);
}

void RunFunction(Context& given, bool read_only) {
  ServerContext& context = AsServer(given);
  WorkerScripts& scripts = WorkerScripts::Of(context.worker().index());
  if (context.in_transaction() || replaying || scripts.found_at != WorkerScripts::Now()) FindScript(context, scripts);
  if (scripts.function == nullptr) {
    context.reply().Error(scripts.error);
    return;
  }
  ScriptRun run;
  if (!ReadKeyCount(context, "ERR Bad number of keys provided", &run.keys)) return;
  run.name = scripts.function->function->name;
  run.function = scripts.function->reference;
  run.flags = scripts.function->function->flags;
  RunScript(context, ScriptKind::kFunction, &run, read_only);
}

void Eval(Context& context) { RunEval(context, false); }
void EvalSha(Context& context) { RunEval(context, false); }
void EvalRo(Context& context) { RunEval(context, true); }
void EvalShaRo(Context& context) { RunEval(context, true); }
void Fcall(Context& context) { RunFunction(context, false); }
void FcallRo(Context& context) { RunFunction(context, true); }

constexpr uint32_t kRuns = kNoScript | kStale | kSkipMonitor | kNoMandatoryKeys | kRunsScript;
constexpr int kAnyUse = kKeyRW | kKeyAccess | kKeyUpdate;
constexpr int kReadUse = kKeyRO | kKeyAccess;
constexpr const char* kAsScript = "Depends on the script";

constexpr CommandSpec kRows[] = {
    {"eval",
     -3,
     kRuns | kMayReplicate,
     {KeyNum(2, 0, 1, 1, kAnyUse)},
     kCatScripting,
     Group::kScripting,
     "2.6.0",
     kAsScript,
     "Runs a script of Lua on the server.",
     "script numkeys [key [key ...]] [arg [arg ...]]",
     Eval},
    {"evalsha",
     -3,
     kRuns | kMayReplicate,
     {KeyNum(2, 0, 1, 1, kAnyUse)},
     kCatScripting,
     Group::kScripting,
     "2.6.0",
     kAsScript,
     "Runs a script that the server has, by its SHA-1.",
     "sha1 numkeys [key [key ...]] [arg [arg ...]]",
     EvalSha},
    {"evalsha_ro",
     -3,
     kRuns | kReadonly,
     {KeyNum(2, 0, 1, 1, kReadUse)},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     kAsScript,
     "Runs a script that the server has, by its SHA-1; it may only read.",
     "sha1 numkeys [key [key ...]] [arg [arg ...]]",
     EvalShaRo},
    {"eval_ro",
     -3,
     kRuns | kReadonly,
     {KeyNum(2, 0, 1, 1, kReadUse)},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     kAsScript,
     "Runs a script of Lua that may only read.",
     "script numkeys [key [key ...]] [arg [arg ...]]",
     EvalRo},
    {"fcall",
     -3,
     kRuns | kMayReplicate,
     {KeyNum(2, 0, 1, 1, kAnyUse)},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     "Depends on the function",
     "Runs a function of a library.",
     "function numkeys [key [key ...]] [arg [arg ...]]",
     Fcall},
    {"fcall_ro",
     -3,
     kRuns | kReadonly,
     {KeyNum(2, 0, 1, 1, kReadUse)},
     kCatScripting,
     Group::kScripting,
     "7.0.0",
     "Depends on the function",
     "Runs a function of a library that may only read.",
     "function numkeys [key [key ...]] [arg [arg ...]]",
     FcallRo},
};

}  // namespace

const CommandTable kEvalCommands = kRows;

void FindScript(ServerContext& context, WorkerScripts& scripts) {
  scripts.script = nullptr;
  scripts.function = nullptr;
  scripts.found_at = WorkerScripts::Now();
  Handler handler = context.spec().handler;
  if (handler == Fcall || handler == FcallRo) {
    scripts.function = scripts.ByName(context.arg(1), &scripts.error);
    return;
  }
  // A wrong number of keys is told before the script is looked at.
  int64_t count;
  if (!ParseInt64(context.arg(2), &count) || count < 0 || count > static_cast<int64_t>(context.argc() - kFirstKey)) {
    return;
  }
  bool by_text = handler == Eval || handler == EvalRo;
  scripts.script =
      by_text ? scripts.ByText(context.arg(1), &scripts.error) : scripts.ByDigest(context.arg(1), &scripts.error);
}

}  // namespace brim
