// PING ECHO AUTH HELLO QUIT RESET SELECT: the connection's own commands (CLIENT has a file of its own).
#include "base/ascii.h"
#include "base/numbers.h"
#include "resp/errors.h"
#include "server/acl.h"
#include "server/acl_log.h"
#include "server/connection.h"
#include "server/monitor.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/tracking.h"
#include "server/transaction.h"
#include "server/worker.h"

namespace brim {

void ServerContext::SetDb(int db) {
  db_ = db;
  if (connection_ != nullptr) connection_->db = db;  // none: a record is replayed
}

namespace {

void Ping(Context& context) {
  Connection& connection = AsServer(context).connection();
  if (context.argc() > 2) {
    context.reply().Error("ERR wrong number of arguments for 'ping' command");
  } else if (connection.subscriptions != nullptr && connection.resp == 2) {
    // It looks like a message.
    context.reply().ArrayHeader(2);
    context.reply().Bulk("pong");
    context.reply().Bulk(context.argc() == 1 ? std::string_view("") : context.arg(1));
  } else if (context.argc() == 1) {
    context.reply().Simple("PONG");
  } else {
    context.reply().Bulk(context.arg(1));
  }
}

void Echo(Context& context) { context.reply().Bulk(context.arg(1)); }

void Quit(Context& context) {
  context.reply().Ok();
  AsServer(context).connection().CloseAfterReply();
}

void Select(Context& context) {
  int64_t db;
  if (!ParseInt64(context.arg(1), &db)) {
    context.reply().Error(errors::kNotAnInteger);
  } else if (db < INT32_MIN || db > INT32_MAX) {
    context.reply().Error("ERR value is out of range, value must between -2147483648 and 2147483647");
  } else if (db < 0 || db >= server.config().databases) {
    context.reply().Error("ERR DB index is out of range");
  } else {
    AsServer(context).SetDb(static_cast<int>(db));
    context.reply().Ok();
  }
}

bool Authenticate(Context& context, std::string_view name, std::string_view password) {
  Connection& connection = AsServer(context).connection();
  std::shared_ptr<User> user = acl.Authenticate(name, password);
  if (user == nullptr) {
    bool in_multi = AsServer(context).in_transaction();
    NoteDenial(connection, AclReason::kAuth, in_multi ? AclContext::kMulti : AclContext::kTopLevel, context.arg(0),
               name);
    context.reply().Error(errors::kWrongPass);
    return false;
  }
  connection.user = std::move(user);
  connection.authenticated = true;
  return true;
}

void Auth(Context& context) {
  if (context.argc() > 3) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  if (context.argc() == 2 && acl.default_user()->no_password) {
    context.reply().Error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?");
    return;
  }
  bool with_user = context.argc() == 3;
  if (Authenticate(context, with_user ? context.arg(1) : "default", context.arg(with_user ? 2 : 1)))
    context.reply().Ok();
}

// A name may hold only printable characters without spaces.
bool ValidName(std::string_view name) {
  for (char c : name) {
    if (c < '!' || c > '~') return false;
  }
  return true;
}

void WriteHello(Context& context) {
  Connection& connection = AsServer(context).connection();
  Reply& reply = context.reply();
  reply.MapHeader(7);
  reply.Bulk("server");
  reply.Bulk("redis");
  reply.Bulk("version");
  reply.Bulk(kRedisVersion);
  reply.Bulk("proto");
  reply.Integer(connection.resp);
  reply.Bulk("id");
  reply.Integer(static_cast<int64_t>(connection.id));
  reply.Bulk("mode");
  reply.Bulk("standalone");
  reply.Bulk("role");
  reply.Bulk("master");
  reply.Bulk("modules");
  reply.ArrayHeader(0);
}

void Hello(Context& context) {
  Connection& connection = AsServer(context).connection();
  int64_t version = connection.resp;
  size_t next = 1;
  if (context.argc() >= 2) {
    if (!ParseInt64(context.arg(1), &version)) {
      context.reply().Error("ERR Protocol version is not an integer or out of range");
      return;
    }
    if (version < 2 || version > 3) {
      context.reply().Error(errors::kNoProto);
      return;
    }
    next = 2;
  }
  std::string_view name;
  bool named = false;
  for (; next < context.argc(); next++) {
    size_t more = context.argc() - 1 - next;
    if (EqualsNoCase(context.arg(next), "AUTH") && more >= 2) {
      // At once, before what follows is looked at, as redis-server does.
      if (!Authenticate(context, context.arg(next + 1), context.arg(next + 2))) return;
      next += 2;
    } else if (EqualsNoCase(context.arg(next), "SETNAME") && more >= 1) {
      name = context.arg(next + 1);
      named = true;
      if (!ValidName(name)) {
        context.reply().Error("ERR Client names cannot contain spaces, newlines or special characters.");
        return;
      }
      next++;
    } else {
      context.reply().Error("ERR Syntax error in HELLO option '" + std::string(context.arg(next)) + "'");
      return;
    }
  }
  if (!connection.authenticated && acl.asks_for_password()) {
    context.reply().Error(errors::kNoAuthForHello);
    return;
  }
  if (named) connection.name = name;
  connection.resp = static_cast<int>(version);
  context.reply().SetVersion(connection.resp);
  WriteHello(context);
}

void Reset(Context& context) {
  Connection& connection = AsServer(context).connection();
  Transactions::Forget(connection);
  PubSub::Forget(connection, SIZE_MAX);
  KeyTracking::Stop(connection);
  Monitors::End(connection);
  AsServer(context).SetDb(0);
  connection.resp = 2;
  bool skipped = connection.reply_mode == ReplyMode::kSkipping;  // by CLIENT REPLY SKIP
  if (!skipped) connection.reply_mode = ReplyMode::kOn;
  connection.name.clear();
  connection.no_evict = connection.no_touch = connection.takes_redirects = false;
  connection.user = acl.default_user();
  connection.authenticated = !acl.asks_for_password();
  context.reply().SetVersion(2);
  context.reply().SetSuppressed(skipped);
  context.reply().Simple("RESET");
}

constexpr uint32_t kControl = kNoScript | kLoading | kStale | kFast;

constexpr CommandSpec kRows[] = {
    {"ping",
     -1,
     kFast | kSentinel | kWhileSubscribed,
     {},
     kCatConnection,
     Group::kConnection,
     "1.0.0",
     "O(1)",
     "Answers PONG, or the message.",
     "[message]",
     Ping,
     nullptr,
     "request_policy:all_shards,response_policy:all_succeeded"},
    {"echo",
     2,
     kLoading | kStale | kFast,
     {},
     kCatConnection,
     Group::kConnection,
     "1.0.0",
     "O(1)",
     "Answers the message.",
     "message",
     Echo},
    {"quit",
     -1,
     kControl | kNoAuth | kAllowBusy | kWhileSubscribed,
     {},
     kCatConnection,
     Group::kConnection,
     "1.0.0",
     "O(1)",
     "Answers OK and closes the connection.",
     "",
     Quit},
    {"select",
     2,
     kLoading | kStale | kFast,
     {},
     kCatConnection,
     Group::kConnection,
     "1.0.0",
     "O(1)",
     "Chooses the database that the connection's commands speak of.",
     "index",
     Select},
    {"auth",
     -2,
     kControl | kNoAuth | kSentinel | kAllowBusy,
     {},
     kCatConnection,
     Group::kConnection,
     "1.0.0",
     "O(N) where N is the number of the user's passwords",
     "Authenticates the connection.",
     "[username] password",
     Auth},
    {"hello",
     -1,
     kControl | kNoAuth | kSentinel | kAllowBusy,
     {},
     kCatConnection,
     Group::kConnection,
     "6.0.0",
     "O(1)",
     "Chooses the protocol version, and may authenticate and name the connection.",
     "[protover [AUTH username password] [SETNAME clientname]]",
     Hello},
    {"reset",
     1,
     kControl | kNoAuth | kAllowBusy | kWhileSubscribed,
     {},
     kCatConnection,
     Group::kConnection,
     "6.2.0",
     "O(1)",
     "Puts the connection's state back to that of a new one.",
     "",
     Reset},
};

}  // namespace

const CommandTable kConnectionCommands = kRows;

}  // namespace brim
