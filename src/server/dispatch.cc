#include "server/dispatch.h"

#include <x86intrin.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/ascii.h"
#include "memory/account.h"
#include "memory/pressure.h"
#include "resp/errors.h"
#include "server/acl.h"
#include "server/acl_check.h"
#include "server/acl_log.h"
#include "server/admission.h"
#include "server/aof.h"
#include "server/blocking.h"
#include "server/client_limits.h"
#include "server/command_watch.h"
#include "server/connection.h"
#include "server/cut_wait.h"
#include "server/hot_keys.h"
#include "server/journal.h"
#include "server/log.h"
#include "server/monitor.h"
#include "server/pause.h"
#include "server/persistence.h"
#include "server/pubsub.h"
#include "server/purge.h"
#include "server/script_engine.h"
#include "server/script_watch.h"
#include "server/server.h"
#include "server/shard_locks.h"
#include "server/shutdown.h"
#include "server/tracking.h"
#include "server/transaction.h"
#include "server/watching.h"
#include "server/worker.h"
#include "store/cut.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr int kSeriesRefused = 2;       // of a batch, until none is tried: the first may have to make the key
constexpr size_t kBigBytes = 64 << 10;  // of arguments: room is made before they are stored

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

size_t Dispatcher::RunBatch(Connection& connection) {
  Worker& worker = *connection.worker;
  if (connection.close_soon || server.stopping()) return 0;
  if (worker.in_busy_turn) return RunPlans(connection);
  thread_pause.CheckPoint(worker.index());
  if (connection.close_soon || server.stopping()) return 0;
  // What others have published or changed before goes before what is answered now.
  bool listens = connection.subscriptions != nullptr || connection.tracking != nullptr || connection.monitor;
  if (listens && worker.pushes.has_mail()) worker.pushes.DeliverMail(true);
  bool large = worker.parsed.back().end >= worker.watch.request_bytes;
  if (large) worker.watch.ticks = 0;  // each is looked at
  size_t done = RunPlans(connection);
  if (large) CommandWatch::Refresh(worker);
  if (worker.broadcast_due) KeyTracking::EndBatch(worker);
  if (worker.pushes.needs_care()) {
    worker.pushes.AfterCommand(false);
    if (worker.pushes.posted_too_much()) worker.pushes.PutOff(connection);
  }
  return done;
}

// For want of memory, or because what is written could not be kept.
[[gnu::always_inline]] inline bool Dispatcher::RefusedForNow(Connection& connection, const Command& command) {
  if (MemoryGuard::NeedsRelief() && !Admission::Admit(connection, command)) {
    Reject(connection, &command, errors::kOom);
    return true;
  }
  if ((command.flags & kWrite) && (persistence.RefusesWrites() || aof.failing())) [[unlikely]] {
    Reject(connection, &command,
           persistence.RefusesWrites() ? std::string(errors::kMisconf)
                                       : std::string(errors::kAofFailing) + ": " + aof.why_failing());
    return true;
  }
  return false;
}

// What Begin comes down to where the connection and the command are plain.
[[gnu::always_inline]] inline Dispatcher::Begun Dispatcher::BeginPlain(Connection& connection, const Command& command) {
  connection.last_command = &command;
  connection.served_ms = connection.worker->now_ms;
  return RefusedForNow(connection, command) ? Begun::kAnswered : Begun::kRuns;
}

// Pipelines fill one collection: who looks for elements of the same key from here on. Returns the plan behind them.
size_t Dispatcher::LookAhead(Worker& worker, const Plan* plans, size_t at, size_t count) {
  const Plan& plan = plans[at];
  if (!plan.hashed || (plan.command->flags & (kElementAt2 | kElementAt3)) == 0) return at + 1;
  size_t end = at + 1;
  while (end < count && plans[end].repeats) end++;
  worker.ahead = {at, end - at};
  return end;
}

