#pragma once
// The append-only file: what the journal records is written here, by workers at the end of their turns before the
// replies go out; the base of a rewrite is a snapshot (store/cut), so nothing forks and nothing is written twice.
// docs/durability.md.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "persist/aof_manifest.h"
#include "persist/append_file.h"
#include "persist/rdb_saver.h"
#include "resp/request_buffer.h"
#include "server/aof_disk_job.h"
#include "server/journal.h"

namespace brim {

class Worker;

enum class AofSync : uint8_t { kEverySecond, kAlways, kNo };

struct AofSizes {
  uint64_t current = 0;
  uint64_t base = 0;  // of all files when they were last rewritten or loaded
  uint64_t buffered = 0;
};

struct AofFigures {
  bool scheduled = false;
  bool last_rewrite_good = true;
  int64_t last_rewrite_seconds = -1;
  int64_t rewrite_started_s = 0;
  uint64_t rewrites = 0;
  uint64_t failures_in_a_row = 0;
  int64_t last_failure_s = 0;
  AofSizes sizes;
};

class Aof {
 public:
  // --- the state: changes while every thread is paused, or before they start
  bool enabled() const { return state_ != State::kOff; }
  bool rewriting() const { return step_.load(std::memory_order_relaxed) != Step::kNone; }
  void Schedule() { figures_.scheduled = true; }

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
  // The process ends: everything written and synced; a rewrite that runs is given up.
  void End();

  // Writes what the journal has gathered (and syncs it, with appendfsync always). Any worker, between commands, no
  // shard's lock held; it may wait for the disk. Not so when `waits` is given: while the disk is known to be busy, or
  // somebody else is writing, it sets *waits, lets a thread of its own do it, and returns false. WrittenUpTo tells when
  // that is done; workers whose waits_for_log is set are woken then.
  bool Commit(std::atomic<bool>* waits = nullptr);
  // Whether all up to that offset of the journal is in the file, or the last write failed. Any thread.
  bool WrittenUpTo(uint64_t offset) const {
    return written_offset_.load(std::memory_order_acquire) >= offset || write_failed_.load(std::memory_order_relaxed);
  }
  // Commit, and everything on the disk; waits for it. False when that failed.
  bool CommitAndSync();
  // Whether all up to that offset of the journal is on the disk. Not before the first rewrite is done, when the files
  // say nothing, nor while they lack a record. What is not there the syncing thread is asked for, and it tells every
  // worker when it has tried (AnswerSyncWaiters). Any thread.
  bool SyncedUpTo(uint64_t offset);
  // Writes are refused: the last write or sync failed, or a record was lost. Any thread.
  bool failing() const {
    return failing_.load(std::memory_order_relaxed) || journal.lost() != healed_lost_.load(std::memory_order_relaxed);
  }
  // Why: errno's text.
  std::string why_failing();

  // With appendfsync always: how long the last syncs took (us); else 0. Any thread.
  int64_t sync_us() const { return sync_us_.load(std::memory_order_relaxed); }

  // BGREWRITEAOF: a thread makes the files ready, and Cron goes on; or `at_once`, here, waiting for the disk, and the
  // cut has begun. Every thread paused. False with the reason in *error, which is logged too.
  bool StartRewrite(std::string* error, bool at_once = false);
  // Brings the walk of a rewrite to its end; every thread paused. The rest follows in Cron.
  void FinishWalk();
  // The first worker, some times a second: the steps of a rewrite, one that is due, writes that failed are tried again.
  void Cron(Worker& worker);

  AofFigures figures() const;

 private:
  // Turned on, and the first rewrite, without which the files say nothing, is not done.
  friend bool WaitsForBase(const Aof& log) { return log.state_ == State::kWaiting; }
  // Bytes recorded and not written. Any thread.
  friend uint64_t BacklogOf(const Aof& log) {
    uint64_t written = log.written_offset_.load(std::memory_order_acquire);  // first: it follows the other
    return journal.offset() - written;
  }
  // Gives a rewrite up. Every thread paused.
  friend void CancelRewrite(Aof& log) { log.CancelRewrite(); }
  void CancelRewrite();
  enum class State : uint8_t { kOff, kOn, kWaiting };  // waiting: for the first rewrite
  // Of a rewrite: files are made ready; the cut is written; the manifest comes to name what was written.
  enum class Step : uint8_t { kNone, kPreparing, kWalking, kPublishing };

