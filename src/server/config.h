#pragma once
// The configuration: typed values for the server, and the store behind CONFIG GET, SET and REWRITE and redis.conf.
// Every directive of Redis 7.0 is a row of the table (config_table.h).
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "store/access.h"

namespace brim {

enum class ProtectedAction { kNo, kYes, kLocal };

struct ClientLimit {
  int64_t hard_bytes;
  int64_t soft_bytes;
  int64_t soft_seconds;
};

// Values that act somewhere. Read without a lock; changed while every thread is paused.
// `save 60 1000`: after that many seconds, if there were that many changes.
// How the process ends (server/shutdown).
struct ShutdownFlags {
  bool save = false;
  bool nosave = false;
  bool now = false;    // waits for no replica
  bool force = false;  // whatever fails
};

struct SavePoint {
  int64_t seconds;
  uint64_t changes;
};

struct Config {
  // network
  std::vector<std::string> bind;
  int port = 0;
  std::string unixsocket;
  bool set_proc_title = true;
  std::string proc_title_template;
  int unixsocketperm = 0;
  int tcp_backlog = 0;
  int tcp_keepalive = 0;
  int timeout = 0;
  int read_coalesce_usec = 0;  // the longest rest of a loaded worker, twice that with several; 0: none
  int64_t maxclients = 0;
  bool protected_mode = true;
  int threads = 0;
  // TLS
  int tls_port = 0;
  std::string tls_cert_file;
  std::string tls_key_file;
  std::string tls_key_file_pass;
  std::string tls_client_cert_file;
  std::string tls_client_key_file;
  std::string tls_client_key_file_pass;
  std::string tls_ca_cert_file;
  std::string tls_ca_cert_dir;
  std::string tls_dh_params_file;
  std::string tls_auth_clients;  // no, yes, optional
  std::string tls_protocols;
  std::string tls_ciphers;
  std::string tls_ciphersuites;
  bool tls_prefer_server_ciphers = false;
  bool tls_session_caching = true;
  int tls_session_cache_size = 0;
  int tls_session_cache_timeout = 0;
  bool tls_replication = false;
  bool tls_cluster = false;
  // process
  bool daemonize = false;
  std::string pidfile;
  std::string supervised;
  std::string logfile;
  std::string loglevel;
  bool syslog_enabled = false;
  std::string syslog_ident;
  std::string dir;
  int hz = 0;
  // saving
  std::string dbfilename;
  bool rdbcompression = true;
  bool rdbchecksum = true;
  bool stop_writes_on_bgsave_error = true;
  std::vector<SavePoint> save_points;
  bool appendonly = false;
  std::string appendfsync;  // always, everysec, no
  std::string appenddirname;
  std::string appendfilename;
  int auto_aof_rewrite_percentage = 0;
  int64_t auto_aof_rewrite_min_size = 0;
  bool aof_load_truncated = true;
  bool aof_timestamp_enabled = false;
  bool aof_disable_auto_gc = false;
  bool aof_use_rdb_preamble = true;
  bool no_appendfsync_on_rewrite = false;
  ShutdownFlags shutdown_on_sigint;
  ShutdownFlags shutdown_on_sigterm;
  int shutdown_timeout = 0;            // seconds
  bool key_memory_histograms = false;  // INFO keysizes tells what collections take, too
  // security
  std::string requirepass;
  std::string aclfile;
  std::string acl_pubsub_default;  // resetchannels, allchannels
  int64_t acllog_max_len = 0;
  std::vector<std::vector<std::string>> users;  // name and rules of the `user` lines
  ProtectedAction enable_debug_command = ProtectedAction::kNo;
  ProtectedAction enable_module_command = ProtectedAction::kNo;
  bool enable_protected_configs = false;
  std::vector<std::pair<std::string, std::string>> rename_commands;
  // memory
  int64_t maxmemory = 0;          // negative: percent of the container's or host's memory
  int64_t maxmemory_clients = 0;  // negative: percent of maxmemory
  bool maxmemory_resident = true;
  int maxmemory_guard = 0;  // percent of the container's or host's memory; 0: off
  bool activedefrag = false;
  int64_t active_defrag_ignore_bytes = 0;
  int active_defrag_threshold_lower = 0;
  int active_defrag_threshold_upper = 0;
  int active_defrag_cycle_min = 0;
  int active_defrag_cycle_max = 0;
  std::string oom_score_adj;
  std::array<int, 3> oom_score_adj_values{};  // primary, replica, background
  EvictionPolicy maxmemory_policy = EvictionPolicy::kNoEviction;
  int maxmemory_samples = 0;
  int maxmemory_eviction_tenacity = 0;
  int lfu_log_factor = 0;
  int lfu_decay_time = 0;
  bool lazyfree_lazy_eviction = false;
  bool lazyfree_lazy_expire = false;
  bool lazyfree_lazy_server_del = false;
  bool lazyfree_lazy_user_del = false;
  bool lazyfree_lazy_user_flush = false;
  int active_expire_effort = 0;
  // data
  int databases = 0;
  int64_t hash_max_listpack_entries = 0;
  int64_t hash_max_listpack_value = 0;
  int64_t list_max_listpack_size = 0;
  int64_t stream_idmp_duration = 0;
  int64_t stream_idmp_maxsize = 0;
  int64_t stream_node_max_bytes = 0;
  int64_t stream_node_max_entries = 0;
  int64_t list_compress_depth = 0;
  int64_t set_max_intset_entries = 0;
  int64_t set_max_listpack_entries = 0;
  int64_t set_max_listpack_value = 0;
  int64_t zset_max_listpack_entries = 0;
  int64_t zset_max_listpack_value = 0;
  int64_t hll_sparse_max_bytes = 0;
  int64_t proto_max_bulk_len = 0;
  uint32_t notify_keyspace_events = 0;
  // clients
  int64_t client_query_buffer_limit = 0;
  ClientLimit client_output_buffer_limit[3] = {};  // normal, replica, pubsub
  int64_t tracking_table_max_keys = 0;             // 0: no limit
  int64_t repl_backlog_size = 0;
  // watching; slower_than, larger_than: -1 is off
  int64_t slowlog_log_slower_than = 0;  // us
  int64_t slowlog_max_len = 0;
  int64_t commandlog_request_larger_than = 0;  // bytes
  int64_t commandlog_large_request_max_len = 0;
  int64_t commandlog_reply_larger_than = 0;
  int64_t commandlog_large_reply_max_len = 0;
  int64_t latency_monitor_threshold = 0;  // ms; 0: off
  bool latency_tracking = true;
  std::vector<double> latency_percentiles;
  // scripts
  int64_t busy_reply_threshold = 0;  // ms; 0: none
  int64_t lua_memory_limit = 0;      // 0: by maxmemory
};

class ConfigStore {
 public:
  // Every setting at its default.
  ConfigStore();

