// SCRIPT: the scripts that the server has, and those that run.
#include "script/script_commands.h"

#include "command/help.h"
#include "commands/arguments.h"
#include "script/slow_run.h"
#include "server/script_watch.h"
#include "server/server.h"
#include "server/server_context.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

namespace {

WorkerScripts& ScriptsOf(Context& context) { return WorkerScripts::Of(AsServer(context).worker().index()); }

void ScriptLoad(Context& context) {
  std::string error;
  ScriptPtr script = ScriptsOf(context).Load(context.arg(2), &error);
  if (script == nullptr) {
    context.reply().Error(error);
  } else {
    context.reply().Bulk(script->digest);
  }
}

void ScriptExists(Context& context) {
  context.reply().ArrayHeader(context.argc() - 2);
  for (size_t i = 2; i < context.argc(); i++) {
    context.reply().Integer(script_cache.Find(context.arg(i)) != nullptr ? 1 : 0);
  }
}

void ScriptShow(Context& context) {
  ScriptPtr script = script_cache.Find(context.arg(2));
  if (script == nullptr) {
    context.reply().Error(errors::kNoScript);
  } else {
    context.reply().Bulk(script->text);
  }
}

// SYNC frees now what the threads have compiled, ASYNC lets each thread do it when it next runs a script.
void ScriptFlush(Context& context) {
  bool now = !lazyfree.user_flush;
  if (context.argc() == 3 && ArgIs(context, 2, "SYNC")) {
    now = true;
  } else if (context.argc() == 3 && ArgIs(context, 2, "ASYNC")) {
    now = false;
  } else if (context.argc() != 2) {
    context.reply().Error("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
    return;
  }
  script_cache.Clear();
  if (now) {
    for (auto& scripts : WorkerScripts::All()) scripts->CloseScripts();
  }
  context.reply().Ok();
}

void ScriptKill(Context& context) { KillSlowScripts(context, false); }

void ScriptDebug(Context& context) {
  if (ArgIs(context, 2, "NO")) {
    context.reply().Ok();
  } else if (ArgIs(context, 2, "YES") || ArgIs(context, 2, "SYNC")) {
    context.reply().Error("ERR SCRIPT DEBUG: there is no debugger in this server");
  } else {
    context.reply().Error("ERR Use SCRIPT DEBUG YES/SYNC/NO");
  }
}

constexpr CommandSpec kRows[] = {
    {"script",
     -2,
     0,
     {},
     0,
     Group::kScripting,
     "2.6.0",
     "Depends on the subcommand",
     "Commands about the server's scripts.",
     "",
     nullptr},
    {"script|help",
     2,
     kLoading | kStale,
     {},
     kCatScripting,
     Group::kScripting,
     "5.0.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"script|debug",
     3,
     kNoScript,
     {},
     kCatScripting,
     Group::kScripting,
     "3.2.0",
     "O(1)",
     "Sets how the scripts that follow are debugged.",
     "YES|SYNC|NO",
     ScriptDebug},
    {"script|exists",
     -3,
     kNoScript,
     {},
     kCatScripting,
     Group::kScripting,
     "2.6.0",
     "O(N) where N is the number of digests",
     "Answers for each SHA-1 whether the server has the script.",
     "sha1 [sha1 ...]",
     ScriptExists,
     nullptr,
     "request_policy:all_shards,response_policy:agg_logical_and"},
    {"script|flush",
     -2,
     kNoScript | kExclusive,
     {},
     kCatScripting,
     Group::kScripting,
     "2.6.0",
     "O(N) where N is the number of scripts",
     "Forgets all scripts.",
     "[ASYNC|SYNC]",
     ScriptFlush,
     nullptr,
     "request_policy:all_nodes,response_policy:all_succeeded"},
    {"script|kill",
     2,
     kNoScript | kAllowBusy,
     {},
     kCatScripting,
     Group::kScripting,
     "2.6.0",
     "O(1)",
     "Ends the script that runs for too long, if it has not written yet.",
     "",
     ScriptKill,
     nullptr,
     "request_policy:all_shards,response_policy:one_succeeded"},
    {"script|load",
     3,
     kNoScript | kStale,
     {},
     kCatScripting,
     Group::kScripting,
     "2.6.0",
     "O(N) where N is the script's length",
     "Takes a script for EVALSHA without running it.",
     "script",
     ScriptLoad,
     nullptr,
     "request_policy:all_nodes,response_policy:all_succeeded"},
    {"script|show",
     3,
     kNoScript,
     {},
     kCatScripting,
     Group::kScripting,
     "8.0.0",
     "O(1)",
     "Answers the text of a script that the server has.",
     "sha1",
     ScriptShow},
};

}  // namespace

const CommandTable kScriptCommands = kRows;

void KillSlowScripts(Context& context, bool function) {
  bool killed = false;
  bool wrote = false;
  bool other = false;  // of the other kind
  for (size_t i = 0; i < server.workers().size(); i++) {
    RunningScript& script = ScriptWatch::Of(static_cast<int>(i));
    if (!ScriptWatch::PastThreshold(script)) continue;
    if (script.wrote.load(std::memory_order_relaxed)) {
      wrote = true;
    } else if (script.function.load(std::memory_order_relaxed) != function) {
      other = true;
    } else {
      script.kill.store(true, std::memory_order_relaxed);
      killed = true;
    }
  }
  if (killed) {
    context.reply().Ok();
  } else if (wrote) {
    context.reply().Error(errors::kUnkillable);
  } else if (other) {
    context.reply().Error(function ? errors::kBusyScript : errors::kBusyFunction);
  } else {
    context.reply().Error(errors::kNotBusy);
  }
}

}  // namespace brim
