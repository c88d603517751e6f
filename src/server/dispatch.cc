#include "server/dispatch.h"

#include <x86intrin.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "memory/account.h"
#include "resp/errors.h"
#include "server/admission.h"
#include "server/aof.h"
#include "server/blocking.h"
#include "server/connection.h"
#include "server/journal.h"
#include "server/pause.h"
#include "server/persistence.h"
#include "server/server.h"
#include "server/transaction.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr size_t kPeekArgs = 2;
constexpr size_t kBigBytes = 64 << 10;  // of arguments: room is made before they are stored

uint64_t AllShards() { return shards.count() == 64 ? ~uint64_t{0} : (uint64_t{1} << shards.count()) - 1; }

void LockShards(uint64_t mask) {
  if (!shard_locking) return;
  for (uint64_t rest = mask; rest; rest &= rest - 1) shards[std::countr_zero(rest)].lock().lock();
}

void UnlockShards(uint64_t mask) {
  if (!shard_locking) return;
  for (uint64_t rest = mask; rest; rest &= rest - 1) shards[std::countr_zero(rest)].lock().unlock();
}

// "ERR unknown command 'x', with args beginning with: 'a' 'b' "
std::string UnknownCommandText(std::span<const std::string_view> argv) {
  // As redis-server prints them: up to a zero byte.
  auto printable = [](std::string_view arg, size_t most) {
    return std::string(arg.substr(0, std::min(arg.find('\0'), most)));
  };
  std::string text = "ERR unknown command '" + printable(argv[0], 128) + "', with args beginning with: ";
  std::string args;
  for (size_t i = 1; i < argv.size() && args.size() < 128; i++) {
    args += "'" + printable(argv[i], 128 - args.size()) + "' ";
  }
  return text + args;
}

std::string UnknownSubcommandText(const Command& container, std::string_view sub) {
  std::string upper = container.name;
  for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return "ERR unknown subcommand '" + std::string(sub.substr(0, std::min<size_t>(sub.find('\0'), 128))) + "'. Try " +
         upper + " HELP.";
}

}  // namespace

void Dispatcher::MakePlans(Connection& connection, Plan* plans, size_t count) {
  Worker& worker = *connection.worker;
  std::string_view last_name;
  for (size_t i = 0; i < count; i++) {
    const ParsedCommand& parsed = worker.parsed[i];
    std::span<const std::string_view> argv(worker.args.data() + parsed.first_arg, parsed.argc);
    Plan& plan = plans[i];
    if (i == 0 && worker.peeked != nullptr) {
      const Peeked& peeked = *worker.peeked;
      worker.peeked = nullptr;
      if (peeked.table != nullptr && argv.size() > 1 && argv[0].data() == peeked.name && argv[1].data() == peeked.key) {
        plan = {peeked.command, nullptr, peeked.hash, true};
        last_name = argv[0];
        continue;
      }
    }
    // Pipelines repeat their commands: a name that is the last one's, byte for byte, needs no look-up.
    if (i > 0 && argv[0] == last_name && plans[i - 1].command != nullptr && !plans[i - 1].container &&
        plans[i - 1].command->subcommands.empty()) {
      plan.command = plans[i - 1].command;
      plan.container = nullptr;
    } else {
      plan.command = registry.Resolve(argv, &plan.container);
    }
    last_name = argv[0];
    plan.hashed =
        plan.command != nullptr && plan.command->one_key && plan.command->first_key < static_cast<int>(argv.size());
    if (!plan.hashed) continue;
    plan.hash = HashBytes(argv[static_cast<size_t>(plan.command->first_key)]);
    if (count > 1) shards.Of(plan.hash).db(connection.db).table().PrefetchBucket(plan.hash);
  }
  if (count == 1) return;
  for (size_t i = 0; i < count; i++) {
    if (plans[i].hashed) shards.Of(plans[i].hash).db(connection.db).table().PrefetchBlock(plans[i].hash);
  }
}

Peeked Dispatcher::PrefetchFirst(Connection& connection, std::string_view data) {
  Peeked peeked;
  std::string_view args[kPeekArgs];
  size_t count = RequestParser::Peek(data, args, kPeekArgs);
  if (count < 2) return peeked;
  const Command* container;
  const Command* command = registry.Resolve({args, count}, &container);
  peeked.command = command;
  if (command == nullptr || !command->one_key || command->first_key != 1) return peeked;
  peeked.name = args[0].data();
  peeked.key = args[1].data();
  peeked.hash = HashBytes(args[1]);
  peeked.table = &shards.Of(peeked.hash).db(connection.db).table();
  peeked.table->PrefetchBucket(peeked.hash);
  return peeked;
}

