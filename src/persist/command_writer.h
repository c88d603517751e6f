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
  bool KeyStep(const KeyRef& ref, WritePlace* place) override;

 private:
  // The elements of a key, in commands of up to 64; `words_each` is the words of each element.
  struct Adding {
    std::string_view name;
    std::string_view key;
    size_t words_each;
  };
  // To be called before each element; its words come next.
  void NextElement(const Adding& adding, WritePlace* place);

  bool ValueStep(const KeyRef& ref, WritePlace* place);
  bool StringStep(const KeyRef& ref, WritePlace* place);
  bool ListStep(const KeyRef& ref, WritePlace* place);
  bool SetStep(const KeyRef& ref, WritePlace* place);
  bool ZsetStep(const KeyRef& ref, WritePlace* place);
  bool ZsetZeros(const KeyRef& ref, WritePlace* place);
  bool HashStep(const KeyRef& ref, WritePlace* place);
  void FieldTimes(const KeyRef& ref, WritePlace* place);
  // In command_writer_streams.cc.
  bool StreamStep(const KeyRef& ref, WritePlace* place);
  void StreamEntries(const KeyRef& ref, WritePlace* place);
  void StreamIds(std::string_view key, const Stream& stream);
  void StreamProducers(std::string_view key, const brim::StreamProducers& producers);
  void CreateGroup(std::string_view key, const StreamGroup& group);
  void StreamPending(std::string_view key, const StreamGroup& group, WritePlace* place);
};

}  // namespace brim
