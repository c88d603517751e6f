#include "server/client_line.h"

#include <fmt/format.h>

#include <iterator>

#include "server/acl_rules.h"
#include "server/blocking.h"
#include "server/connection.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/tracking.h"
#include "server/transaction.h"
#include "server/worker.h"

namespace brim {

namespace {

class Line {
 public:
  template <class T>
  void Add(std::string_view name, const T& value) {
    fmt::format_to(std::back_inserter(text), "{}{}={}", text.empty() ? "" : " ", name, value);
  }
  std::string text;
};

// Words of a command that waits; those of one that runs lie in the query buffer.
size_t ArgumentBytes(const Connection& connection) {
  size_t bytes = 0;
  if (connection.waiter != nullptr) {
    for (const std::string& word : connection.waiter->argv_bytes) bytes += word.size();
  }
  return bytes;
}

void AddPlace(Line& line, const Connection& connection) {
  int64_t now_ms = coarse_clock.now_ms;
  line.Add("id", connection.id);
  line.Add("addr", connection.address);
  line.Add("laddr", connection.local_address);
  line.Add("fd", connection.fd);
  line.Add("name", connection.name);
  line.Add("age", (now_ms - connection.created_ms) / 1000);
  line.Add("idle", (now_ms - connection.last_active_ms) / 1000);
  line.Add("flags", ClientFlags(connection));
  line.Add("db", connection.db);
}

void AddState(Line& line, const Connection& connection) {
  const Transaction* transaction = connection.transaction.get();
  bool in_multi = transaction != nullptr && transaction->in_multi;
  line.Add("sub", PubSub::CountOf(connection, ChannelKind::kChannel));
  line.Add("psub", PubSub::CountOf(connection, ChannelKind::kPattern));
  line.Add("ssub", PubSub::CountOf(connection, ChannelKind::kShard));
  line.Add("multi", in_multi ? static_cast<int64_t>(transaction->queue.size()) : -1);
  line.Add("watch", transaction != nullptr ? transaction->watched.size() : 0);
}

void AddMemory(Line& line, const Connection& connection) {
  size_t received = connection.input_bytes();
  size_t room = connection.input_capacity();
  line.Add("qbuf", received);
  line.Add("qbuf-free", room > received ? room - received : 0);
  line.Add("argv-mem", ArgumentBytes(connection));
  line.Add("multi-mem", connection.transaction != nullptr ? Transactions::QueueBytes(*connection.transaction) : 0);
  // Replies are put together in the worker's memory, not the connection's.
  line.Add("rbs", 0);
  line.Add("rbp", 0);
  line.Add("obl", 0);
  line.Add("oll", connection.output.pieces());
  line.Add("omem", connection.output.owned_bytes());
  line.Add("tot-mem", connection.MemoryUsage());
}

}  // namespace

std::string ClientFlags(const Connection& connection) {
  std::string flags;
  const Tracking* tracking = connection.tracking.get();
  const Transaction* transaction = connection.transaction.get();
  const Waiter* waiter = connection.waiter.get();
  bool served = waiter != nullptr && waiter->claimed.load(std::memory_order_relaxed);
  auto add = [&flags](char letter, bool holds) {
    if (holds) flags += letter;
  };
  add('O', connection.monitor);
  add('P', connection.subscriptions != nullptr);
  add('x', transaction != nullptr && transaction->in_multi);
  add('b', waiter != nullptr && !served);
  add('t', tracking != nullptr);
  add('R', tracking != nullptr && tracking->broken);
  add('B', tracking != nullptr && tracking->broadcast);
  add('d', transaction != nullptr && transaction->watch.touched.load(std::memory_order_relaxed));
  add('c', connection.close_after_reply);
  add('u', served);
  add('A', connection.close_soon);
  add('U', connection.is_unix);
  add('e', connection.no_evict);
  add('T', connection.no_touch);
  return flags.empty() ? "N" : flags;
}

std::string DescribeConnection(const Connection& connection) {
  Line line;
  AddPlace(line, connection);
  AddState(line, connection);
  AddMemory(line, connection);
  line.Add("events", connection.waiting_to_write ? "rw" : "r");
  line.Add("cmd", connection.last_command != nullptr ? connection.last_command->spec->name : "NULL");
  line.Add("user", connection.user->name);
  line.Add("redir", connection.tracking != nullptr ? static_cast<int64_t>(connection.tracking->redirect) : -1);
  line.Add("resp", connection.resp);
  line.Add("lib-name", connection.library_name);
  line.Add("lib-ver", connection.library_version);
  line.Add("io-thread", connection.worker->index());
  line.Add("tot-net-in", connection.bytes_in);
  line.Add("tot-net-out", connection.bytes_out);
  line.Add("tot-cmds", connection.commands_run);
  return line.text;
}

}  // namespace brim
