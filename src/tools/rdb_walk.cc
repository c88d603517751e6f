#include "tools/rdb_walk.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/monotonic.h"
#include "memory/heap.h"
#include "persist/rdb_format.h"
#include "persist/rdb_input.h"
#include "persist/rdb_reader.h"

namespace brim {

namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr int kChecksumSince = 5;  // the first version with a checksum at the end
constexpr int kUnknownType = -1;

// The names by which redis-check-rdb calls the types of objects.
constexpr std::array<const char*, 26> kTypeNames = {"string",        "list-linked",       "set-hashtable",
                                                    "zset-v1",       "hash-hashtable",    "zset-v2",
                                                    "module-pre-ga", "module-value",      "",
                                                    "hash-zipmap",   "list-ziplist",      "set-intset",
                                                    "zset-ziplist",  "hash-ziplist",      "quicklist",
                                                    "stream",        "hash-listpack",     "zset-listpack",
                                                    "quicklist-v2",  "stream-v2",         "set-listpack",
                                                    "stream-v3",     "hash-metadata-pre", "hash-lpex-pre",
                                                    "hash-metadata", "hash-listpack-ex"};

const char* TypeName(int type) {
  return type >= 0 && type < static_cast<int>(kTypeNames.size()) ? kTypeNames[static_cast<size_t>(type)] : "unknown";
}

bool IsObjectType(int type) { return type <= rdb::kHashListpackEx && type != 8; }

// A file that remembers whether more was wanted than it has.
class WalkInput final : public RdbInput {
 public:
  explicit WalkInput(int fd) : fd_(fd), buffer_(kReadBytes) {}
  bool ended() const { return ended_; }

 private:
  std::span<const uint8_t> Fill() override {
    ssize_t got;
    do {
      got = read(fd_, buffer_.data(), buffer_.size());
    } while (got < 0 && errno == EINTR);
    ended_ = got <= 0;
    return {buffer_.data(), got > 0 ? static_cast<size_t>(got) : 0};
  }

  int fd_;
  bool ended_ = false;
  std::vector<uint8_t> buffer_;
};

class Walk {
 public:
  explicit Walk(int fd) : input_(fd), reader_(input_) {}

  bool Run(const std::string& name);
  uint64_t offset() const { return input_.offset(); }

 private:
  void Say(const std::string& text) const;
  bool Broken(const std::string& what) const;
  bool BrokenReading() const;
  void Figures() const;
  bool Header();
  bool Body();
  bool Checksum();
  bool Opcode(uint8_t opcode);
  bool Auxiliary();
  bool Key(uint8_t type);

