// A whole RDB file from arbitrary bytes: what it holds is in the databases and counted, or the error says where and
// why; when they are emptied nothing of it is left in the heap.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "fuzz_input.h"
#include "persist/rdb_file.h"
#include "store/shard.h"

namespace {

using namespace brim;

constexpr int kDatabases = 16;
constexpr int64_t kNowMs = 1'700'000'000'000;

// Also the room that the file has asked for, which FLUSHDB leaves to a database without keys.
void Empty(Shard& shard) {
  for (int db = 0; db < kDatabases; db++) {
    Keyspace old(&shard, &shard.heap(), db);
    shard.db(db).SwapContents(old);
  }
}

Shard& TheShard() {
  static Shard* shard = [] {
    shards.Build(1, kDatabases);
    load_function = [](const std::string& text, std::string* error) {
      if (text.starts_with("#!")) return true;
      *error = "no library";
      return false;
    };
    Empty(shards[0]);
    return &shards[0];
  }();
  return *shard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = memfd_create("rdb_file_fuzz", MFD_CLOEXEC);
  Shard& shard = TheShard();
  size_t used = shard.heap().used_bytes();
  Require(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == static_cast<ssize_t>(size));
  LoadFigures figures;
  std::string error;
  bool check_sum = size > 0 && data[size - 1] == 0;
  LoadResult result = LoadRdbFile("/proc/self/fd/" + std::to_string(fd), kNowMs, check_sum, &figures, &error);
  Require(result != LoadResult::kNoFile && (result == LoadResult::kLoaded) == error.empty());
  Require(result == LoadResult::kLoaded || error.find("offset") != std::string::npos);
  Require(figures.bytes <= size);
  size_t keys = 0;
  for (int db = 0; db < kDatabases; db++) keys += shard.db(db).size();
  Require(keys == figures.keys);
  Empty(shard);
  Require(shard.heap().used_bytes() == used);
  return 0;
}