// Elements of a big collection lie anywhere, and finding one misses the cache two or three times: all are under way at
// once. The key's shard is locked.
void Dispatcher::PrefetchElements(Worker& worker, const Command& command) {
  const Worker::Ahead ahead = std::exchange(worker.ahead, {});
  ServerContext& context = worker.context;
  KeyRef ref = shards.Of(context.hash_).db(context.db_).Find(context.hashed_, context.hash_);
  if (!ref) return;
  const Table* table = ElementTable(ref);
  if (table == nullptr) return;
  size_t element = command.flags & kElementAt2 ? 2 : 3;
  uint64_t hashes[kMaxPlans];
  size_t count = 0;
  for (size_t i = ahead.first; i < ahead.first + ahead.commands; i++) {
    const ParsedCommand& parsed = worker.parsed[i];
    if (parsed.argc <= element) continue;
    hashes[count] = HashBytes(worker.args[parsed.first_arg + element]);
    table->PrefetchBucket(hashes[count++]);
  }
  for (size_t i = 0; i < count; i++) table->PrefetchBlock(hashes[i]);
}

size_t Dispatcher::RunPlans(Connection& connection) {
  Worker& worker = *connection.worker;
  Plan plans[kMaxPlans];
  size_t count = worker.parsed.size();
  MakePlans(connection, plans, count);
  ServerContext& context = worker.context;
  context.connection_ = &connection;
  context.reply().SetVersion(connection.resp);
  context.db_ = connection.db;
  context.no_touch_ = connection.no_touch;
  context.in_script_ = false;
  worker.ticks = __rdtsc();
  size_t i = 0;
  bool plain = false;
  size_t seen_ahead = 0;  // plans before this one have been looked at
  int series_refused = 0;
  for (; i < count; i++) {
    const ParsedCommand& parsed = worker.parsed[i];
    std::span<const std::string_view> argv(worker.args.data() + parsed.first_arg, parsed.argc);
    uint64_t began = worker.ticks;
    if (Cut::running() && plans[i].command != nullptr && plans[i].command->ArityFits(argv.size()) &&
        WaitsForCut(connection, *plans[i].command, argv)) [[unlikely]] {
      worker.Defer(&connection);
      return i;
    }
    context.canonical_ = parsed.canonical;
    // A command of one key changes nothing about its connection.
    if (!plain || !plans[i - 1].hashed) plain = IsPlain(connection);
    context.argv_ = argv;
    context.command_ = plans[i].command;
    context.now_ms_ = worker.now_ms;
    bool simple = plain && IsPlain(plans[i], argv.size());
    Begun begun = simple ? BeginPlain(connection, *plans[i].command) : Begin(connection, plans[i], argv);
    size_t in_series = 0;
    if (begun == Begun::kRuns && simple && plans[i].command->series != nullptr && i + 1 < count &&
        plans[i + 1].repeats && series_refused < kSeriesRefused) {
      in_series = RunSeries(connection, plans, i, count);
      if (in_series == 0) series_refused++;
    }
    if (in_series > 0) {
      i += in_series - 1;
      connection.commands_run += in_series - 1;
    } else if (begun == Begun::kRuns) [[likely]] {
      if (i >= seen_ahead && count > 1) seen_ahead = LookAhead(worker, plans, i, count);
      Execute(connection, plans[i], argv);
      worker.ahead.commands = 0;
    }
    context.canonical_ = {};
    if (begun == Begun::kHeldBack) return i;
    connection.commands_run++;
    if (!simple) EndCommand(connection, plans[i].command);
    if (worker.pushes.needs_care() && !worker.in_busy_turn) [[unlikely]]
      SendPushes(connection, plans[i].command);
    if (connection.close_soon || connection.close_after_reply || connection.parked() || server.stopping()) return i + 1;
    if (worker.ticks - began > worker.long_command_ticks && i + 1 < count) [[unlikely]] {
      // The others first.
      worker.Defer(&connection);
      return i + 1;
    }
  }
  return i;
}

