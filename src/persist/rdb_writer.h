#pragma once
// Writes values in the RDB format, into a string. No locks of its own: the caller holds those of what it writes.
#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "persist/entry_writer.h"
#include "types/stream_groups.h"
#include "types/stream_producers.h"
#include "types/value.h"

namespace brim {

class RdbWriter final : public EntryWriter {
 public:
  // `compress`: texts of more than 20 bytes are compressed with LZF where that is shorter (rdbcompression).
  explicit RdbWriter(bool compress) : compress_(compress) {}

  void Byte(uint8_t byte) { out_.push_back(static_cast<char>(byte)); }
  void Raw(const void* bytes, size_t size) { out_.append(static_cast<const char*>(bytes), size); }
  void Length(uint64_t n);
  void String(std::string_view text);
  void Aux(std::string_view name, std::string_view value);

  // What the file begins and (but for the checksum) ends with. `version`: the lowest that has all that follows.
  void Header(int64_t now_s, int64_t used_memory, bool aof_base, int version);
  void SelectDb(int db) override;
  // A hint for whoever loads it: how many keys the database has, and how many of them an expiry.
  void DatabaseSize(int db, uint64_t keys, uint64_t expires);

  // A key with its expiry, its access where the policy wants it, and its value. A blob that is left out is
  // written by the caller, behind LongHead.
  bool KeyStep(const KeyRef& ref, WritePlace* place) override;
  // A value without its key: the type's byte and the content, as DUMP has it. Stops at nothing: O(value).
  void Object(const Value& value) { Object(value, nullptr); }
  // What DUMP answers and RESTORE takes: Object, then the version and the checksum of all before it, little endian.
  // `admit`: asked on the way for the bytes written so far; what it throws ends it.
  void Dumped(const Value& value, void (*admit)(size_t bytes) = nullptr);
  // Version and checksum of what was written (persist/dump_footer.h).
  void Footer(int rdb_version);
  // A library of functions, as files and FUNCTION DUMP have it.
  void Function(std::string_view text);

  // What goes before a long text that is written behind it as it is, or as LongCompressed made it of it.
  void LongHead(size_t size) { Length(size); }
  void LongHead(size_t size, size_t compressed);
  // Compresses a text of any length in *out, which never becomes longer than kLongCompressedMax; false when that does
  // not make it shorter, or would be longer.
  static constexpr size_t kLongCompressedMax = 8 << 20;
  static bool LongCompressed(std::string_view text, std::string* out);

 private:
  uint8_t TypeOf(const Value& value) const;
  void Object(const Value& value, void (*admit)(size_t bytes));
  bool ContentStep(const Value& value, WritePlace* place);
  bool HashStep(const Value& value, WritePlace* place);
  bool ZsetStep(const Value& value, WritePlace* place);
  bool ListStep(const Value& value, WritePlace* place);
  bool SetStep(const Value& value, WritePlace* place);
  bool InlineBody(const Value& value);
  // What came of compressing texts of about one size.
  struct Trials {
    uint32_t in_vain = 0;  // in a row
    uint32_t passed_by = 0;
  };
  Trials& TrialsOf(size_t size) { return trials_[static_cast<size_t>(std::bit_width(size))]; }
  // Whether to try with the next text, of that size.
  bool TriesToCompress(size_t size);
  void Number(int64_t number);
  // In rdb_writer_streams.cc.
  bool StreamStep(const Value& value, WritePlace* place);
  void StreamNodes(const Stream& stream, WritePlace* place);
  void StreamPending(const StreamGroup& group, WritePlace* place);
  void StreamConsumer(const brim::StreamConsumer& consumer, bool with_active);
  void StreamPendingOf(const brim::StreamConsumer& consumer, WritePlace* place);
  void StreamProducers(const brim::StreamProducers& producers);
  void Id(StreamId id) {
    Length(id.ms);
    Length(id.seq);
  }
  void Double(double number) { Raw(&number, sizeof number); }

  std::string scratch_;
  std::string listpack_;
  bool compress_;
  std::array<Trials, 33> trials_;  // by the bits of the size, which is below 2^32
};

}  // namespace brim
