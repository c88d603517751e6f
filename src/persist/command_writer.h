#pragma once
// Writes entries as the commands that make them, as the base of an AOF with `aof-use-rdb-preamble no` has them: SELECT,
// then for each key SET, RPUSH, SADD, ZADD or HMSET and HPEXPIREAT, up to 64 elements a command, and PEXPIREAT; for a
// stream an XADD for each entry, XSETID, XCFGSET and XIDMPRECORD for each idempotent id that it remembers, and for its
// groups XGROUP and XCLAIM.
#include <cstdint>
#include <string_view>

#include "persist/entry_writer.h"
#include "types/stream_groups.h"
#include "types/stream_producers.h"

namespace brim {

class CommandWriter final : public EntryWriter {
 public:
  // The line that says when what follows was written (aof-timestamp-enabled).
  void TimeStamp(int64_t now_s);
  // FUNCTION LOAD of a library.
  void Function(std::string_view text);
  void SelectDb(int db) override;
  void Key(const KeyRef& ref) override;

 private:
  void Zset(const KeyRef& ref);
  void Hash(const KeyRef& ref);
  void Stream(const KeyRef& ref);
  void StreamProducers(std::string_view key, const brim::StreamProducers& producers);
  void StreamGroup(std::string_view key, const brim::StreamGroup& group);
};

}  // namespace brim
