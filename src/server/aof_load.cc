// Loading the append-only file: the base, the increments, or an old single file.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/ascii.h"
#include "base/monotonic.h"
#include "base/numbers.h"
#include "persist/aof_mark.h"
#include "persist/aof_reader.h"
#include "persist/rdb_file.h"
#include "persist/temporary_files.h"
#include "server/aof.h"
#include "server/dispatch.h"
#include "server/journal.h"
#include "server/log.h"
#include "server/process.h"
#include "server/server.h"
#include "server/server_context.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr uint64_t kCommandsAPulse = 256;

bool ReadWholeFile(const std::string& path, std::string* text) {
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) return false;
  char buffer[4096];
  size_t got;
  while ((got = fread(buffer, 1, sizeof buffer, file)) > 0) text->append(buffer, got);
  fclose(file);
  return true;
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

bool BeginsWithSnapshot(const std::string& path) {
  char magic[5] = {};
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) return false;
  size_t got = fread(magic, 1, sizeof magic, file);
  fclose(file);
  std::string_view start(magic, sizeof magic);
  return got == sizeof magic && (start == "REDIS" || start == "VALKE");
}

// Runs the commands of one file. A transaction runs when its EXEC is read; without one, not at all.
class Replayer {
 public:
  Replayer(Worker& worker, std::string path) : context_(&worker), path_(std::move(path)) {
    context_.Attach(&replies_, &worker.keyspace_figures);
  }
  // False: broken, *error says what and where; or, with *truncated, the file ends within a command or a transaction.
  bool Run(uint64_t offset, bool* truncated, std::string* error);
  // Up to where the file is whole.
  uint64_t good_up_to() const { return good_up_to_; }
  // What follows is no command (rather than one that cannot be carried out).
  bool broken() const { return broken_; }
  uint64_t commands() const { return commands_; }

 private:
  bool Take(const std::vector<std::string_view>& words, std::string* error);
  bool RunCommand(std::span<const std::string_view> words, std::string* error);

  ServerContext context_;
  OutputBuffer replies_;
  std::string path_;
  int db_ = 0;
  bool in_multi_ = false;
  bool broken_ = false;
  std::vector<std::vector<std::string>> queue_;
  uint64_t good_up_to_ = 0;
  uint64_t commands_ = 0;
};

bool Replayer::RunCommand(std::span<const std::string_view> words, std::string* error) {
  if (EqualsNoCase(words[0], "SELECT")) {
    int64_t db;
    if (words.size() != 2 || !ParseInt64(words[1], &db) || db < 0 || db >= server.config().databases) {
      *error = "a SELECT of a database that does not exist";
      return false;
    }
    db_ = static_cast<int>(db);
    return true;
  }
  commands_++;
  return Dispatcher::Replay(context_, db_, words, error);
}

bool Replayer::Take(const std::vector<std::string_view>& words, std::string* error) {
  if (EqualsNoCase(words[0], "MULTI")) {
    in_multi_ = true;
    return true;
  }
  if (!in_multi_) return RunCommand(words, error);
  if (!EqualsNoCase(words[0], "EXEC")) {
    queue_.emplace_back(words.begin(), words.end());
    return true;
  }
  in_multi_ = false;
  for (const auto& queued : queue_) {
    std::vector<std::string_view> views(queued.begin(), queued.end());
    if (!RunCommand(views, error)) return false;
  }
  queue_.clear();
  return true;
}

bool Replayer::Run(uint64_t offset, bool* truncated, std::string* error) {
  *truncated = false;
  AofReader reader;
  good_up_to_ = offset;
  if (!reader.Open(path_, offset, error)) return false;
  std::vector<std::string_view> words;
  for (;;) {
    AofRead read = reader.Next(&words);
    if (read == AofRead::kCommand) {
      if (load_pulse != nullptr && commands_ % kCommandsAPulse == 0) load_pulse(reader.offset());
      uint64_t began = good_up_to_;
      if (!Take(words, error)) {
        *error += " in the command that ends at offset " + std::to_string(reader.offset());
        return false;
      }
      good_up_to_ = in_multi_ ? began : reader.offset();
      continue;
    }
    if (read == AofRead::kBroken && !reader.OnlyZerosFrom(reader.broken_at())) {
      *error = "no command at offset " + std::to_string(reader.offset());
      broken_ = true;
      return false;
    }
    *truncated = read != AofRead::kEnd || in_multi_;
    if (*truncated) *error = "it ends within a command or a transaction, whole up to " + std::to_string(good_up_to_);
    return !*truncated;
  }
}

