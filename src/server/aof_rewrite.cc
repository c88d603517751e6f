// Rewrites of the append-only file: the next increment and the manifest that names it, the cut that makes the base, the
// manifest that names the base, the end of the old files. What waits for the disk is done by threads of their own, and
// the workers only learn how it went.
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/monotonic.h"
#include "memory/account.h"
#include "server/aof.h"
#include "server/aof_disk_job.h"
#include "server/journal.h"
#include "server/latency_monitor.h"
#include "server/log.h"
#include "server/pause.h"
#include "server/persistence.h"
#include "server/process.h"
#include "server/script_engine.h"
#include "server/server.h"
#include "server/worker.h"

namespace brim {

namespace {

// After that many rewrites that failed one after the other the next one waits a minute, then twice as long each time.
constexpr uint64_t kFailuresAtOnce = 3;
constexpr int64_t kFailureWaitS = 60;
constexpr int64_t kFailureWaitMostS = 3600;
constexpr int64_t kFreeFileUs = 300;

}  // namespace

void AofDiskJob::Run() {
  if (kind == Kind::kPrepare) {
    saver = std::make_unique<RdbSaver>();
    good = MakeDurableFolder(parent, folder, &error) && saver->Open(folder, base, &error) &&
           (increment.empty() || next.Open(folder + "/" + increment, true, &error));
  } else {
    good = !sync_first || aof.CommitAndSync();
    if (!good) error = "what came since its beginning is not written: " + aof.why_failing();
  }
  if (!good || !saves) return;
  tried_to_save = true;
  good = ReplaceFile(folder, manifest_name, manifest.Text(), &error);
}

// ---- work on the disk

std::unique_ptr<AofDiskJob> Aof::NewJob(AofDiskJob::Kind kind) const {
  auto job = std::make_unique<AofDiskJob>();
  job->kind = kind;
  job->parent = WorkingFolder();
  job->folder = Folder();
  job->manifest_name = AofManifest::FileName(server.config().appendfilename);
  job->manifest = manifest_;
  return job;
}

void Aof::RunJob(std::unique_ptr<AofDiskJob> job) {
  job_ = std::move(job);
  disk_users_++;
  job_->thread = std::thread([this, job = job_.get()] {
    pthread_setname_np(pthread_self(), "brim-disk");
    job->Run();
    disk_users_--;
    job->done.store(true, std::memory_order_release);
    Worker* first = server.workers()[0].get();
    first->loop().Post([first] { first->next_cron_ms = 0; });
  });
}

// Takes over what came of the job; waits for it. Every thread paused, unless it is of kind kForget.
void Aof::EndJob() {
  if (job_ == nullptr) return;
  if (job_->thread.joinable()) job_->thread.join();
  std::unique_ptr<AofDiskJob> job = std::move(job_);
  if (job->tried_to_save) {
    doubtful_ = !job->good;
    if (job->good) saved_ = job->manifest;
  }
  switch (job->kind) {
    case AofDiskJob::Kind::kPrepare:
      Prepared(*job);
      break;
    case AofDiskJob::Kind::kPublish:
      Published(*job);
      break;
    case AofDiskJob::Kind::kForget:
      if (job->good) {
        manifest_ = job->manifest;
      } else {
        LogWarning("Can't write the AOF manifest: " + job->error);
      }
      break;
  }
  if (!doubtful_) RemoveOrphans();
}

// ---- the steps of a rewrite

bool Aof::StartRewrite(std::string* error, bool at_once) {
  figures_.scheduled = false;
  figures_.rewrite_started_s = WallUs() / 1'000'000;
  step_ = Step::kPreparing;
  // The manifest is being written for another reason: Cron begins when that is done.
  if (job_ != nullptr && !at_once) return true;
  EndJob();
  return Prepare(at_once, error);
}

bool Aof::Prepare(bool at_once, std::string* error) {
  if (!SettleManifest(error)) {
    RewriteFailed(*error);
    return false;
  }
  const std::string& prefix = server.config().appendfilename;
  auto job = NewJob(AofDiskJob::Kind::kPrepare);
  job->saves = state_ == State::kOn;
  // What comes from the cut on goes to an increment of its own. While the first rewrite is not done the manifest does
  // not name it: there is nothing yet that it could follow.
  if (state_ != State::kOff) job->increment = job->manifest.NextIncrement(prefix).name;
  rewrite_as_rdb_ = server.config().aof_use_rdb_preamble;
  job->base = AofManifest(job->manifest).NextBase(prefix, rewrite_as_rdb_).name;
  std::erase_if(orphans_, [&](const std::string& name) { return name == job->increment || name == job->base; });
  if (!at_once) {
    RunJob(std::move(job));
    return true;
  }
  job->Run();
  *error = job->error;
  job_ = std::move(job);
  EndJob();
  return rewriting();
}

// The files are there: the cut begins. Every thread paused.
void Aof::Prepared(AofDiskJob& job) {
  std::string error = job.error;
  const std::string path = PathOf(job.increment);
  bool good = job.good && !giving_up_;
  if (good && !job.increment.empty()) good = SwitchTo(std::move(job.next), path, &error);
  if (!good) {
    if (!job.increment.empty()) orphans_.push_back(job.increment);
    // The manifest may name an increment that is not written to.
    if (job.tried_to_save) {
      saved_ = manifest_;
      doubtful_ = true;
    }
    step_ = Step::kNone;
    if (giving_up_) {
      figures_.scheduled = state_ == State::kWaiting;
    } else {
      RewriteFailed(error);
    }
    return;
  }
  manifest_ = job.manifest;
  if (state_ != State::kOff && !journal.on()) journal.Switch(true);
  rewrite_sync_failures_ = sync_failures_;
  rewrite_lost_ = journal.lost();
  SaveOptions options;
  options.compress = server.config().rdbcompression;
  options.check_sum = server.config().rdbchecksum;
  options.now_s = WallUs() / 1'000'000;
  options.used_memory = UsedMemory();
  options.aof_base = true;
  if (script_engine != nullptr) options.functions = script_engine->LibraryTexts();
  options.commands = !rewrite_as_rdb_;
  options.stamped = server.config().aof_timestamp_enabled;
  saver_ = std::move(job.saver);
  saver_->Start(options);
  step_ = Step::kWalking;
  LogNotice("Background append only file rewriting started");
}

// Whether the file is free within a moment: somebody may wait for the disk with it. Every thread paused, so nobody
// begins to write anew.
bool Aof::NobodyWrites() {
  for (int64_t end = MonotonicUs() + kFreeFileUs;;) {
    if (mutex_.try_lock()) {
      mutex_.unlock();
      return true;
    }
    if (MonotonicUs() > end) return false;
    std::this_thread::yield();
  }
}

void Aof::FinishWalk() {
  if (saver_ != nullptr) saver_->WalkAll();
}

// The base is there, under its name, or cannot be. Every thread paused.
void Aof::EndWalk() {
  std::string error;
  bool good = saver_->Finish(&error);
  saver_.reset();
  // From the manifest on the files are a promise, and what came since the cut is part of it.
  if (good && state_ == State::kWaiting && policy_ != AofSync::kAlways && failing_) {
    good = false;
    error = "what came since its beginning is not written: " + why_failing();
  }
  if (!good) {
    RewriteFailed(error);
    return;
  }
  auto job = NewJob(AofDiskJob::Kind::kPublish);
  job->sync_first = state_ == State::kWaiting && policy_ == AofSync::kAlways;
  job->manifest.NextBase(server.config().appendfilename, rewrite_as_rdb_);
  job->manifest.RetireIncrements(state_ != State::kOff);
  step_ = Step::kPublishing;
  RunJob(std::move(job));
}

// The manifest names the base, or could not be saved. Every thread paused.
void Aof::Published(AofDiskJob& job) {
  if (!job.good) {
    RewriteFailed(job.error);
    return;
  }
  step_ = Step::kNone;
  manifest_ = job.manifest;
  figures_.last_rewrite_seconds = WallUs() / 1'000'000 - figures_.rewrite_started_s;
  figures_.last_rewrite_good = true;
  figures_.failures_in_a_row = 0;
  figures_.rewrites++;
  healed_sync_failures_ = rewrite_sync_failures_;
  healed_lost_ = rewrite_lost_;
  closed_size_ = FileBytes(PathOf(manifest_.base->name));
  if (state_ == State::kWaiting) SetState(State::kOn);
  rewrite_base_size_ = Sizes().current;
  LogNotice("Background AOF rewrite finished successfully");
  DeleteHistory();
}

void Aof::RewriteFailed(const std::string& error) {
  LogWarning("Background AOF rewrite failed: " + error);
  int64_t now_s = WallUs() / 1'000'000;
  // A base that no manifest names, if there is one.
  if (step_ >= Step::kWalking) {
    orphans_.push_back(AofManifest(manifest_).NextBase(server.config().appendfilename, rewrite_as_rdb_).name);
  }
  step_ = Step::kNone;
  figures_.last_rewrite_seconds = now_s - figures_.rewrite_started_s;
  figures_.last_rewrite_good = false;
  figures_.failures_in_a_row++;
  figures_.last_failure_s = now_s;
  if (state_ == State::kWaiting) figures_.scheduled = true;
  RemoveOrphans();
}

void Aof::CancelRewrite() {
  giving_up_ = true;
  if (rewriting() && step_ != Step::kPublishing)
    LogWarning("A rewrite of the append-only file is running: it is given up");
  EndJob();  // what is about to be published is
  if (saver_ != nullptr) saver_->Cancel();
  saver_.reset();
  if (rewriting()) {
    step_ = Step::kNone;
    if (state_ == State::kWaiting) figures_.scheduled = true;
  }
  giving_up_ = false;
  std::string ignored;
  SettleManifest(&ignored);
}

// ---- old files

// The space of a big file is given back piece by piece, and that takes long: nobody waits for it. The manifest names
// the files until they are gone, so that a crash leaves none behind.
void Aof::DeleteHistory() {
  if (manifest_.history.empty() || server.config().aof_disable_auto_gc || deleter_.joinable()) return;
  deleted_ = false;
  being_deleted_ = manifest_.history;
  std::vector<std::string> paths;
  paths.reserve(being_deleted_.size());
  for (const AofFile& file : being_deleted_) paths.push_back(PathOf(file.name));
  disk_users_++;
  deleter_ = std::thread([this, paths = std::move(paths)] {
    pthread_setname_np(pthread_self(), "brim-delete");
    for (const std::string& path : paths) unlink(path.c_str());
    disk_users_--;
    deleted_ = true;
  });
}

// They are deleted: the manifest that is saved next need not name them any more. More may have come meanwhile.
std::unique_ptr<AofDiskJob> Aof::ForgetDeleted() {
  deleter_.join();
  deleted_ = false;
  auto job = NewJob(AofDiskJob::Kind::kForget);
  std::erase_if(job->manifest.history, [this](const AofFile& file) {
    return std::find(being_deleted_.begin(), being_deleted_.end(), file) != being_deleted_.end();
  });
  return job;
}

// ---- when

// Something happened that the files do not say, or may not: a base says it. Not before the disk works again.
bool Aof::NeedsHealing() const {
  if (state_ != State::kOn || failing_) return false;
  return sync_failures_ != healed_sync_failures_ || journal.lost() != healed_lost_;
}

bool Aof::RewriteDue(int64_t now_s) {
  if (figures_.failures_in_a_row >= kFailuresAtOnce) {
    uint64_t doublings = std::min<uint64_t>(figures_.failures_in_a_row - kFailuresAtOnce, 6);
    int64_t wait = std::min(kFailureWaitS << doublings, kFailureWaitMostS);
    if (now_s - figures_.last_failure_s < wait) return false;
  }
  if (figures_.scheduled || NeedsHealing()) return true;
  int64_t percentage = server.config().auto_aof_rewrite_percentage;
  if (state_ != State::kOn || percentage == 0) return false;
  uint64_t size = Sizes().current;
  if (size <= static_cast<uint64_t>(server.config().auto_aof_rewrite_min_size)) return false;
  uint64_t base = std::max<uint64_t>(rewrite_base_size_, 1);
  uint64_t growth = size * 100 / base;
  if (growth < 100 + static_cast<uint64_t>(percentage)) return false;
  LogNotice("Starting automatic rewriting of AOF on " + std::to_string(growth - 100) + "% growth");
  return true;
}

void Aof::Cron(Worker& worker) {
  if (failing()) Commit();
  // What is evicted or expires in the background has nobody who waits for it.
  if (state_ != State::kOff && !WrittenUpTo(journal.offset())) AskWriter();
  bool job_done = job_ != nullptr && job_->done.load(std::memory_order_acquire);
  if (job_done && job_->kind == AofDiskJob::Kind::kForget) {
    EndJob();
    DeleteHistory();
    job_done = false;
  }
  if (job_ == nullptr) {
    std::string ignored;
    if (step_ == Step::kPreparing) Prepare(false, &ignored);  // it had to wait for another job
  }
  if (job_ == nullptr) {
    std::string ignored;
    if (doubtful_ && !rewriting()) SettleManifest(&ignored);
    if (!orphans_.empty()) RemoveOrphans();
    if (deleted_.load()) RunJob(ForgetDeleted());
  }
  auto walked = [this] { return saver_ != nullptr && saver_->done() && job_ == nullptr; };
  auto idle = [this] { return !rewriting() && !persistence.saving() && job_ == nullptr; };
  bool due = idle() && RewriteDue(worker.now_ms / 1000);
  if (!job_done && !walked() && !due) return;
  LatencySpan span(LatencyEvent::kSaveCut);
  if (!thread_pause.Begin(worker.index())) return;
  // While this thread waited for the pause another may have done it.
  if (job_ != nullptr && job_->done.load(std::memory_order_acquire)) {
    if (job_->kind != AofDiskJob::Kind::kPrepare || NobodyWrites()) {
      EndJob();
    } else {
      worker.next_cron_ms = 0;
    }
  } else if (walked()) {
    EndWalk();
  } else if (due && idle()) {
    std::string error;
    StartRewrite(&error);
  }
  thread_pause.End();
}

}  // namespace brim
