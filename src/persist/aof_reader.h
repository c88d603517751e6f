#pragma once
// The commands of an AOF file, one after the other: RESP requests, and lines that begin with # (time stamps), which are
// passed over. One thread; no locks.
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

enum class AofRead : uint8_t {
  kCommand,
  kEnd,        // the file ends behind a whole command
  kTruncated,  // it ends within one
  kBroken,     // what is at offset() is no command
};

class AofReader {
 public:
  AofReader() = default;
  ~AofReader();
  AofReader(const AofReader&) = delete;
  AofReader& operator=(const AofReader&) = delete;

  // Reading begins at `offset`. False with errno's text in *error.
  bool Open(const std::string& path, uint64_t offset, std::string* error);
  // The next command's words; they are valid until the next call.
  AofRead Next(std::vector<std::string_view>* words);
  // Where the next command begins: everything before it is whole.
  uint64_t offset() const { return offset_; }
  // After kBroken: the first byte that cannot be part of a command.
  uint64_t broken_at() const { return broken_at_; }
  // Whether the file holds zeros, and nothing else, from there on, which is what some file systems leave of a write
  // that a power failure has cut off. The reader is of no use afterwards.
  bool OnlyZerosFrom(uint64_t offset);

 private:
  AofRead Line(char mark, int64_t* number);
  AofRead Comment();
  AofRead Short() const;

  FILE* file_ = nullptr;
  uint64_t offset_ = 0;
  uint64_t at_ = 0;
  uint64_t broken_at_ = 0;
  std::string bytes_;
};

}  // namespace brim