size_t Dispatcher::RunBatch(Connection& connection) {
  Worker& worker = *connection.worker;
  thread_pause.CheckPoint(worker.index());
  if (connection.close_soon) return 0;
  Plan plans[kMaxPlans];
  size_t count = worker.parsed.size();
  MakePlans(connection, plans, count);
  ServerContext& context = worker.context;
  context.connection_ = &connection;
  context.reply().SetVersion(connection.resp);
  context.db_ = connection.db;
  context.no_touch_ = connection.no_touch;
  worker.ticks = __rdtsc();
  size_t i = 0;
  for (; i < count; i++) {
    const ParsedCommand& parsed = worker.parsed[i];
    std::span<const std::string_view> argv(worker.args.data() + parsed.first_arg, parsed.argc);
    uint64_t began = worker.ticks;
    if (!RunOne(connection, plans[i], argv)) return i;
    if (connection.close_soon || connection.close_after_reply || connection.parked()) return i + 1;
    if (worker.ticks - began > worker.long_command_ticks && i + 1 < count) [[unlikely]] {
      // The others first.
      worker.Defer(&connection);
      return i + 1;
    }
  }
  return i;
}

// False: the command was held back, not run.
bool Dispatcher::RunOne(Connection& connection, const Plan& plan, std::span<const std::string_view> argv) {
  Worker& worker = *connection.worker;
  ServerContext& context = worker.context;
  context.argv_ = argv;
  context.command_ = plan.command;
  context.now_ms_ = worker.now_ms;
  if (connection.reply_mode != ReplyMode::kOn) {
    if (connection.reply_mode == ReplyMode::kSkipNext) connection.reply_mode = ReplyMode::kSkipping;
    context.reply().SetSuppressed(true);
  }
  bool done = true;
  if (!Refused(connection, plan, argv)) {
    if (server.pausing() && HeldBack(connection, *plan.command)) {
      done = false;
    } else if (connection.transaction != nullptr && connection.transaction->in_multi &&
               !Transactions::RunsAtOnce(*plan.command)) {
      Transactions::Queue(context, *plan.command, argv);
    } else {
      Execute(connection, plan, argv);
    }
  }
  connection.commands_run++;
  if (connection.reply_mode == ReplyMode::kSkipping) connection.reply_mode = ReplyMode::kOn;
  if (context.reply().suppressed()) context.reply().SetSuppressed(connection.reply_mode == ReplyMode::kOff);
  return done;
}

void Dispatcher::Reject(Connection& connection, const Command* command, std::string_view error) {
  Worker& worker = *connection.worker;
  if (command != nullptr) worker.figures.commands_by_id[static_cast<size_t>(command->id)].rejected++;
  if (connection.transaction != nullptr && connection.transaction->in_multi) connection.transaction->dirty = true;
  if (command != nullptr && Transactions::IsExec(*command)) {
    Transactions::AbortExec(worker.context, error);
  } else {
    worker.context.reply().Error(error);
  }
  server.CountError(worker, worker.context.reply());
}

bool Dispatcher::Refused(Connection& connection, const Plan& plan, std::span<const std::string_view> argv) {
  const Command* command = plan.command;
  if (command == nullptr) {
    Reject(connection, nullptr,
           plan.container != nullptr ? UnknownSubcommandText(*plan.container, argv[1]) : UnknownCommandText(argv));
    return true;
  }
  connection.last_command = command;
  if (!command->ArityFits(argv.size()) || command->handler == nullptr) {
    Reject(connection, command, "ERR wrong number of arguments for '" + command->name + "' command");
    return true;
  }
  if (!connection.authenticated && !(command->flags & kNoAuth)) {
    Reject(connection, command, errors::kNoAuth);
    return true;
  }
  if (server.loading.running && !(command->flags & kLoading)) [[unlikely]] {
    Reject(connection, command, errors::kLoading);
    return true;
  }
  if ((command->flags & (kProtected | kNoMulti)) && RefusedByState(connection, *command)) return true;
  if (MemoryGuard::NeedsRelief() && !Admission::Admit(connection, *command)) {
    Reject(connection, command, errors::kOom);
    return true;
  }
  if ((command->flags & kWrite) && (persistence.RefusesWrites() || aof.failing())) [[unlikely]] {
    Reject(connection, command,
           persistence.RefusesWrites() ? std::string(errors::kMisconf)
                                       : "MISCONF Errors writing to the AOF file: " + aof.why_failing());
    return true;
  }
  return false;
}

