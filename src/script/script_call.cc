#include "script/script_call.h"

#include <algorithm>
#include <new>

#include "memory/account.h"
#include "script/permissions.h"
#include "server/aof.h"
#include "server/dispatch.h"
#include "server/memory_guard.h"
#include "server/persistence.h"
#include "server/script_watch.h"
#include "server/server.h"
#include "server/server_context.h"
#include "server/worker.h"

namespace brim {

namespace {

// Why the command is not run at all, or an empty text.
std::string_view RefusalOf(const Command* command, std::span<const std::string_view> argv) {
  if (command == nullptr || (command->handler == nullptr && command->ArityFits(argv.size()))) {
    return "ERR Unknown Redis command called from script";
  }
  if (!command->ArityFits(argv.size())) return "ERR Wrong number of args calling Redis command from script";
  if (command->flags & kNoScript) return "ERR This Redis command is not allowed from script";
  return {};
}

// Writing, and using memory: what a script may do when it begins it may go on with.
std::string_view RefusalByState(const ScriptRun& run, const Command& command, std::span<const std::string_view> argv) {
  if ((command.flags & (kWrite | kMayReplicate)) && run.read_only) {
    return "ERR Write commands are not allowed from read-only scripts.";
  }
  if ((command.flags & kWrite) && !run.wrote && !replaying) {
    if (persistence.RefusesWrites()) return errors::kMisconf;
    if (aof.failing()) return errors::kAofFailing;
  }
  if (!(command.flags & kDenyOom) || replaying) return {};
  if (run.oom && !run.wrote && !(run.flags & kScriptAllowOom)) return errors::kOom;
  if (MemoryGuard::used_limit() == 0) return {};
  // However it began, it may take so much and no more beyond the limit.
  int64_t used = UsedMemoryFast();
  for (std::string_view arg : argv) used += static_cast<int64_t>(arg.size());
  int64_t ceiling = used_ceiling.load(std::memory_order_relaxed);
  return used <= std::max(ceiling, run.used_bytes + ceiling - MemoryGuard::used_limit()) ? std::string_view()
                                                                                         : errors::kOom;
}

CallOutcome Call(Interpreter& interpreter, ScriptRun& run) {
  ServerContext& context = *run.context;
  Worker& worker = context.worker();
  std::span<const std::string_view> argv(interpreter.args);
  constexpr size_t kKeptBytes = 64 << 10;
  if (interpreter.output.owned_bytes() > kKeptBytes) {
    interpreter.output.Clear();
  } else {
    interpreter.output.Consume(interpreter.output.size_bytes());
  }
  const Command* container;
  const Command* command = registry.Resolve(argv, &container);
  std::string_view refusal = RefusalOf(command, argv);
  std::string denial;
  if (refusal.empty() && !ScriptMayCall(context, *command, argv, &denial)) refusal = denial;
  if (refusal.empty()) refusal = RefusalByState(run, *command, argv);
  if (!refusal.empty()) {
    if (command != nullptr) worker.figures.commands_by_id[static_cast<size_t>(command->id)].rejected++;
    interpreter.reply.Error(refusal);
    server.CountError(worker, interpreter.reply);
    return CallOutcome::kReplied;
  }
  bool read_so_far = !run.acted;
  if (Dispatcher::PrepareForScript(context, *command, argv, read_so_far) != ScriptStep::kReady) {
    return CallOutcome::kAborted;
  }
  if (command->flags & (kWrite | kMayReplicate | kPubSub)) {
    run.acted = true;
    if ((command->flags & kWrite) && !run.wrote) {
      run.wrote = true;
      ScriptWatch::Of(worker.index()).wrote.store(true, std::memory_order_relaxed);
    }
  }
  // Commands of the journal go to files and replicas alike: what is for neither is left out.
  bool recorded = (run.replicate & ScriptRun::kReplicateAof) != 0;
  Dispatcher::CallFromScript(context, *command, argv, &interpreter.reply, recorded);
  return CallOutcome::kReplied;
}

}  // namespace

CallOutcome CallCommand(Interpreter& interpreter, ScriptRun& run) noexcept {
  try {
    return Call(interpreter, run);
  } catch (const std::bad_alloc&) {
    return CallOutcome::kNoMemory;
  }
}

}  // namespace brim
