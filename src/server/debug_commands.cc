// DEBUG: what testers use of it. Runs while every thread is paused.
#include <fmt/format.h>
#include <time.h>

#include <cmath>
#include <cstdlib>
#include <string>

#include "base/glob.h"
#include "commands/arguments.h"
#include "memory/page_pools.h"
#include "server/aof.h"
#include "server/debug_digest.h"
#include "server/journal.h"
#include "server/log.h"
#include "server/persistence.h"
#include "server/purge.h"
#include "server/script_engine.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/shutdown.h"
#include "types/hash.h"
#include "types/list.h"
#include "types/listpack.h"
#include "types/set.h"
#include "types/stream_groups.h"
#include "types/string.h"
#include "types/zset.h"

namespace brim {

namespace {

bool IsOn(Context& context, size_t arg) { return atoi(std::string(context.arg(arg)).c_str()) != 0; }

void Sleep(Context& context) {
  double seconds = strtod(std::string(context.arg(2)).c_str(), nullptr);
  auto whole = static_cast<time_t>(seconds);
  timespec time = {whole, static_cast<long>((seconds - static_cast<double>(whole)) * 1e9)};
  nanosleep(&time, nullptr);
  context.reply().Ok();
}

// Bytes of a text in an RDB file, uncompressed.
size_t SavedTextBytes(std::string_view text) {
  int64_t number;
  if (text.size() <= 11 && ParseInt64(text, &number) && number == static_cast<int32_t>(number)) {
    return number == static_cast<int8_t>(number) ? 2 : number == static_cast<int16_t>(number) ? 3 : 5;
  }
  return text.size() + (text.size() < 64 ? 1 : text.size() < 16384 ? 2 : 5);
}

size_t SavedLengthBytes(size_t n) { return n < 64 ? 1 : n < 16384 ? 2 : n <= UINT32_MAX ? 5 : 9; }

size_t SavedIdBytes(StreamId id) { return SavedLengthBytes(id.ms) + SavedLengthBytes(id.seq); }

size_t StreamSavedBytes(const Stream& stream) {
  constexpr size_t kIdBytes = sizeof(StreamId);
  size_t bytes = SavedLengthBytes(stream.nodes.size());
  for (IdTree::Cursor node = stream.nodes.First(); node; node.Next()) {
    size_t size = stream_node::ListpackBytes(StreamNodeAt(node.payload()));
    bytes += 1 + kIdBytes + SavedLengthBytes(size) + size;
  }
  bytes += SavedLengthBytes(stream.length) + SavedIdBytes(stream.last_id) + SavedIdBytes(stream.first_id) +
           SavedIdBytes(stream.max_deleted_id) + SavedLengthBytes(stream.entries_added) + 1;
  for (uint32_t i = 0; i < stream.group_count; i++) {
    const StreamGroup& group = *stream.groups[i];
    bytes += SavedTextBytes(group.name()) + SavedIdBytes(group.last_id) + 3 + group.pending.size() * (kIdBytes * 2 + 9);
  }
  return bytes;
}

// About what the value takes in an RDB file.
size_t SavedBytes(KeyRef& ref) {
  char buffer[24];
  if (ref.type() == Type::kString) return SavedTextBytes(ReadString(ref, buffer));
  if (!ref.external()) return ref.size() + SavedLengthBytes(ref.size());
  size_t bytes = SavedLengthBytes(ValueLength(ref));
  switch (ref.type()) {
    case Type::kList:
      bytes = SavedLengthBytes(ref.As<List>()->nodes);
      for (ListNode* node = ref.As<List>()->head; node != nullptr; node = node->next) {
        size_t size = listpack::TotalBytes(node->listpack());
        bytes += 1 + size + SavedLengthBytes(size);
      }
      break;
    case Type::kSet:
      SetForEach(ref, [&](const SetMember& member) {
        bytes += SavedTextBytes(member.text);
        return true;
      });
      break;
    case Type::kHash:
      HashForEach(ref, [&](std::string_view field, std::string_view value) {
        bytes += SavedTextBytes(field) + SavedTextBytes(value);
      });
      break;
    case Type::kZset:
      ZsetForRanks(ref, {0, ZsetLength(ref)}, false, [&](std::string_view member, double) {
        bytes += SavedTextBytes(member) + sizeof(double);
        return true;
      });
      break;
    case Type::kStream:
      bytes = StreamSavedBytes(*ref.As<Stream>());
      break;
    default:
      break;
  }
  return bytes;
}

void Object(Context& context) {
  KeyRef ref = context.Lookup(context.arg(2), LookupKind::kPeek);
  if (!ref) {
    context.reply().Error(errors::kNoSuchKey);
    return;
  }
  std::string extra;
  if (ref.type() == Type::kList) {
    const List& list = *ref.As<List>();
    extra = fmt::format(" ql_nodes:{} ql_avg_node:{:.2f} ql_listpack_max:{} ql_compressed:0 ql_uncompressed_size:{}",
                        list.nodes, static_cast<double>(list.length) / static_cast<double>(list.nodes),
                        encoding_limits.list_max_listpack_size, list.node_bytes);
  }
  uint32_t idle = IdleSeconds(ref.entry());
  context.reply().Simple(fmt::format(
      "Value at:{} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}{}", fmt::ptr(&ref.entry()),
      EncodingName(ref.encoding()), SavedBytes(ref), ref.entry().access(), idle, extra));
}

void Populate(Context& context) {
  int64_t count;
  int64_t size = 0;
  if (!ParsePositiveArg(context, 2, &count)) return;
  std::string prefix(context.argc() > 3 ? context.arg(3) : "key");
  if (context.argc() > 4 && !ParsePositiveArg(context, 4, &size)) return;
  for (int64_t i = 0; i < count; i++) {
    std::string key = prefix + ":" + std::to_string(i);
    if (context.Lookup(key, LookupKind::kPeek)) continue;
    std::string text = "value:" + std::to_string(i);
    if (size > 0) text.resize(static_cast<size_t>(size), '\0');
    StringForm form = PlanRawString(text.size());
    if (form.blob || size == 0) form = PlanString(text);
    KeyRef ref = context.Create(key, Type::kString, form.encoding, form.bytes);
    if (form.blob) {
      ref.MakeExternal(form.encoding, NewBlob(text));
    } else {
      WriteString(ref.data(), form, text);
    }
    context.Changed(key, kNotifyString, nullptr);
  }
  context.reply().Ok();
}

void Digest(Context& context) { context.reply().Simple(DigestHex(DigestAll())); }

void DigestValues(Context& context) {
  context.reply().ArrayHeader(context.argc() - 2);
  for (size_t i = 2; i < context.argc(); i++) {
    KeyRef ref = context.Lookup(context.arg(i), LookupKind::kPeek);
    context.reply().Simple(DigestHex(ref ? DigestValue(ref) : Sha1Digest{}));
  }
}

void ReplyAttribute(Reply& reply) {
  if (reply.version() < 3) {
    reply.Bulk("Some real reply following the attribute");
    return;
  }
  reply.Raw("|1\r\n");
  reply.Bulk("key-popularity");
  reply.ArrayHeader(2);
  reply.Bulk("key:123");
  reply.Integer(90);
  reply.Bulk("Some real reply following the attribute");
}

void Protocol(Context& context) {
  Reply& reply = context.reply();
  if (ArgIs(context, 2, "string")) {
    reply.Bulk("Hello World");
  } else if (ArgIs(context, 2, "integer")) {
    reply.Integer(12345);
  } else if (ArgIs(context, 2, "double")) {
    reply.version() < 3 ? reply.Bulk("3.141") : reply.Raw(",3.141\r\n");
  } else if (ArgIs(context, 2, "bignum")) {
    reply.BigNumber("1234567999999999999999999999999999999");
  } else if (ArgIs(context, 2, "null")) {
    reply.Null();
  } else if (ArgIs(context, 2, "array") || ArgIs(context, 2, "set")) {
    ArgIs(context, 2, "array") ? reply.ArrayHeader(3) : reply.SetHeader(3);
    for (int i = 0; i < 3; i++) reply.Integer(i);
  } else if (ArgIs(context, 2, "map")) {
    reply.MapHeader(3);
    for (int i = 0; i < 3; i++) {
      reply.Integer(i);
      reply.Bool(i == 1);
    }
  } else if (ArgIs(context, 2, "attrib")) {
    ReplyAttribute(reply);
  } else if (ArgIs(context, 2, "push")) {
    reply.PushHeader(2);
    reply.Bulk("server-cpu-usage");
    reply.Integer(42);
  } else if (ArgIs(context, 2, "verbatim")) {
    reply.Verbatim("This is a verbatim\nstring", "txt");
  } else if (ArgIs(context, 2, "true") || ArgIs(context, 2, "false")) {
    reply.Bool(ArgIs(context, 2, "true"));
  } else {
    reply.Error(
        "ERR Wrong protocol type name. Please use one of the following: "
        "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
  }
}

// In the words of redis-server's dictionary statistics; chains are buckets here.
std::string TableText(const Table& table) {
  if (table.size() == 0) return "No stats available for empty dictionaries\n";
  return fmt::format(
      "Hash table 0 stats (main hash table):\n table size: {}\n number of elements: {}\n slots a bucket: {}\n bytes: "
      "{}\n",
      table.capacity(), table.size(), Table::kSlots, table.table_bytes());
}

void HtStats(Context& context) {
  int64_t db;
  if (!ParseIntArg(context, 2, &db)) return;
  if (db < 0 || db >= server.config().databases) {
    context.reply().Error("ERR Out of range database");
    return;
  }
  std::string text = "[Dictionary HT]\n";
  for (int i = 0; i < shards.count(); i++) {
    if (shards[i].db(static_cast<int>(db)).size() > 0) text += TableText(shards[i].db(static_cast<int>(db)).table());
  }
  if (text.ends_with("]\n")) text += "No stats available for empty dictionaries\n";
  context.reply().Verbatim(text + "[Expires HT]\n", "txt");
}

void HtStatsKey(Context& context) {
  KeyRef ref = context.Lookup(context.arg(2), LookupKind::kPeek);
  if (!ref) {
    context.reply().Error(errors::kNoSuchKey);
    return;
  }
  const Table* table = nullptr;
  if (ref.encoding() == Encoding::kHashtable || ref.encoding() == Encoding::kHashtableEx) {
    table = ref.type() == Type::kHash ? &ref.As<HashTable>()->table : &ref.As<SetTable>()->table;
  } else if (ref.encoding() == Encoding::kSkiplist) {
    table = &ref.As<Zset>()->table;
  }
  if (table == nullptr) {
    context.reply().Error("ERR The value stored at the specified key is not represented using an hash table");
    return;
  }
  context.reply().Verbatim(TableText(*table), "txt");
}

void StringMatchLen(Context& context) {
  int64_t length;
  if (!ParsePositiveArg(context, 2, &length)) return;
  context.reply().Integer(GlobMatch(context.arg(3), std::string(static_cast<size_t>(length), 'a'), false));
}

void PackedThreshold(Context& context) {
  int64_t bytes;
  if (!ParseMemorySize(context.arg(2), &bytes) || bytes >= int64_t{1} << 32) {
    context.reply().Error("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
    return;
  }
  encoding_limits.list_packed_threshold = bytes == 0 ? size_t{1} << 30 : static_cast<size_t>(bytes);
  context.reply().Ok();
}

void SetActiveExpire(Context& context) {
  server.active_expire.store(IsOn(context, 2), std::memory_order_relaxed);
  context.reply().Ok();
}

void PauseCron(Context& context) {
  server.cron_paused.store(IsOn(context, 2), std::memory_order_relaxed);
  context.reply().Ok();
}

// Settings of mechanisms that Brim does not have: there is nothing to switch.
void Accept(Context& context) { context.reply().Ok(); }

void ReplicasLag(Context& context) {
  replicas_lag = nullptr;
  if (IsOn(context, 2)) replicas_lag = [] { return true; };
  context.reply().Ok();
}

void LoseRecord(Context& context) {
  if (!aof.enabled()) {
    context.reply().Error("ERR AOF is not enabled");
    return;
  }
  journal.Lose();
  context.reply().Ok();
}

void Error(Context& context) { context.reply().Error(context.arg(2)); }

void Log(Context& context) {
  LogWarning("DEBUG LOG: " + std::string(context.arg(2)));
  context.reply().Ok();
}

void Compaction(Context& context) {
  compaction_stress.store(ArgIs(context, 2, "STRESS"), std::memory_order_relaxed);
  context.reply().Ok();
}

void Snapshot(Context& context) {
  Cut::stress.store(ArgIs(context, 2, "STRESS"), std::memory_order_relaxed);
  context.reply().Ok();
}

void EmptyEverything() {
  for (int i = 0; i < shards.count(); i++) {
    for (int db = 0; db < shards[i].databases(); db++) shards[i].FlushDatabase(db, false);
  }
  if (script_engine != nullptr) script_engine->DropLibraries();
}

// Saves, empties the databases and loads what was saved (NOSAVE: what was saved before; NOFLUSH: onto what is there,
// which MERGE lets it replace).
void Reload(Context& context) {
  bool save = true;
  bool flush = true;
  bool merge = false;
  for (size_t i = 2; i < context.argc(); i++) {
    if (ArgIs(context, i, "NOSAVE")) {
      save = false;
    } else if (ArgIs(context, i, "NOFLUSH")) {
      flush = false;
    } else if (ArgIs(context, i, "MERGE")) {
      merge = true;
    } else {
      context.reply().Error("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
      return;
    }
  }
  std::string error;
  if (save && !persistence.SaveNow(&error)) {
    context.reply().Error("ERR");
    return;
  }
  if (flush) EmptyEverything();
  load_overwrites = merge;
  bool loaded = persistence.Load();
  load_overwrites = false;
  if (!loaded) {
    context.reply().Error("ERR Error trying to load the RDB dump, check server logs.");
    return;
  }
  context.reply().Ok();
}

void ForceFree(Context& context) {
  PurgeEverything();
  context.reply().Ok();
}

void Help(Context& context);

struct Subcommand {
  const char* name;
  size_t argc_min;
  size_t argc_max;
  void (*run)(Context&);
  const char* arguments;
  const char* summary;
};

// Empties the databases and loads the append-only file, with everything written to it.
void LoadAof(Context& context) {
  if (!aof.enabled()) {
    context.reply().Error("ERR AOF is not enabled");
    return;
  }
  aof.Commit();
  EmptyEverything();
  if (aof.Reload(AsServer(context).worker())) {
    context.reply().Ok();
  } else {
    context.reply().Error("ERR Error trying to load the AOF files, check server logs.");
  }
}

constexpr Subcommand kSubcommands[] = {
    {"SLEEP", 3, 3, Sleep, "<seconds>", "Stops the whole server for that long; decimals allowed."},
    {"OBJECT", 3, 4, Object, "<key>", "Tells how the key's value is kept."},
    {"RELOAD", 2, 5, Reload, "[NOSAVE] [NOFLUSH] [MERGE]", "Saves everything, forgets it and loads it again."},
    {"LOADAOF", 2, 2, LoadAof, "", "Writes the append-only file, forgets everything and loads it again."},
    {"SET-ACTIVE-EXPIRE", 3, 3, SetActiveExpire, "<0|1>", "Whether expired keys go without being touched."},
    {"POPULATE", 3, 5, Populate, "<count> [<prefix>] [<size>]", "Makes string keys <prefix>:<n>."},
    {"DIGEST", 2, 2, Digest, "", "A digest of all data."},
    {"DIGEST-VALUE", 2, SIZE_MAX, DigestValues, "<key> [<key> ...]", "A digest of each key's value."},
    {"PROTOCOL", 3, 3, Protocol, "<type>", "Answers a value of that protocol type."},
    {"HTSTATS", 3, 4, HtStats, "<dbid>", "Figures of a database's tables."},
    {"HTSTATS-KEY", 3, 4, HtStatsKey, "<key>", "Figures of a big hash's, set's or sorted set's table."},
    {"STRINGMATCH-LEN", 4, 4, StringMatchLen, "<len> <pattern>", "Matches the pattern against that many letters a."},
    {"QUICKLIST-PACKED-THRESHOLD", 3, 3, PackedThreshold, "<size>", "Accepted: every list element lies in a listpack."},
    {"QUICKLIST-FORCE-FREE", 2, 2, ForceFree, "", "Gives free memory back to the system, like MEMORY PURGE."},
    {"REPLYBUFFER", 4, 4, Accept, "PEAK-RESET-TIME|RESIZING <value>", "Accepted: reply buffers are of no fixed size."},
    {"SNAPSHOT", 3, 3, Snapshot, "AUTO|STRESS", "STRESS: big values are written in the smallest parts."},
    {"COMPACTION", 3, 3, Compaction, "AUTO|STRESS", "STRESS: blocks are moved all the time, needed or not."},
    {"PAUSE-CRON", 3, 3, PauseCron, "<0|1>", "Stops background work."},
    {"REPLICAS-LAG", 3, 3, ReplicasLag, "<0|1>", "SHUTDOWN waits, as if a replica had not got everything."},
    {"LOSE-RECORD", 2, 2, LoseRecord, "", "As if there had been no memory for a record of the append-only file."},
    {"DICT-RESIZING", 3, 3, Accept, "<0|1>", "Accepted: tables grow a bucket at a time."},
    {"CHANGE-REPL-ID", 2, 2, Accept, "", "Accepted: there is no replication yet."},
    {"ERROR", 3, 3, Error, "<text>", "Answers that error."},
    {"LOG", 3, 3, Log, "<text>", "Writes a line to the log."},
    {"HELP", 2, 2, Help, "", "Prints this help."},
};

void Help(Context& context) {
  context.reply().ArrayHeader(1 + 2 * std::size(kSubcommands));
  context.reply().Simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Subcommand& each : kSubcommands) {
    context.reply().Simple(std::string(each.name) + (*each.arguments != '\0' ? " " : "") + each.arguments);
    context.reply().Simple("    " + std::string(each.summary));
  }
}

bool KnownReplyBufferOption(Context& context) {
  return ArgIs(context, 2, "PEAK-RESET-TIME") || ArgIs(context, 2, "RESIZING");
}

void Debug(Context& context) {
  for (const Subcommand& each : kSubcommands) {
    if (!ArgIs(context, 1, each.name) || context.argc() < each.argc_min || context.argc() > each.argc_max) continue;
    if (std::string_view(each.name) == "REPLYBUFFER" && !KnownReplyBufferOption(context)) break;
    each.run(context);
    return;
  }
  context.reply().Error("ERR unknown subcommand or wrong number of arguments for '" +
                        std::string(context.arg(1).substr(0, 128)) + "'. Try DEBUG HELP.");
}

constexpr CommandSpec kRows[] = {
    {"debug",
     -2,
     kAdmin | kNoScript | kLoading | kStale | kProtected | kExclusive | kSysCommand,
     {},
     0,
     Group::kServer,
     "1.0.0",
     "Depends on the subcommand",
     "Helps to test the server.",
     "subcommand [arg [arg ...]]",
     Debug},
};

}  // namespace

const CommandTable kDebugCommands = kRows;

}  // namespace brim
