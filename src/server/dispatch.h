#pragma once
// From a parsed batch to executed commands. Dispatcher::RunOne is the list of steps a command passes; each step is a
// function of its own, here or in the file it names.
#include <cstdint>
#include <span>
#include <string_view>

#include "command/effects.h"
#include "command/registry.h"
#include "resp/reply.h"
#include "server/script_engine.h"

namespace brim {

class Connection;
class Table;
class ServerContext;
class Worker;

// What a look at a request's first words, before it is parsed, found out about it.
struct Peeked {
  const Command* command = nullptr;  // null: unknown, or not to be told from these bytes
  const char* name = nullptr;        // where its first two words lie
  const char* second = nullptr;
  uint64_t hash = 0;             // of the first key
  const Table* table = nullptr;  // where that is looked for; null: no key
};

// While a handler runs, its effects are noted; in the end they go to the journal, those of a transaction's commands
// with its EXEC. The locks of the command's shards are held all the while.
class EffectScope {
 public:
  EffectScope(ServerContext& context, const Command& command);
  ~EffectScope() { End(); }
  EffectScope(const EffectScope&) = delete;
  EffectScope& operator=(const EffectScope&) = delete;
  // False: memory was refused and the record of what was done is lost. Writes are refused until the append-only file
  // has been written anew.
  bool End() noexcept;

 private:
  bool Record(EffectLog* log) noexcept;
  ServerContext& context_;
  const Command& command_;
  EffectLog* outer_;
  std::span<const std::string_view> outer_lasting_;
  std::string_view canonical_;  // what is recorded when the command is its own effect; empty: its words are
  uint64_t changes_ = 0;
  bool ended_ = false;
};

// What a script does next about a command.
enum class ScriptStep : uint8_t {
  kReady,      // runs it
  kBeginAnew,  // ends, with nothing done but reading; it is run again with more locked, or answered with BUSY
};

class Dispatcher {
 public:
  // Executes the worker's parsed commands for the connection, replies going to worker.scratch. Returns how many are
  // done with: fewer than parsed when the connection blocked, was parked or is to be closed.
  static size_t RunBatch(Connection& connection);
  // Looks at the first command and fetches the line of its key's bucket. plans.cc.
  static Peeked PrefetchFirst(Connection& connection, std::string_view data);
  // A malformed request: the error, then the end of the connection.
  static void ProtocolError(Connection& connection, std::string_view text);
  // For a script, before a command of its: its shards are locked, or it is to begin anew. `read_so_far`: it has done
  // nothing else yet. script_run.cc.
  static ScriptStep PrepareForScript(ServerContext& context, const Command& command,
                                     std::span<const std::string_view> argv, bool read_so_far);
  // Runs it; the reply goes to *reply. `recorded`: its effect is to be.
  static void CallFromScript(ServerContext& context, const Command& command, std::span<const std::string_view> argv,
                             Reply* reply, bool recorded);
  // Runs a command's handler for EXEC (locks held, figures counted). `argv_lasts`: the words stay where they are until
  // the worker has written what it recorded (Worker::kept_queue).
  static void RunQueued(ServerContext& context, const Command& command, std::span<const std::string_view> argv,
                        bool argv_lasts = false);
  // Runs a command of the record being loaded: no connection, no locks, no reply, nothing is past its time. Every
  // thread paused, or none started. False with the reason in *error.
  static bool Replay(ServerContext& context, int db, std::span<const std::string_view> argv, std::string* error);
  // The shards that hold the command's keys, a bit each.
  static uint64_t ShardMask(Worker& worker, const Command& command, std::span<const std::string_view> argv);

 private:
  struct Plan {
    const Command* command;
    const Command* container;
    uint64_t hash;  // of the first key; valid when `hashed` or `fetches`
    bool hashed;    // it has one key
    bool fetches;   // the key's bucket is being fetched, its block is to follow
    bool repeats;   // the command of the plan before once more, with the same one key
  };

  // plans.cc.
  static size_t FirstKey(const Command& command);
  static constexpr size_t kMaxPlans = 64;  // commands of a batch

  static void MakePlans(Connection& connection, Plan* plans, size_t count);
  static size_t RunPlans(Connection& connection);
  static size_t LookAhead(Worker& worker, const Plan* plans, size_t at, size_t count);
  static void PrefetchElements(Worker& worker, const Command& command);
  // The plan's command and those behind it that repeat it, as one. Returns how many are done; 0: each is to be run for
  // itself. series_run.cc.
  static size_t RunSeries(Connection& connection, const Plan* plans, size_t at, size_t count);
  static void SendPushes(Connection& connection, const Command* command);
  static bool IsPlain(const Connection& connection);
  static bool IsPlain(const Plan& plan, size_t argc);
  enum class Begun : uint8_t {
    kRuns,      // it may: Execute
    kAnswered,  // it was refused or queued
    kHeldBack,  // by CLIENT PAUSE; it is begun anew
  };
  static bool RefusedForNow(Connection& connection, const Command& command);
  static Begun BeginPlain(Connection& connection, const Command& command);
  static Begun Begin(Connection& connection, const Plan& plan, std::span<const std::string_view> argv);
  static void EndCommand(Connection& connection, const Command* command);
  static bool Refused(Connection& connection, const Plan& plan, std::span<const std::string_view> argv);
  static bool IsHttp(std::span<const std::string_view> argv);
  static bool RefusedByAcl(Connection& connection, const Command& command, std::span<const std::string_view> argv);
  static bool DeniedAtExec(ServerContext& context, const Command& command, std::span<const std::string_view> argv);
  static bool RefusedByState(Connection& connection, const Command& command);
  static bool MayWrite(ServerContext& context, const Command& command, std::span<const std::string_view> argv);
  static bool HeldBack(Connection& connection, const Command& command, std::span<const std::string_view> argv);
  static void Reject(Connection& connection, const Command* command, std::string_view error);
  static void Execute(Connection& connection, const Plan& plan, std::span<const std::string_view> argv);
  // All return 0, or how many bytes would have to be free for the command, which has left no trace then; or kBusy, when
  // a script that takes long keeps what the command needs.
  static constexpr size_t kBusy = SIZE_MAX;
  static uint32_t BeginWatched(ServerContext& context, const Command& command);
  static void EndWatched(ServerContext& context, uint32_t watched, uint64_t ticks, size_t reply_began);
  static size_t CallHandler(ServerContext& context, const Command& command);
  static size_t RunLocked(Worker& worker, const Command& command, uint64_t mask);
  static size_t RunPaused(ServerContext& context, const Command& command);
  static size_t RunScript(ServerContext& context, const Command& command);
  static size_t RunTransactionOfScripts(ServerContext& context, const Command& command, bool pause);
  static bool BeginScript(ServerContext& context, ScriptReach reach, bool has_token = false);
  static void EndScript(ServerContext& context);
  static bool AllowedWhileBusy(const Command& command, std::span<const std::string_view> argv);
  static void WriteBorrowed(Worker& worker);
  static size_t RunUnlocked(Connection& connection, const Plan& plan, std::span<const std::string_view> argv);
};

}  // namespace brim
