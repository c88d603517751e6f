#pragma once
// Clients that wait for keys (BLPOP and the like), on any thread, first come first served.
//
// A blocked command is kept and run again, under the locks of the command that filled the key, by that command's
// thread; the reply travels to the waiting connection's thread by mail. `claimed` decides between being served, timing
// out and going away: whoever sets it first acts.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "command/context.h"
#include "command/registry.h"
#include "server/acl_check.h"
#include "store/shard.h"

namespace brim {

class Connection;
class ServerContext;
class Worker;

struct Waiter final : KeyWaiter, std::enable_shared_from_this<Waiter> {
  Worker* worker = nullptr;  // of the waiting connection
  uint64_t connection_id = 0;
  const Command* command = nullptr;
  std::vector<std::string> argv_bytes;
  std::vector<std::string_view> argv;
  std::vector<std::string> keys;  // without repeats
  std::vector<std::string_view> key_views;
  int db = 0;
  int resp = 2;
  Type type = Type::kList;
  bool mover = false;  // writes to a key it does not wait for
  bool ends_without_key = false;
  int64_t deadline_ms = 0;    // 0: none
  int64_t look_again_ms = 0;  // the next time at which it is tried though nothing was signalled; 0: never
  BlockRequest::OnTimeout on_timeout = BlockRequest::kNullArray;
  std::string text;
  std::atomic<bool> claimed{false};
  std::shared_ptr<User> user;  // of the connection
  // Set by who claimed it: what the user is denied by now, and which argument.
  AclVerdict verdict = AclVerdict::kAllowed;
  size_t denied = 0;
  bool served = false;         // else its time was over
  bool broken_off = false;     // it ended with -UNBLOCKED
  uint64_t serving_ticks = 0;  // what running it again took
  // What it took before it waited.
  uint64_t ticks = 0;
  bool muted = false;  // by CLIENT REPLY
  Recharge<MemoryCategory::kTransactions> charge;
};

class Blocking {
 public:
  // The handler asked to wait; the shards of its keys are locked.
  static void Begin(ServerContext& context, const BlockRequest& request);
  // After a command, its locks (a bit each in `locked`) still held: serves who waits for keys it filled.
  static void ServeReady(Worker& worker, uint64_t locked);
  // The connection's thread: its time is over. False when it is being served at this moment (ask again soon).
  static bool TimeOut(Connection& connection);
  // The connection's thread, no locks held: what it waits for may have come with time.
  static void LookAgain(Connection& connection);
  // CLIENT UNBLOCK, FLUSHALL of blocked ... with an error or as if timed out. False when not blocked. Every thread is
  // paused, or it is the connection's own.
  static bool Unblock(Connection& connection, bool with_error);
  // The connection goes away.
  static void Abandon(Connection& connection);
  static std::atomic<int> blocked_clients;
  static size_t MemoryUsage(const Waiter& waiter);

 private:
  static std::vector<Shard::ReadyKey> TakeReady(uint64_t locked);
  static void ServeKey(Worker& worker, const Shard::ReadyKey& key, uint64_t locked);
  static bool EndWithoutKey(Waiter& waiter);
  static void CountServed(Worker& worker, Waiter& waiter, const Reply& reply, uint64_t began);
  static bool TryServe(Worker& worker, Waiter& waiter, std::string_view key, uint64_t locked);
  static void Finish(const std::shared_ptr<Waiter>& waiter, OutputBuffer&& reply);
  static void RemoveDeadlines(const Waiter& waiter);
  static void Withdraw(Waiter& waiter);
  static void Send(Waiter& waiter, OutputBuffer&& reply);
};

}  // namespace brim
