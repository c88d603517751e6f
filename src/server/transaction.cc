#include "server/transaction.h"

#include <x86intrin.h>

#include <bit>
#include <cstring>

#include "resp/errors.h"
#include "server/admission.h"
#include "server/command_watch.h"
#include "server/connection.h"
#include "server/dispatch.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/shard_locks.h"
#include "server/worker.h"

namespace brim {

namespace {

bool InMulti(const Connection& connection) {
  return connection.transaction != nullptr && connection.transaction->in_multi;
}

void Multi(Context& context) {
  Connection& connection = AsServer(context).connection();
  if (InMulti(connection)) {
    context.reply().Error("ERR MULTI calls can not be nested");
    return;
  }
  if (connection.transaction == nullptr) connection.transaction = std::make_unique<Transaction>();
  connection.transaction->in_multi = true;
  context.reply().Ok();
}

// Ends MULTI and all watches; the watched shards' locks must be held, or `lock` asked for.
void EndTransaction(Connection& connection, bool lock) {
  Transaction& transaction = *connection.transaction;
  if (lock && connection.worker->in_busy_turn && !transaction.watched.empty()) {
    // No lock can be had: the watches stay until the next end, and may fail a later EXEC for nothing.
    transaction.in_multi = transaction.dirty = transaction.large = false;
    transaction.queue.clear();
    transaction.mask = transaction.flags = 0;
    transaction.charge.Set(0);
    return;
  }
  for (const WatchedKey& watched : transaction.watched) {
    Shard& shard = shards.Of(HashBytes(watched.key));
    if (lock) LockPatiently(*connection.worker, shard);
    shard.Unwatch(watched.db, watched.key, &transaction.watch);
    if (lock) shard.lock().unlock();
  }
  connection.transaction.reset();
}

bool WatchedKeyExpired(const Transaction& transaction, int64_t now_ms) {
  for (const WatchedKey& watched : transaction.watched) {
    uint64_t hash = HashBytes(watched.key);
    Shard& shard = shards.Of(hash);
    KeyRef ref = shard.db(watched.db).Find(watched.key, hash);
    if (!ref || !ref.entry().has_expiry() || ref.expiry_ms() >= now_ms) continue;
    if (!shard.WatchedAsExpired(watched.db, watched.key, &transaction.watch)) return true;
  }
  return false;
}

void Discard(Context& context) {
  Connection& connection = AsServer(context).connection();
  if (!InMulti(connection)) {
    context.reply().Error("ERR DISCARD without MULTI");
    return;
  }
  EndTransaction(connection, true);
  context.reply().Ok();
}

// Runs with all shards of the transaction locked (or every thread paused).
void Exec(Context& context) {
  ServerContext& own = AsServer(context);
  Connection& connection = own.connection();
  if (!InMulti(connection)) {
    context.reply().Error("ERR EXEC without MULTI");
    return;
  }
  Transaction& transaction = *connection.transaction;
  if (transaction.dirty) {
    context.reply().Error(errors::kExecAbort);
    EndTransaction(connection, false);
    return;
  }
  if (transaction.watch.touched.load(std::memory_order_relaxed) || WatchedKeyExpired(transaction, context.now_ms())) {
    context.reply().NullArray();
    EndTransaction(connection, false);
    return;
  }
  std::vector<QueuedCommand> queue = std::move(transaction.queue);
  Worker& worker = own.worker();
  if (transaction.large) worker.watch.ticks = 0;  // each is looked at
  // Watches end before the commands run: they do not see their own effects.
  EndTransaction(connection, false);
  context.reply().ArrayHeader(queue.size());
  own.SetInTransaction(true);
  worker.ticks = __rdtsc();  // what came before is no time of the first one's
  uint64_t errors = context.reply().errors();
  for (QueuedCommand& queued : queue) Dispatcher::RunQueued(own, *queued.command, queued.argv, true);
  worker.queued_failed = context.reply().errors() != errors;
  own.SetInTransaction(false);
  if (worker.watch.ticks == 0) CommandWatch::Refresh(worker);
  if (worker.effects.requests().borrows()) worker.kept_queue = std::move(queue);
}

void Watch(Context& context) {
  Connection& connection = AsServer(context).connection();
  if (InMulti(connection)) {
    context.reply().Error("ERR WATCH inside MULTI is not allowed");
    return;
  }
  if (connection.transaction == nullptr) connection.transaction = std::make_unique<Transaction>();
  Transaction& transaction = *connection.transaction;
  for (size_t i = 1; i < context.argc(); i++) {
    std::string_view key = context.arg(i);
    bool known = false;
    for (const WatchedKey& watched : transaction.watched)
      known = known || (watched.db == context.db() && watched.key == key);
    if (known || transaction.watch.touched.load(std::memory_order_relaxed)) continue;
    uint64_t hash = HashBytes(key);
    Shard& shard = shards.Of(hash);
    KeyRef ref = shard.db(context.db()).Find(key, hash);
    bool expired = ref && ref.entry().has_expiry() && ref.expiry_ms() < context.now_ms();
    shard.Watch(context.db(), key, &transaction.watch, expired);
    transaction.watched.push_back({context.db(), std::string(key)});
    transaction.Took(sizeof(WatchedKey) + 2 * key.size());  // the shard has one of its own
  }
  context.reply().Ok();
}

void Unwatch(Context& context) {
  Connection& connection = AsServer(context).connection();
  if (connection.transaction != nullptr && !connection.transaction->in_multi) EndTransaction(connection, true);
  context.reply().Ok();
}

constexpr uint32_t kControl = kNoScript | kLoading | kStale | kFast | kAllowBusy;

constexpr CommandSpec kRows[] = {
    {"multi",
     1,
     kControl,
     {},
     kCatTransaction,
     Group::kTransactions,
     "1.2.0",
     "O(1)",
     "Begins a transaction: commands are queued until EXEC.",
     "",
     Multi},
    {"exec",
     1,
     kNoScript | kLoading | kStale | kSkipSlowlog,
     {},
     kCatTransaction,
     Group::kTransactions,
     "1.2.0",
     "Depends on the queued commands",
     "Runs the queued commands as one.",
     "",
     Exec},
    {"discard",
     1,
     kControl,
     {},
     kCatTransaction,
     Group::kTransactions,
     "2.0.0",
     "O(N) where N is the number of queued commands",
     "Drops the queued commands and ends the transaction.",
     "",
     Discard},
    {"watch",
     -2,
     kControl,
     {KeyRange(1, -1, 1, kKeyRO)},
     kCatTransaction,
     Group::kTransactions,
     "2.2.0",
     "O(1) for each key",
     "Makes the next EXEC fail if one of the keys changes before it.",
     "key [key ...]",
     Watch},
    {"unwatch",
     1,
     kControl,
     {},
     kCatTransaction,
     Group::kTransactions,
     "2.2.0",
     "O(1)",
     "Forgets the watched keys.",
     "",
     Unwatch},
};

}  // namespace

const CommandTable kTransactionCommands = kRows;

bool Transactions::IsExec(const Command& command) { return command.handler == Exec; }

bool Transactions::RunsAtOnce(const Command& command) {
  return IsExec(command) || command.handler == Discard || command.handler == Multi || command.handler == Watch ||
         command.spec->name == std::string_view("quit") || command.spec->name == std::string_view("reset");
}

bool Transactions::TakenWhenFull(const Command& command) { return RunsAtOnce(command) || command.handler == Unwatch; }

void Transactions::Queue(ServerContext& context, const Command& command, std::span<const std::string_view> argv) {
  Transaction& transaction = *context.connection().transaction;
  QueuedCommand queued;
  queued.command = &command;
  size_t bytes = 0;
  for (std::string_view arg : argv) bytes += arg.size();
  queued.bytes = std::make_unique_for_overwrite<char[]>(bytes);
  queued.argv.reserve(argv.size());
  char* at = queued.bytes.get();
  for (std::string_view arg : argv) {
    memcpy(at, arg.data(), arg.size());
    queued.argv.emplace_back(at, arg.size());
    at += arg.size();
  }
  transaction.large |= bytes >= context.worker().watch.request_bytes;
  transaction.mask |= Dispatcher::ShardMask(context.worker(), command, queued.argv);
  transaction.flags |= command.flags;
  transaction.queue.push_back(std::move(queued));
  transaction.Took(sizeof queued + bytes + argv.size() * sizeof(std::string_view));
  context.reply().Simple("QUEUED");
}

void Transactions::AbortExec(ServerContext& context, std::string_view reason) {
  if (reason.starts_with("ERR ")) reason.remove_prefix(4);
  context.reply().Error(std::string(errors::kExecAbortBecause) + std::string(reason));
  Forget(context.connection());
}

uint64_t Transactions::Mask(Connection& connection) {
  if (connection.transaction == nullptr) return 0;
  uint64_t mask = connection.transaction->mask;
  for (const WatchedKey& watched : connection.transaction->watched)
    mask |= uint64_t{1} << shards.IndexOf(HashBytes(watched.key));
  return mask;
}

bool Transactions::NeedsPause(Connection& connection) {
  return connection.transaction != nullptr && (connection.transaction->flags & kExclusive) != 0;
}

bool Transactions::RunsScripts(Connection& connection) {
  return connection.transaction != nullptr && (connection.transaction->flags & kRunsScript) != 0;
}

bool Transactions::TouchesKeys(const Connection& connection, const Command& command) {
  uint32_t flags = command.flags;
  if (IsExec(command) && connection.transaction != nullptr) flags |= connection.transaction->flags;
  return (flags & (kWrite | kReadonly | kMayReplicate)) != 0;
}

void Transactions::Forget(Connection& connection) {
  if (connection.transaction != nullptr) EndTransaction(connection, true);
}

size_t Transactions::QueueBytes(const Transaction& transaction) {
  size_t bytes = 0;
  for (const QueuedCommand& queued : transaction.queue) {
    bytes += sizeof queued + queued.argv.capacity() * sizeof(std::string_view);
    for (std::string_view arg : queued.argv) bytes += arg.size();
  }
  return bytes;
}

void Transactions::DropQueue(Transaction& transaction) {
  std::vector<QueuedCommand>().swap(transaction.queue);
  transaction.in_multi = transaction.dirty = true;
  transaction.charge.Set(0);
}

size_t Transactions::MemoryUsage(const Transaction& transaction) {
  size_t bytes = sizeof(Transaction) + QueueBytes(transaction);
  for (const WatchedKey& watched : transaction.watched) bytes += sizeof watched + watched.key.size();
  return bytes;
}

}  // namespace brim
