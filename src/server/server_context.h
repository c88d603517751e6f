#pragma once
// The server's Context: what a handler in src/server sees beyond keys and replies (the connection, the worker).
#include "command/context.h"
#include "command/registry.h"

namespace brim {

class Connection;
class Worker;
class Server;
struct Waiter;

class ServerContext final : public Context {
 public:
  explicit ServerContext(Worker* worker) : worker_(worker) {}
  // Once: where replies go and figures are counted.
  void Attach(OutputBuffer* output, KeyspaceFigures* figures) {
    own_reply_ = Reply(output, 2);
    reply_ = &own_reply_;
    figures_ = figures;
  }

  Connection& connection() { return *connection_; }
  Worker& worker() { return *worker_; }
  const Command& command() const { return *command_; }

  bool may_block() const override { return !in_transaction_ && !deny_blocking_; }
  // The command is a script's.
  bool in_script() const { return in_script_; }
  void Block(const BlockRequest& request) override;

  // SELECT changes both.
  void SetDb(int db);
  void SetNoTouch(bool on) { no_touch_ = on; }
  void SetInTransaction(bool on) { in_transaction_ = on; }
  bool in_transaction() const { return in_transaction_; }
  // The command that has run waits.
  bool blocked() const { return blocked_; }
  bool recording() const { return recording_; }
  bool has_connection() const { return connection_ != nullptr; }
  // The arguments, when they stay where they are until what the command does is written.
  std::span<const std::string_view> lasting_words() const {
    return argv_lasts_ ? argv_ : std::span<const std::string_view>();
  }

 private:
  friend class Dispatcher;
  friend class Blocking;
  friend class EffectScope;
  friend class Transactions;
  Worker* worker_;
  Reply own_reply_{nullptr, 2};
  Connection* connection_ = nullptr;
  const Command* command_ = nullptr;
  Waiter* waking_waiter_ = nullptr;  // the blocked command being tried again
  bool blocked_ = false;             // the handler called Block
  bool in_transaction_ = false;
  bool argv_lasts_ = false;
  bool deny_blocking_ = false;
  std::string_view canonical_;  // the bytes of the request that is begun (ParsedCommand); EffectScope takes them
  bool recording_ = true;       // false: a script has said that its commands' effects are not to be recorded
};

inline ServerContext& AsServer(Context& context) { return static_cast<ServerContext&>(context); }

}  // namespace brim
