// MEMORY: who uses it, what is wrong with it, give it back.
#include <fmt/format.h>

#include <string>

#include "command/help.h"
#include "commands/arguments.h"
#include "memory/account.h"
#include "memory/resident.h"
#include "server/info.h"
#include "server/memory_doctor.h"
#include "server/memory_policy.h"
#include "server/purge.h"
#include "server/script_engine.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

namespace {

void MemoryUsage(Context& context) {
  int64_t samples = 5;
  for (size_t i = 3; i < context.argc(); i++) {
    if (ArgIs(context, i, "SAMPLES") && i + 1 < context.argc()) {
      if (!ParseIntArg(context, ++i, &samples)) return;
      if (samples < 0) {
        context.reply().Error(errors::kSyntax);
        return;
      }
    } else {
      context.reply().Error(errors::kSyntax);
      return;
    }
  }
  KeyRef ref = context.Lookup(context.arg(2), LookupKind::kPeek);
  if (!ref) {
    context.reply().Null();
    return;
  }
  // The entry's block, the value's structure, and the slot in the table.
  size_t bytes = ref.heap().BlockSize(&ref.entry()) + ExternalBytes(ref, 0) + Table::kBucketBytes / Table::kSlots;
  context.reply().Integer(static_cast<int64_t>(bytes));
}

void ReplyField(Context& context, const char* name, int64_t value) {
  context.reply().Bulk(name);
  context.reply().Integer(value);
}
void ReplyRatio(Context& context, const char* name, double value) {
  context.reply().Bulk(name);
  context.reply().Double(value);
}

double Divide(int64_t a, int64_t b) { return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : 0; }

void ReplyDatabase(Context& context, int db) {
  int64_t tables = 0;
  for (int i = 0; i < shards.count(); i++) tables += static_cast<int64_t>(shards[i].db(db).table().table_bytes());
  context.reply().Bulk(fmt::format("db.{}", db));
  context.reply().MapHeader(3);
  ReplyField(context, "overhead.hashtable.main", tables);
  ReplyField(context, "overhead.hashtable.expires", 0);
  ReplyField(context, "overhead.hashtable.slot-to-keys", 0);
}

void MemoryStats(Context& context) {
  MemoryFigures f = GatherMemory();
  auto categories = UsedByCategory();
  std::vector<int> used_dbs;
  for (int db = 0; db < shards[0].databases(); db++) {
    size_t keys = 0;
    for (int i = 0; i < shards.count(); i++) keys += shards[i].db(db).size();
    if (keys > 0) used_dbs.push_back(db);
  }
  context.reply().MapHeader(27 + used_dbs.size() + categories.size());
  ReplyField(context, "peak.allocated", f.peak);
  ReplyField(context, "total.allocated", f.used);
  ReplyField(context, "startup.allocated", f.startup);
  ReplyField(context, "replication.backlog", 0);
  ReplyField(context, "clients.slaves", 0);
  ReplyField(context, "clients.normal", f.clients);
  ReplyField(context, "cluster.links", 0);
  ReplyField(context, "aof.buffer", categories[static_cast<size_t>(MemoryCategory::kAof)]);
  ScriptFigures scripts = script_engine != nullptr ? script_engine->Figures() : ScriptFigures();
  ReplyField(context, "lua.caches", scripts.scripts_bytes);
  ReplyField(context, "functions.caches", scripts.functions_bytes);
  for (int db : used_dbs) ReplyDatabase(context, db);
  ReplyField(context, "overhead.total", f.overhead);
  ReplyField(context, "keys.count", static_cast<int64_t>(f.keys));
  ReplyField(context, "keys.bytes-per-key", f.keys > 0 ? (f.used - f.startup) / static_cast<int64_t>(f.keys) : 0);
  ReplyField(context, "dataset.bytes", f.dataset);
  ReplyRatio(context, "dataset.percentage", Divide(f.dataset, f.used - f.startup) * 100);
  ReplyRatio(context, "peak.percentage", Divide(f.used, f.peak) * 100);
  ReplyField(context, "allocator.allocated", f.allocator_allocated);
  ReplyField(context, "allocator.active", f.allocator_active);
  ReplyField(context, "allocator.resident", f.allocator_resident);
  ReplyRatio(context, "allocator-fragmentation.ratio", Divide(f.allocator_active, f.allocator_allocated));
  ReplyField(context, "allocator-fragmentation.bytes", f.allocator_active - f.allocator_allocated);
  ReplyRatio(context, "allocator-rss.ratio", Divide(f.allocator_resident, f.allocator_active));
  ReplyField(context, "allocator-rss.bytes", f.allocator_resident - f.allocator_active);
  ReplyRatio(context, "rss-overhead.ratio", Divide(f.rss, f.allocator_resident));
  ReplyField(context, "rss-overhead.bytes", f.rss - f.allocator_resident);
  ReplyRatio(context, "fragmentation", f.fragmentation());
  ReplyField(context, "fragmentation.bytes", f.rss - f.used);
  // Every byte in one category; they sum to total.allocated.
  for (size_t i = 0; i < categories.size(); i++) {
    context.reply().Bulk(fmt::format("brim.{}", CategoryName(static_cast<MemoryCategory>(i))));
    context.reply().Integer(categories[i]);
  }
}

void MemoryDoctor(Context& context) { context.reply().Verbatim(Diagnose(GatherMemory()), "txt"); }

void MemoryPurge(Context& context) {
  PurgeEverything();
  context.reply().Ok();
}

void MemoryMallocStats(Context& context) { context.reply().Verbatim(MallocStatsText(), "txt"); }

constexpr CommandSpec kRows[] = {
    {"memory",
     -2,
     0,
     {},
     0,
     Group::kServer,
     "4.0.0",
     "Depends on the subcommand",
     "Commands about memory.",
     "",
     nullptr},
    {"memory|doctor",
     2,
     kExclusive,
     {},
     0,
     Group::kServer,
     "4.0.0",
     "O(1)",
     "Names the memory problems of this instance.",
     "",
     MemoryDoctor,
     nullptr,
     "nondeterministic_output,request_policy:all_shards,response_policy:special"},
    {"memory|help",
     2,
     kLoading | kStale,
     {},
     0,
     Group::kServer,
     "4.0.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"memory|malloc-stats",
     2,
     kExclusive,
     {},
     0,
     Group::kServer,
     "4.0.0",
     "Depends on the allocator",
     "Answers the allocator's own report.",
     "",
     MemoryMallocStats,
     nullptr,
     "nondeterministic_output,request_policy:all_shards,response_policy:special"},
    {"memory|purge",
     2,
     kExclusive,
     {},
     0,
     Group::kServer,
     "4.0.0",
     "O(N) where N is the number of free pages",
     "Gives free memory back to the system.",
     "",
     MemoryPurge,
     nullptr,
     "request_policy:all_shards,response_policy:all_succeeded"},
    {"memory|stats",
     2,
     kExclusive,
     {},
     0,
     Group::kServer,
     "4.0.0",
     "O(1)",
     "Answers who uses how much memory.",
     "",
     MemoryStats,
     nullptr,
     "nondeterministic_output,request_policy:all_shards,response_policy:special"},
    {"memory|usage",
     -3,
     kReadonly,
     {KeyAt(2, kKeyRO)},
     0,
     Group::kServer,
     "4.0.0",
     "O(N) where N is the number of elements",
     "Answers the bytes that a key takes, all its blocks included.",
     "key [SAMPLES count]",
     MemoryUsage},
};

}  // namespace

const CommandTable kMemoryCommands = kRows;

}  // namespace brim
