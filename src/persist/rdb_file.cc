#include "persist/rdb_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/numbers.h"
#include "persist/append_file.h"
#include "persist/crc64.h"
#include "persist/rdb_format.h"
#include "persist/rdb_reader.h"
#include "store/access.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr uint32_t kOpcodesAPulse = 256;
constexpr uint64_t kHandOver = 4 << 20;

// The state between opcodes.
class FileReader {
 public:
  FileReader(RdbInput& input, int64_t now_ms, LoadFigures* figures)
      : input_(input), reader_(input), now_ms_(now_ms), figures_(figures) {}

  bool Header();
  bool Body();
  bool Checksum(bool check_sum);
  std::string error() const { return reader_.error(); }

 private:
  bool Key(uint8_t type);
  bool Function();
  bool Opcode(uint8_t opcode, bool* end);
  void MakeRoom(uint64_t keys);

  RdbInput& input_;
  RdbReader reader_;
  int64_t now_ms_;
  LoadFigures* figures_;
  int version_ = 0;
  int db_ = 0;
  int64_t expiry_ms_ = -1;
  int64_t idle_s_ = -1;
  int64_t frequency_ = -1;
  std::string key_;
  std::string text_;
};

bool FileReader::Header() {
  char magic[rdb::kMagicBytes];
  if (!input_.Read(magic, sizeof magic)) return reader_.Fail("the file's first bytes");
  if (!rdb::ReadMagic({magic, sizeof magic}, &version_)) return reader_.Fail("the signature of an RDB file");
  if (!rdb::IsKnownVersion(version_)) {
    return reader_.Fail("RDB version " + std::to_string(version_) + ", which is not known");
  }
  reader_.SetVersion(version_);
  reader_.DropFieldsBefore(now_ms_);
  return true;
}

bool FileReader::Key(uint8_t type) {
  if (!reader_.String(&key_)) return false;
  uint64_t hash = HashBytes(key_);
  Shard& shard = shards.Of(hash);
  LoadedValue loaded;
  if (!reader_.Object(type, &shard.heap(), &loaded)) return false;
  figures_->expired_fields += loaded.dropped;
  if (loaded.empty) {
    (loaded.dropped > 0 ? figures_->expired : figures_->empty)++;
  } else if (expiry_ms_ >= 0 && expiry_ms_ < now_ms_) {
    figures_->expired++;
  } else {
    Keyspace& keyspace = shard.db(db_);
    if (KeyRef there = keyspace.Find(key_, hash)) {
      if (!load_overwrites) return reader_.Fail("a key that is named twice or is there already: " + key_.substr(0, 64));
      keyspace.Erase(there, false);
    }
    KeyRef ref = InstallValue(keyspace, key_, hash, loaded, expiry_ms_);
    SetLoadedAccess(ref.entry(), idle_s_, frequency_);
    figures_->keys++;
  }
  expiry_ms_ = idle_s_ = frequency_ = -1;
  return true;
}

bool FileReader::Function() {
  std::string error;
  if (!reader_.String(&text_)) return false;
  figures_->functions++;
  if (load_function == nullptr || load_function(text_, &error)) return true;
  return reader_.Fail("a library of functions: " + error);
}

// The database's tables for that many keys, or for as many as the file can hold.
void FileReader::MakeRoom(uint64_t keys) {
  constexpr uint64_t kKeyBytes = 3;  // of a key at least: type, key's length, value's length
  uint64_t each = std::min(keys, input_.left() / kKeyBytes) / static_cast<uint64_t>(shards.count());
  for (int i = 0; i < shards.count(); i++) Reserve(shards[i].db(db_).table(), each);
}

