#include "server/aof.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/monotonic.h"
#include "memory/account.h"
#include "persist/command_writer.h"
#include "persist/rdb_format.h"
#include "persist/rdb_writer.h"
#include "server/journal.h"
#include "server/log.h"
#include "server/pause.h"
#include "server/persistence.h"
#include "server/process.h"
#include "server/server.h"
#include "server/worker.h"

namespace brim {

Aof aof;

namespace {

constexpr int64_t kSyncEveryUs = 1'000'000;
constexpr auto kSyncLook = std::chrono::milliseconds(50);
constexpr size_t kKeptBytes = 1 << 20;
// After that many rewrites that failed one after the other the next one waits a minute, then twice as long each time.
constexpr uint64_t kFailuresAtOnce = 3;
constexpr int64_t kFailureWaitS = 60;
constexpr int64_t kFailureWaitMostS = 3600;

uint64_t FileSize(const std::string& path) {
  struct stat about;
  return stat(path.c_str(), &about) == 0 ? static_cast<uint64_t>(about.st_size) : 0;
}

}  // namespace

std::string Aof::Folder() const { return WorkingFolder() + "/" + server.config().appenddirname; }

bool Aof::MakeFolder(std::string* error) const {
  if (mkdir(Folder().c_str(), 0755) == 0 || errno == EEXIST) return true;
  *error = "making the folder " + Folder() + ": " + strerror(errno);
  return false;
}

bool Aof::SaveManifest(const AofManifest& manifest, std::string* error) const {
  return ReplaceFile(Folder(), AofManifest::FileName(server.config().appendfilename), manifest.Text(), error);
}

void Aof::Configure() {
  const Config& config = server.config();
  policy_ = config.appendfsync == "always" ? AofSync::kAlways
            : config.appendfsync == "no"   ? AofSync::kNo
                                           : AofSync::kEverySecond;
  no_sync_while_cut_ = config.no_appendfsync_on_rewrite;
  journal.SetTimestamps(config.aof_timestamp_enabled);
}

// ---- writing

void Aof::Failed(const std::string& what, const std::string& why) {
  if (!failing_ || why != why_) LogWarning("Error " + what + " the AOF file: " + why);
  failing_ = true;
  why_ = why;
  if (policy_ != AofSync::kAlways) return;
  // Replies that say that a write is safe wait behind this one, and what they answer is done.
  LogWarning("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...");
  _exit(1);
}

// Writes what there is; the mutex held.
void Aof::WriteLocked() {
  journal.Take(&pending_);
  if (pending_.empty()) {
    if (unsynced_ == 0) return;
  } else {
    std::string why;
    size_t written = file_.Write(pending_, &why);
    unsynced_ += written;
    if (written < pending_.size()) {
      pending_.erase(0, written);
      Failed("writing", why);
      return;
    }
    if (pending_.capacity() > kKeptBytes) pending_ = std::string();
    pending_.clear();
    if (failing_) LogWarning("AOF write error looks solved, can write again.");
    failing_ = false;
  }
  if (policy_ != AofSync::kAlways) {
    sync_us_.store(0, std::memory_order_relaxed);
    return;
  }
  std::string why;
  int64_t start = MonotonicUs();
  if (file_.Sync(&why)) {
    unsynced_ = 0;
    sync_us_.store((sync_us_.load(std::memory_order_relaxed) * 3 + MonotonicUs() - start) / 4,
                   std::memory_order_relaxed);
  } else {
    Failed("syncing", why);
  }
}

void Aof::Commit() {
  std::lock_guard guard(mutex_);
  if (file_.is_open()) WriteLocked();
}

bool Aof::CommitAndSync() {
  std::unique_lock lock(mutex_);
  if (!file_.is_open()) return false;
  WriteLocked();
  if (failing_) return false;
  // What was written may still be in an earlier increment.
  wake_.wait(lock, [this] { return !closing_; });
  std::string why;
  for (int fd : to_close_) {
    if (fdatasync(fd) == 0) continue;
    Failed("syncing", strerror(errno));
    return false;
  }
  if (unsynced_ > 0 && !file_.Sync(&why)) {
    Failed("syncing", why);
    return false;
  }
  unsynced_ = 0;
  last_sync_us_ = MonotonicUs();
  return true;
}

std::string Aof::why_failing() {
  std::lock_guard guard(mutex_);
  return why_;
}

AofSizes Aof::sizes() {
  std::lock_guard guard(mutex_);
  return {closed_size_ + file_.size(), rewrite_base_size_, pending_.size()};
}

// A thread of its own syncs once a second (appendfsync everysec) and earlier increments before they are closed: workers
// do not wait for that. No pause holds it: it sees only what the mutex guards, and atomics.
void Aof::RunSync() {
  pthread_setname_np(pthread_self(), "brim-aof");
  std::unique_lock lock(mutex_);
  while (!stop_) {
    SyncPart(lock);
    wake_.wait_for(lock, kSyncLook);
  }
}

void Aof::SyncPart(std::unique_lock<std::mutex>& lock) {
  std::vector<int> old = std::move(to_close_);
  to_close_.clear();
  int64_t now = MonotonicUs();
  bool busy = no_sync_while_cut_ && Cut::running();
  bool due = policy_ == AofSync::kEverySecond && unsynced_ > 0 && now - last_sync_us_ >= kSyncEveryUs && !busy;
  int fd = due && file_.is_open() ? dup(file_.fd()) : -1;
  uint64_t covered = unsynced_;
  uint64_t file_number = files_opened_;
  if (old.empty() && fd < 0) return;
  closing_ = !old.empty();
  lock.unlock();
  for (int each : old) {
    fdatasync(each);
    close(each);
  }
  std::string why;
  bool good = true;
  if (fd >= 0) {
    good = fdatasync(fd) == 0;
    if (!good) why = strerror(errno);
    close(fd);
  }
  lock.lock();
  if (closing_) {
    closing_ = false;
    wake_.notify_all();
  }
  if (fd < 0) return;
  last_sync_us_ = now;
  if (good) {
    if (file_number == files_opened_) unsynced_ -= std::min(covered, unsynced_);
    if (pending_.empty()) failing_ = false;
  } else {
    Failed("syncing", why);
  }
}

// ---- on and off

// Makes the next increment the one that is written to. `named`: the manifest says so first, for what is written to a
// file that it does not name is lost.
bool Aof::OpenIncrement(AofManifest* manifest, bool named, std::string* error) {
  {
    std::lock_guard guard(mutex_);
    if (file_.is_open()) WriteLocked();
    if (failing_) {
      *error = "what came before can't be written: " + why_;
      return false;
    }
  }
  const AofFile& increment = manifest->NextIncrement(server.config().appendfilename);
  AppendFile next;
  if (!next.Open(PathOf(increment.name), true, error)) return false;
  if (named && !SaveManifest(*manifest, error)) {
    unlink(PathOf(increment.name).c_str());
    return false;
  }
  std::lock_guard guard(mutex_);
  if (file_.is_open()) {
    closed_size_ += file_.size();
    to_close_.push_back(file_.Release());
  } else {
    // What was recorded while there was no file is in the base that comes.
    journal.Take(&pending_);
    pending_.clear();
  }
  file_ = std::move(next);
  files_opened_++;
  unsynced_ = 0;
  journal.ForgetDatabase();
  return true;
}

bool Aof::WriteEmptyBase(const std::string& name, bool as_rdb, std::string* error) {
  SafeFile file;
  std::string bytes;
  int64_t now_s = WallUs() / 1'000'000;
  if (as_rdb) {
    RdbWriter writer(true);
    writer.Header(now_s, UsedMemory(), true);
    writer.Byte(rdb::kEof);
    bytes = writer.TakeBytes();
  } else if (server.config().aof_timestamp_enabled) {
    CommandWriter writer;
    writer.TimeStamp(now_s);
    bytes = writer.TakeBytes();
  }
  bool good = file.Open(Folder(), name, error) && file.Write(bytes, error) &&
              (as_rdb ? file.FinishRdb(server.config().rdbchecksum, error) : file.Finish(error));
  closed_size_ = file.bytes();
  return good;
}

bool Aof::MakeFirstFiles() {
  std::string error;
  // An empty base, then an increment.
  manifest_ = AofManifest();
  bool as_rdb = server.config().aof_use_rdb_preamble;
  const AofFile& base = manifest_.NextBase(server.config().appendfilename, as_rdb);
  bool good = MakeFolder(&error) && WriteEmptyBase(base.name, as_rdb, &error);
  if (good) LogNotice("Creating AOF base file " + base.name + " on server start");
  good = good && OpenIncrement(&manifest_, true, &error);
  if (good) {
    LogNotice("Creating AOF incr file " + manifest_.increments.back().name + " on server start");
  } else {
    LogWarning("Can't make the append-only file: " + error);
  }
  return good;
}

bool Aof::TurnOn(std::string* error) {
  if (!sync_thread_.joinable()) {
    stop_ = false;
    sync_thread_ = std::thread([this] { RunSync(); });
  }
  state_ = State::kWaiting;
  journal.Switch(true);
  if (persistence.saving()) {
    scheduled_ = true;  // the first rewrite begins when the snapshot is done
    LogNotice("AOF was enabled but there is already another background operation. An AOF background was scheduled.");
    return true;
  }
  if (StartRewrite(error)) return true;
  TurnOff();
  return false;
}

void Aof::TurnOff() {
  if (state_ == State::kOff) return;
  journal.Switch(false);
  if (saver_ != nullptr) {
    saver_->WalkAll();
    std::string ignored;
    saver_->Finish(&ignored);
    saver_.reset();
  }
  scheduled_ = false;
  state_ = State::kOff;
  End();
  std::lock_guard guard(mutex_);
  file_.Close();
  pending_.clear();
  failing_ = false;
  sync_us_.store(0, std::memory_order_relaxed);
}

void Aof::End() {
  if (saver_ != nullptr) {
    FinishWalk();
    EndRewrite();
  }
  if (file_.is_open()) CommitAndSync();
  {
    std::lock_guard guard(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (sync_thread_.joinable()) sync_thread_.join();
  for (int fd : to_close_) {
    fdatasync(fd);
    close(fd);
  }
  to_close_.clear();
}

// ---- rewriting

bool Aof::StartRewrite(std::string* error) {
  scheduled_ = false;
  figures_.rewrite_started_s = WallUs() / 1'000'000;
  auto fail = [&] {
    LogWarning("Can't rewrite the append-only file: " + *error);
    figures_.last_rewrite_good = false;
    figures_.failures_in_a_row++;
    figures_.last_failure_s = figures_.rewrite_started_s;
    return false;
  };
  if (!MakeFolder(error)) return fail();
  if (state_ != State::kOff) {
    // What comes from now on goes to an increment of its own. While the first rewrite is not done the manifest does not
    // name it: there is nothing yet that it could follow.
    AofManifest next = manifest_;
    if (!OpenIncrement(&next, state_ == State::kOn, error)) return fail();
    manifest_ = next;
  }
  AofManifest named = manifest_;
  SaveOptions options;
  options.folder = Folder();
  rewrite_as_rdb_ = server.config().aof_use_rdb_preamble;
  options.name = named.NextBase(server.config().appendfilename, rewrite_as_rdb_).name;
  options.compress = server.config().rdbcompression;
  options.check_sum = server.config().rdbchecksum;
  options.now_s = figures_.rewrite_started_s;
  options.used_memory = UsedMemory();
  options.aof_base = true;
  options.commands = !rewrite_as_rdb_;
  options.stamped = server.config().aof_timestamp_enabled;
  auto saver = std::make_unique<RdbSaver>();
  if (!saver->Start(options, error)) return fail();
  saver_ = std::move(saver);
  LogNotice("Background append only file rewriting started");
  return true;
}

void Aof::FinishWalk() {
  if (saver_ != nullptr) saver_->WalkAll();
}

void Aof::DeleteHistory() {
  if (manifest_.history.empty() || server.config().aof_disable_auto_gc) return;
  std::vector<AofFile> gone = std::move(manifest_.history);
  manifest_.history.clear();
  std::string error;
  if (!SaveManifest(manifest_, &error)) {
    LogWarning("Can't write the AOF manifest: " + error);
    return;
  }
  for (const AofFile& file : gone) unlink(PathOf(file.name).c_str());
}

// The base is there, under its name. Every thread paused.
void Aof::EndRewrite() {
  std::string error;
  bool good = saver_->Finish(&error);
  saver_.reset();
  int64_t now_s = WallUs() / 1'000'000;
  figures_.last_rewrite_seconds = now_s - figures_.rewrite_started_s;
  AofManifest next = manifest_;
  if (good) {
    next.NextBase(server.config().appendfilename, rewrite_as_rdb_);
    next.RetireIncrements(state_ != State::kOff);
    good = SaveManifest(next, &error);
  }
  figures_.last_rewrite_good = good;
  if (!good) {
    LogWarning("Background AOF rewrite failed: " + error);
    figures_.failures_in_a_row++;
    figures_.last_failure_s = now_s;
    if (state_ == State::kWaiting) scheduled_ = true;
    return;
  }
  manifest_ = next;
  figures_.rewrites++;
  figures_.failures_in_a_row = 0;
  closed_size_ = FileSize(PathOf(manifest_.base->name));
  if (state_ == State::kWaiting) state_ = State::kOn;
  rewrite_base_size_ = sizes().current;
  LogNotice("Background AOF rewrite finished successfully");
  DeleteHistory();
}

bool Aof::RewriteDue(int64_t now_s) {
  if (figures_.failures_in_a_row >= kFailuresAtOnce) {
    uint64_t doublings = std::min<uint64_t>(figures_.failures_in_a_row - kFailuresAtOnce, 6);
    int64_t wait = std::min(kFailureWaitS << doublings, kFailureWaitMostS);
    if (now_s - figures_.last_failure_s < wait) return false;
  }
  if (scheduled_) return true;
  int64_t percentage = server.config().auto_aof_rewrite_percentage;
  if (state_ != State::kOn || percentage == 0) return false;
  uint64_t size = sizes().current;
  if (size <= static_cast<uint64_t>(server.config().auto_aof_rewrite_min_size)) return false;
  uint64_t base = std::max<uint64_t>(rewrite_base_size_, 1);
  uint64_t growth = size * 100 / base;
  if (growth < 100 + static_cast<uint64_t>(percentage)) return false;
  LogNotice("Starting automatic rewriting of AOF on " + std::to_string(growth - 100) + "% growth");
  return true;
}

void Aof::Cron(Worker& worker) {
  if (failing()) Commit();
  bool ended = saver_ != nullptr && saver_->done();
  if (!ended && (saver_ != nullptr || persistence.saving() || !RewriteDue(worker.now_ms / 1000))) return;
  thread_pause.Begin(worker.index());
  if (saver_ != nullptr && saver_->done()) {
    EndRewrite();
  } else if (saver_ == nullptr && !ended && !persistence.saving()) {
    std::string error;
    StartRewrite(&error);
  }
  thread_pause.End();
}

}  // namespace brim
