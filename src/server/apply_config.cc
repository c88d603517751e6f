// Server::ApplyConfig: settings that act elsewhere are put where they act.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "memory/account.h"
#include "memory/resident.h"
#include "resp/parser.h"
#include "server/acl.h"
#include "server/acl_log.h"
#include "server/admission.h"
#include "server/aof.h"
#include "server/command_watch.h"
#include "server/compactor.h"
#include "server/log.h"
#include "server/oom_score.h"
#include "server/process_title.h"
#include "server/script_engine.h"
#include "server/script_watch.h"
#include "server/server.h"
#include "server/tracking.h"
#include "store/notify.h"
#include "store/shard.h"
#include "types/limits.h"

namespace brim {

namespace {

constexpr uint64_t kReservedFds = 32;
constexpr int64_t kFileTableMax = 1 << 16;  // entries made at once: half a megabyte of the kernel's

LogLevel LevelOf(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "verbose") return LogLevel::kVerbose;
  return name == "warning" ? LogLevel::kWarning : LogLevel::kNotice;
}

void ApplyLimits(const Config& config) {
  encoding_limits.hash_max_listpack_entries = static_cast<size_t>(config.hash_max_listpack_entries);
  encoding_limits.hash_max_listpack_value = static_cast<size_t>(config.hash_max_listpack_value);
  encoding_limits.set_max_intset_entries = static_cast<size_t>(config.set_max_intset_entries);
  encoding_limits.set_max_listpack_entries = static_cast<size_t>(config.set_max_listpack_entries);
  encoding_limits.set_max_listpack_value = static_cast<size_t>(config.set_max_listpack_value);
  encoding_limits.zset_max_listpack_entries = static_cast<size_t>(config.zset_max_listpack_entries);
  encoding_limits.zset_max_listpack_value = static_cast<size_t>(config.zset_max_listpack_value);
  encoding_limits.list_max_listpack_size = config.list_max_listpack_size;
  encoding_limits.list_compress_depth = config.list_compress_depth;
  encoding_limits.hll_sparse_max_bytes = static_cast<size_t>(config.hll_sparse_max_bytes);
  encoding_limits.stream_idmp_duration_s = static_cast<uint32_t>(config.stream_idmp_duration);
  encoding_limits.stream_idmp_maxsize = static_cast<uint32_t>(config.stream_idmp_maxsize);
  encoding_limits.stream_node_max_bytes = static_cast<size_t>(config.stream_node_max_bytes);
  encoding_limits.stream_node_max_entries = config.stream_node_max_entries;
  encoding_limits.max_bulk_bytes = config.proto_max_bulk_len;
  parser_max_bulk_bytes = config.proto_max_bulk_len;
}

// A tenth of the memory there is, and enough for ordinary scripts.
void ConfigureScripts(const Config& config) {
  constexpr int64_t kLeast = 32 << 20;
  int64_t limit = config.lua_memory_limit;
  if (limit == 0) {
    int64_t memory =
        MemoryGuard::used_limit() > 0 ? MemoryGuard::used_limit() : static_cast<int64_t>(TotalSystemMemory());
    limit = std::max(memory / 10, kLeast);
  }
  script_memory_limit.store(limit, std::memory_order_relaxed);
  ScriptWatch::SetThreshold(config.busy_reply_threshold);
}

void ApplyMemory(const Config& config) {
  eviction.policy = config.maxmemory_policy;
  eviction.samples = config.maxmemory_samples;
  eviction.lfu_log_factor = config.lfu_log_factor;
  eviction.lfu_decay_minutes = config.lfu_decay_time;
  lazyfree.eviction = config.lazyfree_lazy_eviction;
  lazyfree.expire = config.lazyfree_lazy_expire;
  lazyfree.server_del = config.lazyfree_lazy_server_del;
  lazyfree.user_del = config.lazyfree_lazy_user_del;
  lazyfree.user_flush = config.lazyfree_lazy_user_flush;
  Admission::Configure(config.maxmemory_eviction_tenacity);
  MemoryGuard::Configure(config);
  Compactor::Configure(config);
  aof.Configure();
  ConfigureScripts(config);
}

// Raises the limit of open files for `clients` and some more. Returns how many clients it lets in.
int64_t RaiseFileLimit(int64_t clients) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return clients;
  auto wanted = static_cast<uint64_t>(clients) + kReservedFds;
  if (limit.rlim_cur >= wanted) return clients;
  rlimit raised = {wanted, std::max<rlim_t>(limit.rlim_max, wanted)};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return clients;
  raised = {limit.rlim_max, limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit.rlim_cur = limit.rlim_max;
  return limit.rlim_cur > kReservedFds ? static_cast<int64_t>(limit.rlim_cur - kReservedFds) : 1;
}

// The kernel doubles a process's table of file descriptors when it is full, and while a process has several threads
// each time waits some milliseconds for all of them: it is made large enough at once.
void ReserveFileTable(int64_t clients) {
  int64_t last = std::min<int64_t>(clients + static_cast<int64_t>(kReservedFds), kFileTableMax) - 1;
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  int high = fcntl(fd, F_DUPFD_CLOEXEC, static_cast<int>(last));
  if (high >= 0) close(high);
  close(fd);
}

bool TryRest(const Config& before, std::string* culprit, std::string* error) {
  const Config& now = server.config();
  if (now.maxclients > before.maxclients) {
    if (int64_t possible = RaiseFileLimit(now.maxclients); possible < now.maxclients) {
      *culprit = "maxclients";
      *error = "The operating system is not able to handle the specified number of clients, try with " +
               std::to_string(possible);
      return false;
    }
    ReserveFileTable(now.maxclients);
  }
  if (now.appendonly != before.appendonly) {
    std::string why;
    if (!now.appendonly) {
      aof.TurnOff();
    } else if (!aof.TurnOn(&why)) {
      *culprit = "appendonly";
      *error = "Unable to turn on AOF. Check server logs.";
      return false;
    }
  }
  if (now.oom_score_adj != before.oom_score_adj || now.oom_score_adj_values != before.oom_score_adj_values) {
    std::string why;
    if (!ApplyOomScore(now.oom_score_adj, now.oom_score_adj_values[0], &why)) {
      LogWarning(why);
      *culprit = "oom-score-adj";
      *error = "Failed to apply new oom_score_adj configuration, check server logs.";
      return false;
    }
  }
  if (now.proc_title_template != before.proc_title_template) ShowTitle(now, server.config_file);
  if (now.maxmemory != before.maxmemory && now.maxmemory > 0 && UsedMemory() > now.maxmemory) {
    LogWarning("WARNING: the new maxmemory value set via CONFIG SET (" + std::to_string(now.maxmemory) +
               ") is smaller than the current memory usage (" + std::to_string(UsedMemory()) +
               "). This will result in key eviction and/or the inability to accept new write commands depending on the "
               "maxmemory-policy.");
  }
  if (now.requirepass != before.requirepass) acl.SetDefaultPassword(now.requirepass);
  return true;
}

// The first of the TLS settings that were given, by any of which certificates are read anew, also if it has not
// changed.
const std::string* TlsWish(const ConfigStore::Wishes& wishes) {
  for (const auto& [name, value] : wishes) {
    std::string lower = LowerCase(name);
    if (lower.starts_with("tls-") && lower != "tls-auth-clients") return &name;
  }
  return nullptr;
}

bool TryListen(const Config& before, std::string* culprit, std::string* error) {
  const Config& now = server.config();
  if (now.port == before.port && now.tls_port == before.tls_port && now.bind == before.bind) return true;
  if (server.listeners.Renew(before, now, culprit)) return true;
  *error = *culprit == "bind" ? "Failed to bind to specified addresses."
                              : "Unable to listen on this port. Check server logs.";
  return false;
}

// What CONFIG SET can refuse only once it tries. Nothing has changed when it does.
bool TryApply(const Config& before, const ConfigStore::Wishes& wishes, std::string* culprit, std::string* error) {
  const Config& now = server.config();
  const std::string* tls_wish = TlsWish(wishes);
  TlsContexts fresh;
  bool good = true;
  if (tls_wish != nullptr && TlsContexts::Wanted(now) && !fresh.Renew(now)) {
    *culprit = *tls_wish;
    *error = "Unable to update TLS configuration. Check server logs.";
    good = false;
  }
  good = good && TryListen(before, culprit, error);
  if (good && !TryRest(before, culprit, error)) {
    std::string nobody;
    server.listeners.Renew(now, before, &nobody);
    good = false;
  }
  if (!good) {
    LogWarning("Failed applying new configuration. Possibly related to new " + *culprit +
               " setting. Restoring previous settings.");
  } else if (fresh.accept != nullptr) {
    server.tls = std::move(fresh);
  }
  return good;
}

}  // namespace