bool FileReader::Opcode(uint8_t opcode, bool* end) {
  uint64_t n;
  uint8_t byte;
  switch (opcode) {
    case rdb::kEof:
      *end = true;
      return true;
    case rdb::kSelectDb:
      if (!reader_.Length(&n)) return false;
      if (n >= static_cast<uint64_t>(shards[0].databases())) {
        return reader_.Fail("database " + std::to_string(n) + ", and `databases` is " +
                            std::to_string(shards[0].databases()));
      }
      db_ = static_cast<int>(n);
      return true;
    case rdb::kExpireMs:
      return reader_.Raw(&expiry_ms_, sizeof expiry_ms_);
    case rdb::kExpireSeconds: {
      int32_t seconds;
      if (!reader_.Raw(&seconds, sizeof seconds)) return false;
      expiry_ms_ = int64_t{seconds} * 1000;
      return true;
    }
    case rdb::kFreq:
      if (!reader_.Byte(&byte)) return false;
      frequency_ = byte;
      return true;
    case rdb::kIdle:
      if (!reader_.Length(&n)) return false;
      idle_s_ = static_cast<int64_t>(n);
      return true;
    case rdb::kResizeDb:
      if (!reader_.Length(&n)) return false;
      MakeRoom(n);
      return reader_.Length(&n);
    case rdb::kSlotInfo:
      return reader_.Length(&n) && reader_.Length(&n) && reader_.Length(&n);
    case rdb::kAux:
      return reader_.String(&text_) && reader_.String(&text_);
    case rdb::kFunction2:
      return Function();
    case rdb::kModuleAux:
      return reader_.SkipModuleAux();
    case rdb::kFunctionPreGa:
      return reader_.Fail("a function of a release candidate's format");
    default:
      return Key(opcode);
  }
}

bool FileReader::Body() {
  uint32_t opcodes = 0;
  for (bool end = false; !end;) {
    if (load_pulse != nullptr && ++opcodes % kOpcodesAPulse == 0) load_pulse(input_.offset());
    uint8_t opcode;
    if (!reader_.Byte(&opcode) || !Opcode(opcode, &end)) return false;
  }
  return true;
}

bool FileReader::Checksum(bool check_sum) {
  if (version_ < 5) return true;
  uint64_t computed = input_.checksum();
  uint64_t stored;
  if (!reader_.Raw(&stored, sizeof stored)) return false;
  return !check_sum || stored == 0 || stored == computed ||
         reader_.Fail("the checksum, which does not fit the content");
}

}  // namespace

LoadResult LoadRdbFile(const std::string& path, int64_t now_ms, bool check_sum, LoadFigures* figures,
                       std::string* error) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return LoadResult::kNoFile;
    *error = "opening " + path + ": " + strerror(errno);
    return LoadResult::kBroken;
  }
  FileInput input(fd);
  FileReader reader(input, now_ms, figures);
  bool good = reader.Header() && reader.Body() && reader.Checksum(check_sum);
  close(fd);
  figures->bytes = input.offset();
  if (!good) *error = reader.error();
  return good ? LoadResult::kLoaded : LoadResult::kBroken;
}

// ---- writing

SafeFile::~SafeFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

bool SafeFile::Say(const char* what, std::string* error) {
  *error = std::string(what) + " " + temporary_ + ": " + strerror(errno);
  return false;
}

bool SafeFile::Open(const std::string& folder, const std::string& name, std::string* error) {
  folder_ = folder;
  path_ = folder + "/" + name;
  temporary_ = folder + "/temp-" + std::to_string(getpid()) + ".rdb";
  fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) return Say("opening", error);
  flock(fd_, LOCK_EX | LOCK_NB);  // somebody writes it: see RemoveStaleTemporaries
  return true;
}

bool SafeFile::Write(std::string_view bytes, std::string* error) {
  checksum_ = Crc64(checksum_, bytes.data(), bytes.size());
  while (!bytes.empty()) {
    ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Say("writing", error);
    bytes.remove_prefix(static_cast<size_t>(written));
    bytes_ += static_cast<uint64_t>(written);
  }
  if (bytes_ - handed_ >= kHandOver) {
    sync_file_range(fd_, static_cast<off_t>(handed_), static_cast<off_t>(bytes_ - handed_), SYNC_FILE_RANGE_WRITE);
    handed_ = bytes_;
  }
  return true;
}

bool SafeFile::FinishRdb(bool check_sum, std::string* error) {
  uint64_t sum = check_sum ? checksum_ : 0;
  return Write({reinterpret_cast<const char*>(&sum), sizeof sum}, error) && Finish(error);
}

bool SafeFile::Finish(std::string* error) {
  if (fsync(fd_) != 0) return Say("syncing", error);
  bool closed = close(std::exchange(fd_, -1)) == 0;
  if (!closed || rename(temporary_.c_str(), path_.c_str()) != 0) {
    Say(closed ? "renaming" : "closing", error);
    unlink(temporary_.c_str());
    return false;
  }
  return SyncFolder(folder_, error);
}

}  // namespace brim