  const Config& values() const { return values_; }

  // As the program's arguments: [file] [-] [--directive value ...]. The file's directives first, then standard input's
  // (if
  // "-" is given), then the arguments'. False with a text for stderr in *message.
  bool LoadArguments(int argc, char** argv, std::string* message);
  // Directives, a line each; `name` is for messages. `include` is followed.
  bool LoadText(const std::string& text, std::string* message);
  bool LoadFile(const std::string& path, std::string* message);
  // The file given at start, absolute; empty: none.
  const std::string& file() const { return file_; }
  // Lines to be logged once the log is open (old names that guides print and the like).
  const std::vector<std::string>& notes() const { return notes_; }

  // --- CONFIG; every thread paused
  // Name and value of each setting that matches one of the patterns (or is named by it), each once.
  std::vector<std::pair<std::string, std::string>> Get(const std::vector<std::string>& patterns) const;
  // All or nothing. False with the error reply's text.
  bool Set(const std::vector<std::pair<std::string, std::string>>& settings, std::string* error);
  // Writes changed settings into the file, whose comments and order stay. False with the reason.
  bool Rewrite(std::string* error);
  // Called by Set when all values are in place, with what was asked for; a false answer (with the text and the setting
  // that is to blame) puts the old ones back.
  using Wishes = std::vector<std::pair<std::string, std::string>>;  // names and values
  using ApplyFn = bool (*)(const Config& before, const Wishes& wishes, std::string* culprit, std::string* error);
  void SetApplyHook(ApplyFn apply) { apply_ = apply; }

 private:
  friend class ConfigRewriter;
  bool LoadLine(const std::string& line, std::string* reason);
  bool Directive(const std::vector<std::string>& words, std::string* reason);
  bool FileOnlyDirective(const std::vector<std::string>& words, bool* known, std::string* reason);
  bool Assign(size_t row, const std::string& text, std::string* reason);

  Config values_;
  std::vector<std::string> texts_;  // by row, as CONFIG GET prints them
  std::string file_;
  std::vector<std::string> notes_;
  bool save_seen_ = false;  // a file's first `save` replaces the defaults
  int include_depth_ = 0;
  ApplyFn apply_ = nullptr;
};

}  // namespace brim