void Server::ApplyConfig() {
  const Config& config = store_.values();
  ApplyLimits(config);
  ApplyMemory(config);
  // Without K or E nobody is told, whatever the classes.
  constexpr uint32_t kForms = kNotifyKeyspace | kNotifyKeyevent;
  notify_classes = config.notify_keyspace_events & kForms ? config.notify_keyspace_events : 0;
  KeyTracking::max_keys = static_cast<size_t>(config.tracking_table_max_keys);
  all_channels_by_default = config.acl_pubsub_default == "allchannels";
  acl_log.SetLimit(static_cast<size_t>(config.acllog_max_len));
  CommandWatch::Configure(config);
  SetLog(LevelOf(config.loglevel), config.logfile);
}

void Server::RegisterConfigHooks() {
  store_.SetApplyHook(TryApply);
  if (std::string why; !ApplyOomScore(config().oom_score_adj, config().oom_score_adj_values[0], &why)) LogWarning(why);
  if (config().syslog_enabled) SetSyslog(true, config().syslog_ident);
  int64_t possible = RaiseFileLimit(config().maxclients);
  ReserveFileTable(possible);
  if (possible >= config().maxclients) return;
  LogWarning("You requested maxclients of " + std::to_string(config().maxclients) + " requiring at least " +
             std::to_string(config().maxclients + static_cast<int64_t>(kReservedFds)) + " max file descriptors.");
  LogWarning("Server can't set maximum open files to " +
             std::to_string(config().maxclients + static_cast<int64_t>(kReservedFds)) + " because of OS error.");
  LogWarning("Current maximum open files is " + std::to_string(possible + static_cast<int64_t>(kReservedFds)) +
             ". maxclients has been reduced to " + std::to_string(possible) +
             " to compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'.");
  std::string error;
  store_.Set({{"maxclients", std::to_string(possible)}}, &error);
}

}  // namespace brim