// Nothing about the connection has to be asked command by command: who may not do everything, has said MULTI, listens
// to others or wants no replies is not plain; nobody is while the server loads, pauses or lets a script take long.
bool Dispatcher::IsPlain(const Connection& connection) {
  return (connection.authenticated || !acl.asks_for_password()) && connection.user->unrestricted &&
         connection.transaction == nullptr && connection.subscriptions == nullptr && connection.tracking == nullptr &&
         !connection.monitor && connection.reply_mode == ReplyMode::kOn && !connection.worker->in_busy_turn &&
         !server.loading.running && !server.pausing();
}

bool Dispatcher::IsPlain(const Plan& plan, size_t argc) {
  return plan.hashed && (plan.command->flags & (kProtected | kNoMulti)) == 0 && plan.command->ArityFits(argc) &&
         plan.command->handler != nullptr;
}

// The pushes that a command has made are part of what it took.
void Dispatcher::SendPushes(Connection& connection, const Command* command) {
  Worker& worker = *connection.worker;
  bool transaction = command != nullptr && Transactions::IsExec(*command);
  worker.pushes.AfterCommand(transaction);
  if (worker.pushes.posted_too_much()) worker.pushes.PutOff(connection);
  if (command == nullptr) return;
  uint64_t now = __rdtsc();
  CommandFigures& figures = worker.figures.commands_by_id[static_cast<size_t>(command->id)];
  figures.ticks += now - worker.ticks;
  figures.recent_ticks += (now - worker.ticks) / 8;
  worker.ticks = now;
}

// What there is to do before a command, and to see whether it may run.
Dispatcher::Begun Dispatcher::Begin(Connection& connection, const Plan& plan, std::span<const std::string_view> argv) {
  Worker& worker = *connection.worker;
  ServerContext& context = worker.context;
  if (connection.reply_mode != ReplyMode::kOn) {
    if (connection.reply_mode == ReplyMode::kSkipNext) connection.reply_mode = ReplyMode::kSkipping;
    context.reply().SetSuppressed(true);
  }
  if ((connection.subscriptions != nullptr || connection.tracking != nullptr || connection.monitor) &&
      !worker.in_busy_turn) {
    worker.pushes.BeginCommand();
  }
  if (Refused(connection, plan, argv)) return Begun::kAnswered;
  if (server.pausing() && HeldBack(connection, *plan.command, argv)) {
    if (connection.reply_mode == ReplyMode::kSkipping) connection.reply_mode = ReplyMode::kSkipNext;
    context.reply().SetSuppressed(false);
    return Begun::kHeldBack;
  }
  bool queued =
      connection.transaction != nullptr && connection.transaction->in_multi && !Transactions::RunsAtOnce(*plan.command);
  if (!queued) return Begun::kRuns;
  Transactions::Queue(context, *plan.command, argv);
  return Begun::kAnswered;
}

