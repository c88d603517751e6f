#include "server/persistence.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/monotonic.h"
#include "memory/account.h"
#include "server/aof.h"
#include "server/chores.h"
#include "server/latency_monitor.h"
#include "server/log.h"
#include "server/pause.h"
#include "server/process.h"
#include "server/script_engine.h"
#include "server/server.h"
#include "server/shard_locks.h"
#include "server/worker.h"

namespace brim {

Persistence persistence;

namespace {

constexpr int64_t kSliceUs = 200;
constexpr int64_t kUrgentSliceUs = 1000;
constexpr int64_t kDiskUs = 1000;            // to wait when the disk is slower
constexpr int64_t kBusyUs = 5000;            // since the last command: the server counts as busy
constexpr int kBusyPercent = 12;             // of one thread's time, all threads' together, for the save while it is
constexpr int kRelievingPercent = 25;        // when threads without clients do it
constexpr int64_t kOthersUs = 1000;          // until a thread with clients looks again whether others do it
constexpr int64_t kLongestRestUs = 100'000;  // of the walk: a save comes to its end whatever the disk costs
constexpr int64_t kRetrySeconds = 5;         // after a save that failed

std::string FilePath() { return WorkingFolder() + "/" + server.config().dbfilename; }

}  // namespace

SaveOptions Persistence::Options() const {
  SaveOptions options;
  options.compress = server.config().rdbcompression;
  options.check_sum = server.config().rdbchecksum;
  options.now_s = WallUs() / 1'000'000;
  options.used_memory = UsedMemory();
  if (script_engine != nullptr) options.functions = script_engine->LibraryTexts();
  return options;
}

bool Persistence::Load() {
  int64_t started_us = MonotonicUs();
  LoadFigures figures;
  std::string error;
  int64_t now_ms = WallUs() / 1000;
  struct stat about;
  server.loading.total_bytes = stat(FilePath().c_str(), &about) == 0 ? static_cast<uint64_t>(about.st_size) : 0;
  LoadResult result = LoadRdbFile(FilePath(), now_ms, server.config().rdbchecksum, &figures, &error);
  figures_.last_save_s = now_ms / 1000;
  if (result == LoadResult::kNoFile) return true;
  if (result == LoadResult::kBroken) {
    LogWarning("Error while loading " + FilePath() + ": " + error + ". Unrecoverable error, aborting now.");
    return false;
  }
  figures_.last_keys_loaded = figures.keys;
  figures_.last_keys_expired = figures.expired;
  if (figures.expired_fields > 0) {
    LogNotice("Fields of hashes left out because their time is past: " + std::to_string(figures.expired_fields));
  }
  LogNotice("Done loading RDB, keys loaded: " + std::to_string(figures.keys) +
            ", keys expired: " + std::to_string(figures.expired) + ".");
  char seconds[32];
  snprintf(seconds, sizeof seconds, "%.3f", static_cast<double>(MonotonicUs() - started_us) / 1e6);
  LogNotice("DB loaded from disk: " + std::string(seconds) + " seconds");
  return true;
}

void Persistence::Ended(bool good, const std::string& error) {
  int64_t now_s = WallUs() / 1'000'000;
  figures_.last_seconds = now_s - figures_.started_s;
  figures_.last_good = good;
  if (!good) {
    LogWarning("Error saving DB on disk: " + error);
    return;
  }
  figures_.last_save_s = now_s;
  figures_.saves++;
  server.changes_base = changes_at_cut_;
  LogNotice("DB saved on disk");
}

bool Persistence::StartSave(std::string* error) {
  scheduled_ = false;
  auto saver = std::make_unique<RdbSaver>();
  figures_.started_s = figures_.last_try_s = WallUs() / 1'000'000;
  changes_at_cut_ = server.TotalChanges();
  keys_at_cut_ = 0;
  for (int i = 0; i < shards.count(); i++) {
    for (int db = 0; db < shards[i].databases(); db++) keys_at_cut_ += shards[i].db(db).size();
  }
  if (!saver->Open(WorkingFolder(), server.config().dbfilename, error)) {
    Ended(false, *error);
    return false;
  }
  saver->Start(Options());
  saver_ = std::move(saver);
  return true;
}

bool Persistence::SaveNow(std::string* error) {
  if (saver_ != nullptr) {
    // One is running: bring it to its end first.
    saver_->WalkAll();
    std::string ignored;
    bool good = saver_->Finish(&ignored);
    Ended(good, ignored);
    saver_.reset();
  }
  aof.FinishWalk();
  if (!StartSave(error)) return false;
  saver_->WalkAll();
  bool good = saver_->Finish(error);
  saver_.reset();
  Ended(good, *error);
  return good;
}

void Persistence::CancelSave() {
  if (saver_ == nullptr) return;
  saver_->Cancel();
  saver_.reset();
}

bool Persistence::Turn(Worker& worker, int64_t now_us) {
  if (!Cut::running()) return false;
  if (now_us < worker.next_cut_us) return true;
  bool left = false;
  bool walked = false;
  ChoreShare share = ChoresOf(worker, now_us);
  if (share.step == 0) {
    worker.next_cut_us = now_us + kOthersUs;
    return true;
  }
  int64_t start = MonotonicUs();
  bool urgent = Cut::Urgent();
  int64_t deadline = start + (urgent ? kUrgentSliceUs : kSliceUs);
  for (int i = share.first; i < shards.count(); i += share.step) {
    KeptGuard guard(shards[i]);
    if (guard && Cut::Done(shards[i])) continue;
    if (guard && Cut::HasRoom(shards[i])) {
      walked = true;
      if (Cut::Walk(shards[i], deadline)) continue;
    }
    left = true;
  }
  if (!walked) {
    worker.next_cut_us = now_us + kDiskUs;
    return true;
  }
  int64_t end = MonotonicUs();
  latency_monitor.Note(LatencyEvent::kSaveSlice, end - start);
  // Clients are served on some thread: most of the time is theirs.
  int64_t used = end - start + Cut::TakeBackgroundUs();
  if (!urgent && now_us - server.last_busy_us.load(std::memory_order_relaxed) < kBusyUs) {
    int walking = Cut::Alone() ? 1 : share.workers;
    int percent = share.relieves ? kRelievingPercent : kBusyPercent;
    worker.next_cut_us = end + std::min(used * (100 - percent) / percent * walking, kLongestRestUs);
  }
  return left;
}

bool Persistence::has_save_points() const { return !server.config().save_points.empty(); }

uint64_t Persistence::dirty() const { return server.TotalChanges() - server.changes_base; }

void Persistence::ResetDirty() { server.changes_base = server.TotalChanges(); }

bool Persistence::RefusesWrites() const {
  return !figures_.last_good && server.config().stop_writes_on_bgsave_error && has_save_points();
}

bool Persistence::Due(int64_t now_s) const {
  if (scheduled_) return true;
  if (!figures_.last_good && now_s - figures_.last_try_s <= kRetrySeconds) return false;
  for (const SavePoint& point : server.config().save_points) {
    if (now_s - figures_.last_save_s <= point.seconds || dirty() < point.changes) continue;
    LogNotice(std::to_string(point.changes) + " changes in " + std::to_string(point.seconds) + " seconds. Saving...");
    return true;
  }
  return false;
}

void Persistence::Cron(Worker& worker) {
  bool ended = saver_ != nullptr && saver_->done();
  if (!ended && (saver_ != nullptr || aof.rewriting() || !Due(worker.now_ms / 1000))) return;
  LatencySpan span(LatencyEvent::kSaveCut);
  if (!thread_pause.Begin(worker.index())) return;
  // While this thread waited for the pause another may have ended or begun one.
  std::string error;
  if (saver_ != nullptr && saver_->done()) {
    bool good = saver_->Finish(&error);
    saver_.reset();
    Ended(good, error);
    if (good) LogNotice("Background saving terminated with success");
  } else if (saver_ == nullptr && !ended && !aof.rewriting() && StartSave(&error)) {
    LogNotice("Background saving started");
  }
  thread_pause.End();
}

}  // namespace brim