// What a crash may have done to a file.
enum class Harm : uint8_t {
  kNone,
  kCutOff,  // it was the last one that was written to: its last write may have a part missing at the end
  kHoles,   // it was not on the disk when the power failed: any part of what was not synced may be missing
};

// One file of the AOF, a snapshot, commands, or both. What is behind possible harm is cut off; *truncated says that it
// was.
bool LoadFile(Worker& worker, const std::string& path, Harm possible, bool* truncated) {
  *truncated = false;
  std::string error;
  uint64_t offset = 0;
  int64_t started_us = MonotonicUs();
  uint64_t commands = 0;
  if (BeginsWithSnapshot(path)) {
    LoadFigures figures;
    // Nothing of it is past its time: what follows may rely on it.
    if (LoadRdbFile(path, 0, server.config().rdbchecksum, &figures, &error) != LoadResult::kLoaded) {
      LogWarning("Error reading the RDB preamble of the AOF file " + path + ": " + error + ". AOF loading aborted");
      return false;
    }
    offset = figures.bytes;
  }
  Replayer replayer(worker, path);
  if (!replayer.Run(offset, truncated, &error)) {
    bool last = possible != Harm::kNone;
    *truncated |= possible == Harm::kHoles && replayer.broken();
    if (!*truncated) {
      LogWarning("Bad file format reading the append only file " + path + ": " + error +
                 ". Make a backup of it, then use brim-check-aof --fix.");
      return false;
    }
    if (!last || !server.config().aof_load_truncated) {
      LogWarning("Unexpected end of file reading the append only file " + path + ": " + error +
                 ". Make a backup of it, then use brim-check-aof --fix" +
                 (last ? ", or set aof-load-truncated to yes." : "."));
      return false;
    }
    LogWarning("!!! Warning: short read while loading the AOF file " + path + " !!!");
    LogWarning("!!! Truncating the AOF at offset " + std::to_string(replayer.good_up_to()) + " !!!");
    if (truncate(path.c_str(), static_cast<off_t>(replayer.good_up_to())) != 0) {
      LogWarning("Error truncating the AOF file: " + std::string(strerror(errno)));
      return false;
    }
    LogWarning("AOF loaded anyway because aof-load-truncated is enabled");
  }
  commands = replayer.commands();
  char seconds[32];
  snprintf(seconds, sizeof seconds, "%.3f", static_cast<double>(MonotonicUs() - started_us) / 1e6);
  LogNotice("DB loaded from append only file " + path + ": " + seconds +
            " seconds, commands replayed: " + std::to_string(commands));
  return true;
}

}  // namespace

// *there: whether a manifest exists. False: it is broken.
bool Aof::LoadManifest(bool* there) {
  std::string text;
  std::string error;
  *there = ReadWholeFile(PathOf(AofManifest::FileName(server.config().appendfilename)), &text);
  if (!*there) return true;
  if (AofManifest::Parse(text, &manifest_, &error)) {
    saved_ = manifest_;
    return true;
  }
  LogWarning("Error reading the AOF manifest: " + error);
  return false;
}

// A single file as redis-server wrote it up to version 6 becomes the base; *there afterwards: there is a manifest. A
// crash may have come between the manifest and the file's way into the folder.
bool Aof::AdoptOldFile(bool* there) {
  const std::string& name = server.config().appendfilename;
  std::string old = WorkingFolder() + "/" + name;
  bool begun = *there && manifest_.base && manifest_.base->name == name && manifest_.increments.empty();
  if ((*there && !(begun && !Exists(PathOf(name)))) || !Exists(old)) return true;
  LogNotice("Found an old-style AOF, importing it into the folder " + Folder());
  std::string error;
  AofManifest adopted;
  adopted.base = AofFile{name, 1};
  bool good = MakeDurableFolder(WorkingFolder(), Folder(), &error) && SaveManifest(adopted, &error);
  if (good && rename(old.c_str(), PathOf(name).c_str()) != 0) {
    error = "moving " + old + ": " + strerror(errno);
    unlink(PathOf(AofManifest::FileName(name)).c_str());
    good = false;
  }
  good = good && SyncFolder(Folder(), &error) && SyncFolder(WorkingFolder(), &error);
  if (!good) LogWarning("Can't import the old-style AOF: " + error);
  manifest_ = adopted;
  *there = true;
  return good;
}