void Dispatcher::EndCommand(Connection& connection, const Command* command) {
  if (connection.tracking != nullptr) KeyTracking::EndCommand(connection, command);
  if (connection.reply_mode == ReplyMode::kSkipping) connection.reply_mode = ReplyMode::kOn;
  connection.worker->context.reply().SetSuppressed(false);  // the next command may be another connection's
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
  const Worker& worker = *connection.worker;
  connection.last_command = command;
  if (command == nullptr && IsHttp(argv)) {
    LogWarning(
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. This is "
        "likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis instance. "
        "Connection from " +
        connection.address + " aborted.");
    connection.CloseSoon();
    return true;
  }
  if (command == nullptr) {
    Reject(connection, nullptr,
           plan.container != nullptr ? UnknownSubcommandText(*plan.container, argv[1]) : UnknownCommandText(argv));
    return true;
  }
  connection.served_ms = connection.worker->now_ms;
  if (!command->ArityFits(argv.size()) || command->handler == nullptr) {
    Reject(connection, command, "ERR wrong number of arguments for '" + command->name + "' command");
    return true;
  }
  if (!connection.authenticated && !(command->flags & kNoAuth) && acl.asks_for_password()) {
    Reject(connection, command, errors::kNoAuth);
    return true;
  }
  if ((command->flags & (kProtected | kNoMulti)) && RefusedByState(connection, *command)) return true;
  if (!connection.user->unrestricted && RefusedByAcl(connection, *command, argv)) [[unlikely]]
    return true;
  if (worker.in_busy_turn && !AllowedWhileBusy(*command, argv)) [[unlikely]] {
    Reject(connection, command, ScriptWatch::BusyText());
    return true;
  }
  if (server.loading.running && !(command->flags & kLoading)) [[unlikely]] {
    Reject(connection, command, errors::kLoading);
    return true;
  }
  if (RefusedForNow(connection, *command)) return true;
  if (connection.subscriptions != nullptr && connection.resp == 2 && !(command->flags & kWhileSubscribed)) {
    Reject(connection, command,
           "ERR Can't execute '" + command->name +
               "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context");
    return true;
  }
  if (connection.monitor && Transactions::TouchesKeys(connection, *command)) [[unlikely]] {
    Reject(connection, command, "ERR Replica can't interact with the keyspace");
    return true;
  }
  return false;
}

// SHUTDOWN without saving needs nothing that a script could keep.
bool Dispatcher::AllowedWhileBusy(const Command& command, std::span<const std::string_view> argv) {
  if (!(command.flags & kAllowBusy)) return false;
  std::string_view name = command.spec->name;
  if (name == "watch") return false;  // would need a lock
  if (name != "shutdown") return true;
  bool nosave = false;
  bool other = false;
  for (std::string_view arg : argv.subspan(1)) {
    nosave |= EqualsNoCase(arg, "NOSAVE");
    other |= EqualsNoCase(arg, "SAVE") || EqualsNoCase(arg, "ABORT");
  }
  return nosave && !other;
}

bool Dispatcher::RefusedByAcl(Connection& connection, const Command& command, std::span<const std::string_view> argv) {
  size_t index;
  AclVerdict verdict = CheckAcl(*connection.user, command, argv, &index);
  if (verdict == AclVerdict::kAllowed) return false;
  bool in_multi = connection.transaction != nullptr && connection.transaction->in_multi;
  NoteDenial(connection, ReasonOf(verdict), in_multi ? AclContext::kMulti : AclContext::kTopLevel,
             DeniedObject(verdict, command, argv, index), connection.user->name);
  Reject(connection, &command, DenialText(verdict, command));
  return true;
}