bool Dispatcher::RefusedByState(Connection& connection, const Command& command) {
  if ((command.flags & kProtected) && !server.ProtectedCommandAllowed(command, connection)) {
    std::string setting = "enable-" + command.name + "-command";
    std::string upper = command.name;
    for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    Reject(connection, &command,
           "ERR " + upper + " command not allowed. If the " + setting +
               " option is set to \"local\", you can run it from a "
               "local connection, otherwise you need to set this option in the configuration file, and then restart "
               "the server.");
    return true;
  }
  if ((command.flags & kNoMulti) && connection.transaction != nullptr && connection.transaction->in_multi) {
    Reject(connection, &command, "ERR Command not allowed inside a transaction");
    return true;
  }
  return false;
}

// CLIENT PAUSE: the command waits in the input buffer until the pause ends.
bool Dispatcher::HeldBack(Connection& connection, const Command& command) {
  if (!server.PauseHolds(command, connection)) return false;
  connection.paused = true;
  server.AddPaused(*connection.worker, connection.id);
  return true;
}

uint64_t Dispatcher::ShardMask(Worker& worker, const Command& command, std::span<const std::string_view> argv) {
  if (command.flags & (kAllShards | kExclusive)) return AllShards();
  if (!shard_locking) return 1;  // there is one shard and no lock
  if (command.first_key == 0 && command.simple_keys) return 0;
  worker.key_positions.clear();
  bool known = FindKeys(command, argv, &worker.key_positions);
  uint64_t mask = 0;
  for (const KeyPosition& key : worker.key_positions) mask |= uint64_t{1} << shards.IndexOf(HashBytes(argv[key.index]));
  return known && mask != 0 ? mask : AllShards();
}

EffectScope::EffectScope(ServerContext& context, const Command& command)
    : context_(context), command_(command), outer_(effects) {
  effects = journal.on() ? &context.worker().effects : nullptr;
  if (effects == nullptr) return;
  effects->told = false;
  changes_ = context.worker().keyspace_figures.changes.load(std::memory_order_relaxed);
}

EffectScope::~EffectScope() {
  EffectLog* log = std::exchange(effects, outer_);
  if (log == nullptr) return;
  Worker& worker = context_.worker();
  bool changed = worker.keyspace_figures.changes.load(std::memory_order_relaxed) != changes_;
  bool own = changed && !log->told && (command_.flags & kWrite);
  if (own && log->empty() && !context_.in_transaction()) {
    // The commonest case, without a copy in between.
    journal.AppendOne(context_.db(), context_.argv(), context_.now_ms());
    worker.recorded = true;
    return;
  }
  if (own) log->Add(context_.db(), context_.argv());
  if (log->empty() || context_.in_transaction()) return;
  journal.Append(log, Transactions::IsExec(command_), context_.now_ms());
  worker.recorded = true;
}

size_t Dispatcher::CallHandler(ServerContext& context, const Command& command) {
  Worker& worker = *context.worker_;
  EffectScope scope(context, command);
  uint64_t errors_before = context.reply().errors();
  OutputBuffer::Mark mark = context.reply().output().End();
  size_t refused = 0;
  try {
    command.handler(context);
  } catch (const MemoryRefused& refusal) {
    context.reply().output().RollBack(mark);
    refused = refusal.bytes;
  } catch (const std::bad_alloc&) {
    context.reply().output().RollBack(mark);
    context.reply().Error(errors::kNoMemory);
    NoteShortage();
  }
  // What passed since the last command of the batch ended, one reading of the counter a command.
  uint64_t now = __rdtsc();
  CommandFigures& figures = worker.figures.commands_by_id[static_cast<size_t>(command.id)];
  figures.calls++;
  figures.ticks += now - worker.ticks;
  figures.recent_ticks += (now - worker.ticks) / 8 - figures.recent_ticks / 8;
  worker.ticks = now;
  worker.figures.commands++;
  if (context.reply().errors() != errors_before) [[unlikely]] {
    figures.failed++;
    server.CountError(worker, context.reply());
  }
  return refused;
}

