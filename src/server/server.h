#pragma once
// The process: configuration, workers, what is common to them. One instance, built by main.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "command/registry.h"
#include "server/config.h"
#include "server/listeners.h"
#include "server/tls_contexts.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

inline constexpr const char* kVersion = "0.1.0";
inline constexpr const char* kRedisVersion = "7.0.15";  // what INFO and HELLO say: the version that clients adapt to

// What INFO says while the data is being loaded at start. The first worker's thread.
struct Loading {
  bool running = false;
  int64_t started_s = 0;
  uint64_t total_bytes = 0;
  uint64_t bytes_before = 0;  // of files that are done
  uint64_t bytes = 0;
};

class Server final : public ShardObserver {
 public:
  // Starts listening and the workers, and runs the first on this thread until Stop. Returns the exit code.
  int Run();
  // The workers end their turns, no further command runs, and Run returns.
  void RequestStop() { stopping_.store(true, std::memory_order_relaxed); }
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  const Config& config() const { return store_.values(); }
  ConfigStore& config_store() { return store_; }
  // Puts settings into effect that live elsewhere (limits, eviction, lazy freeing, log). Threads paused, or none yet.
  void ApplyConfig();
  // Registers the hooks that CONFIG SET runs.
  void RegisterConfigHooks();

  std::vector<std::unique_ptr<Worker>>& workers() { return workers_; }
  uint64_t NextConnectionId() { return next_id_.fetch_add(1, std::memory_order_relaxed); }
  int connected_clients() const;
  // A connection came in on a listener: refused beyond maxclients, else handed to a worker.
  void Dispatch(int fd, Transport transport);

  // Counts the last error reply of a Reply in the worker's errorstats.
  void CountError(Worker& worker, const Reply& reply);
  void CountError(Worker& worker, const std::string& code);
  bool ProtectedCommandAllowed(const Command& command, Connection& connection) const;

  // --- CLIENT PAUSE
  bool pausing() const { return pausing_.load(std::memory_order_relaxed); }
  bool PauseHolds(const Command& command, Connection& connection) const;
  void AddPaused(Worker& worker, uint64_t connection_id);
  void PauseClients(int64_t until_ms, bool writes_only);
  void UnpauseClients();
  int64_t pause_until_ms() const { return pause_until_ms_; }
  bool pause_writes_only() const { return pause_writes_only_; }
  // From each worker's cron: ends the pause when its time is over.
  void CheckPauseEnd(int64_t now_ms);

  // --- ShardObserver
  void KeyRemoved(Shard& shard, int db, std::string_view key, Removal why) override;
  void FieldsRemoved(Shard& shard, int db, std::string_view key, std::span<const std::string_view> fields) override;
  void HashShrunk(Shard& shard, int db, std::string_view key, bool emptied) override;

  // --- facts for INFO
  int64_t start_ms = 0;
  std::string run_id;
  std::string config_file;
  std::string executable;
  std::atomic<int64_t> peak_memory{0};
  std::atomic<int64_t> peak_memory_ms{0};
  int64_t startup_memory = 0;
  std::atomic<uint64_t> rejected_connections{0};
  Loading loading;
  std::atomic<int64_t> last_busy_us{0};   // monotonic, to some ms: when commands were served
  std::atomic<bool> active_expire{true};  // DEBUG SET-ACTIVE-EXPIRE
  std::atomic<bool> cron_paused{false};   // DEBUG PAUSE-CRON
  std::atomic<int> stop_signal{0};        // the signal that asks for the end, 0: none
  uint64_t changes_base = 0;              // changes counted before the last save or FLUSHALL
  int64_t stats_reset_ms = 0;

  Listeners listeners;
  TlsContexts tls;

  // CONFIG RESETSTAT. Every thread paused.
  void ResetStatistics();
  // Sums over the workers; every thread paused.
  uint64_t TotalChanges() const;

 private:
  bool Load();
  ConfigStore store_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> next_id_{1};
  std::atomic<bool> pausing_{false};
  int64_t pause_until_ms_ = 0;
  bool pause_writes_only_ = false;
};

extern Server server;

}  // namespace brim
