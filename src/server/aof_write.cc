// The append-only file's writing: at the end of workers' turns, and the thread that syncs.
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/monotonic.h"
#include "persist/aof_mark.h"
#include "server/aof.h"
#include "server/journal.h"
#include "server/latency_monitor.h"
#include "server/log.h"
#include "server/persistence.h"
#include "server/server.h"
#include "server/worker.h"
#include "store/cut.h"

namespace brim {

namespace {

constexpr int64_t kSyncEveryUs = 1'000'000;
constexpr auto kSyncLook = std::chrono::milliseconds(50);
constexpr size_t kKeptBytes = 1 << 20;
constexpr int64_t kSlowWriteUs = 1000;       // a write that took longer: the disk is busy
constexpr int64_t kBusyAfterUs = 500'000;    // after that, and after a snapshot or a rewrite, it is for a while
constexpr uint64_t kBacklogBytes = 4 << 20;  // recorded and not written: with more workers wait too

}  // namespace

void Aof::Failed(Trouble trouble, const std::string& why) {
  const char* what = trouble == Trouble::kWriting ? "writing" : "syncing";
  if (!failing_ || why != why_) LogWarning(std::string("Error ") + what + " the AOF file: " + why);
  if (trouble == Trouble::kWriting) {
    write_failed_ = true;
  } else {
    sync_failed_ = true;
  }
  // The kernel has written off what it could not make durable: a sync that succeeds later does not bring it back.
  if (trouble == Trouble::kSyncing) sync_failures_++;
  failing_ = true;
  why_ = why;
  if (policy_ != AofSync::kAlways || promises_nothing_) return;
  // Replies that say that a write is safe wait behind this one, and what they answer is done.
  LogWarning("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...");
  _exit(1);
}

void Aof::Works(Trouble trouble) {
  if (trouble == Trouble::kWriting ? !write_failed_ : !sync_failed_) return;
  if (trouble == Trouble::kWriting) {
    write_failed_ = false;
  } else {
    sync_failed_ = false;
  }
  failing_ = write_failed_ || sync_failed_;
  if (!failing_) LogWarning("AOF write error looks solved, can write again.");
}

// False: not all of it could be written. The mutex held.
bool Aof::WritePending(Increment& increment) {
  std::string why;
  RequestBuffer& pending = increment.pending;
  size_t size = pending.size();
  LatencySpan span(LatencyEvent::kAofWrite);
  int64_t start = MonotonicUs();
  size_t written = pending.ForEachPiece([&](std::string_view piece) { return increment.file.Write(piece, &why); });
  if (int64_t end = MonotonicUs(); end - start > kSlowWriteUs) busy_until_us_ = end + kBusyAfterUs;
  if (&increment == &open_) unsynced_ += written;
  if (written == size) {
    pending.Clear(kKeptBytes);
    increment.whole_size = increment.file.size();
    written_offset_.store(increment.taken_offset, std::memory_order_release);
    Works(Trouble::kWriting);
    return true;
  }
  try {
    pending.OwnFrom(written);
  } catch (const std::bad_alloc&) {
    // What is left cannot be kept: back to the last whole record. A rewrite brings what is lost here.
    if (!increment.file.Truncate(increment.whole_size)) {
      LogWarning("Can't cut a half-written record off the AOF file: " + std::string(strerror(errno)) + ". Exiting...");
      _exit(1);
    }
    pending.Clear(0);
    journal.Lose();
  }
  Failed(Trouble::kWriting, why);
  return false;
}

void Aof::WriteSizes() {
  uint64_t size = open_.file.size();
  uint64_t buffered = open_.pending.size();
  size_t capacity = open_.pending.capacity();
  for (const Increment& each : retired_) {
    size += each.file.size();
    buffered += each.pending.size();
    capacity += each.pending.capacity();
  }
  charge_.Set(capacity);
  open_size_.store(size, std::memory_order_relaxed);
  buffered_.store(buffered, std::memory_order_relaxed);
}

// Writes what there is; the mutex held.
void Aof::WriteLocked() {
  bool taken = journal.Take(&open_.pending, &open_.taken_offset);
  WriteSizes();
  while (!retired_.empty()) {
    Increment& oldest = retired_.front();
    if (!oldest.pending.empty() && !WritePending(oldest)) return;
    closed_size_ += oldest.file.size();
    to_close_.push_back(oldest.file.Release());
    mark_path_ = std::move(oldest.mark_path);
    retired_.pop_front();
  }
  if (!open_.pending.empty() && !WritePending(open_)) return;
  if (!taken) {
    // There was no memory to put it behind what waited. That is in the file now.
    taken = journal.Take(&open_.pending, &open_.taken_offset);
    if (!open_.pending.empty() && !WritePending(open_)) return;
  }
  WriteSizes();
  if (taken && write_failed_) Works(Trouble::kWriting);
  if (policy_ != AofSync::kAlways) {
    sync_us_.store(0, std::memory_order_relaxed);
    return;
  }
  if (unsynced_ == 0) return;
  std::string why;
  int64_t start = MonotonicUs();
  if (open_.file.Sync(&why)) {
    unsynced_ = 0;
    synced_offset_.store(written_offset_, std::memory_order_release);
    Works(Trouble::kSyncing);
    int64_t took = MonotonicUs() - start;
    latency_monitor.Note(LatencyEvent::kAofFsyncAlways, took);
    sync_us_.store((sync_us_.load(std::memory_order_relaxed) * 3 + took) / 4, std::memory_order_relaxed);
  } else {
    Failed(Trouble::kSyncing, why);
  }
}

// What else keeps the disk busy makes a write wait, now and then for many milliseconds, and whoever waits in it serves
// nobody.
bool Aof::DiskIsBusy() {
  if (disk_users_.load(std::memory_order_relaxed) > 0) return true;
  int64_t now = MonotonicUs();
  if (rewriting() || persistence.saving()) {
    busy_until_us_.store(now + kBusyAfterUs, std::memory_order_relaxed);
    return true;
  }
  return now < busy_until_us_.load(std::memory_order_relaxed);
}

// A sync costs many times what commands do: who has recorded something waits a moment for others who will have to sync,
// too, and the last of them does it for all. True: it is done.
bool Aof::SyncedByOthers() {
  int64_t wait = SyncGatherUs();
  const auto& all = server.workers();
  if (wait == 0 || all.size() < 2) return false;
  uint64_t target = journal.offset();
  int64_t now = MonotonicUs();
  auto records = [&now](const auto& worker) {
    return worker.get() != current_worker && worker->records_until_us.load(std::memory_order_relaxed) > now;
  };
  int64_t until = now + wait;
  std::unique_lock lock(gather_mutex_);
  for (;;) {
    if (synced_offset_.load(std::memory_order_acquire) >= target) return true;
    if (now >= until || std::none_of(all.begin(), all.end(), records)) return false;
    gather_.wait_for(lock, std::chrono::microseconds(until - now));
    now = MonotonicUs();
  }
}

bool Aof::Commit(std::atomic<bool>* waits) {
  std::unique_lock lock(mutex_, std::defer_lock);
  bool late = BacklogOf(*this) > kBacklogBytes;
  if (policy_ == AofSync::kAlways && SyncedByOthers()) return true;
  if (waits == nullptr || policy_ == AofSync::kAlways || late) {
    lock.lock();
  } else if (DiskIsBusy() || !lock.try_lock()) {
    waits->store(true, std::memory_order_release);
    AskWriter();
    return false;
  }
  if (open_.file.is_open()) WriteLocked();
  if (policy_ == AofSync::kAlways) {
    lock.unlock();
    std::lock_guard guard(gather_mutex_);
    gather_.notify_all();
  }
  return true;
}

void Aof::AskWriter() {
  {
    std::lock_guard guard(ask_mutex_);
    if (asked_) return;
    asked_ = true;
  }
  ask_.notify_one();
}

void Aof::RunWriter() {
  pthread_setname_np(pthread_self(), "brim-aof-write");
  for (;;) {
    {
      std::unique_lock lock(ask_mutex_);
      ask_.wait(lock, [this] { return asked_ || writer_stops_; });
      if (writer_stops_) return;
      asked_ = false;
    }
    Commit();
    for (auto& worker : server.workers()) {
      if (worker->waits_for_log.load(std::memory_order_acquire)) worker->loop().Post([] {});
    }
  }
}

bool Aof::CommitAndSync() {
  std::unique_lock lock(mutex_);
  if (!open_.file.is_open()) return false;
  WriteLocked();
  if (failing_) return false;
  // What was written may still be in an earlier increment.
  wake_.wait(lock, [this] { return !closing_; });
  return SyncFiles(lock, true) && !failing_;
}

bool Aof::SyncedUpTo(uint64_t offset) {
  if (synced_offset_.load(std::memory_order_acquire) >= offset) return state_ == State::kOn && !failing();
  if (state_ == State::kOff) return false;
  sync_requested_ = true;
  wake_.notify_all();  // without the mutex, which is held as long as a write takes: kSyncLook later it looks anyway
  return false;
}

std::string Aof::why_failing() {
  std::lock_guard guard(mutex_);
  return failing_ ? why_ : strerror(ENOMEM);  // a record was lost
}

AofFigures Aof::figures() const {
  AofFigures figures = figures_;
  figures.sizes = Sizes();
  return figures;
}

// Syncs and closes earlier increments; then the one that follows them says so. False, with errno's text, when a sync
// failed.
bool Aof::SyncClosed(std::vector<int>* files, const std::string& mark_path, std::string* why) {
  if (files->empty()) return true;
  bool good = true;
  for (int fd : *files) {
    if (fdatasync(fd) != 0) {
      *why = strerror(errno);
      good = false;
    }
    close(fd);
  }
  files->clear();
  if (good && !mark_path.empty()) CloseAofMark(mark_path);
  return good;
}

void Aof::StartThreads() {
  if (sync_thread_.joinable()) return;
  stop_ = writer_stops_ = asked_ = false;
  sync_thread_ = std::thread([this] { RunSync(); });
  writer_ = std::thread([this] { RunWriter(); });
}

void Aof::EndThreads() {
  {
    std::lock_guard guard(mutex_);
    stop_ = true;
  }
  {
    std::lock_guard guard(ask_mutex_);
    writer_stops_ = true;
  }
  wake_.notify_all();
  ask_.notify_all();
  if (sync_thread_.joinable()) sync_thread_.join();
  if (writer_.joinable()) writer_.join();
}

// A thread of its own syncs once a second (appendfsync everysec) and earlier increments before they are closed: workers
// do not wait for that. No pause holds it: it sees only what the mutex guards, and atomics.
void Aof::RunSync() {
  pthread_setname_np(pthread_self(), "brim-aof");
  std::unique_lock lock(mutex_);
  while (!stop_) {
    SyncPart(lock);
    auto asked = [this] { return sync_requested_ && !failing_ && !closing_ && open_.file.is_open(); };
    wake_.wait_for(lock, kSyncLook, [&] { return stop_ || asked(); });
  }
}

// Earlier increments, and the `current` one, without the mutex, which is held before and afterwards. False when one
// failed.
bool Aof::SyncFiles(std::unique_lock<std::mutex>& lock, bool current) {
  std::vector<int> old = std::move(to_close_);
  to_close_.clear();
  int fd = current ? dup(open_.file.fd()) : -1;
  if (old.empty() && !current) return true;
  std::string mark_path = mark_path_;
  int64_t now = MonotonicUs();
  uint64_t covered = unsynced_;
  uint64_t covered_offset = written_offset_;
  uint64_t file_number = files_opened_;
  bool closes = !old.empty();
  closing_ |= closes;
  lock.unlock();
  disk_users_++;
  std::string why;
  // An increment is on the disk before what follows it.
  bool good = SyncClosed(&old, mark_path, &why);
  if (good && current && (fd < 0 || fdatasync(fd) != 0)) {
    why = strerror(errno);
    good = false;
  }
  if (fd >= 0) close(fd);
  disk_users_--;
  lock.lock();
  if (closes) {
    closing_ = false;
    wake_.notify_all();
  }
  if (current || !good) last_sync_us_ = now;
  if (!good) {
    Failed(Trouble::kSyncing, why);
    return false;
  }
  if (!current) return true;
  if (file_number == files_opened_) unsynced_ -= std::min(covered, unsynced_);
  if (covered_offset > synced_offset_) synced_offset_.store(covered_offset, std::memory_order_release);
  Works(Trouble::kSyncing);
  return true;
}

void Aof::SyncPart(std::unique_lock<std::mutex>& lock) {
  if (closing_) return;  // CommitAndSync is about it
  bool open = open_.file.is_open();
  int64_t since_us = MonotonicUs() - last_sync_us_;
  bool busy = no_sync_while_cut_ && Cut::running();
  // One that failed is tried again whatever the policy: nothing else tells when the disk works.
  bool wanted = sync_failed_ || (policy_ == AofSync::kEverySecond && unsynced_ > 0 && !busy);
  bool requested = open && !(failing_ && since_us < kSyncEveryUs) && sync_requested_.exchange(false);
  if (requested) {
    WriteLocked();
    if (failing_) sync_requested_ = true;
  }
  SyncFiles(lock, requested || (wanted && open && since_us >= kSyncEveryUs));
  if (!requested) return;
  if (failing_) sync_requested_ = true;
  lock.unlock();
  for (auto& worker : server.workers()) worker->loop().Post([w = worker.get()] { AnswerSyncWaiters(*w); });
  lock.lock();
}

}  // namespace brim
