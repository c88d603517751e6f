// The files of an AOF from arbitrary bytes. As commands: what is read is what stands there, reading on from any whole
// command gives the rest, and a file that was only cut short is never called broken. As a manifest: what is accepted is
// written and read as the same, also after a rewrite.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz_input.h"
#include "persist/aof_manifest.h"
#include "persist/aof_reader.h"
#include "resp/request.h"

namespace {

using brim::AofManifest;
using brim::AofRead;
using brim::AofReader;
using brim::Require;

constexpr size_t kManifestLineMax = 1024;

// One file in memory for all inputs.
class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("aof_fuzz", MFD_CLOEXEC)) { Require(fd_ >= 0); }
  void Set(std::string_view bytes) const {
    Require(ftruncate(fd_, 0) == 0 && pwrite(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

struct Found {
  std::vector<uint64_t> ends;  // of the commands
  AofRead last = AofRead::kEnd;
};

// Reads the file from `offset` on; `bytes` is all of it.
Found ReadAll(const std::string& path, uint64_t offset, std::string_view bytes) {
  AofReader reader;
  std::string error;
  Require(reader.Open(path, offset, &error));
  Found found;
  std::vector<std::string_view> words;
  for (;;) {
    uint64_t before = reader.offset();
    found.last = reader.Next(&words);
    Require(reader.offset() >= before && reader.offset() <= bytes.size());
    if (found.last != AofRead::kCommand) break;
    std::string request;
    brim::AppendRequest(&request, words);
    Require(!words.empty() && before + request.size() <= reader.offset());
    Require(bytes.substr(reader.offset() - request.size(), request.size()) == request);
    found.ends.push_back(reader.offset());
  }
  if (found.last == AofRead::kEnd) Require(reader.offset() == bytes.size());
  return found;
}

void TryCommands(std::string_view bytes) {
  static const MemoryFile file;
  file.Set(bytes);
  Found all = ReadAll(file.path(), 0, bytes);
  if (!all.ends.empty()) {
    size_t middle = all.ends.size() / 2;
    Found rest = ReadAll(file.path(), all.ends[middle], bytes);
    Require(rest.last == all.last && std::equal(rest.ends.begin(), rest.ends.end(),
                                                all.ends.begin() + static_cast<ptrdiff_t>(middle) + 1, all.ends.end()));
  }
  if (all.last == AofRead::kBroken || bytes.empty()) return;
  std::string_view cut = bytes.substr(0, bytes.size() - 1 - static_cast<uint8_t>(bytes.back()) % bytes.size());
  file.Set(cut);
  Require(ReadAll(file.path(), 0, cut).last != AofRead::kBroken);
}

// False: some line has become too long by what is quoted in it.
bool Writable(const AofManifest& manifest) {
  std::string text = manifest.Text();
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end - begin >= kManifestLineMax) return false;
    begin = end + 1;
  }
  return !text.empty();
}

void RequireSameAgain(const AofManifest& manifest) {
  if (!Writable(manifest)) return;
  AofManifest again;
  std::string error;
  Require(AofManifest::Parse(manifest.Text(), &again, &error));
  Require(again.base == manifest.base && again.increments == manifest.increments && again.history == manifest.history);
  Require(again.Text() == manifest.Text());
}

void TryManifest(std::string_view bytes) {
  AofManifest manifest;
  std::string error;
  if (!AofManifest::Parse(bytes, &manifest, &error)) {
    Require(!error.empty());
    return;
  }
  RequireSameAgain(manifest);
  bool last_number = manifest.base && manifest.base->seq == INT64_MAX;
  last_number = last_number || (!manifest.increments.empty() && manifest.increments.back().seq == INT64_MAX);
  if (last_number) return;
  manifest.NextIncrement("appendonly.aof");
  RequireSameAgain(manifest);
  manifest.NextBase("appendonly.aof", bytes.size() % 2 == 0);
  if (manifest.base->seq == 0) return;  // after -1, which no server writes; 0 is read as none
  manifest.RetireIncrements(true);
  Require(manifest.increments.size() == 1);
  RequireSameAgain(manifest);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  TryCommands(bytes);
  TryManifest(bytes);
  return 0;
}