bool Aof::LoadFiles(Worker& worker) {
  std::vector<std::string> names;
  if (manifest_.base) names.push_back(manifest_.base->name);
  for (const AofFile& increment : manifest_.increments) names.push_back(increment.name);
  closed_size_ = 0;
  server.loading.total_bytes = 0;
  for (const std::string& name : names) {
    server.loading.total_bytes += FileBytes(PathOf(name));
    if (Exists(PathOf(name))) continue;
    LogWarning("The AOF file " + name + " doesn't exist");
    return false;
  }
  server.loading.bytes_before = 0;
  bool cut_off;
  if (manifest_.base && !LoadFile(worker, PathOf(names[0]), names.size() == 1 ? Harm::kCutOff : Harm::kNone, &cut_off))
    return false;
  if (manifest_.base) closed_size_ = FileBytes(PathOf(names[0]));
  return LoadIncrements(worker);
}

bool Aof::LoadIncrements(Worker& worker) {
  const std::vector<AofFile>& files = manifest_.increments;
  for (size_t i = 0; i < files.size(); i++) {
    std::string path = PathOf(files[i].name);
    auto is_empty = [this](const AofFile& file) { return IsEmptyIncrement(PathOf(file.name)); };
    bool last = std::all_of(files.begin() + static_cast<ptrdiff_t>(i) + 1, files.end(), is_empty);
    AofMark next = i + 1 < files.size() ? ReadAofMark(PathOf(files[i + 1].name)) : AofMark();
    bool shorter = next.open && FileBytes(path) < next.size;
    bool cut_off;
    server.loading.bytes_before = closed_size_;
    Harm harm = next.open || next.damaged ? Harm::kHoles : last ? Harm::kCutOff : Harm::kNone;
    if (!LoadFile(worker, path, harm, &cut_off)) return false;
    closed_size_ += FileBytes(path);
    if ((!cut_off || last) && !shorter) continue;
    // The power went before this increment was on the disk: what follows it has lost its ground.
    if (!server.config().aof_load_truncated) {
      LogWarning("Unexpected end of file reading the append only file " + path + ": it had " +
                 std::to_string(next.size) + " bytes when the next one was begun. Make a backup of the folder, then " +
                 "set aof-load-truncated to yes.");
      return false;
    }
    return LeaveOutAfter(i);
  }
  return true;
}

bool Aof::LeaveOutAfter(size_t increment) {
  std::string names;
  for (size_t i = increment + 1; i < manifest_.increments.size(); i++) names += " " + manifest_.increments[i].name;
  if (names.empty()) return true;
  LogWarning("!!! Warning: " + manifest_.increments[increment].name +
             " was not on the disk when the power failed: what came after it is left out. It stays in the folder:" +
             names + " !!!");
  AofManifest next = manifest_;
  next.increments.resize(increment + 1);
  std::string error;
  bool good = SaveManifest(next, &error);
  if (!good) LogWarning("Can't write the AOF manifest: " + error);
  manifest_ = next;
  return good;
}

// What an earlier life has not synced may still be on its way to the disk, and what is written now comes behind it.
bool Aof::SyncLoaded() {
  for (const AofFile& increment : manifest_.increments) {
    std::string path = PathOf(increment.name);
    int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && fdatasync(fd) == 0;
    if (!good) LogWarning("Can't sync " + path + ": " + strerror(errno));
    if (fd >= 0) close(fd);
    if (!good) return false;
  }
  for (const AofFile& increment : manifest_.increments) {
    if (ReadAofMark(PathOf(increment.name)).open) CloseAofMark(PathOf(increment.name));
  }
  return true;
}

// The files are loaded: what is recorded from now on goes to the last increment.
bool Aof::OpenForAppending() {
  std::string error;
  bool good = SyncLoaded();
  if (good && manifest_.increments.empty()) {
    good = OpenFirstIncrement(&error);
  } else if (good) {
    good = open_.file.Open(PathOf(manifest_.increments.back().name), false, &error);
    closed_size_ -= open_.file.size();
    open_.whole_size = open_.file.size();
  }
  if (!good) LogWarning("Can't open the append-only file: " + error);
  return good;
}

bool Aof::Start(Worker& worker) {
  bool there;
  if (!LoadManifest(&there)) return false;
  if (!server.config().appendonly) return true;
  RemoveStaleTemporaries(Folder());
  if (!AdoptOldFile(&there)) return false;
  if (there) {
    if (!LoadFiles(worker) || !OpenForAppending()) return false;
    DeleteHistory();
  } else if (!MakeFirstFiles()) {
    return false;
  }
  WriteSizes();
  rewrite_base_size_ = Sizes().current;
  SetState(State::kOn);
  journal.Switch(true);
  StartThreads();
  return true;
}

bool Aof::Reload(Worker& worker) {
  EndJob();
  Commit();
  journal.Switch(false);
  bool good = LoadFiles(worker);
  closed_size_ -= std::min(closed_size_.load(), open_.file.size());
  journal.Switch(true);
  return good;
}

}  // namespace brim
