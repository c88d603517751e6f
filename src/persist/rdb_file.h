#pragma once
// RDB files as a whole: loading one into the keyspace, and writing one safely.
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace brim {

struct LoadFigures {
  uint64_t keys = 0;
  uint64_t expired = 0;
  uint64_t empty = 0;
  uint64_t expired_fields = 0;
  uint64_t functions = 0;  // libraries
  uint64_t bytes = 0;
};

// Called some times a second while a file is loaded, with the bytes read so far; null: nobody asks.
inline void (*load_pulse)(uint64_t bytes) = nullptr;

// Takes the text of a library of functions that a file holds; false, with the reason, when it cannot. Null: libraries
// are left out.
inline bool (*load_function)(const std::string& text, std::string* error) = nullptr;

// What a file holds takes the place of what is there; else a key or library that is there already breaks the load. Set
// while every thread is paused.
inline bool load_overwrites = false;

enum class LoadResult : uint8_t { kLoaded, kNoFile, kBroken };

// Reads a file into the databases; what is past its time is left out. kBroken: *error says what was being read and at
// which offset; what came before it is loaded. Every thread paused, or none started.
LoadResult LoadRdbFile(const std::string& path, int64_t now_ms, bool check_sum, LoadFigures* figures,
                       std::string* error);

// A file that comes to be under a temporary name and takes its own when it is whole: written, synced, renamed, the
// folder synced.
class SafeFile {
 public:
  SafeFile() = default;
  ~SafeFile();
  SafeFile(const SafeFile&) = delete;
  SafeFile& operator=(const SafeFile&) = delete;

  // In this folder, to be called `name` in the end. False with errno's text in *error.
  bool Open(const std::string& folder, const std::string& name, std::string* error);
  // Carries the CRC-64 on; every 4 MB are handed to the disk at once, so that the sync at the end is short.
  bool Write(std::string_view bytes, std::string* error);
  // Makes it durable and gives it its name.
  bool Finish(std::string* error);
  // The same behind the checksum of an RDB file (or 0).
  bool FinishRdb(bool check_sum, std::string* error);
  uint64_t bytes() const { return bytes_; }

 private:
  bool Say(const char* what, std::string* error);
  std::string folder_;
  std::string temporary_;
  std::string path_;
  int fd_ = -1;
  uint64_t checksum_ = 0;
  uint64_t bytes_ = 0;
  uint64_t handed_ = 0;
};

}  // namespace brim
