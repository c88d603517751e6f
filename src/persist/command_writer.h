#pragma once
// Writes entries as the commands that make them, as the base of an AOF with `aof-use-rdb-preamble no` has them: SELECT,
// then for each key SET, RPUSH, SADD, ZADD or HMSET, up to 64 elements a command, and PEXPIREAT.
#include <cstdint>

#include "persist/entry_writer.h"

namespace brim {

class CommandWriter final : public EntryWriter {
 public:
  // The line that says when what follows was written (aof-timestamp-enabled).
  void TimeStamp(int64_t now_s);
  void SelectDb(int db) override;
  void Key(const KeyRef& ref) override;

 private:
  void Zset(const KeyRef& ref);
};

}  // namespace brim
