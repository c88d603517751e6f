// MIGRATE: keys as DUMP has them, restored by another server and then deleted here.
//
// The keys' shards stay locked from the first look at the keys to the last deletion, the network's times included:
// nobody may change or see a key that is on its way, as nobody can while redis-server, which serves no one meanwhile,
// runs a MIGRATE. Clients of other shards are served by the other threads. So the timeout also bounds how long others
// wait.
//
// Each call makes its own connection, which ends with it. (redis-server keeps them for ten seconds; what they save is
// one handshake and one SELECT a call, and they are why it has to try again when a kept one turns out to be dead.)
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command/context.h"
#include "commands/arguments.h"
#include "net/client.h"
#include "persist/rdb_writer.h"
#include "server/log.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr size_t kSendBytes = 64 << 10;  // gathered before they are sent
constexpr int64_t kDefaultTimeoutMs = 1000;

struct MigrateOptions {
  std::span<const std::string_view> keys;
  int64_t db = 0;
  int64_t timeout_ms = 0;
  bool copy = false;
  bool replace = false;
  bool has_password = false;
  bool has_username = false;
  std::string_view username;
  std::string_view password;
};

// What follows the timeout. False with the error replied.
bool ReadWords(Context& context, MigrateOptions* options) {
  options->keys = context.argv().subspan(3, 1);
  for (size_t i = 6; i < context.argc(); i++) {
    size_t more = context.argc() - 1 - i;
    if (ArgIs(context, i, "COPY")) {
      options->copy = true;
    } else if (ArgIs(context, i, "REPLACE")) {
      options->replace = true;
    } else if (more >= 1 && ArgIs(context, i, "AUTH")) {
      options->has_password = true;
      options->password = context.arg(++i);
    } else if (more >= 2 && ArgIs(context, i, "AUTH2")) {
      options->has_password = options->has_username = true;
      options->username = context.arg(++i);
      options->password = context.arg(++i);
    } else if (ArgIs(context, i, "KEYS")) {
      if (!context.arg(3).empty()) {
        context.reply().Error("ERR When using MIGRATE KEYS option, the key argument must be set to the empty string");
        return false;
      }
      options->keys = context.argv().subspan(i + 1);
      return true;
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

bool ReadOptions(Context& context, MigrateOptions* options) {
  if (!ReadWords(context, options)) return false;
  if (!ParseIntArg(context, 5, &options->timeout_ms) || !ParseIntArg(context, 4, &options->db)) return false;
  if (options->timeout_ms <= 0) options->timeout_ms = kDefaultTimeoutMs;
  return true;
}

// What stands before the first RESTORE.
std::string Preamble(const MigrateOptions& options) {
  std::string out;
  if (options.has_username) {
    Client::AppendCommand(&out, {"AUTH", options.username, options.password});
  } else if (options.has_password) {
    Client::AppendCommand(&out, {"AUTH", options.password});
  }
  Client::AppendCommand(&out, {"SELECT", std::to_string(options.db)});
  return out;
}

// Everything that is to be said, 64 KiB and more at a time, so that many keys do not stand in memory a second time.
bool SendKeys(Context& context, const MigrateOptions& options, std::span<const std::string_view> keys, Client* client) {
  std::string out = Preamble(options);
  for (std::string_view key : keys) {
    KeyRef ref = context.Lookup(key, LookupKind::kPeek);
    // In its last millisecond a key lives on for one: 0 would be for ever.
    int64_t ttl_ms = ref.entry().has_expiry() ? std::max<int64_t>(ref.expiry_ms() - context.now_ms(), 1) : 0;
    Client::AppendHeader(&out, options.replace ? 5 : 4);
    Client::AppendArgument(&out, "RESTORE");
    Client::AppendArgument(&out, key);
    Client::AppendArgument(&out, std::to_string(ttl_ms));
    RdbWriter writer(true);
    writer.Dumped(ref);
    Client::AppendArgument(&out, writer.bytes());
    if (options.replace) Client::AppendArgument(&out, "REPLACE");
    if (out.size() < kSendBytes) continue;
    if (!client->Send(out)) return false;
    out.clear();
  }
  return client->Send(out);
}

struct Outcome {
  bool refused = false;
  std::string refusal;  // the first error reply of the target
};

void NoteRefusal(const RemoteReply& answer, Outcome* outcome) {
  if (answer.kind != RemoteReply::kError || outcome->refused) return;
  outcome->refused = true;
  outcome->refusal = answer.text;
}

// Reads the target's answers and deletes each key that it has taken. False when they do not come.
bool TakeAnswers(Context& context, const MigrateOptions& options, std::span<const std::string_view> keys,
                 Client* client, Outcome* outcome) {
  // Of AUTH and SELECT. When they fail the keys went to the wrong place, if anywhere: none is deleted.
  Outcome preamble;
  RemoteReply answer;
  for (int i = options.has_password ? 2 : 1; i > 0; i--) {
    if (!client->ReadReply(&answer)) return false;
    NoteRefusal(answer, &preamble);
  }
  for (std::string_view key : keys) {
    if (!client->ReadReply(&answer)) return false;
    if (preamble.refused) {
      *outcome = preamble;
      continue;
    }
    NoteRefusal(answer, outcome);
    if (answer.kind == RemoteReply::kError) continue;
    // Not what a server says to RESTORE: the value may be nowhere but here.
    if (answer.kind != RemoteReply::kSimple) return false;
    if (options.copy || !context.Delete(key, lazyfree.server_del)) continue;
    Tell(context, {"DEL", key});
    context.Changed(key, kNotifyGeneric, "del");
  }
  return true;
}

void Migrate(Context& context) {
  MigrateOptions options;
  if (!ReadOptions(context, &options)) return;
  std::vector<std::string_view> keys;
  for (std::string_view key : options.keys) {
    if (context.Lookup(key, LookupKind::kRead)) keys.push_back(key);
  }
  if (keys.empty()) {
    context.reply().Simple("NOKEY");
    return;
  }
  Client client(options.timeout_ms);
  if (server.config().tls_cluster) client.UseTls(server.tls.connect.get());
  int port = atoi(std::string(context.arg(2)).c_str());
  if (!client.Connect(std::string(context.arg(1)), port)) {
    // That nobody listens or answers redis-server finds out when it writes.
    bool tried = client.failure() != Client::Failure::kUnknownHost && !server.config().tls_cluster;
    if (client.failure() == Client::Failure::kTls) LogWarning("MIGRATE: TLS handshake failed: " + client.tls_error());
    context.reply().Error(tried ? errors::kNotWritten : errors::kNotConnected);
    return;
  }
  if (!SendKeys(context, options, keys, &client)) {
    context.reply().Error(errors::kNotWritten);
    return;
  }
  Outcome outcome;
  bool answered = TakeAnswers(context, options, keys, &client, &outcome);
  if (outcome.refused) {
    context.reply().Error("ERR Target instance replied with error: " + outcome.refusal);
  } else if (!answered) {
    context.reply().Error(errors::kNotRead);
  } else {
    context.reply().Ok();
  }
}

constexpr uint16_t kKeyFlags = kKeyRW | kKeyAccess | kKeyDelete;

// The one key, or those behind KEYS. A password may read KEYS.
bool FindMigrateKeys(std::span<const std::string_view> argv, KeyPosition* keys, size_t max, size_t* count) {
  size_t first = 3;
  size_t end = 4;
  for (size_t i = 6; i + 1 < argv.size(); i++) {
    if (EqualsNoCase(argv[i], "AUTH")) {
      i++;
    } else if (EqualsNoCase(argv[i], "AUTH2")) {
      i += 2;
    } else if (EqualsNoCase(argv[i], "KEYS")) {
      if (!argv[3].empty()) return false;
      first = i + 1;
      end = argv.size();
      break;
    }
  }
  if (end - first > max) return false;  // too many to tell: every shard is locked
  for (size_t i = first; i < end; i++) keys[i - first] = {static_cast<uint32_t>(i), kKeyFlags};
  *count = end - first;
  return true;
}

constexpr KeySpec kBehindKeys = {KeySpec::kKeyword, -2, "KEYS", KeySpec::kRange, -1, 1, 0, kKeyFlags | kKeyIncomplete};

constexpr CommandSpec kRows[] = {
    {"migrate",
     -6,
     kWrite | kMovableKeys,
     {KeyAt(3, kKeyFlags), kBehindKeys},
     kCatKeyspace | kCatDangerous,
     Group::kGeneric,
     "2.6.0",
     "O(N) in the bytes of the values: here DUMP and DEL, there RESTORE, between them the network",
     "Moves keys to another server.",
     "host port key|\"\" destination-db timeout [COPY] [REPLACE] [AUTH password|AUTH2 username password] "
     "[KEYS key [key ...]]",
     Migrate,
     FindMigrateKeys,
     "nondeterministic_output"},
};

}  // namespace

const CommandTable kMigrateCommands = kRows;

}  // namespace brim
