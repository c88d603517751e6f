#include "server/info.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/ascii.h"
#include "base/monotonic.h"
#include "base/numbers.h"
#include "base/ticks.h"
#include "command/registry.h"
#include "memory/account.h"
#include "memory/pressure.h"
#include "memory/resident.h"
#include "server/aof.h"
#include "server/blocking.h"
#include "server/command_watch.h"
#include "server/compactor.h"
#include "server/connection.h"
#include "server/key_sizes.h"
#include "server/memory_guard.h"
#include "server/memory_policy.h"
#include "server/persistence.h"
#include "server/pubsub.h"
#include "server/rates.h"
#include "server/script_engine.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/shutdown.h"
#include "server/tracking.h"
#include "server/worker.h"

namespace brim {

std::string HumanBytes(int64_t bytes) {
  auto n = static_cast<double>(bytes);
  constexpr const char* kUnits[] = {"K", "M", "G", "T", "P"};
  if (bytes < 1024) return fmt::format("{}B", bytes);
  int unit = -1;
  while (n >= 1024 && unit < 4) {
    n /= 1024;
    unit++;
  }
  return fmt::format("{:.2f}{}", n, kUnits[unit]);
}

MemoryFigures GatherMemory() {
  MemoryFigures f;
  auto by_category = UsedByCategory();
  for (int64_t bytes : by_category) f.used += bytes;
  auto of = [&](MemoryCategory c) { return by_category[static_cast<size_t>(c)]; };
  f.tables = of(MemoryCategory::kTables);
  f.clients = of(MemoryCategory::kClientsIn) + of(MemoryCategory::kClientsOut) + of(MemoryCategory::kTransactions) +
              of(MemoryCategory::kPubSub);
  for (auto& worker : server.workers())
    f.clients += static_cast<int64_t>(worker->connections().size() * sizeof(Connection));
  f.dataset = of(MemoryCategory::kData);
  f.overhead = f.used - f.dataset;
  f.startup = server.startup_memory;
  f.rss = static_cast<int64_t>(ResidentBytes());
  f.peak = std::max(server.peak_memory.load(), f.used);
  server.peak_memory.store(f.peak);
  f.total_system = static_cast<int64_t>(TotalSystemMemory());
  AllocatorStats stats = GetAllocatorStats();
  int64_t pages = 0;
  int64_t blocks = 0;
  for (int i = 0; i < shards.count(); i++) {
    pages += static_cast<int64_t>(shards[i].heap().own().page_bytes() + shards[i].heap().own().kept_bytes());
    blocks += static_cast<int64_t>(shards[i].heap().used_bytes());
    for (int db = 0; db < shards[i].databases(); db++) f.keys += shards[i].db(db).size();
  }
  pages += static_cast<int64_t>(Heap::shared().pools.page_bytes() + Heap::shared().pools.kept_bytes());
  f.allocator_allocated = static_cast<int64_t>(stats.allocated) + blocks;
  f.allocator_active = static_cast<int64_t>(stats.active) + pages;
  f.allocator_resident = static_cast<int64_t>(stats.resident) + pages;
  return f;
}

namespace {

class Text {
 public:
  template <class T>
  void Add(std::string_view name, const T& value) {
    fmt::format_to(std::back_inserter(out), "{}:{}\r\n", name, value);
  }
  void Human(std::string_view name, int64_t bytes) {
    Add(name, bytes);
    Add(fmt::format("{}_human", name), HumanBytes(bytes));
  }
  void Ratio(std::string_view name, double value) { Add(name, fmt::format("{:.2f}", value)); }
  void Zeros(std::initializer_list<const char*> names) {
    for (const char* name : names) Add(name, 0);
  }
  std::string out;
};

double Divide(int64_t a, int64_t b) { return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : 0; }

template <class Fn>
uint64_t SumWorkers(Fn&& fn) {
  uint64_t sum = 0;
  for (auto& worker : server.workers()) sum += fn(*worker);
  return sum;
}
template <class Fn>
uint64_t SumShards(Fn&& fn) {
  uint64_t sum = 0;
  for (int i = 0; i < shards.count(); i++) sum += fn(shards[i]);
  return sum;
}

void ServerSection(Text& text) {
  utsname names;
  uname(&names);
  int64_t now_us = WallUs();
  int64_t uptime_s = (now_us / 1000 - server.start_ms) / 1000;
  text.Add("redis_version", kRedisVersion);
  text.Add("redis_git_sha1", "00000000");
  text.Add("redis_git_dirty", 0);
  text.Add("redis_build_id", "0");
  text.Add("redis_mode", "standalone");
  text.Add("os", fmt::format("{} {} {}", names.sysname, names.release, names.machine));
  text.Add("arch_bits", 64);
  text.Add("monotonic_clock", "POSIX clock_gettime");
  text.Add("multiplexing_api", "epoll");
  text.Add("atomicvar_api", "c11-builtin");
  text.Add("gcc_version", fmt::format("{}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__));
  text.Add("process_id", getpid());
  text.Add("process_supervised", "no");
  text.Add("run_id", server.run_id);
  text.Add("tcp_port", server.config().port != 0 ? server.config().port : server.config().tls_port);
  text.Add("server_time_usec", now_us);
  text.Add("uptime_in_seconds", uptime_s);
  text.Add("uptime_in_days", uptime_s / 86400);
  text.Add("hz", server.config().hz);
  text.Add("configured_hz", server.config().hz);
  text.Add("lru_clock", now_us / 1'000'000 & 0xffffff);
  text.Add("executable", server.executable);
  text.Add("config_file", server.config_file);
  text.Add("io_threads_active", server.workers().size() > 1 ? 1 : 0);
  if (ending.waiting()) text.Add("shutdown_in_milliseconds", ending.deadline_ms() - now_us / 1000);
  text.Add("brim_version", kVersion);
  text.Add("threads", server.workers().size());
  text.Add("shards", shards.count());
}

void ClientsSection(Text& text) {
  size_t input = 0;
  size_t output = 0;
  for (auto& worker : server.workers()) {
    input = std::max(input, worker->figures.recent_input.bytes());
    output = std::max(output, worker->figures.recent_output.bytes());
  }
  text.Add("connected_clients", server.connected_clients());
  text.Add("cluster_connections", 0);
  text.Add("maxclients", server.config().maxclients);
  text.Add("client_recent_max_input_buffer", input);
  text.Add("client_recent_max_output_buffer", output);
  text.Add("blocked_clients", Blocking::blocked_clients.load());
  text.Add("tracking_clients", KeyTracking::Clients());
  text.Zeros({"clients_in_timeout_table"});
}

void MemorySection(Text& text) {
  MemoryFigures f = GatherMemory();
  int64_t net = f.used - f.startup;
  text.Human("used_memory", f.used);
  text.Human("used_memory_rss", f.rss);
  text.Human("used_memory_peak", f.peak);
  text.Add("used_memory_peak_perc", fmt::format("{:.2f}%", Divide(f.used, f.peak) * 100));
  text.Add("used_memory_overhead", f.overhead);
  text.Add("used_memory_startup", f.startup);
  text.Add("used_memory_dataset", f.dataset);
  text.Add("used_memory_dataset_perc", fmt::format("{:.2f}%", Divide(f.dataset, net) * 100));
  text.Add("allocator_allocated", f.allocator_allocated);
  text.Add("allocator_active", f.allocator_active);
  text.Add("allocator_resident", f.allocator_resident);
  text.Human("total_system_memory", f.total_system);
  ScriptFigures scripts = script_engine != nullptr ? script_engine->Figures() : ScriptFigures();
  text.Add("used_memory_lua", scripts.eval_vm_bytes);
  text.Add("used_memory_vm_eval", scripts.eval_vm_bytes);
  text.Add("used_memory_lua_human", HumanBytes(scripts.eval_vm_bytes));
  text.Add("used_memory_scripts_eval", scripts.scripts_bytes);
  text.Add("number_of_cached_scripts", scripts.scripts);
  text.Add("number_of_functions", scripts.functions);
  text.Add("number_of_libraries", scripts.libraries);
  text.Add("used_memory_vm_functions", scripts.function_vm_bytes);
  text.Human("used_memory_vm_total", scripts.eval_vm_bytes + scripts.function_vm_bytes);
  text.Add("used_memory_functions", scripts.functions_bytes);
  text.Human("used_memory_scripts", scripts.scripts_bytes + scripts.functions_bytes);
  text.Human("maxmemory", MemoryGuard::maxmemory());
  text.Add("maxmemory_policy", PolicyName(eviction.policy));
  text.Ratio("allocator_frag_ratio", Divide(f.allocator_active, f.allocator_allocated));
  text.Add("allocator_frag_bytes", f.allocator_active - f.allocator_allocated);
  text.Ratio("allocator_rss_ratio", Divide(f.allocator_resident, f.allocator_active));
  text.Add("allocator_rss_bytes", f.allocator_resident - f.allocator_active);
  text.Ratio("rss_overhead_ratio", Divide(f.rss, f.allocator_resident));
  text.Add("rss_overhead_bytes", f.rss - f.allocator_resident);
  text.Ratio("mem_fragmentation_ratio", f.fragmentation());
  text.Add("mem_fragmentation_bytes", f.rss - f.used);
  text.Add("mem_not_counted_for_evict", std::min(ClientMemory(), MemoryGuard::client_allowance()));
  text.Zeros({"mem_replication_backlog", "mem_total_replication_buffers", "mem_clients_slaves"});
  text.Add("mem_clients_normal", f.clients);
  text.Zeros({"mem_cluster_links"});
  auto by_category = UsedByCategory();
  text.Add("mem_aof_buffer", by_category[static_cast<size_t>(MemoryCategory::kAof)]);
  text.Add("mem_allocator", AllocatorName());
  text.Add("active_defrag_running", compaction_figures.running_percent.load());
  text.Add("lazyfree_pending_objects", SumShards([](Shard& s) { return s.lazyfree_pending.load(); }));
  text.Add("lazyfreed_objects", SumShards([](Shard& s) { return s.lazyfreed_objects.load(); }));
  for (size_t i = 0; i < by_category.size(); i++) {
    text.Add(fmt::format("brim_used_{}", CategoryName(static_cast<MemoryCategory>(i))), by_category[i]);
  }
  text.Add("brim_used_limit", MemoryGuard::used_limit());
  text.Add("brim_container_limit", MemoryGuard::container_limit());
  text.Add("brim_container_others", MemoryGuard::container_others());
  text.Add("brim_client_limit", MemoryGuard::client_limit());
  text.Add("brim_footprint", MemoryGuard::footprint());
  // The pressure ladder: how often each rung gave something, and how much.
  for (size_t i = 0; i < kRungs; i++) {
    const char* rung = RungName(static_cast<Rung>(i));
    text.Add(fmt::format("brim_pressure_{}_count", rung), rung_figures[i].times.load());
    if (static_cast<Rung>(i) == Rung::kRefuse) continue;
    text.Add(fmt::format("brim_pressure_{}_bytes", rung), rung_figures[i].bytes.load());
  }
}

void AofSection(Text& text) {
  AofSizes sizes = aof.figures().sizes;
  text.Add("aof_current_size", sizes.current);
  text.Add("aof_base_size", sizes.base);
  text.Add("aof_pending_rewrite", aof.figures().scheduled ? 1 : 0);
  text.Add("aof_buffer_length", sizes.buffered);
  text.Zeros({"aof_pending_bio_fsync", "aof_delayed_fsync"});
}

void LoadingSection(Text& text) {
  const Loading& loading = server.loading;
  int64_t passed_s = std::max<int64_t>(WallUs() / 1'000'000 - loading.started_s, 1);
  double share =
      loading.total_bytes == 0 ? 0 : static_cast<double>(loading.bytes) / static_cast<double>(loading.total_bytes);
  text.Add("loading_start_time", loading.started_s);
  text.Add("loading_total_bytes", loading.total_bytes);
  text.Add("loading_rdb_used_mem", 0);
  text.Add("loading_loaded_bytes", loading.bytes);
  text.Add("loading_loaded_perc", fmt::format("{:.2f}", share * 100));
  text.Add("loading_eta_seconds",
           share <= 0 ? -1 : static_cast<int64_t>(static_cast<double>(passed_s) * (1 - share) / share));
}

void PersistenceSection(Text& text) {
  text.Add("loading", server.loading.running ? 1 : 0);
  text.Zeros({"async_loading", "current_cow_peak", "current_cow_size", "current_cow_size_age"});
  text.Add("current_fork_perc", "0.00");
  text.Add("current_save_keys_processed", persistence.keys_saved());
  text.Add("current_save_keys_total", persistence.keys_total());
  const PersistenceFigures& save = persistence.figures();
  int64_t now_s = WallUs() / 1'000'000;
  text.Add("rdb_changes_since_last_save", persistence.dirty());
  text.Add("rdb_bgsave_in_progress", persistence.saving() ? 1 : 0);
  text.Add("rdb_last_save_time", save.last_save_s);
  text.Add("rdb_last_bgsave_status", save.last_good ? "ok" : "err");
  text.Add("rdb_last_bgsave_time_sec", save.last_seconds);
  text.Add("rdb_current_bgsave_time_sec", persistence.saving() ? now_s - save.started_s : -1);
  text.Add("rdb_saves", save.saves);
  text.Add("rdb_last_cow_size", 0);
  text.Add("rdb_last_load_keys_expired", save.last_keys_expired);
  text.Add("rdb_last_load_keys_loaded", save.last_keys_loaded);
  AofFigures log = aof.figures();
  text.Add("aof_enabled", aof.enabled() ? 1 : 0);
  text.Add("aof_rewrite_in_progress", aof.rewriting() ? 1 : 0);
  text.Add("aof_rewrite_scheduled", aof.figures().scheduled ? 1 : 0);
  text.Add("aof_last_rewrite_time_sec", log.last_rewrite_seconds);
  text.Add("aof_current_rewrite_time_sec", aof.rewriting() ? now_s - log.rewrite_started_s : -1);
  text.Add("aof_last_bgrewrite_status", log.last_rewrite_good ? "ok" : "err");
  text.Add("aof_rewrites", log.rewrites);
  text.Add("aof_rewrites_consecutive_failures", log.failures_in_a_row);
  text.Add("aof_last_write_status", aof.failing() ? "err" : "ok");
  text.Zeros({"aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size"});
  if (aof.enabled()) AofSection(text);
  if (server.loading.running) LoadingSection(text);
}

void StatsSection(Text& text) {
  Rates rates = CurrentRates();
  text.Add("total_connections_received", SumWorkers([](Worker& w) { return w.figures.connections_received; }));
  text.Add("total_commands_processed", SumWorkers([](Worker& w) { return w.figures.commands; }));
  text.Add("instantaneous_ops_per_sec", rates.commands);
  text.Add("total_net_input_bytes", SumWorkers([](Worker& w) { return w.figures.bytes_in; }));
  text.Add("total_net_output_bytes", SumWorkers([](Worker& w) { return w.figures.bytes_out; }));
  text.Zeros({"total_net_repl_input_bytes", "total_net_repl_output_bytes"});
  text.Ratio("instantaneous_input_kbps", static_cast<double>(rates.bytes_in) / 1024);
  text.Ratio("instantaneous_output_kbps", static_cast<double>(rates.bytes_out) / 1024);
  text.Add("instantaneous_input_repl_kbps", "0.00");
  text.Add("instantaneous_output_repl_kbps", "0.00");
  text.Add("rejected_connections", server.rejected_connections.load());
  text.Zeros({"sync_full", "sync_partial_ok", "sync_partial_err"});
  text.Add("expired_keys", SumShards([](Shard& s) { return s.expired_keys.load(); }));
  text.Add("expired_subkeys", SumShards([](Shard& s) { return s.expired_fields.load(); }));
  text.Add("expired_stale_perc", "0.00");
  text.Zeros({"expired_time_cap_reached_count"});
  text.Add("expire_cycle_cpu_milliseconds", SumWorkers([](Worker& w) { return w.figures.expire_cycle_us; }) / 1000);
  text.Add("evicted_scripts", script_engine != nullptr ? script_engine->Figures().evicted_scripts : 0);
  text.Add("evicted_keys", SumShards([](Shard& s) { return s.evicted_keys.load(); }));
  text.Add("evicted_clients", SumWorkers([](Worker& w) { return w.figures.memory_cuts; }));
  text.Zeros({"total_eviction_exceeded_time", "current_eviction_exceeded_time"});
  text.Add("keyspace_hits", SumWorkers([](Worker& w) { return w.keyspace_figures.hits.load(); }));
  text.Add("keyspace_misses", SumWorkers([](Worker& w) { return w.keyspace_figures.misses.load(); }));
  text.Add("pubsub_channels", PubSub::Channels(ChannelKind::kChannel));
  text.Add("pubsub_patterns", PubSub::Channels(ChannelKind::kPattern));
  text.Add("pubsubshard_channels", PubSub::Channels(ChannelKind::kShard));
  text.Zeros({"latest_fork_usec", "total_forks", "migrate_cached_sockets", "slave_expires_tracked_keys"});
  uint64_t moved = SumShards([](Shard& s) { return s.compaction_moved; });
  text.Add("active_defrag_hits", moved);
  text.Zeros({"active_defrag_misses"});
  text.Add("active_defrag_key_hits", moved);
  text.Zeros({"active_defrag_key_misses"});
  text.Add("total_active_defrag_time", compaction_figures.time_us.load() / 1000);
  text.Zeros({"current_active_defrag_time"});
  text.Add("tracking_total_keys", KeyTracking::Keys());
  text.Add("tracking_total_items", KeyTracking::Items());
  text.Add("tracking_total_prefixes", KeyTracking::Prefixes());
  text.Zeros({"unexpected_error_replies"});
  text.Add("total_error_replies", SumWorkers([](Worker& w) { return w.figures.error_replies; }));
  text.Add("dump_payload_sanitizations", 0);
  text.Add("total_reads_processed", SumWorkers([](Worker& w) { return w.figures.reads; }));
  text.Add("total_writes_processed", SumWorkers([](Worker& w) { return w.figures.writes; }));
  text.Zeros(
      {"io_threaded_reads_processed", "io_threaded_writes_processed", "reply_buffer_shrinks", "reply_buffer_expands"});
  text.Add("client_query_buffer_limit_disconnections",
           SumWorkers([](Worker& w) { return w.figures.query_limit_cuts; }));
  text.Add("client_output_buffer_limit_disconnections",
           SumWorkers([](Worker& w) { return w.figures.output_limit_cuts; }));
  text.Add("brim_tls_handshakes", SumWorkers([](Worker& w) { return w.figures.handshakes; }));
  text.Add("brim_tls_handshakes_failed", SumWorkers([](Worker& w) { return w.figures.handshakes_failed; }));
  constexpr const char* kDenied[] = {"acl_access_denied_auth", "acl_access_denied_cmd", "acl_access_denied_key",
                                     "acl_access_denied_channel"};
  for (size_t i = 0; i < std::size(kDenied); i++) {
    text.Add(kDenied[i], SumWorkers([i](Worker& w) { return w.figures.denied[i]; }));
  }
}

void ReplicationSection(Text& text) {
  text.Add("role", "master");
  text.Add("connected_slaves", 0);
  text.Add("master_failover_state", "no-failover");
  text.Add("master_replid", server.run_id);
  text.Add("master_replid2", std::string(40, '0'));
  text.Add("master_repl_offset", 0);
  text.Add("second_repl_offset", -1);
  text.Add("repl_backlog_active", 0);
  text.Add("repl_backlog_size", server.config().repl_backlog_size);
  text.Zeros({"repl_backlog_first_byte_offset", "repl_backlog_histlen"});
}

std::string Seconds(const timeval& t) { return fmt::format("{}.{:06}", t.tv_sec, t.tv_usec); }

void CpuSection(Text& text) {
  rusage self;
  rusage children;
  rusage thread;
  getrusage(RUSAGE_SELF, &self);
  getrusage(RUSAGE_CHILDREN, &children);
  getrusage(RUSAGE_THREAD, &thread);
  text.Add("used_cpu_sys", Seconds(self.ru_stime));
  text.Add("used_cpu_user", Seconds(self.ru_utime));
  text.Add("used_cpu_sys_children", Seconds(children.ru_stime));
  text.Add("used_cpu_user_children", Seconds(children.ru_utime));
  text.Add("used_cpu_sys_main_thread", Seconds(thread.ru_stime));
  text.Add("used_cpu_user_main_thread", Seconds(thread.ru_utime));
}

void CommandstatsSection(Text& text) {
  for (auto& command : registry.all()) {
    CommandFigures sum;
    for (auto& worker : server.workers()) {
      const CommandFigures& f = worker->figures.commands_by_id[static_cast<size_t>(command->id)];
      sum.calls += f.calls;
      sum.ticks += f.ticks;
      sum.rejected += f.rejected;
      sum.failed += f.failed;
    }
    if (sum.calls + sum.rejected + sum.failed == 0) continue;
    auto us = static_cast<int64_t>(TicksToUs(sum.ticks));
    text.Add(fmt::format("cmdstat_{}", command->spec->name),
             fmt::format("calls={},usec={},usec_per_call={:.2f},rejected_calls={},failed_calls={}", sum.calls, us,
                         Divide(us, static_cast<int64_t>(sum.calls)), sum.rejected, sum.failed));
  }
}

void LatencystatsSection(Text& text) {
  if (!server.config().latency_tracking) return;
  for (auto& command : registry.all()) {
    std::unique_ptr<LatencyHistogram> times = CommandWatch::Times(*command);
    if (times == nullptr) continue;
    std::string line;
    for (double percent : server.config().latency_percentiles) {
      auto us = static_cast<double>(times->PercentileNs(percent)) / 1000;
      line += fmt::format("{}p{}={:.3f}", line.empty() ? "" : ",", ShortDecimal(percent), us);
    }
    text.Add(fmt::format("latency_percentiles_usec_{}", command->spec->name), line);
  }
}

void ErrorstatsSection(Text& text) {
  std::map<std::string, uint64_t> sum;
  for (auto& worker : server.workers()) {
    for (auto& [code, count] : worker->figures.errors_by_code) sum[code] += count;
  }
  for (auto& [code, count] : sum) text.Add("errorstat_" + code, fmt::format("count={}", count));
}

// Mean time to live (ms) of the database's keys with an expiry, from a sample of each shard's.
int64_t AverageTtl(int db) {
  constexpr int kBuckets = 64;
  int64_t now_ms = WallUs() / 1000;
  int64_t sum_ms = 0;
  int64_t count = 0;
  for (int i = 0; i < shards.count(); i++) {
    Keyspace& keyspace = shards[i].db(db);
    if (keyspace.expires() == 0) continue;
    auto look = [&](Table::Slot slot) {
      int64_t at_ms = slot.As<Entry>()->expiry_ms();
      if (at_ms <= now_ms) return;
      sum_ms += at_ms - now_ms;
      count++;
    };
    if (keyspace.size() <= kBuckets * Table::kSlots) {
      keyspace.table().ForEach(look);
    } else {
      for (int n = 0; n < kBuckets; n++) Table::VisitBucket(keyspace.table().RandomBucket(), look);
    }
  }
  return count == 0 ? 0 : sum_ms / count;
}

void KeyspaceSection(Text& text) {
  for (int db = 0; db < shards[0].databases(); db++) {
    size_t keys = 0;
    size_t expires = 0;
    size_t timed_hashes = 0;
    for (int i = 0; i < shards.count(); i++) {
      keys += shards[i].db(db).size();
      expires += shards[i].db(db).expires();
      timed_hashes += shards[i].db(db).timed_hashes();
    }
    if (keys == 0) continue;
    std::string line = fmt::format("keys={},expires={},avg_ttl={}", keys, expires, AverageTtl(db));
    // As Redis 7.4 has it, but left out where there is nothing that a client of 7.0 could not know.
    if (timed_hashes > 0) line += fmt::format(",subexpiry={}", timed_hashes);
    text.Add(fmt::format("db{}", db), line);
  }
}

void ClusterSection(Text& text) { text.Add("cluster_enabled", 0); }

void KeySizesSection(Text& text) {
  for (int db = 0; db < shards[0].databases(); db++) {
    text.out += KeySizes(db, server.config().key_memory_histograms).Lines();
  }
}

struct Section {
  const char* name;
  const char* title;
  void (*write)(Text&);
  bool by_default;
  bool in_all;
};

constexpr Section kSections[] = {
    {"server", "Server", ServerSection, true, true},
    {"clients", "Clients", ClientsSection, true, true},
    {"memory", "Memory", MemorySection, true, true},
    {"persistence", "Persistence", PersistenceSection, true, true},
    {"stats", "Stats", StatsSection, true, true},
    {"replication", "Replication", ReplicationSection, true, true},
    {"cpu", "CPU", CpuSection, true, true},
    {"modules", "Modules", [](Text&) {}, true, false},
    {"commandstats", "Commandstats", CommandstatsSection, false, true},
    {"errorstats", "Errorstats", ErrorstatsSection, true, true},
    {"latencystats", "Latencystats", LatencystatsSection, false, true},
    {"cluster", "Cluster", ClusterSection, true, true},
    {"keyspace", "Keyspace", KeyspaceSection, true, true},
    {"keysizes", "Keysizes", KeySizesSection, false, true},
};

void Info(Context& context) {
  std::set<std::string> wanted;
  for (size_t i = 1; i < context.argc(); i++) wanted.insert(LowerCase(context.arg(i)));
  bool everything = wanted.count("everything") > 0;
  bool all = wanted.count("all") > 0;
  bool defaults = wanted.empty() || wanted.count("default") > 0;
  Text text;
  for (const Section& section : kSections) {
    bool shown =
        everything || (all && section.in_all) || (defaults && section.by_default) || wanted.count(section.name) > 0;
    if (!shown) continue;
    if (!text.out.empty()) text.out += "\r\n";
    text.out += fmt::format("# {}\r\n", section.title);
    section.write(text);
  }
  context.reply().Verbatim(text.out, "txt");
}

constexpr CommandSpec kRows[] = {
    {"info",
     -1,
     kLoading | kStale | kSentinel | kExclusive,
     {},
     kCatDangerous,
     Group::kServer,
     "1.0.0",
     "O(1)",
     "Answers figures about the server.",
     "[section [section ...]]",
     Info,
     nullptr,
     "nondeterministic_output,request_policy:all_shards,response_policy:special"},
};

}  // namespace

const CommandTable kInfoCommands = kRows;

}  // namespace brim
