#pragma once
// The append-only file: what the journal records is written here, by workers at the end of their turns before the
// replies go out; the base of a rewrite is a snapshot (store/cut), so nothing forks and nothing is written twice.
// docs/durability.md.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "persist/aof_manifest.h"
#include "persist/append_file.h"
#include "persist/rdb_saver.h"

namespace brim {

class Worker;

enum class AofSync : uint8_t { kEverySecond, kAlways, kNo };

struct AofFigures {
  bool last_rewrite_good = true;
  int64_t last_rewrite_seconds = -1;
  int64_t rewrite_started_s = 0;
  uint64_t rewrites = 0;
  uint64_t failures_in_a_row = 0;
  int64_t last_failure_s = 0;
};

struct AofSizes {
  uint64_t current = 0;
  uint64_t base = 0;  // of all files when they were last rewritten or loaded
  uint64_t buffered = 0;
};

class Aof {
 public:
  // --- the state: changes while every thread is paused, or before they start
  bool enabled() const { return state_ != State::kOff; }
  bool rewriting() const { return saver_ != nullptr; }
  bool rewrite_scheduled() const { return scheduled_; }
  void Schedule() { scheduled_ = true; }

  // At start, `appendonly yes`: loads what is there (also an old single file) and opens the last increment, or makes
  // the first files. `appendonly no`: only looks at what an earlier life has left, so that nothing is written over.
  // False: broken, and the log says where.
  bool Start(Worker& worker);
  // DEBUG LOADAOF: the files once more, into empty databases. Every thread paused.
  bool Reload(Worker& worker);
  // CONFIG SET appendonly. On: the increment is begun now and counts once the first rewrite is done. False with the
  // reason in *error. Every thread paused.
  bool TurnOn(std::string* error);
  void TurnOff();
  // What the settings say now.
  void Configure();
  // The process ends: everything written and synced.
  void End();

  // Writes what the journal has gathered (and syncs it, with appendfsync always). Any worker, between commands, no
  // shard's lock held; it may wait for the disk.
  void Commit();
  // Commit, and everything on the disk. False when that failed.
  bool CommitAndSync();
  // Writes are refused: the last write or sync failed. Any thread.
  bool failing() const { return failing_.load(std::memory_order_relaxed); }
  // Why: errno's text.
  std::string why_failing();

  // With appendfsync always: how long the last syncs took (us); else 0. Any thread.
  int64_t sync_us() const { return sync_us_.load(std::memory_order_relaxed); }

  // BGREWRITEAOF. Every thread paused. False with the reason in *error.
  bool StartRewrite(std::string* error);
  // Brings the walk of a rewrite to its end; every thread paused. The rest follows in Cron.
  void FinishWalk();
  // The first worker, some times a second: rewrites that end or are due, writes that failed are tried again.
  void Cron(Worker& worker);

  const AofFigures& figures() const { return figures_; }
  AofSizes sizes();

 private:
  enum class State : uint8_t { kOff, kOn, kWaiting };  // waiting: for the first rewrite

  std::string Folder() const;
  std::string PathOf(const std::string& name) const { return Folder() + "/" + name; }
  bool MakeFolder(std::string* error) const;
  bool LoadManifest(bool* there);
  bool AdoptOldFile();
  bool LoadFiles(Worker& worker);
  bool MakeFirstFiles();
  bool WriteEmptyBase(const std::string& name, bool as_rdb, std::string* error);
  bool SaveManifest(const AofManifest& manifest, std::string* error) const;
  bool OpenIncrement(AofManifest* manifest, bool named, std::string* error);
  void EndRewrite();
  void DeleteHistory();
  bool RewriteDue(int64_t now_s);
  void WriteLocked();
  void Failed(const std::string& what, const std::string& why);
  void RunSync();
  void SyncPart(std::unique_lock<std::mutex>& lock);

  State state_ = State::kOff;
  std::atomic<AofSync> policy_{AofSync::kEverySecond};
  std::atomic<bool> no_sync_while_cut_{false};
  bool scheduled_ = false;
  AofManifest manifest_;
  uint64_t closed_size_ = 0;  // of the base and the increments that are not written to
  uint64_t rewrite_base_size_ = 0;
  bool rewrite_as_rdb_ = true;  // what the rewrite that runs makes of the base
  std::unique_ptr<RdbSaver> saver_;
  AofFigures figures_;

  std::mutex mutex_;  // guards what follows
  AppendFile file_;
  std::string pending_;  // taken from the journal, not written yet
  std::atomic<bool> failing_{false};
  std::string why_;
  uint64_t unsynced_ = 0;
  std::atomic<int64_t> sync_us_{0};
  uint64_t files_opened_ = 0;
  int64_t last_sync_us_ = 0;
  std::vector<int> to_close_;  // earlier increments: to be synced and closed
  bool closing_ = false;       // the syncing thread is about it
  bool stop_ = false;
  std::condition_variable wake_;
  std::thread sync_thread_;
};

extern Aof aof;

}  // namespace brim
