#pragma once
// MULTI, EXEC, DISCARD, WATCH, UNWATCH. A transaction runs under the locks of all its keys' shards and of those it
// watches, taken at once, so it is atomic whatever the threads do.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command/registry.h"
#include "memory/account.h"
#include "store/shard.h"

namespace brim {

class Connection;
class Context;
class ServerContext;

struct QueuedCommand {
  const Command* command;
  std::unique_ptr<char[]> bytes;
  std::vector<std::string_view> argv;  // into bytes
};

struct WatchedKey {
  int db;
  std::string key;
};

struct Transaction {
  bool in_multi = false;
  bool dirty = false;  // a command was refused while queuing: EXEC aborts
  std::vector<QueuedCommand> queue;
  uint64_t mask = 0;   // shards of the queued commands' keys
  uint32_t flags = 0;  // of all queued commands
  bool large = false;  // one of them came with enough for COMMANDLOG
  WatchFlag watch;
  std::vector<WatchedKey> watched;
  Recharge<MemoryCategory::kTransactions> charge;  // of the queue and the watched keys
  void Took(size_t more) { charge.Set(charge.bytes() + more); }
};

class Transactions {
 public:
  // Commands that run inside MULTI instead of being queued.
  static bool RunsAtOnce(const Command& command);
  static bool IsExec(const Command& command);
  // Over the memory limit these are still taken inside MULTI.
  static bool TakenWhenFull(const Command& command);
  static void Queue(ServerContext& context, const Command& command, std::span<const std::string_view> argv);
  // "EXECABORT Transaction discarded because of: ..." and the transaction is over.
  static void AbortExec(ServerContext& context, std::string_view reason);
  // For EXEC: the shards to lock, and whether a queued command needs every thread paused.
  static uint64_t Mask(Connection& connection);
  static bool NeedsPause(Connection& connection);
  static bool RunsScripts(Connection& connection);
  // The command, or the transaction that it ends, reads or writes keys or is for replicas too.
  static bool TouchesKeys(const Connection& connection, const Command& command);
  // The connection ends, or RESET: watches and queue are dropped. Takes the locks of the watched shards.
  static void Forget(Connection& connection);
  // Of all of it / of the queued commands alone.
  static size_t MemoryUsage(const Transaction& transaction);
  static size_t QueueBytes(const Transaction& transaction);
  // The connection is being closed: what is queued will not run.
  static void DropQueue(Transaction& transaction);
};

}  // namespace brim
