#include "server/config_table.h"

#include <array>
#include <cmath>
#include <cstdlib>

#include "base/ascii.h"
#include "base/numbers.h"
#include "base/quoting.h"
#include "server/config_checks.h"
#include "store/notify.h"
#include "types/limits.h"

namespace brim {

namespace {

constexpr auto kBool = SettingKind::kBool;
constexpr auto kInt = SettingKind::kInt;
constexpr auto kMemory = SettingKind::kMemory;
constexpr auto kOctal = SettingKind::kOctal;
constexpr auto kEnum = SettingKind::kEnum;
constexpr auto kText = SettingKind::kText;
constexpr auto kWords = SettingKind::kWords;

constexpr int64_t kIntMax = INT32_MAX;
constexpr const char* kAclChannels = "allchannels resetchannels";
constexpr const char* kProtectedChoices = "no yes local";
constexpr const char* kShutdownFlags = "default save nosave now force";

// A row's target by the member's type.
constexpr SettingTarget To(bool Config::*m) { return {m, nullptr, nullptr, nullptr}; }
constexpr SettingTarget To(int Config::*m) { return {nullptr, m, nullptr, nullptr}; }
constexpr SettingTarget To(int64_t Config::*m) { return {nullptr, nullptr, m, nullptr}; }
constexpr SettingTarget To(std::string Config::*m) { return {nullptr, nullptr, nullptr, m}; }

// Settings that act in Brim.
constexpr Setting kActing[] = {
    // network
    {"bind", nullptr, kWords, "* -::*", 0, {}, 0, 0, nullptr, ApplyBind},
    {"port", nullptr, kInt, "6379", 0, To(&Config::port), 0, 65535},
    {"unixsocket", nullptr, kText, "", kImmutable, To(&Config::unixsocket)},
    {"unixsocketperm", nullptr, kOctal, "0", kImmutable, To(&Config::unixsocketperm), 0, 0777},
    {"tcp-backlog", nullptr, kInt, "511", kImmutable, To(&Config::tcp_backlog), 0, kIntMax},
    {"tcp-keepalive", nullptr, kInt, "300", 0, To(&Config::tcp_keepalive), 0, kIntMax},
    {"timeout", nullptr, kInt, "0", 0, To(&Config::timeout), 0, kIntMax},
    {"read-coalesce-usec", nullptr, kInt, "110", 0, To(&Config::read_coalesce_usec), 0, 1000},
    {"maxclients", nullptr, kInt, "10000", 0, To(&Config::maxclients), 1, UINT32_MAX},
    {"protected-mode", nullptr, kBool, "yes", 0, To(&Config::protected_mode)},
    {"threads", "io-threads", kInt, "0", kImmutable, {}, 1, 128, nullptr, ApplyThreads},
    // TLS
    {"tls-auth-clients", nullptr, kEnum, "yes", 0, To(&Config::tls_auth_clients), 0, 0, "no yes optional"},
    {"tls-ca-cert-dir", nullptr, kText, "", 0, To(&Config::tls_ca_cert_dir)},
    {"tls-ca-cert-file", nullptr, kText, "", 0, To(&Config::tls_ca_cert_file)},
    {"tls-cert-file", nullptr, kText, "", 0, To(&Config::tls_cert_file)},
    {"tls-ciphers", nullptr, kText, "", 0, To(&Config::tls_ciphers)},
    {"tls-ciphersuites", nullptr, kText, "", 0, To(&Config::tls_ciphersuites)},
    {"tls-client-cert-file", nullptr, kText, "", 0, To(&Config::tls_client_cert_file)},
    {"tls-client-key-file", nullptr, kText, "", 0, To(&Config::tls_client_key_file)},
    {"tls-client-key-file-pass", nullptr, kText, "", kSecret, To(&Config::tls_client_key_file_pass)},
    {"tls-cluster", nullptr, kBool, "no", 0, To(&Config::tls_cluster)},
    {"tls-dh-params-file", nullptr, kText, "", 0, To(&Config::tls_dh_params_file)},
    {"tls-key-file", nullptr, kText, "", 0, To(&Config::tls_key_file)},
    {"tls-key-file-pass", nullptr, kText, "", kSecret, To(&Config::tls_key_file_pass)},
    {"tls-port", nullptr, kInt, "0", 0, To(&Config::tls_port), 0, 65535},
    {"tls-prefer-server-ciphers", nullptr, kBool, "no", 0, To(&Config::tls_prefer_server_ciphers)},
    {"tls-protocols", nullptr, kText, "", 0, To(&Config::tls_protocols)},
    {"tls-replication", nullptr, kBool, "no", 0, To(&Config::tls_replication)},
    {"tls-session-cache-size", nullptr, kInt, "20480", 0, To(&Config::tls_session_cache_size), 0, kIntMax},
    {"tls-session-cache-timeout", nullptr, kInt, "300", 0, To(&Config::tls_session_cache_timeout), 0, kIntMax},
    {"tls-session-caching", nullptr, kBool, "yes", 0, To(&Config::tls_session_caching)},
    // process
    {"daemonize", nullptr, kBool, "no", kImmutable, To(&Config::daemonize)},
    {"pidfile", nullptr, kText, "", kImmutable, To(&Config::pidfile)},
    {"supervised", nullptr, kEnum, "no", kImmutable, To(&Config::supervised), 0, 0, "upstart systemd auto no"},
    {"logfile", nullptr, kText, "", kImmutable, To(&Config::logfile)},
    {"loglevel", nullptr, kEnum, "notice", 0, To(&Config::loglevel), 0, 0, "debug verbose notice warning"},
    {"syslog-enabled", nullptr, kBool, "no", kImmutable, To(&Config::syslog_enabled)},
    {"syslog-ident", nullptr, kText, "redis", kImmutable, To(&Config::syslog_ident)},
    {"dir", nullptr, kText, "", kGuarded, {}, 0, 0, nullptr, ApplyDir},
    {"hz", nullptr, kInt, "10", 0, {}, 0, kIntMax, nullptr, ApplyHz},
    {"requirepass", nullptr, kText, "", kSecret, To(&Config::requirepass)},
    {"acl-pubsub-default", nullptr, kEnum, "resetchannels", 0, To(&Config::acl_pubsub_default), 0, 0, kAclChannels},
    {"aclfile", nullptr, kText, "", kImmutable, To(&Config::aclfile)},
    {"acllog-max-len", nullptr, kInt, "128", 0, To(&Config::acllog_max_len)},
    {"enable-debug-command", nullptr, kEnum, "no", kImmutable, {}, 0, 0, kProtectedChoices, ApplyDebugCommand},
    {"enable-module-command", nullptr, kEnum, "no", kImmutable, {}, 0, 0, kProtectedChoices, ApplyModuleCommand},
    {"enable-protected-configs", nullptr, kEnum, "no", kImmutable, {}, 0, 0, kProtectedChoices, ApplyProtectedConfigs},
    // memory
    {"maxmemory", nullptr, kText, "0", 0, {}, 0, 0, nullptr, ApplyMaxmemory},
    {"maxmemory-clients", nullptr, kText, "10%", 0, {}, 0, 0, nullptr, ApplyMaxmemoryClients},
    {"maxmemory-resident", nullptr, kBool, "yes", 0, To(&Config::maxmemory_resident)},
    {"maxmemory-guard", nullptr, kInt, "95", 0, To(&Config::maxmemory_guard), 0, 100},
    {"oom-score-adj", nullptr, kEnum, "no", 0, To(&Config::oom_score_adj), 0, 0, "no yes relative absolute"},
    {"activedefrag", "active-defrag-enabled", kBool, "no", 0, To(&Config::activedefrag)},
    {"active-defrag-cycle-max", nullptr, kInt, "25", 0, To(&Config::active_defrag_cycle_max), 1, 99},
    {"active-defrag-cycle-min", nullptr, kInt, "1", 0, To(&Config::active_defrag_cycle_min), 1, 99},
    {"active-defrag-ignore-bytes", nullptr, kMemory, "104857600", 0, To(&Config::active_defrag_ignore_bytes), 1},
    {"active-defrag-threshold-lower", nullptr, kInt, "10", 0, To(&Config::active_defrag_threshold_lower), 0, 1000},
    {"active-defrag-threshold-upper", nullptr, kInt, "100", 0, To(&Config::active_defrag_threshold_upper), 0, 1000},
    {"maxmemory-policy",
     nullptr,
     kEnum,
     "noeviction",
     0,
     {},
     0,
     0,
     "volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction "
     "volatile-lrm allkeys-lrm",
     ApplyPolicy},
    {"maxmemory-samples", nullptr, kInt, "5", 0, To(&Config::maxmemory_samples), 1, kIntMax},
    {"maxmemory-eviction-tenacity", nullptr, kInt, "10", 0, To(&Config::maxmemory_eviction_tenacity), 0, 100},
    {"lfu-log-factor", nullptr, kInt, "10", 0, To(&Config::lfu_log_factor), 0, kIntMax},
    {"lfu-decay-time", nullptr, kInt, "1", 0, To(&Config::lfu_decay_time), 0, kIntMax},
    {"lazyfree-lazy-eviction", nullptr, kBool, "no", 0, To(&Config::lazyfree_lazy_eviction)},
    {"lazyfree-lazy-expire", nullptr, kBool, "no", 0, To(&Config::lazyfree_lazy_expire)},
    {"lazyfree-lazy-server-del", nullptr, kBool, "no", 0, To(&Config::lazyfree_lazy_server_del)},
    {"lazyfree-lazy-user-del", nullptr, kBool, "no", 0, To(&Config::lazyfree_lazy_user_del)},
    {"lazyfree-lazy-user-flush", nullptr, kBool, "no", 0, To(&Config::lazyfree_lazy_user_flush)},
    {"active-expire-effort", nullptr, kInt, "1", 0, To(&Config::active_expire_effort), 1, 10},
    // data
    {"databases", nullptr, kInt, "16", kImmutable, To(&Config::databases), 1, kIntMax},
    {"hash-max-listpack-entries", "hash-max-ziplist-entries", kInt, "512", 0, To(&Config::hash_max_listpack_entries)},
    {"hash-max-listpack-value", "hash-max-ziplist-value", kMemory, "64", 0, To(&Config::hash_max_listpack_value)},
    {"list-max-listpack-size", "list-max-ziplist-size", kInt, "-2", 0, To(&Config::list_max_listpack_size), INT32_MIN,
     kIntMax},
    {"list-compress-depth", nullptr, kInt, "0", 0, To(&Config::list_compress_depth), 0, kIntMax},
    {"set-max-intset-entries", nullptr, kInt, "512", 0, To(&Config::set_max_intset_entries)},
    {"set-max-listpack-entries", nullptr, kInt, "0", kNeverShown, To(&Config::set_max_listpack_entries)},
    {"set-max-listpack-value", nullptr, kMemory, "64", kNeverShown, To(&Config::set_max_listpack_value)},
    {"zset-max-listpack-entries", "zset-max-ziplist-entries", kInt, "128", 0, To(&Config::zset_max_listpack_entries)},
    {"zset-max-listpack-value", "zset-max-ziplist-value", kMemory, "64", 0, To(&Config::zset_max_listpack_value)},
    {"hll-sparse-max-bytes", nullptr, kMemory, "3000", 0, To(&Config::hll_sparse_max_bytes)},
    {"proto-max-bulk-len", nullptr, kMemory, "536870912", 0, To(&Config::proto_max_bulk_len), 1 << 20},
    {"notify-keyspace-events", nullptr, kText, "", 0, {}, 0, 0, nullptr, ApplyNotify},
    // clients
    {"client-query-buffer-limit", nullptr, kMemory, "1073741824", 0, To(&Config::client_query_buffer_limit), 1 << 20},
    {"client-output-buffer-limit",
     nullptr,
     kWords,
     "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
     0,
     {},
     0,
     0,
     nullptr,
     ApplyOutputLimits},
    {"tracking-table-max-keys", nullptr, kInt, "1000000", 0, To(&Config::tracking_table_max_keys)},
    {"repl-backlog-size", nullptr, kMemory, "1048576", 0, {}, 1, INT64_MAX, nullptr, ApplyBacklogSize},
    // watching
    {"slowlog-log-slower-than", "commandlog-execution-slower-than", kInt, "10000", 0,
     To(&Config::slowlog_log_slower_than), -1},
    {"slowlog-max-len", "commandlog-slow-execution-max-len", kInt, "128", 0, To(&Config::slowlog_max_len)},
    {"commandlog-request-larger-than", nullptr, kInt, "1048576", 0, To(&Config::commandlog_request_larger_than), -1},
    {"commandlog-large-request-max-len", nullptr, kInt, "128", 0, To(&Config::commandlog_large_request_max_len)},
    {"commandlog-reply-larger-than", nullptr, kInt, "1048576", 0, To(&Config::commandlog_reply_larger_than), -1},
    {"commandlog-large-reply-max-len", nullptr, kInt, "128", 0, To(&Config::commandlog_large_reply_max_len)},
    {"latency-monitor-threshold", nullptr, kInt, "0", 0, To(&Config::latency_monitor_threshold)},
    {"latency-tracking", nullptr, kBool, "yes", 0, To(&Config::latency_tracking)},
    {"latency-tracking-info-percentiles", nullptr, kWords, "50 99 99.9", 0, {}, 0, 0, nullptr, ApplyPercentiles},
    // scripts
    {"busy-reply-threshold", "lua-time-limit", kInt, "5000", 0, To(&Config::busy_reply_threshold)},
    {"lua-memory-limit", nullptr, kMemory, "0", 0, To(&Config::lua_memory_limit)},
};

// Settings whose feature comes with later work, or that have no meaning here: known, checked, kept and shown.
constexpr Setting kKept[] = {
    {"active-defrag-max-scan-fields", nullptr, kInt, "1000", 0, {}, 1},
    {"activerehashing", nullptr, kBool, "yes"},
    {"always-show-logo", nullptr, kBool, "no", kImmutable},
    {"aof-rewrite-incremental-fsync", nullptr, kBool, "yes"},
    {"aof_rewrite_cpulist", nullptr, kText, "", kImmutable},
    {"bgsave_cpulist", nullptr, kText, "", kImmutable},
    {"bind-source-addr", nullptr, kText, ""},
    {"bio_cpulist", nullptr, kText, "", kImmutable},
    {"cluster-allow-pubsubshard-when-down", nullptr, kBool, "yes"},
    {"cluster-allow-reads-when-down", nullptr, kBool, "no"},
    {"cluster-allow-replica-migration", nullptr, kBool, "yes"},
    {"cluster-announce-bus-port", nullptr, kInt, "0", 0, {}, 0, 65535},
    {"cluster-announce-hostname", nullptr, kText, "", 0, {}, 0, 0, nullptr, CheckHostname},
    {"cluster-announce-ip", nullptr, kText, ""},
    {"cluster-announce-port", nullptr, kInt, "0", 0, {}, 0, 65535},
    {"cluster-announce-tls-port", nullptr, kInt, "0", 0, {}, 0, 65535},
    {"cluster-config-file", nullptr, kText, "nodes.conf", kImmutable},
    {"cluster-enabled", nullptr, kBool, "no", kImmutable},
    {"cluster-link-sendbuf-limit", nullptr, kMemory, "0"},
    {"cluster-migration-barrier", nullptr, kInt, "1", 0, {}, 0, kIntMax},
    {"cluster-node-timeout", nullptr, kInt, "15000"},
    {"cluster-port", nullptr, kInt, "0", kImmutable, {}, 0, 65535},
    {"cluster-preferred-endpoint-type", nullptr, kEnum, "ip", 0, {}, 0, 0, "ip hostname unknown-endpoint"},
    {"cluster-replica-no-failover", "cluster-slave-no-failover", kBool, "no"},
    {"cluster-replica-validity-factor", "cluster-slave-validity-factor", kInt, "10", 0, {}, 0, kIntMax},
    {"cluster-require-full-coverage", nullptr, kBool, "yes"},
    {"crash-log-enabled", nullptr, kBool, "yes"},
    {"crash-memcheck-enabled", nullptr, kBool, "yes"},
    {"dbfilename", nullptr, kText, "dump.rdb", kGuarded, {}, 0, 0, nullptr, ApplyDbFileName},
    {"disable-thp", nullptr, kBool, "yes", kImmutable},
    {"dynamic-hz", nullptr, kBool, "yes"},
    {"ignore-warnings", nullptr, kText, ""},
    {"io-threads-do-reads", nullptr, kBool, "no", kImmutable},
    {"jemalloc-bg-thread", nullptr, kBool, "yes"},
    {"key-memory-histograms", nullptr, kBool, "no", 0, To(&Config::key_memory_histograms)},
    {"masterauth", nullptr, kText, "", kSecret},
    {"masteruser", nullptr, kText, "", kSecret},
    {"min-replicas-max-lag", "min-slaves-max-lag", kInt, "10", 0, {}, 0, kIntMax},
    {"min-replicas-to-write", "min-slaves-to-write", kInt, "0", 0, {}, 0, kIntMax},
    {"oom-score-adj-values", nullptr, kWords, "0 200 800", 0, {}, 0, 0, nullptr, ApplyOomScores},
    {"proc-title-template",
     nullptr,
     kText,
     "{title} {listen-addr} {server-mode}",
     0,
     {},
     0,
     0,
     nullptr,
     ApplyTitleTemplate},
    {"propagation-error-behavior", nullptr, kEnum, "ignore", 0, {}, 0, 0, "ignore panic panic-on-replicas"},
    {"rdb-del-sync-files", nullptr, kBool, "no"},
    {"rdb-save-incremental-fsync", nullptr, kBool, "yes"},
    {"rdbchecksum", nullptr, kBool, "yes", kImmutable, To(&Config::rdbchecksum)},
    {"appendonly", nullptr, kBool, "no", 0, To(&Config::appendonly)},
    {"appendfsync", nullptr, kEnum, "everysec", 0, To(&Config::appendfsync), 0, 0, "everysec always no"},
    {"appenddirname", nullptr, kText, "appendonlydir", kImmutable, {}, 0, 0, nullptr, ApplyAppendDirName},
    {"appendfilename", nullptr, kText, "appendonly.aof", kImmutable, {}, 0, 0, nullptr, ApplyAppendFileName},
    {"auto-aof-rewrite-percentage", nullptr, kInt, "100", 0, To(&Config::auto_aof_rewrite_percentage), 0, kIntMax},
    {"auto-aof-rewrite-min-size", nullptr, kMemory, "67108864", 0, To(&Config::auto_aof_rewrite_min_size)},
    {"aof-load-truncated", nullptr, kBool, "yes", 0, To(&Config::aof_load_truncated)},
    {"aof-timestamp-enabled", nullptr, kBool, "no", 0, To(&Config::aof_timestamp_enabled)},
    {"aof-disable-auto-gc", nullptr, kBool, "no", 0, To(&Config::aof_disable_auto_gc)},
    {"aof-use-rdb-preamble", nullptr, kBool, "yes", 0, To(&Config::aof_use_rdb_preamble)},
    {"no-appendfsync-on-rewrite", nullptr, kBool, "no", 0, To(&Config::no_appendfsync_on_rewrite)},
    {"rdbcompression", nullptr, kBool, "yes", 0, To(&Config::rdbcompression)},
    {"repl-backlog-ttl", nullptr, kInt, "3600"},
    {"repl-disable-tcp-nodelay", nullptr, kBool, "no"},
    {"repl-diskless-load", nullptr, kEnum, "disabled", 0, {}, 0, 0, "disabled on-empty-db swapdb"},
    {"repl-diskless-sync", nullptr, kBool, "yes"},
    {"repl-diskless-sync-delay", nullptr, kInt, "5", 0, {}, 0, kIntMax},
    {"repl-diskless-sync-max-replicas", nullptr, kInt, "0", 0, {}, 0, kIntMax},
    {"repl-ping-replica-period", "repl-ping-slave-period", kInt, "10", 0, {}, 1, kIntMax},
    {"repl-timeout", nullptr, kInt, "60", 0, {}, 1, kIntMax},
    {"replica-announce-ip", "slave-announce-ip", kText, ""},
    {"replica-announce-port", "slave-announce-port", kInt, "0", 0, {}, 0, 65535},
    {"replica-announced", nullptr, kBool, "yes"},
    {"replica-ignore-disk-write-errors", nullptr, kBool, "no"},
    {"replica-ignore-maxmemory", "slave-ignore-maxmemory", kBool, "yes"},
    {"replica-lazy-flush", "slave-lazy-flush", kBool, "no"},
    {"replica-priority", "slave-priority", kInt, "100", 0, {}, 0, kIntMax},
    {"replica-read-only", "slave-read-only", kBool, "yes"},
    {"replica-serve-stale-data", "slave-serve-stale-data", kBool, "yes"},
    {"replicaof", "slaveof", kWords, "", kImmutable, {}, 0, 0, nullptr, CheckReplicaOf},
    {"sanitize-dump-payload", nullptr, kEnum, "no", 0, {}, 0, 0, "no yes clients"},
    {"save", nullptr, kWords, "3600 1 300 100 60 10000", 0, {}, 0, 0, nullptr, ApplySave},
    {"server_cpulist", nullptr, kText, "", kImmutable},
    {"set-proc-title", nullptr, kBool, "yes", kImmutable, To(&Config::set_proc_title)},
    {"shutdown-on-sigint", nullptr, kWords, "default", 0, {}, 0, 0, kShutdownFlags, ApplySigint},
    {"shutdown-on-sigterm", nullptr, kWords, "default", 0, {}, 0, 0, kShutdownFlags, ApplySigterm},
    {"shutdown-timeout", nullptr, kInt, "10", 0, To(&Config::shutdown_timeout), 0, kIntMax},
    {"socket-mark-id", nullptr, kInt, "0", kImmutable, {}, 0, UINT32_MAX},
    {"stop-writes-on-bgsave-error", nullptr, kBool, "yes", 0, To(&Config::stop_writes_on_bgsave_error)},
    {"stream-idmp-duration", nullptr, kInt, "100", 0, To(&Config::stream_idmp_duration), 1, kIdmpDurationMax},
    {"stream-idmp-maxsize", nullptr, kInt, "100", 0, To(&Config::stream_idmp_maxsize), 1, kIdmpMaxSizeMax},
    {"stream-node-max-bytes", nullptr, kMemory, "4096", 0, To(&Config::stream_node_max_bytes)},
    {"stream-node-max-entries", nullptr, kInt, "100", 0, To(&Config::stream_node_max_entries)},
    {"syslog-facility",
     nullptr,
     kEnum,
     "local0",
     kImmutable,
     {},
     0,
     0,
     "user local0 local1 local2 local3 local4 local5 local6 local7"},
    {"watchdog-period", nullptr, kInt, "0", kNeverShown, {}, 0, kIntMax},
};

constexpr size_t kCount = std::size(kActing) + std::size(kKept);

constexpr std::array<Setting, kCount> Joined() {
  std::array<Setting, kCount> all{};
  size_t n = 0;
  for (const Setting& row : kActing) all[n++] = row;
  for (const Setting& row : kKept) all[n++] = row;
  return all;
}

constexpr std::array<Setting, kCount> kAll = Joined();

}  // namespace

std::span<const Setting> Settings() { return kAll; }

int FindSetting(std::string_view name) {
  for (size_t i = 0; i < kAll.size(); i++) {
    if (EqualsNoCase(name, kAll[i].name) || (kAll[i].alias != nullptr && EqualsNoCase(name, kAll[i].alias))) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

}  // namespace brim