  void SetState(State state) {
    state_ = state;
    promises_nothing_ = state == State::kWaiting;
  }
  std::string Folder() const;
  std::string PathOf(const std::string& name) const { return Folder() + "/" + name; }
  // aof_load.cc
  bool LoadManifest(bool* there);
  bool AdoptOldFile(bool* there);
  bool LoadFiles(Worker& worker);
  bool LoadIncrements(Worker& worker);
  bool LeaveOutAfter(size_t increment);
  bool SyncLoaded();
  bool MakeFirstFiles();
  bool WriteEmptyBase(const std::string& name, bool as_rdb, std::string* error);
  bool OpenForAppending();
  // aof.cc
  bool SaveManifest(const AofManifest& manifest, std::string* error);
  bool SettleManifest(std::string* error);
  void RemoveOrphans();
  bool SwitchTo(AppendFile next, const std::string& path, std::string* error);
  bool OpenFirstIncrement(std::string* error);
  // aof_rewrite.cc
  std::unique_ptr<AofDiskJob> NewJob(AofDiskJob::Kind kind) const;
  void RunJob(std::unique_ptr<AofDiskJob> job);
  void EndJob();
  bool Prepare(bool at_once, std::string* error);
  void Prepared(AofDiskJob& job);
  bool NobodyWrites();
  void EndWalk();
  void Published(AofDiskJob& job);
  void RewriteFailed(const std::string& error);
  void DeleteHistory();
  std::unique_ptr<AofDiskJob> ForgetDeleted();
  bool RewriteDue(int64_t now_s);
  bool NeedsHealing() const;
  // aof_write.cc
  // An increment that is written to, and what is to come to its end.
  struct Increment {
    AppendFile file;
    RequestBuffer pending;      // taken from the journal, not written yet
    uint64_t taken_offset = 0;  // of the journal: where `pending` ends
    uint64_t whole_size = 0;    // of the file up to where a record ends
    std::string mark_path;      // of the next one, if it says of this one that it is not synced
  };
  void StartThreads();
  void EndThreads();
  void AskWriter();
  AofSizes Sizes() const { return {closed_size_ + open_size_, rewrite_base_size_, buffered_}; }
  bool SyncedByOthers();
  void WriteLocked();
  bool WritePending(Increment& increment);
  void WriteSizes();
  bool DiskIsBusy();
  void RunWriter();
  enum class Trouble : uint8_t { kWriting, kSyncing };
  void Failed(Trouble trouble, const std::string& why);
  void Works(Trouble trouble);
  void RunSync();
  void SyncPart(std::unique_lock<std::mutex>& lock);
  bool SyncFiles(std::unique_lock<std::mutex>& lock, bool current);
  bool SyncClosed(std::vector<int>* files, const std::string& mark_path, std::string* why);

  State state_ = State::kOff;
  std::atomic<bool> promises_nothing_{false};  // the state is kWaiting
  std::atomic<AofSync> policy_{AofSync::kEverySecond};
  std::atomic<bool> no_sync_while_cut_{false};
  AofManifest manifest_;
  std::optional<AofManifest> saved_;  // what the manifest's file says; none: there is no file
  bool doubtful_ = false;             // it may also be what could not be saved
  std::vector<std::string> orphans_;  // files that only that other manifest would name
  std::thread deleter_;               // of old files, which takes its time
  std::vector<AofFile> being_deleted_;
  std::atomic<bool> deleted_{false};      // it is done
  std::atomic<uint64_t> closed_size_{0};  // of the base and the increments that are not written to
  uint64_t rewrite_base_size_ = 0;
  bool rewrite_as_rdb_ = true;  // what the rewrite that runs makes of the base
  std::atomic<Step> step_{Step::kNone};
  bool giving_up_ = false;
  std::unique_ptr<RdbSaver> saver_;  // while walking
  std::unique_ptr<AofDiskJob> job_;  // what waits for the disk, one at a time
  AofFigures figures_;

  // Syncs that failed, and lost records: what they leave out is in the next base. How many there had been when the
  // rewrite that runs began, and the last one that ended well.
  std::atomic<uint64_t> sync_failures_{0};
  uint64_t rewrite_sync_failures_ = 0;
  uint64_t rewrite_lost_ = 0;
  uint64_t healed_sync_failures_ = 0;
  std::atomic<uint64_t> healed_lost_{0};

  std::mutex mutex_;               // guards what follows, held while something is written
  Increment open_;                 // the current one
  std::deque<Increment> retired_;  // earlier ones that are not written to their end
  std::atomic<uint64_t> written_offset_{0};
  std::atomic<uint64_t> synced_offset_{0};
  std::atomic<bool> sync_requested_{false};
  std::atomic<bool> write_failed_{false};
  bool sync_failed_ = false;
  std::atomic<bool> failing_{false};  // either
  std::string why_;
  uint64_t unsynced_ = 0;
  std::atomic<int64_t> sync_us_{0};
  std::mutex gather_mutex_;  // taken last
  std::condition_variable gather_;
  uint64_t files_opened_ = 0;
  int64_t last_sync_us_ = 0;
  std::vector<int> to_close_;  // earlier increments: to be synced and closed
  std::string mark_path_;      // the increment that says of the one before it that it is not synced
  bool closing_ = false;       // somebody is about it
  bool stop_ = false;
  std::condition_variable wake_;
  std::thread sync_thread_;

  Recharge<MemoryCategory::kAof> charge_;  // of what is pending
  // As of the last write; any thread.
  std::atomic<uint64_t> open_size_{0};
  std::atomic<uint64_t> buffered_{0};

  // Threads that give the disk much to do at the moment, and until when (monotonic) it counts as busy besides.
  std::atomic<int> disk_users_{0};
  std::atomic<int64_t> busy_until_us_{0};
  std::mutex ask_mutex_;  // guards what follows
  bool asked_ = false;
  bool writer_stops_ = false;
  std::condition_variable ask_;
  std::thread writer_;
};

extern Aof aof;

// How long a worker waits for others before it syncs, at most (us): as long as a sync takes, if that is not long. 0:
// not with appendfsync always.
inline int64_t SyncGatherUs() { return std::min<int64_t>(aof.sync_us(), 1000); }

}  // namespace brim
