// Loading the append-only file: the base, the increments, or an old single file.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/ascii.h"
#include "base/monotonic.h"
#include "base/numbers.h"
#include "persist/aof_reader.h"
#include "persist/rdb_file.h"
#include "server/aof.h"
#include "server/dispatch.h"
#include "server/journal.h"
#include "server/log.h"
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
  return got == sizeof magic && memcmp(magic, "REDIS", sizeof magic) == 0;
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
  uint64_t commands() const { return commands_; }

 private:
  bool Take(const std::vector<std::string_view>& words, std::string* error);
  bool RunCommand(std::span<const std::string_view> words, std::string* error);

  ServerContext context_;
  OutputBuffer replies_;
  std::string path_;
  int db_ = 0;
  bool in_multi_ = false;
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
    if (read == AofRead::kBroken) {
      *error = "no command at offset " + std::to_string(reader.offset());
      return false;
    }
    *truncated = read == AofRead::kTruncated || in_multi_;
    if (*truncated) *error = "it ends within a command or a transaction, whole up to " + std::to_string(good_up_to_);
    return !*truncated;
  }
}

// One file of the AOF, a snapshot, commands, or both. `last`: what a crash has left of the last write may be cut off.
bool LoadFile(Worker& worker, const std::string& path, bool last) {
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
  bool truncated;
  if (!replayer.Run(offset, &truncated, &error)) {
    if (!truncated) {
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
  if (AofManifest::Parse(text, &manifest_, &error)) return true;
  LogWarning("Error reading the AOF manifest: " + error);
  return false;
}

// A single file as redis-server wrote it up to version 6 becomes the base.
bool Aof::AdoptOldFile() {
  const std::string& name = server.config().appendfilename;
  std::string old = Folder().substr(0, Folder().rfind('/')) + "/" + name;
  if (!Exists(old)) return true;
  LogNotice("Found an old-style AOF, importing it into the folder " + Folder());
  std::string error;
  manifest_ = AofManifest();
  manifest_.base = AofFile{name, 1};
  bool good = MakeFolder(&error) && SaveManifest(manifest_, &error);
  if (good && rename(old.c_str(), PathOf(name).c_str()) != 0) {
    error = "moving " + old + ": " + strerror(errno);
    unlink(PathOf(AofManifest::FileName(name)).c_str());
    good = false;
  }
  if (!good) LogWarning("Can't import the old-style AOF: " + error);
  return good;
}

bool Aof::LoadFiles(Worker& worker) {
  std::vector<std::string> names;
  if (manifest_.base) names.push_back(manifest_.base->name);
  for (const AofFile& increment : manifest_.increments) names.push_back(increment.name);
  closed_size_ = 0;
  server.loading.total_bytes = 0;
  for (const std::string& name : names) {
    struct stat about;
    if (stat(PathOf(name).c_str(), &about) == 0) server.loading.total_bytes += static_cast<uint64_t>(about.st_size);
  }
  for (size_t i = 0; i < names.size(); i++) {
    if (!Exists(PathOf(names[i]))) {
      LogWarning("The AOF file " + names[i] + " doesn't exist");
      return false;
    }
    server.loading.bytes_before = closed_size_;
    if (!LoadFile(worker, PathOf(names[i]), i + 1 == names.size())) return false;
    struct stat about;
    if (stat(PathOf(names[i]).c_str(), &about) == 0) closed_size_ += static_cast<uint64_t>(about.st_size);
  }
  return true;
}

bool Aof::Start(Worker& worker) {
  bool there;
  if (!LoadManifest(&there)) return false;
  if (!server.config().appendonly) return true;
  if (!there && !AdoptOldFile()) return false;
  there = there || manifest_.base.has_value();
  std::string error;
  if (there) {
    if (!LoadFiles(worker)) return false;
    bool good = true;
    if (manifest_.increments.empty()) {
      good = OpenIncrement(&manifest_, true, &error);
    } else {
      good = file_.Open(PathOf(manifest_.increments.back().name), false, &error);
      closed_size_ -= file_.size();
    }
    if (!good) {
      LogWarning("Can't open the append-only file: " + error);
      return false;
    }
    DeleteHistory();
  } else if (!MakeFirstFiles()) {
    return false;
  }
  rewrite_base_size_ = sizes().current;
  state_ = State::kOn;
  stop_ = false;
  journal.Switch(true);
  sync_thread_ = std::thread([this] { RunSync(); });
  return true;
}

bool Aof::Reload(Worker& worker) {
  Commit();
  journal.Switch(false);
  bool good = LoadFiles(worker);
  closed_size_ -= std::min(closed_size_, file_.size());
  journal.Switch(true);
  return good;
}

}  // namespace brim
