// How dispatch runs a script: which locks it begins with, and how it comes to more. docs/scripts.md.
#include <x86intrin.h>

#include <bit>
#include <utility>

#include "server/blocking.h"
#include "server/connection.h"
#include "server/dispatch.h"
#include "server/journal.h"
#include "server/monitor.h"
#include "server/pause.h"
#include "server/script_watch.h"
#include "server/server.h"
#include "server/shard_locks.h"
#include "server/tracking.h"
#include "server/worker.h"

namespace brim {

namespace {

// Shards of the keys that the command declares. None, when its arguments are wrong: the handler says so.
uint64_t DeclaredShards(Worker& worker, const Command& command, std::span<const std::string_view> argv) {
  if (!shard_locking) return 1;
  worker.key_positions.clear();
  if (!FindKeys(command, argv, &worker.key_positions)) return 0;
  uint64_t mask = 0;
  for (const KeyPosition& key : worker.key_positions) mask |= uint64_t{1} << shards.IndexOf(HashBytes(argv[key.index]));
  return mask;
}

// Somebody waits for a key of these shards with a BLMOVE, whose target may lie in any.
bool HaveMovers(uint64_t mask) {
  for (uint64_t rest = mask; rest; rest &= rest - 1) {
    if (shards[std::countr_zero(rest)].movers > 0) return true;
  }
  return false;
}

constexpr uint32_t kHasEffect = kWrite | kMayReplicate | kPubSub;

}  // namespace

// The shards, or the pause, for a run of that reach; all shards, when it has the token. False: a script that takes long
// keeps what it needs.
bool Dispatcher::BeginScript(ServerContext& context, ScriptReach reach, bool has_token) {
  Worker& worker = context.worker();
  ScriptLocks& locks = worker.script_locks;
  locks = ScriptLocks();
  if (reach == ScriptReach::kEverything) {
    if (!thread_pause.Begin(worker.index())) return false;
    locks.paused = true;
    locks.held = 0;
    context.locked_ = ~uint64_t{0};
    return true;
  }
  uint64_t mask =
      reach == ScriptReach::kAllShards ? AllShards() : DeclaredShards(worker, context.command(), context.argv());
  if (!(has_token ? ScriptClaim::LockAll() : LockShards(worker, mask))) return false;
  if (shard_locking && HaveMovers(mask) && mask != AllShards()) {
    UnlockShards(mask);
    mask = AllShards();
    if (!LockShards(worker, mask)) return false;
  }
  locks.held = mask;
  ScriptWatch::Of(worker.index()).held.store(mask, std::memory_order_relaxed);
  context.locked_ = shard_locking ? mask : ~uint64_t{0};
  return true;
}

void Dispatcher::EndScript(ServerContext& context) {
  Worker& worker = context.worker();
  ScriptLocks& locks = worker.script_locks;
  if (locks.token) ScriptClaim::GiveToken();
  if (locks.paused) {
    Blocking::ServeReady(worker, AllShards());
    thread_pause.End();
  } else if (locks.held != 0) {
    Blocking::ServeReady(worker, locks.held);
  }
  UnlockShards(locks.held);
  locks.held = 0;
  locks.paused = locks.token = false;
}

size_t Dispatcher::RunScript(ServerContext& context, const Command& command) {
  Worker& worker = context.worker();
  ScriptReach reach = script_engine->ReachOf(context);
  ShownRun shown;
  for (;;) {
    worker.busy_refused = false;
    if (!BeginScript(context, reach)) return kBusy;
    size_t refused = CallHandler(context, command);
    EndScript(context);
    const ScriptLocks& locks = worker.script_locks;
    if (worker.busy_refused) return kBusy;
    if (locks.wanted > reach) {
      reach = locks.wanted;
      script_engine->Learn(context, reach);
    }
    if (!locks.again) return refused;
    // Who claims more may wait for this thread to be outside: without contention for a shard it would never be.
    if (ScriptClaim::claiming()) ScriptClaim::LetPass(worker);
    shown.BeginAnew();
  }
}

// EXEC of a transaction with scripts: these find everything locked, and the token taken, so that they never have to
// begin anew.
size_t Dispatcher::RunTransactionOfScripts(ServerContext& context, const Command& command, bool pause) {
  Worker& worker = context.worker();
  worker.busy_refused = false;
  bool has_token = !pause && shard_locking;
  if (has_token && !ScriptClaim::TakeTokenFirst(worker)) return kBusy;
  if (!BeginScript(context, pause ? ScriptReach::kEverything : ScriptReach::kAllShards, has_token)) {
    if (has_token) ScriptClaim::GiveToken();
    return kBusy;
  }
  worker.script_locks.token = has_token;
  size_t refused = context.connection().close_soon ? 0 : CallHandler(context, command);
  EndScript(context);
  return refused;
}

ScriptStep Dispatcher::PrepareForScript(ServerContext& context, const Command& command,
                                        std::span<const std::string_view> argv, bool read_so_far) {
  if (!shard_locking || replaying) return ScriptStep::kReady;
  Worker& worker = context.worker();
  ScriptLocks& locks = worker.script_locks;
  if (locks.paused) return ScriptStep::kReady;
  RunningScript& running = ScriptWatch::Of(worker.index());
  if (command.flags & kExclusive) {
    locks.wanted = ScriptReach::kEverything;
    if (read_so_far && !locks.token) {
      locks.again = true;
      return ScriptStep::kBeginAnew;
    }
    ScriptClaim::Pause(worker);
    locks.paused = true;
    context.locked_ = ~uint64_t{0};
    return ScriptStep::kReady;
  }
  uint64_t needed;
  context.hashed_ = {};
  if (command.one_key && command.first_key < static_cast<int>(argv.size())) {
    context.hashed_ = argv[static_cast<size_t>(command.first_key)];
    context.hash_ = HashBytes(context.hashed_);
    needed = uint64_t{1} << shards.IndexOf(context.hash_);
  } else {
    needed = ShardMask(worker, command, argv);
  }
  if (uint64_t missing = needed & ~locks.held; missing != 0) {
    locks.wanted = ScriptReach::kAllShards;
    if (read_so_far && !locks.token) {
      locks.again = true;
      return ScriptStep::kBeginAnew;
    }
    ScriptClaim::LockMore(worker, missing);
    locks.held |= missing;
    if ((command.flags & kWrite) && HaveMovers(missing)) {
      uint64_t rest = AllShards() & ~locks.held;
      ScriptClaim::LockMore(worker, rest);
      locks.held |= rest;
    }
    context.locked_ = locks.held;
    running.held.store(locks.held, std::memory_order_relaxed);
  }
  if ((command.flags & kHasEffect) && !locks.token) {
    ScriptClaim::Taken taken = ScriptClaim::TakeToken();
    if (taken == ScriptClaim::Taken::kBusy) {
      worker.busy_refused = true;
      return ScriptStep::kBeginAnew;
    }
    if (taken == ScriptClaim::Taken::kBeginAnew) {
      locks.again = true;
      return ScriptStep::kBeginAnew;
    }
    locks.token = true;
  }
  return ScriptStep::kReady;
}

void Dispatcher::CallFromScript(ServerContext& context, const Command& command, std::span<const std::string_view> argv,
                                Reply* reply, bool recorded) {
  auto outer_argv = context.argv_;
  const Command* outer_command = context.command_;
  const CommandSpec* outer_spec = context.spec_;
  Reply* outer_reply = std::exchange(context.reply_, reply);
  bool outer_recording = std::exchange(context.recording_, recorded);
  bool outer_lasts = std::exchange(context.argv_lasts_, false);  // they are Lua's
  bool outer_in_script = std::exchange(context.in_script_, true);
  context.argv_ = argv;
  context.command_ = &command;
  context.spec_ = command.spec;
  context.worker().ticks = __rdtsc();  // what the script did since its last command is not this one's time
  if (CallHandler(context, command) != 0) {
    reply->Error(errors::kOom);
    server.CountError(context.worker(), *reply);
  }
  if (Connection* caller = context.connection_;
      caller != nullptr && caller->tracking != nullptr && (command.flags & kReadonly)) {
    KeyTracking::Remember(*caller, command, argv);
  }
  context.argv_ = outer_argv;
  context.command_ = outer_command;
  context.spec_ = outer_spec;
  context.reply_ = outer_reply;
  context.recording_ = outer_recording;
  context.argv_lasts_ = outer_lasts;
  context.in_script_ = outer_in_script;
  context.hashed_ = {};
}

}  // namespace brim