void Dispatcher::RunQueued(ServerContext& context, const Command& command, std::span<const std::string_view> argv) {
  auto outer_argv = context.argv_;
  const Command* outer_command = context.command_;
  context.argv_ = argv;
  context.command_ = &command;
  context.spec_ = command.spec;
  context.hashed_ = {};
  if (CallHandler(context, command) != 0) {
    context.reply().Error(errors::kOom);
    server.CountError(*context.worker_, context.reply());
  }
  context.argv_ = outer_argv;
  context.command_ = outer_command;
}

bool Dispatcher::Replay(ServerContext& context, int db, std::span<const std::string_view> argv, std::string* error) {
  const Command* container = nullptr;
  const Command* command = registry.Resolve(argv, &container);
  if (command == nullptr || !command->ArityFits(argv.size()) || command->handler == nullptr) {
    *error = "unknown or malformed command '" + std::string(argv[0].substr(0, 128)) + "'";
    return false;
  }
  context.argv_ = argv;
  context.command_ = command;
  context.spec_ = command->spec;
  context.hashed_ = {};
  context.db_ = db;
  context.now_ms_ = context.worker().now_ms;
  context.deny_blocking_ = true;
  replaying = true;
  bool fits = CallHandler(context, *command) == 0;
  replaying = false;
  context.reply().output().Clear();
  if (!fits) *error = "no memory for '" + command->name + "'";
  return fits;
}

size_t Dispatcher::RunLocked(Worker& worker, const Command& command, uint64_t mask) {
  LockShards(mask);
  if (shard_locking && (command.flags & kWrite || Transactions::IsExec(command))) {
    // Somebody waits here with a BLMOVE whose target lies in a shard that is not locked: take them all.
    for (uint64_t rest = mask; rest; rest &= rest - 1) {
      if (shards[std::countr_zero(rest)].movers == 0) continue;
      UnlockShards(mask);
      mask = AllShards();
      LockShards(mask);
      break;
    }
  }
  worker.context.locked_ = shard_locking ? mask : ~uint64_t{0};
  size_t refused = CallHandler(worker.context, command);
  Blocking::ServeReady(worker, mask);
  UnlockShards(mask);
  return refused;
}

void Dispatcher::Execute(Connection& connection, const Plan& plan, std::span<const std::string_view> argv) {
  constexpr int kAttempts = 8;
  size_t wanted = 0;
  if (plan.command->flags & kDenyOom) {
    // What a command brings along it is going to store: known before anything is changed.
    for (std::string_view arg : argv) wanted += arg.size();
    if (wanted < kBigBytes) wanted = 0;
  }
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    if (wanted != 0 && !Admission::MakeRoom(*connection.worker, wanted)) break;
    wanted = RunUnlocked(connection, plan, argv);
    if (wanted == 0) return;
  }
  Reject(connection, plan.command, errors::kOom);
}

size_t Dispatcher::RunUnlocked(Connection& connection, const Plan& plan, std::span<const std::string_view> argv) {
  Worker& worker = *connection.worker;
  const Command& command = *plan.command;
  ServerContext& context = worker.context;
  context.spec_ = command.spec;
  context.hashed_ = {};
  context.blocked_ = false;
  context.in_transaction_ = false;
  if (plan.hashed) {
    context.hashed_ = argv[static_cast<size_t>(command.first_key)];
    context.hash_ = plan.hash;
    return RunLocked(worker, command, uint64_t{1} << shards.IndexOf(plan.hash));
  }
  bool exec = Transactions::IsExec(command);
  if ((command.flags & kExclusive) || (exec && Transactions::NeedsPause(connection))) {
    thread_pause.Begin(worker.index());
    context.locked_ = ~uint64_t{0};
    // While this thread waited for the pause another may have closed the connection.
    size_t refused = connection.close_soon ? 0 : CallHandler(context, command);
    Blocking::ServeReady(worker, AllShards());
    thread_pause.End();
    return refused;
  }
  uint64_t mask = exec ? Transactions::Mask(connection) : ShardMask(worker, command, argv);
  if (mask == 0) {
    context.locked_ = 0;
    return CallHandler(context, command);
  }
  return RunLocked(worker, command, mask);
}

void Dispatcher::ProtocolError(Connection& connection, std::string_view text) {
  Worker& worker = *connection.worker;
  worker.context.reply().SetVersion(connection.resp);
  worker.context.reply().Error("ERR " + std::string(text));
  server.CountError(worker, worker.context.reply());
  connection.CloseAfterReply();
}

}  // namespace brim