bool Dispatcher::RefusedByState(Connection& connection, const Command& command) {
  if ((command.flags & kProtected) && !server.ProtectedCommandAllowed(command, connection)) {
    const std::string& name = command.container != nullptr ? command.container->name : command.name;
    std::string setting = "enable-" + name + "-command";
    std::string upper = name;
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

// A command that may write, while CLIENT PAUSE holds writes back; not a script that says that it does not.
bool Dispatcher::MayWrite(ServerContext& context, const Command& command, std::span<const std::string_view> argv) {
  if (!(command.flags & (kWrite | kMayReplicate))) return false;
  if (!(command.flags & kRunsScript) || context.worker().in_busy_turn) return true;
  context.argv_ = argv;
  context.command_ = &command;
  context.spec_ = command.spec;
  return !script_engine->SaysNoWrites(context);
}

// CLIENT PAUSE: the command waits in the input buffer until the pause ends.
bool Dispatcher::HeldBack(Connection& connection, const Command& command, std::span<const std::string_view> argv) {
  if (!server.PauseHolds(command, connection)) return false;
  if (server.pause_writes_only()) {
    ServerContext& context = connection.worker->context;
    bool writes = MayWrite(context, command, argv);
    if (Transactions::IsExec(command)) {
      for (const QueuedCommand& queued : connection.transaction->queue) {
        writes = writes || MayWrite(context, *queued.command, queued.argv);
      }
    }
    if (!writes) return false;
  }
  connection.paused = true;
  Blocking::blocked_clients.fetch_add(1, std::memory_order_relaxed);
  server.AddPaused(*connection.worker, connection.id);
  return true;
}

uint64_t Dispatcher::ShardMask(Worker& worker, const Command& command, std::span<const std::string_view> argv) {
  if (command.flags & (kAllShards | kExclusive | kRunsScript)) return AllShards();
  if (!shard_locking) return 1;  // there is one shard and no lock
  if (command.first_key == 0 && command.simple_keys) return 0;
  if (command.spec->keys[0].flags & kKeyNotKey) return 0;
  worker.key_positions.clear();
  bool known = FindKeys(command, argv, &worker.key_positions);
  uint64_t mask = 0;
  for (const KeyPosition& key : worker.key_positions) mask |= uint64_t{1} << shards.IndexOf(HashBytes(argv[key.index]));
  return known && mask != 0 ? mask : AllShards();
}

EffectScope::EffectScope(ServerContext& context, const Command& command)
    : context_(context), command_(command), outer_(effects) {
  effects = journal.on() && context.recording() ? &context.worker().effects : nullptr;
  if (effects == nullptr) return;
  effects->told = false;
  canonical_ = std::exchange(context.canonical_, {});
  outer_lasting_ = std::exchange(effects->lasting, context.lasting_words());
  changes_ = context.worker().keyspace_figures.changes.load(std::memory_order_relaxed);
}

bool EffectScope::End() noexcept {
  if (std::exchange(ended_, true)) return true;
  EffectLog* log = std::exchange(effects, outer_);
  EffectLog& all = context_.worker().effects;
  if (log == nullptr) {
    // The journal was off when this began; a transaction may have turned it on.
    return outer_ != nullptr || all.empty() || context_.in_transaction() || Record(&all);
  }
  bool good = Record(log);
  log->lasting = outer_lasting_;
  return good;
}

bool EffectScope::Record(EffectLog* log) noexcept {
  Worker& worker = context_.worker();
  if (!journal.on()) {
    log->Clear();  // it was turned off meanwhile
    return true;
  }
  bool changed = worker.keyspace_figures.changes.load(std::memory_order_relaxed) != changes_;
  bool own = changed && !log->told && (command_.flags & kWrite);
  if (own && log->empty() && !context_.in_transaction()) {
    // The commonest case, without a copy in between.
    worker.recorded = true;
    if (!canonical_.empty()) return journal.AppendRequest(context_.db(), canonical_, context_.now_ms());
    size_t longest = 0;
    for (std::string_view word : log->lasting) longest = std::max(longest, word.size());
    worker.borrowed |= longest >= RequestBuffer::kBorrowBytes;
    return journal.AppendOne(context_.db(), context_.argv(), context_.now_ms(), log->lasting);
  }
  if (own) log->Add(context_.db(), context_.argv());
  if (log->empty() || context_.in_transaction()) return !log->broken();
  worker.recorded = true;
  worker.borrowed |= log->requests().borrows();
  bool transaction = Transactions::IsExec(command_) || (command_.flags & kRunsScript) || log->together;
  return journal.Append(log, transaction, context_.now_ms());
}

// What is to be done about it when it has run. A script is shown before what it runs.
uint32_t Dispatcher::BeginWatched(ServerContext& context, const Command& command) {
  if (replaying || !context.has_connection()) return 0;
  uint32_t watched = watching.load(std::memory_order_relaxed);
  if ((watched & kWatchedByMonitors) && (command.flags & kSkipMonitor)) {
    Monitors::Show(context);
    watched &= ~uint32_t{kWatchedByMonitors};
  }
  if (context.in_script()) watched &= ~uint32_t{kWatchedForKeys};
  return watched;
}

void Dispatcher::EndWatched(ServerContext& context, uint32_t watched, uint64_t ticks, size_t reply_began) {
  if (watched & kWatchedByMonitors) Monitors::Show(context);
  size_t replies = context.reply().output().size_bytes();
  if (watched & kWatchedForKeys) hot_keys.Note(context, ticks, replies > reply_began ? replies - reply_began : 0);
}
namespace {

// What passed since the last command of the batch ended, one reading of the counter a command; of one that runs others,
// since it began.
// `answered_before`: how much the connection's replies were then.
inline CommandFigures& CountCall(ServerContext& context, const Command& command, uint64_t began,
                                 size_t answered_before) {
  Worker& worker = context.worker();
  CommandFigures& figures = worker.figures.commands_by_id[static_cast<size_t>(command.id)];
  uint32_t special = command.flags & (kRunsScript | kBlocking);
  if ((special & kRunsScript) && (worker.script_locks.again || worker.busy_refused)) [[unlikely]] {
    worker.ticks = began;  // it is run again, and counted then
    return figures;
  }
  uint64_t now = __rdtsc();
  uint64_t took = now - began;
  figures.calls++;
  figures.ticks += took;
  figures.recent_ticks += took / 8 - figures.recent_ticks / 8;
  worker.ticks = now;
  worker.figures.commands++;
  if (special != 0) [[unlikely]] {
    CommandWatch::EndSpecial(context, command, took);
  } else if (worker.watch.histograms) {
    if (figures.times != nullptr) [[likely]] {
      figures.times->Count(took);
    } else {
      CommandWatch::Count(worker, command, took);
    }
  }
  size_t answered = worker.scratch.size_bytes() - answered_before;
  if (took >= worker.watch.ticks || answered >= worker.watch.reply_bytes) [[unlikely]]
    CommandWatch::Note(context, command, took, answered);
  return figures;
}

}  // namespace

size_t Dispatcher::CallHandler(ServerContext& context, const Command& command) {
  Worker& worker = *context.worker_;
  uint64_t began = worker.ticks;
  size_t answered = worker.scratch.size_bytes();
  EffectScope scope(context, command);
  uint32_t watched = watching.load(std::memory_order_relaxed);
  if (watched != 0) [[unlikely]]
    watched = BeginWatched(context, command);
  uint64_t errors_before = context.reply().errors();
  OutputBuffer::Mark mark = context.reply().output().End();
  size_t refused = 0;
  // A command that has changed nothing, as those that only read, can be given up when its reply becomes too big.
  bool bounded = context.connection_ != nullptr && !context.connection_->no_evict;
  auto outer_bound = std::exchange(OutputBuffer::client_bound, bounded ? &ReplyMayGrow : nullptr);
  auto outer =
      std::exchange(OutputBuffer::may_grow, (command.flags & kReadonly) != 0 ? OutputBuffer::client_bound : nullptr);
  try {
    command.handler(context);
  } catch (const MemoryRefused& refusal) {
    context.reply().output().RollBack(mark);
    refused = refusal.bytes;
  } catch (const ReplyRefused&) {
    context.reply().output().RollBack(mark);
    context.reply().Error(errors::kReplyTooBig);
    CountRung(Rung::kRefuse, 0);
    NoteClientsFreed();
  } catch (const std::bad_alloc&) {
    context.reply().output().RollBack(mark);
    context.reply().Error(errors::kNoMemory);
    NoteShortage();
  }
  OutputBuffer::may_grow = outer;
  OutputBuffer::client_bound = outer_bound;
  if (!scope.End()) [[unlikely]] {
    // It is done, but that it is done is not recorded: nobody may be told that it is.
    context.reply().output().RollBack(mark);
    context.reply().Error(errors::kNoMemory);
    NoteShortage();
  }
  if (watched != 0 && refused == 0) [[unlikely]]
    EndWatched(context, watched, __rdtsc() - began, mark.size);
  CommandFigures& figures = CountCall(context, command, began, answered);
  if (context.reply().errors() != errors_before) [[unlikely]] {
    if (!std::exchange(worker.queued_failed, false)) {
      figures.failed++;
      if (!std::exchange(worker.error_counted, false)) server.CountError(worker, context.reply());
    }
  }
  return refused;
}

// The user may have changed since the command was queued.
bool Dispatcher::DeniedAtExec(ServerContext& context, const Command& command, std::span<const std::string_view> argv) {
  Connection& connection = context.connection();
  if (connection.user->unrestricted) return false;
  size_t index;
  AclVerdict verdict = CheckAcl(*connection.user, command, argv, &index);
  if (verdict == AclVerdict::kAllowed) return false;
  NoteDenial(connection, ReasonOf(verdict), AclContext::kMulti, DeniedObject(verdict, command, argv, index),
             connection.user->name);
  context.reply().Error(DenialAtExecText(verdict));
  server.CountError(*context.worker_, context.reply());
  return true;
}

void Dispatcher::RunQueued(ServerContext& context, const Command& command, std::span<const std::string_view> argv,
                           bool argv_lasts) {
  if (DeniedAtExec(context, command, argv)) return;
  auto outer_argv = context.argv_;
  bool outer_lasts = std::exchange(context.argv_lasts_, argv_lasts);
  const Command* outer_command = context.command_;
  context.argv_ = argv;
  context.command_ = &command;
  context.spec_ = command.spec;
  context.hashed_ = {};
  if (CallHandler(context, command) != 0) {
    context.reply().Error(errors::kOom);
    server.CountError(*context.worker_, context.reply());
  }
  if (context.connection_->tracking != nullptr && (command.flags & kReadonly)) {
    KeyTracking::Remember(*context.connection_, command, argv);
  }
  context.argv_ = outer_argv;
  context.argv_lasts_ = outer_lasts;
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
  // It was called in another life.
  Worker& worker = context.worker();
  CommandFigures& figures = worker.figures.commands_by_id[static_cast<size_t>(command->id)];
  uint64_t calls = figures.calls;
  uint64_t ticks = figures.ticks;
  uint64_t commands = worker.figures.commands;
  WatchLimits watch = std::exchange(worker.watch, {.histograms = false});
  replaying = true;
  bool fits = CallHandler(context, *command) == 0;
  replaying = false;
  figures.calls = calls;
  figures.ticks = ticks;
  figures.recent_ticks = 0;
  worker.figures.commands = commands;
  worker.watch = watch;
  context.reply().output().Clear();
  if (!fits) *error = "no memory for '" + command->name + "'";
  return fits;
}

size_t Dispatcher::RunLocked(Worker& worker, const Command& command, uint64_t mask) {
  if (!LockShards(worker, mask)) return kBusy;
  if (shard_locking && (command.flags & kWrite || Transactions::IsExec(command))) {
    // Somebody waits here with a BLMOVE whose target lies in a shard that is not locked: take them all.
    for (uint64_t rest = mask; rest; rest &= rest - 1) {
      if (shards[std::countr_zero(rest)].movers == 0) continue;
      UnlockShards(mask);
      mask = AllShards();
      if (!LockShards(worker, mask)) return kBusy;
      break;
    }
  }
  worker.context.locked_ = shard_locking ? mask : ~uint64_t{0};
  if (worker.ahead.commands > 1) PrefetchElements(worker, command);
  size_t refused = CallHandler(worker.context, command);
  Connection& connection = *worker.context.connection_;
  if (connection.tracking != nullptr && (command.flags & kReadonly)) [[unlikely]]
    KeyTracking::Remember(connection, command, worker.context.argv_);
  Blocking::ServeReady(worker, mask);
  UnlockShards(mask);
  return refused;
}

void Dispatcher::Execute(Connection& connection, const Plan& plan, std::span<const std::string_view> argv) {
  constexpr int kAttempts = 8;
  size_t wanted = 0;
  if (plan.command->flags & kDenyOom) {
    // What a command brings along it is going to store: known before anything is changed.
    if (connection.worker->context.canonical_.empty()) {
      for (std::string_view arg : argv) wanted += arg.size();
    } else {
      wanted = connection.worker->context.canonical_.size();
    }
    if (wanted < kBigBytes) wanted = 0;
  }
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    if (wanted != 0 && !Admission::MakeRoom(*connection.worker, wanted)) break;
    wanted = RunUnlocked(connection, plan, argv);
    if (connection.worker->borrowed) [[unlikely]]
      WriteBorrowed(*connection.worker);
    if (wanted == 0) return;
    if (wanted == kBusy) {
      Reject(connection, plan.command, ScriptWatch::BusyText());
      return;
    }
  }
  Reject(connection, plan.command, errors::kOom);
}

size_t Dispatcher::RunPaused(ServerContext& context, const Command& command) {
  Worker& worker = context.worker();
  context.locked_ = ~uint64_t{0};
  if (worker.in_busy_turn || !thread_pause.Begin(worker.index())) {
    // The one that may run is SHUTDOWN NOSAVE.
    if (!AllowedWhileBusy(command, context.argv())) return kBusy;
    ending.EndNow();
    return 0;
  }
  // While this thread waited for the pause another may have closed the connection.
  size_t refused = context.connection().close_soon ? 0 : CallHandler(context, command);
  Blocking::ServeReady(worker, AllShards());
  thread_pause.End();
  return refused;
}

// The journal points at big arguments of the command that ends here: they are written before they go.
void Dispatcher::WriteBorrowed(Worker& worker) {
  worker.borrowed = false;
  aof.Commit();
  std::vector<QueuedCommand>().swap(worker.kept_queue);
}

size_t Dispatcher::RunUnlocked(Connection& connection, const Plan& plan, std::span<const std::string_view> argv) {
  Worker& worker = *connection.worker;
  const Command& command = *plan.command;
  ServerContext& context = worker.context;
  context.spec_ = command.spec;
  context.hashed_ = {};
  context.blocked_ = false;
  context.in_transaction_ = false;
  context.argv_lasts_ = true;
  if (plan.hashed) {
    context.hashed_ = argv[static_cast<size_t>(command.first_key)];
    context.hash_ = plan.hash;
    return RunLocked(worker, command, uint64_t{1} << shards.IndexOf(plan.hash));
  }
  bool exec = Transactions::IsExec(command);
  bool pause = (command.flags & kExclusive) || (exec && Transactions::NeedsPause(connection));
  if (command.flags & kRunsScript) return RunScript(context, command);
  if (exec && Transactions::RunsScripts(connection)) return RunTransactionOfScripts(context, command, pause);
  if (pause) return RunPaused(context, command);
  uint64_t mask = exec ? Transactions::Mask(connection) : ShardMask(worker, command, argv);
  if (mask == 0) {
    context.locked_ = 0;
    return CallHandler(context, command);
  }
  return RunLocked(worker, command, mask);
}

// A browser that was made to send requests here (cross protocol scripting) gets no further than its first line.
bool Dispatcher::IsHttp(std::span<const std::string_view> argv) {
  return EqualsNoCase(argv[0], "POST") || EqualsNoCase(argv[0], "HOST:");
}

void Dispatcher::ProtocolError(Connection& connection, std::string_view text) {
  Worker& worker = *connection.worker;
  worker.context.reply().SetVersion(connection.resp);
  worker.context.reply().Error("ERR " + std::string(text));
  server.CountError(worker, worker.context.reply());
  connection.CloseAfterReply();
}

}  // namespace brim