  WalkInput input_;
  RdbReader reader_;
  Heap heap_;
  int version_ = 0;
  const char* doing_ = "start";
  int type_ = kUnknownType;
  bool in_key_ = false;
  std::string key_;
  std::string text_;
  int64_t expiry_ms_ = -1;
  int64_t now_ms_ = 0;
  uint64_t keys_ = 0;
  uint64_t expires_ = 0;
  uint64_t expired_ = 0;
};

void Walk::Say(const std::string& text) const {
  printf("[offset %llu] %s\n", static_cast<unsigned long long>(offset()), text.c_str());
}

void Walk::Figures() const {
  printf("[info] %llu keys read\n", static_cast<unsigned long long>(keys_));
  printf("[info] %llu expires\n", static_cast<unsigned long long>(expires_));
  printf("[info] %llu already expired\n", static_cast<unsigned long long>(expired_));
}

bool Walk::Broken(const std::string& what) const {
  printf("--- RDB ERROR DETECTED ---\n");
  Say(what);
  printf("[additional info] While doing: %s\n", doing_);
  if (in_key_) printf("[additional info] Reading key '%s'\n", key_.c_str());
  if (type_ != kUnknownType) printf("[additional info] Reading type %d (%s)\n", type_, TypeName(type_));
  Figures();
  return false;
}

bool Walk::BrokenReading() const {
  return Broken(input_.ended() ? "Unexpected EOF reading RDB file" : "Internal error in RDB " + reader_.error());
}

bool Walk::Header() {
  char magic[rdb::kMagicBytes];
  if (!input_.Read(magic, sizeof magic)) return BrokenReading();
  std::string_view bytes(magic, sizeof magic);
  if (!bytes.starts_with("REDIS") && !bytes.starts_with("VALKEY")) {
    return Broken("Wrong signature trying to load DB from file");
  }
  if (!rdb::ReadMagic(bytes, &version_)) return Broken("Can't handle an RDB format version that is no number");
  reader_.SetVersion(version_);
  return rdb::IsKnownVersion(version_) || Broken("Can't handle RDB format version " + std::to_string(version_));
}

bool Walk::Auxiliary() {
  std::string name;
  doing_ = "read-aux";
  if (!reader_.String(&name) || !reader_.String(&text_)) return BrokenReading();
  Say("AUX FIELD " + name + " = '" + text_ + "'");
  return true;
}

bool Walk::Key(uint8_t type) {
  if (!IsObjectType(type)) return Broken("Invalid object type: " + std::to_string(type));
  type_ = type;
  doing_ = "read-key";
  if (!reader_.String(&key_)) return BrokenReading();
  in_key_ = true;
  keys_++;
  doing_ = "read-object-value";
  LoadedValue loaded;
  // A module's value is made as its auxiliary fields are, and can be passed over without the module.
  if (type == rdb::kModule2 ? !reader_.SkipModuleAux() : !reader_.Object(type, &heap_, &loaded)) return BrokenReading();
  // A server leaves such a key out when it loads the file; redis-check-rdb calls it an error.
  if (loaded.empty) return Broken("Internal error in RDB: a collection without elements");
  if (expiry_ms_ != -1) {
    expires_++;
    if (expiry_ms_ < now_ms_) expired_++;
  }
  in_key_ = false;
  type_ = kUnknownType;
  expiry_ms_ = -1;
  return true;
}

bool Walk::Opcode(uint8_t opcode) {
  uint64_t n;
  uint8_t byte;
  int32_t seconds;
  switch (opcode) {
    case rdb::kExpireSeconds:
      doing_ = "read-expire";
      if (!reader_.Raw(&seconds, sizeof seconds)) return BrokenReading();
      expiry_ms_ = int64_t{seconds} * 1000;
      return true;
    case rdb::kExpireMs:
      doing_ = "read-expire";
      return reader_.Raw(&expiry_ms_, sizeof expiry_ms_) || BrokenReading();
    case rdb::kFreq:
      return reader_.Byte(&byte) || BrokenReading();
    case rdb::kIdle:
      return reader_.Length(&n) || BrokenReading();
    case rdb::kSelectDb:
      doing_ = "read-len";
      if (!reader_.Length(&n)) return BrokenReading();
      Say("Selecting DB ID " + std::to_string(n));
      return true;
    case rdb::kResizeDb:
      doing_ = "read-len";
      return (reader_.Length(&n) && reader_.Length(&n)) || BrokenReading();
    case rdb::kSlotInfo:
      doing_ = "read-len";
      return (reader_.Length(&n) && reader_.Length(&n) && reader_.Length(&n)) || BrokenReading();
    case rdb::kAux:
      return Auxiliary();
    case rdb::kModuleAux:
      doing_ = "read-module-aux";
      if (!reader_.SkipModuleAux()) return BrokenReading();
      Say("MODULE AUX");
      return true;
    case rdb::kFunction2:
      doing_ = "read-functions";
      return reader_.String(&text_) || BrokenReading();
    case rdb::kFunctionPreGa:
      return Broken("Pre-release function format not supported.");
    default:
      return Key(opcode);
  }
}

bool Walk::Body() {
  for (;;) {
    uint8_t opcode;
    doing_ = "read-type";
    if (!reader_.Byte(&opcode)) return BrokenReading();
    if (opcode == rdb::kEof) return true;
    if (!Opcode(opcode)) return false;
  }
}

bool Walk::Checksum() {
  if (version_ < kChecksumSince) return true;
  uint64_t computed = input_.checksum();
  uint64_t stored;
  doing_ = "check-sum";
  if (!reader_.Raw(&stored, sizeof stored)) return BrokenReading();
  if (stored != 0 && stored != computed) return Broken("RDB CRC error");
  Say(stored != 0 ? "Checksum OK" : "RDB file was saved with checksum disabled: no check performed.");
  return true;
}

bool Walk::Run(const std::string& name) {
  now_ms_ = WallUs() / 1000;
  Say("Checking RDB file " + name);
  if (!Header() || !Body() || !Checksum()) return false;
  Say("\\o/ RDB looks OK! \\o/");
  Figures();
  return true;
}

}  // namespace

bool WalkRdb(int fd, const std::string& name, int64_t* end) {
  Walk walk(fd);
  bool good = walk.Run(name);
  *end = static_cast<int64_t>(walk.offset());
  return good;
}

}  // namespace brim
