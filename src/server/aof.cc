#include "server/aof.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/monotonic.h"
#include "memory/account.h"
#include "persist/aof_mark.h"
#include "persist/command_writer.h"
#include "persist/rdb_format.h"
#include "persist/rdb_writer.h"
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

Aof aof;

std::string Aof::Folder() const { return WorkingFolder() + "/" + server.config().appenddirname; }

bool Aof::SaveManifest(const AofManifest& manifest, std::string* error) {
  if (!ReplaceFile(Folder(), AofManifest::FileName(server.config().appendfilename), manifest.Text(), error)) {
    doubtful_ = true;
    return false;
  }
  saved_ = manifest;
  doubtful_ = false;
  RemoveOrphans();
  return true;
}

// After a manifest could not be saved: makes sure that the disk has the one before it.
bool Aof::SettleManifest(std::string* error) {
  if (!doubtful_) return true;
  if (saved_) return SaveManifest(AofManifest(*saved_), error);
  unlink(PathOf(AofManifest::FileName(server.config().appendfilename)).c_str());
  if (!SyncFolder(Folder(), error)) return false;
  doubtful_ = false;
  RemoveOrphans();
  return true;
}

// Files that neither the manifest nor what is being written names.
void Aof::RemoveOrphans() {
  if (doubtful_) return;
  auto named = [&](const AofManifest& manifest, const std::string& name) {
    auto is = [&](const AofFile& file) { return file.name == name; };
    return (manifest.base && is(*manifest.base)) ||
           std::any_of(manifest.increments.begin(), manifest.increments.end(), is) ||
           std::any_of(manifest.history.begin(), manifest.history.end(), is);
  };
  std::erase_if(orphans_, [&](const std::string& name) {
    return named(manifest_, name) || (saved_ && named(*saved_, name)) || unlink(PathOf(name).c_str()) == 0 ||
           errno == ENOENT;
  });
}

void Aof::Configure() {
  const Config& config = server.config();
  AofSync before = policy_;
  policy_ = config.appendfsync == "always" ? AofSync::kAlways
            : config.appendfsync == "no"   ? AofSync::kNo
                                           : AofSync::kEverySecond;
  // From now on what is synced is not to stand behind something that is not.
  if (policy_ == AofSync::kAlways && before != AofSync::kAlways) CommitAndSync();
  no_sync_while_cut_ = config.no_appendfsync_on_rewrite;
  journal.SetTimestamps(config.aof_timestamp_enabled);
}

// ---- on and off

// From now on records go to that increment, which is empty; what came before is written to the one before by whoever
// writes next. Every thread paused.
bool Aof::SwitchTo(AppendFile next, const std::string& path, std::string* error) {
  std::lock_guard guard(mutex_);
  bool follows = open_.file.is_open();
  if (follows && policy_ == AofSync::kAlways) WriteLocked();
  if (failing_) {
    *error = "what came before can't be written: " + why_;
    return false;
  }
  Increment fresh;
  fresh.file = std::move(next);
  if (!journal.Take(&open_.pending, &open_.taken_offset)) {
    *error = strerror(ENOMEM);
    return false;
  }
  fresh.taken_offset = open_.taken_offset;
  if (follows) {
    if (unsynced_ > 0 || !open_.pending.empty() || !retired_.empty()) {
      AofMark mark;
      mark.open = true;
      mark.size = open_.file.size() + open_.pending.size();
      open_.mark_path = path;
      try {
        fresh.pending.AddText(mark.Text());
        retired_.emplace_back();
      } catch (const std::bad_alloc&) {
        *error = strerror(ENOMEM);
        return false;
      }
      retired_.back() = std::move(open_);
    } else {
      closed_size_ += open_.file.size();
      to_close_.push_back(open_.file.Release());
    }
  } else {
    written_offset_ = open_.taken_offset;  // what was recorded while there was no file is in the base that comes
  }
  open_ = std::move(fresh);
  files_opened_++;
  unsynced_ = 0;
  WriteSizes();
  journal.ForgetDatabase();
  AskWriter();
  return true;
}

// The first increment, at the start.
bool Aof::OpenFirstIncrement(std::string* error) {
  const std::string name = manifest_.NextIncrement(server.config().appendfilename).name;
  AppendFile file;
  if (!file.Open(PathOf(name), true, error)) return false;
  if (SaveManifest(manifest_, error)) return SwitchTo(std::move(file), PathOf(name), error);
  orphans_.push_back(name);
  return false;
}

bool Aof::WriteEmptyBase(const std::string& name, bool as_rdb, std::string* error) {
  SafeFile file;
  std::string bytes;
  int64_t now_s = WallUs() / 1'000'000;
  if (as_rdb) {
    RdbWriter writer(true);
    writer.Header(now_s, UsedMemory(), true, rdb::kVersion);
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
  bool good = MakeDurableFolder(WorkingFolder(), Folder(), &error) && WriteEmptyBase(base.name, as_rdb, &error);
  if (good) LogNotice("Creating AOF base file " + base.name + " on server start");
  good = good && OpenFirstIncrement(&error);
  if (good) {
    LogNotice("Creating AOF incr file " + manifest_.increments.back().name + " on server start");
  } else {
    LogWarning("Can't make the append-only file: " + error);
  }
  return good;
}

bool Aof::TurnOn(std::string* error) {
  StartThreads();
  // Its base would be of a time when nothing was recorded.
  if (rewriting()) CancelRewrite();
  SetState(State::kWaiting);
  healed_lost_ = journal.lost();
  if (persistence.saving()) {
    figures_.scheduled = true;  // the first rewrite begins when the snapshot is done
    LogNotice("AOF was enabled but there is already another background operation. An AOF background was scheduled.");
    return true;
  }
  if (StartRewrite(error, true)) return true;
  TurnOff();
  return false;
}

void Aof::TurnOff() {
  if (state_ == State::kOff) return;
  journal.Switch(false);
  End();
  figures_.scheduled = false;
  SetState(State::kOff);
  healed_lost_ = journal.lost();
  std::lock_guard guard(mutex_);
  open_ = Increment();
  retired_.clear();
  written_offset_ = journal.offset();
  WriteSizes();
  write_failed_ = sync_failed_ = failing_ = false;
  sync_us_.store(0, std::memory_order_relaxed);
}

void Aof::End() {
  CancelRewrite();
  if (open_.file.is_open()) CommitAndSync();
  EndThreads();
  if (deleter_.joinable()) {
    job_ = ForgetDeleted();
    job_->Run();
    EndJob();
  }
  std::string why;
  SyncClosed(&to_close_, mark_path_, &why);
}

}  // namespace brim
