// CLIENT: a connection's name, what is connected, who is cut or held back.
#include <algorithm>
#include <string>

#include "base/ascii.h"
#include "base/numbers.h"
#include "command/help.h"
#include "commands/arguments.h"
#include "server/blocking.h"
#include "server/client_filter.h"
#include "server/client_line.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/worker.h"

namespace brim {

namespace {

Connection& Own(Context& context) { return AsServer(context).connection(); }

// A name, library name or version: printable, no spaces.
bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

void ReplyBadSubcommand(Context& context) {
  context.reply().Error("ERR unknown subcommand or wrong number of arguments for '" +
                        std::string(context.arg(1).substr(0, 128)) + "'. Try CLIENT HELP.");
}

void ClientId(Context& context) { context.reply().Integer(static_cast<int64_t>(Own(context).id)); }

void ClientGetname(Context& context) {
  const std::string& name = Own(context).name;
  if (name.empty()) {
    context.reply().Null();
  } else {
    context.reply().Bulk(name);
  }
}

void ClientSetname(Context& context) {
  if (!IsPlain(context.arg(2))) {
    context.reply().Error("ERR Client names cannot contain spaces, newlines or special characters.");
    return;
  }
  Own(context).name = context.arg(2);
  context.reply().Ok();
}

void ClientSetinfo(Context& context) {
  bool is_name = ArgIs(context, 2, "LIB-NAME");
  if (!is_name && !ArgIs(context, 2, "LIB-VER")) {
    context.reply().Error("ERR Unrecognized option '" + std::string(context.arg(2)) + "'");
    return;
  }
  if (!IsPlain(context.arg(3))) {
    context.reply().Error(std::string("ERR ") + (is_name ? "lib-name" : "lib-ver") +
                          " cannot contain spaces, newlines or special characters.");
    return;
  }
  (is_name ? Own(context).library_name : Own(context).library_version) = context.arg(3);
  context.reply().Ok();
}

void ClientInfo(Context& context) { context.reply().Verbatim(DescribeConnection(Own(context)) + "\n", "txt"); }

std::vector<Connection*> AllConnections() {
  std::vector<Connection*> all;
  for (auto& worker : server.workers()) {
    for (auto& [id, connection] : worker->connections()) {
      if (!connection->close_soon) all.push_back(connection.get());
    }
  }
  std::sort(all.begin(), all.end(), [](auto* a, auto* b) { return a->id < b->id; });
  return all;
}

void ClientList(Context& context) {
  ClientFilter filter;
  if (!filter.Parse(context, true)) return;
  std::string text;
  auto add = [&](const Connection& connection) {
    if (filter.skip_me && &connection == &Own(context)) return;
    if (filter.Matches(connection)) text += DescribeConnection(connection) + "\n";
  };
  std::vector<Connection*> all = AllConnections();
  if (const std::vector<uint64_t>* ids = filter.OnlyIds()) {
    // In the order in which they were named, and as often.
    for (uint64_t id : *ids) {
      auto found = std::lower_bound(all.begin(), all.end(), id, [](Connection* c, uint64_t n) { return c->id < n; });
      if (found != all.end() && (*found)->id == id) add(**found);
    }
  } else {
    for (const Connection* connection : all) add(*connection);
  }
  context.reply().Verbatim(text, "txt");
}

void ClientKill(Context& context) {
  ClientFilter filter;
  bool old_form = context.argc() == 3;
  filter.skip_me = !old_form;
  if (old_form) {
    filter.OnlyAddress(context.arg(2));
  } else if (!filter.Parse(context, false)) {
    return;
  }
  int64_t killed = 0;
  for (Connection* connection : AllConnections()) {
    if (!filter.Matches(*connection) || (filter.skip_me && connection == &Own(context))) continue;
    CutConnection(*connection, &Own(context));
    killed++;
  }
  if (!old_form) {
    context.reply().Integer(killed);
  } else if (killed == 0) {
    context.reply().Error("ERR No such client");
  } else {
    context.reply().Ok();
  }
}

// What a client says that it understands; what is not known is for others.
void ClientCapa(Context& context) {
  for (size_t i = 2; i < context.argc(); i++) {
    if (ArgIs(context, i, "REDIRECT")) Own(context).takes_redirects = true;
  }
  context.reply().Ok();
}

void ClientPause(Context& context) {
  bool writes_only = false;
  if (context.argc() == 4) {
    writes_only = ArgIs(context, 3, "WRITE");
    if (!writes_only && !ArgIs(context, 3, "ALL")) {
      context.reply().Error("ERR CLIENT PAUSE mode must be WRITE or ALL");
      return;
    }
  } else if (context.argc() != 3) {
    ReplyBadSubcommand(context);
    return;
  }
  int64_t timeout_ms;
  if (!ParseInt64(context.arg(2), &timeout_ms)) {
    context.reply().Error("ERR timeout is not an integer or out of range");
    return;
  }
  if (timeout_ms < 0) {
    context.reply().Error("ERR timeout is negative");
    return;
  }
  if (timeout_ms > INT64_MAX - context.now_ms()) {
    context.reply().Error("ERR timeout is out of range");
    return;
  }
  server.PauseClients(context.now_ms() + timeout_ms, writes_only);
  context.reply().Ok();
}

void ClientUnpause(Context& context) {
  server.UnpauseClients();
  context.reply().Ok();
}

void ClientReply(Context& context) {
  Connection& connection = Own(context);
  if (ArgIs(context, 2, "ON")) {
    connection.reply_mode = ReplyMode::kOn;
    context.reply().SetSuppressed(false);
    context.reply().Ok();
  } else if (ArgIs(context, 2, "OFF")) {
    connection.reply_mode = ReplyMode::kOff;
    context.reply().SetSuppressed(true);
  } else if (ArgIs(context, 2, "SKIP")) {
    // One that is skipped itself skips the next all the same.
    if (connection.reply_mode != ReplyMode::kOff) connection.reply_mode = ReplyMode::kSkipNext;
  } else {
    context.reply().Error(errors::kSyntax);
  }
}

void ClientUnblock(Context& context) {
  bool with_error = false;
  if (context.argc() == 4) {
    with_error = ArgIs(context, 3, "ERROR");
    if (!with_error && !ArgIs(context, 3, "TIMEOUT")) {
      context.reply().Error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
      return;
    }
  } else if (context.argc() != 3) {
    ReplyBadSubcommand(context);
    return;
  }
  int64_t id;
  if (!ParseIntArg(context, 2, &id)) return;
  for (Connection* connection : AllConnections()) {
    if (connection->id == static_cast<uint64_t>(id) && Blocking::Unblock(*connection, with_error)) {
      connection->waiter->served = true;
      context.reply().Integer(1);
      return;
    }
  }
  context.reply().Integer(0);
}

// ON or OFF as arg(2). False with the error replied.
bool ParseOnOff(Context& context, bool* on) {
  *on = ArgIs(context, 2, "ON");
  if (*on || ArgIs(context, 2, "OFF")) return true;
  context.reply().Error(errors::kSyntax);
  return false;
}

void ClientNoEvict(Context& context) {
  bool on;
  if (!ParseOnOff(context, &on)) return;
  Own(context).no_evict = on;
  context.reply().Ok();
}

void ClientNoTouch(Context& context) {
  bool on;
  if (!ParseOnOff(context, &on)) return;
  Own(context).no_touch = on;
  AsServer(context).SetNoTouch(on);
  context.reply().Ok();
}

constexpr uint32_t kPlain = kNoScript | kLoading | kStale | kSentinel;
constexpr uint32_t kAdminOnly = kPlain | kAdmin | kExclusive;

constexpr CommandSpec kRows[] = {
    {"client",
     -2,
     kSentinel,
     {},
     0,
     Group::kConnection,
     "2.4.0",
     "Depends on the subcommand",
     "Commands about connections.",
     "",
     nullptr},
    {"client|capa",
     -3,
     kNoScript | kLoading | kStale,
     {},
     kCatConnection,
     Group::kConnection,
     "8.0.0",
     "O(1)",
     "Says what the client understands beyond the protocol.",
     "capability [capability ...]",
     ClientCapa},
    {"client|getname",
     2,
     kPlain,
     {},
     kCatConnection,
     Group::kConnection,
     "2.6.9",
     "O(1)",
     "Answers the connection's name.",
     "",
     ClientGetname},
    {"client|help",
     2,
     kLoading | kStale | kSentinel,
     {},
     kCatConnection,
     Group::kConnection,
     "5.0.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"client|id",
     2,
     kPlain,
     {},
     kCatConnection,
     Group::kConnection,
     "5.0.0",
     "O(1)",
     "Answers the connection's number.",
     "",
     ClientId},
    {"client|info",
     2,
     kPlain,
     {},
     kCatConnection,
     Group::kConnection,
     "6.2.0",
     "O(1)",
     "Describes the connection.",
     "",
     ClientInfo,
     nullptr,
     "nondeterministic_output"},
    {"client|kill",
     -3,
     kAdminOnly,
     {},
     kCatConnection,
     Group::kConnection,
     "2.4.0",
     "O(N) where N is the number of connections",
     "Closes connections.",
     "[ip:port] [ID client-id] [TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>] [USER username] [ADDR ip:port] "
     "[LADDR ip:port] [SKIPME <YES|NO>]",
     ClientKill},
    {"client|list",
     -2,
     kAdminOnly,
     {},
     kCatConnection,
     Group::kConnection,
     "2.4.0",
     "O(N) where N is the number of connections",
     "Describes the connections.",
     "[TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [ID client-id [client-id ...]]",
     ClientList,
     nullptr,
     "nondeterministic_output"},
    {"client|no-evict",
     3,
     kPlain | kAdmin,
     {},
     kCatConnection,
     Group::kConnection,
     "7.0.0",
     "O(1)",
     "Spares the connection when clients are cut to save memory.",
     "<ON|OFF>",
     ClientNoEvict},
    {"client|no-touch",
     3,
     kNoScript | kLoading | kStale,
     {},
     kCatConnection,
     Group::kConnection,
     "7.2.0",
     "O(1)",
     "Whether the connection's commands refresh keys' last use.",
     "<ON|OFF>",
     ClientNoTouch},
    {"client|pause",
     -3,
     kAdminOnly,
     {},
     kCatConnection,
     Group::kConnection,
     "2.9.50",
     "O(1)",
     "Holds clients' commands back for a while.",
     "timeout [WRITE|ALL]",
     ClientPause},
    {"client|reply",
     3,
     kPlain,
     {},
     kCatConnection,
     Group::kConnection,
     "3.2.0",
     "O(1)",
     "Whether the connection's commands are answered.",
     "<ON|OFF|SKIP>",
     ClientReply},
    {"client|setinfo",
     4,
     kPlain,
     {},
     kCatConnection,
     Group::kConnection,
     "7.2.0",
     "O(1)",
     "Says which client library speaks.",
     "<LIB-NAME libname|LIB-VER libver>",
     ClientSetinfo},
    {"client|setname",
     3,
     kPlain,
     {},
     kCatConnection,
     Group::kConnection,
     "2.6.9",
     "O(1)",
     "Names the connection.",
     "connection-name",
     ClientSetname},
    {"client|unblock",
     -3,
     kAdminOnly,
     {},
     kCatConnection,
     Group::kConnection,
     "5.0.0",
     "O(log N) where N is the number of connections",
     "Wakes a connection that waits for keys.",
     "client-id [TIMEOUT|ERROR]",
     ClientUnblock},
    {"client|unpause",
     2,
     kAdminOnly,
     {},
     kCatConnection,
     Group::kConnection,
     "6.2.0",
     "O(N) where N is the number of held connections",
     "Ends CLIENT PAUSE.",
     "",
     ClientUnpause},
};

}  // namespace

const CommandTable kClientCommands = kRows;

}  // namespace brim
