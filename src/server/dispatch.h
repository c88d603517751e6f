#pragma once
// From a parsed batch to executed commands. Dispatcher::RunOne is the list of steps a command passes; each step is a
// function of its own, here or in the file it names.
#include <cstdint>
#include <span>
#include <string_view>

#include "command/effects.h"
#include "command/registry.h"

namespace brim {

class Connection;
class Table;
class ServerContext;
class Worker;

// What a look at a request's first words, before it is parsed, found out about it.
struct Peeked {
  const Command* command = nullptr;  // null: unknown, or not to be told from these bytes
  const char* name = nullptr;        // where its words lie
  const char* key = nullptr;
  uint64_t hash = 0;
  const Table* table = nullptr;  // null: not a command of one key
};

// While a handler runs, its effects are noted; in the end they go to the journal, those of a transaction's commands
// with its EXEC. The locks of the command's shards are held all the while.
class EffectScope {
 public:
  EffectScope(ServerContext& context, const Command& command);
  ~EffectScope();
  EffectScope(const EffectScope&) = delete;
  EffectScope& operator=(const EffectScope&) = delete;

 private:
  ServerContext& context_;
  const Command& command_;
  EffectLog* outer_;
  uint64_t changes_ = 0;
};

class Dispatcher {
 public:
  // Executes the worker's parsed commands for the connection, replies going to worker.scratch. Returns how many are
  // done with: fewer than parsed when the connection blocked, was parked or is to be closed.
  static size_t RunBatch(Connection& connection);
  // Looks at the first command and fetches the line of its key's bucket.
  static Peeked PrefetchFirst(Connection& connection, std::string_view data);
  // A malformed request: the error, then the end of the connection.
  static void ProtocolError(Connection& connection, std::string_view text);
  // Runs a command's handler for EXEC (locks held, figures counted).
  static void RunQueued(ServerContext& context, const Command& command, std::span<const std::string_view> argv);
  // Runs a command of the record being loaded: no connection, no locks, no reply, nothing is past its time. Every
  // thread paused, or none started. False with the reason in *error.
  static bool Replay(ServerContext& context, int db, std::span<const std::string_view> argv, std::string* error);
  // The shards that hold the command's keys, a bit each.
  static uint64_t ShardMask(Worker& worker, const Command& command, std::span<const std::string_view> argv);

 private:
  struct Plan {
    const Command* command;
    const Command* container;
    uint64_t hash;  // of the one key; valid when `hashed`
    bool hashed;
  };
  static constexpr size_t kMaxPlans = 64;

  static void MakePlans(Connection& connection, Plan* plans, size_t count);
  static bool RunOne(Connection& connection, const Plan& plan, std::span<const std::string_view> argv);
  static bool Refused(Connection& connection, const Plan& plan, std::span<const std::string_view> argv);
  static bool RefusedByState(Connection& connection, const Command& command);
  static bool HeldBack(Connection& connection, const Command& command);
  static void Reject(Connection& connection, const Command* command, std::string_view error);
  static void Execute(Connection& connection, const Plan& plan, std::span<const std::string_view> argv);
  // Both return 0, or how many bytes would have to be free for the command, which has left no trace then.
  static size_t CallHandler(ServerContext& context, const Command& command);
  static size_t RunLocked(Worker& worker, const Command& command, uint64_t mask);
  static size_t RunUnlocked(Connection& connection, const Plan& plan, std::span<const std::string_view> argv);
};

}  // namespace brim
