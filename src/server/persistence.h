#pragma once
// Saving: BGSAVE, SAVE, save points, loading at start, and what INFO persistence says of it.
#include <cstdint>
#include <memory>
#include <string>

#include "persist/rdb_saver.h"

namespace brim {

class Worker;

struct PersistenceFigures {
  int64_t last_save_s = 0;  // of the last good save, or the start
  int64_t last_try_s = 0;
  int64_t last_seconds = -1;  // how long the last one took
  int64_t started_s = 0;      // of the one that is running
  uint64_t saves = 0;
  bool last_good = true;
  uint64_t last_keys_loaded = 0;
  uint64_t last_keys_expired = 0;
};

class Persistence {
 public:
  // Loads `dbfilename` from the working directory, if it is there. False: it is broken, and the log says where. Before
  // threads start.
  bool Load();
  // SAVE, DEBUG RELOAD, the end of the process: everything at once. Every thread paused (or none left). False with the
  // log's text in *error.
  bool SaveNow(std::string* error);
  // BGSAVE; every thread paused. False with the reason when it cannot even begin.
  bool StartSave(std::string* error);
  bool saving() const { return saver_ != nullptr; }
  void Schedule() { scheduled_ = true; }
  // Gives a BGSAVE up; the file stays the one before. Every thread paused.
  void CancelSave();

  // Each worker, once a turn: a slice of the cut's walk, if its share of time allows it. True when there is more.
  // `now_us`: monotonic.
  bool Turn(Worker& worker, int64_t now_us);
  // The first worker: takes note of a save that has ended, begins those that are due.
  void Cron(Worker& worker);

  // A command that writes is refused with MISCONF: the last save failed, and stop-writes-on-bgsave-error.
  bool RefusesWrites() const;
  bool has_save_points() const;
  // Changes since the last save.
  uint64_t dirty() const;
  void ResetDirty();

  const PersistenceFigures& figures() const { return figures_; }
  uint64_t keys_total() const { return saver_ != nullptr ? keys_at_cut_ : 0; }
  uint64_t keys_saved() const { return saver_ != nullptr ? saver_->keys() : 0; }

 private:
  SaveOptions Options() const;
  bool Due(int64_t now_s) const;
  void Ended(bool good, const std::string& error);

  std::unique_ptr<RdbSaver> saver_;
  bool scheduled_ = false;
  uint64_t changes_at_cut_ = 0;
  uint64_t keys_at_cut_ = 0;
  PersistenceFigures figures_;
};

extern Persistence persistence;

// The worker's thread, after a sync and some times a second: its clients whose WAITAOF waits.
void AnswerSyncWaiters(Worker& worker);

}  // namespace brim
