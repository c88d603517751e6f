// Commands about whole databases: DBSIZE, KEYS, SCAN, RANDOMKEY, FLUSHDB, FLUSHALL, SWAPDB. Every shard is locked.
#include <string>

#include "base/glob.h"
#include "base/numbers.h"
#include "base/random.h"
#include "command/context.h"
#include "commands/arguments.h"
#include "commands/scan_options.h"
#include "commands/tables.h"
#include "store/shard.h"

namespace brim {

namespace {

bool Expired(const Entry& entry, int64_t now_ms) { return entry.has_expiry() && entry.expiry_ms() < now_ms; }

size_t DbSize(int db) {
  size_t keys = 0;
  for (int i = 0; i < shards.count(); i++) keys += shards[i].db(db).size();
  return keys;
}

void Dbsize(Context& context) { context.reply().Integer(static_cast<int64_t>(DbSize(context.db()))); }

void Keys(Context& context) {
  std::string_view pattern = context.arg(1);
  bool all = pattern == "*";
  size_t token = context.reply().BeginDeferred();
  size_t count = 0;
  for (int i = 0; i < shards.count(); i++) {
    shards[i].db(context.db()).table().ForEach([&](Table::Slot slot) {
      auto* entry = slot.As<Entry>();
      if ((!all && !GlobMatch(pattern, entry->key(), false)) || Expired(*entry, context.now_ms())) return;
      context.reply().Bulk(entry->key());
      count++;
    });
  }
  context.reply().EndDeferredArray(token, count);
}

// A cursor is a position in hash order within a shard, times the number of shards, plus the shard.
void Scan(Context& context) {
  ScanOptions options;
  if (!ParseScanOptions(context, 1, true, &options)) return;
  auto count = static_cast<uint64_t>(shards.count());
  uint64_t shard = options.cursor % count;
  uint64_t position = options.cursor / count;
  std::vector<std::string> found;  // copies: expired keys are deleted after the visit
  std::vector<std::string> expired;
  size_t visited = 0;
  for (;;) {
    Table& table = shards[static_cast<int>(shard)].db(context.db()).table();
    position = position >> Table::kMaxDepth ? 0 : table.Scan(position, [&](Table::Slot slot) {
      visited++;
      auto* entry = slot.As<Entry>();
      if (options.type != Type::kNone && entry->type() != options.type) return;
      if (!options.Wants(entry->key())) return;
      if (Expired(*entry, context.now_ms())) {
        expired.emplace_back(entry->key());
      } else {
        found.emplace_back(entry->key());
      }
    });
    if (position == 0 && ++shard == count) break;
    if (visited >= options.count) break;
  }
  for (const std::string& key : expired) context.Lookup(key, LookupKind::kPeek);
  uint64_t next = shard == count ? 0 : position * count + shard;
  context.reply().ArrayHeader(2);
  context.reply().BulkInt(static_cast<int64_t>(next));
  context.reply().ArrayHeader(options.unknown_type ? 0 : found.size());
  if (options.unknown_type) return;
  for (const std::string& key : found) context.reply().Bulk(key);
}

void Randomkey(Context& context) {
  for (int tries = 0;; tries++) {
    size_t keys = DbSize(context.db());
    if (keys == 0) break;
    uint64_t pick = RandomBelow(keys);
    int i = 0;
    while (pick >= shards[i].db(context.db()).size()) pick -= shards[i++].db(context.db()).size();
    auto* entry = shards[i].db(context.db()).table().Random().As<Entry>();
    if (!Expired(*entry, context.now_ms()) || tries > 100) {
      context.reply().Bulk(entry->key());
      return;
    }
    context.Lookup(std::string(entry->key()), LookupKind::kPeek);  // deletes it
  }
  context.reply().Null();
}

// ASYNC, SYNC or nothing. False with the error replied.
bool ParseFlushMode(Context& context, bool* lazy) {
  *lazy = lazyfree.user_flush;
  if (context.argc() == 1) return true;
  if (context.argc() == 2 && ArgIs(context, 1, "SYNC")) {
    *lazy = false;
    return true;
  }
  if (context.argc() == 2 && ArgIs(context, 1, "ASYNC")) {
    *lazy = true;
    return true;
  }
  context.reply().Error(errors::kSyntax);
  return false;
}

void Flush(Context& context, int first_db, int last_db) {
  bool lazy;
  if (!ParseFlushMode(context, &lazy)) return;
  size_t removed = 0;
  for (int db = first_db; db <= last_db; db++) {
    removed += DbSize(db);
    for (int i = 0; i < shards.count(); i++) {
      shards[i].TouchWatchersOfDb(db, nullptr, context.now_ms());
      shards[i].FlushDatabase(db, lazy);
    }
  }
  if (flushed_hook != nullptr) flushed_hook();
  context.CountChanges(static_cast<int64_t>(removed));
  context.reply().Ok();
}

void Flushdb(Context& context) { Flush(context, context.db(), context.db()); }
void Flushall(Context& context) { Flush(context, 0, shards[0].databases() - 1); }

void Swapdb(Context& context) {
  int64_t a;
  int64_t b;
  if (!ParseInt64(context.arg(1), &a)) {
    context.reply().Error("ERR invalid first DB index");
    return;
  }
  if (!ParseInt64(context.arg(2), &b)) {
    context.reply().Error("ERR invalid second DB index");
    return;
  }
  int databases = shards[0].databases();
  if (a < 0 || b < 0 || a >= databases || b >= databases) {
    context.reply().Error("ERR DB index is out of range");
    return;
  }
  context.CountChanges(1);
  context.reply().Ok();
  if (a == b) return;
  for (int i = 0; i < shards.count(); i++) {
    Shard& shard = shards[i];
    shard.TouchWatchersOfDb(static_cast<int>(a), &shard.db(static_cast<int>(b)), context.now_ms());
    shard.TouchWatchersOfDb(static_cast<int>(b), &shard.db(static_cast<int>(a)), context.now_ms());
    shard.SwapDatabases(static_cast<int>(a), static_cast<int>(b));
    shard.SignalAllReady(static_cast<int>(a));
    shard.SignalAllReady(static_cast<int>(b));
  }
}

constexpr CommandSpec kRows[] = {
    {"dbsize",
     1,
     kReadonly | kFast | kAllShards,
     {},
     kCatKeyspace,
     Group::kServer,
     "1.0.0",
     "O(1)",
     "Answers the number of keys in the database.",
     "",
     Dbsize,
     nullptr,
     "request_policy:all_shards,response_policy:agg_sum"},
    {"keys",
     2,
     kReadonly | kAllShards,
     {},
     kCatKeyspace | kCatDangerous,
     Group::kGeneric,
     "1.0.0",
     "O(N) where N is the number of keys in the database",
     "Answers all keys that match a pattern.",
     "pattern",
     Keys,
     nullptr,
     "request_policy:all_shards,nondeterministic_output_order"},
    {"scan",
     -2,
     kReadonly | kTouchesArbitraryKeys | kAllShards,
     {},
     kCatKeyspace,
     Group::kGeneric,
     "2.8.0",
     "O(1) a call, O(N) for the whole iteration",
     "Walks over the keys of the database.",
     "cursor [MATCH pattern] [COUNT count] [TYPE type]",
     Scan,
     nullptr,
     "nondeterministic_output,request_policy:special"},
    {"randomkey",
     1,
     kReadonly | kTouchesArbitraryKeys | kAllShards,
     {},
     kCatKeyspace,
     Group::kGeneric,
     "1.0.0",
     "O(1)",
     "Answers one of the keys, chosen at random.",
     "",
     Randomkey,
     nullptr,
     "request_policy:all_shards,nondeterministic_output"},
    {"flushdb",
     -1,
     kWrite | kAllShards,
     {},
     kCatKeyspace | kCatDangerous,
     Group::kServer,
     "1.0.0",
     "O(N) where N is the number of keys; ASYNC: O(1)",
     "Deletes the database's keys.",
     "[ASYNC|SYNC]",
     Flushdb,
     nullptr,
     "request_policy:all_shards,response_policy:all_succeeded"},
    {"flushall",
     -1,
     kWrite | kAllShards,
     {},
     kCatKeyspace | kCatDangerous,
     Group::kServer,
     "1.0.0",
     "O(N) where N is the number of keys; ASYNC: O(1)",
     "Deletes the keys of every database.",
     "[ASYNC|SYNC]",
     Flushall,
     nullptr,
     "request_policy:all_shards,response_policy:all_succeeded"},
    {"swapdb",
     3,
     kWrite | kFast | kExclusive,
     {},
     kCatKeyspace | kCatDangerous,
     Group::kServer,
     "4.0.0",
     "O(N) where N is the number of clients that watch or wait for keys of the two",
     "Exchanges two databases.",
     "index1 index2",
     Swapdb},
};

}  // namespace

const CommandTable kKeyspaceCommands = kRows;

}  // namespace brim
