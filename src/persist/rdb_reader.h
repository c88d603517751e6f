#pragma once
// Reads lengths, texts and values in the RDB format, of every version, from bytes that nobody vouches for: each length
// is checked, and what does not fit ends the reading with what was being read and where.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "persist/rdb_format.h"
#include "persist/rdb_input.h"
#include "store/keyspace.h"
#include "types/detached_value.h"
#include "types/stream_groups.h"

namespace brim {

class LoadedCollection final : public DetachedValue {
 public:
  using DetachedValue::DetachedValue;
};

// A value read, not yet at a key. Strings are a text, the others a value in the heap of the shard they are read for.
struct LoadedValue {
  Type type = Type::kNone;
  std::string text;
  std::unique_ptr<LoadedCollection> value;
  // A collection without elements: old versions wrote some, or the time of all its fields is past. No key is made of
  // it.
  bool empty = false;
  uint64_t dropped = 0;  // fields that were left out because their time is past
};

class RdbReader {
 public:
  explicit RdbReader(RdbInput& input) : input_(input) {}

  bool Byte(uint8_t* byte) { return input_.Read(byte, 1) || Fail("a byte"); }
  bool Raw(void* to, size_t size) { return input_.Read(to, size) || Fail("a number"); }
  // A length; in a place where an encoded text cannot be.
  bool Length(uint64_t* n);
  // A text: plain, a number, or compressed.
  bool String(std::string* text);
  // What is read was written in that version of the format.
  void SetVersion(int version) { valkey_ = version >= rdb::kValkeyVersion; }
  // Fields of hashes whose time is before are left out; 0: none.
  void DropFieldsBefore(int64_t ms) { drop_before_ms_ = ms; }
  // The content of an object of that type. Needs the lock of the heap's shard.
  bool Object(uint8_t type, Heap* heap, LoadedValue* loaded);
  // Skips the rest of a module's auxiliary field.
  bool SkipModuleAux();

  // "reading a length at offset 123", or what else was wrong.
  const std::string& error() const { return error_; }
  bool Fail(std::string_view what);

 private:
  bool LengthOrEncoding(uint64_t* n, bool* encoded);
  bool Encoded(uint64_t form, std::string* text);
  bool Compressed(std::string* text);
  bool List(uint8_t type, Value& value);
  bool ListNode(uint8_t type, Value& value);
  size_t Expected(uint64_t count) const;
  bool Set(Value& value);
  bool Zset(uint8_t type, Value& value);
  bool OldScore(double* score);
  bool Hash(Value& value);
  bool TimedHash(uint8_t type, Value& value);
  bool FieldTime(uint8_t type, int64_t earliest, int64_t* at_ms);
  bool AddTimed(Value& value, std::string_view field, std::string_view text, int64_t at_ms);
  bool Triples(uint8_t type, Value& value);
  bool Packed(uint8_t type, Value& value);
  bool Pairs(uint8_t type, Value& value);
  // rdb_reader_streams.cc
  bool Stream(uint8_t type, Value& value);
  bool StreamNode(brim::Stream& stream, StreamId* last);
  bool StreamGroup(uint8_t type, brim::Stream& stream);
  bool StreamPending(brim::Stream& stream, brim::StreamGroup& group);
  bool StreamProducers(brim::Stream& stream);
  bool StreamConsumer(uint8_t type, brim::Stream& stream, brim::StreamGroup& group);
  bool Id(StreamId* id) { return Length(&id->ms) && Length(&id->seq); }
  bool RawId(StreamId* id);
  bool AddPair(Value& value, std::string_view first, std::string_view second);

  RdbInput& input_;
  std::string text_;
  std::string other_;
  std::string error_;
  bool valkey_ = false;
  int64_t drop_before_ms_ = 0;
  uint64_t dropped_ = 0;
};

// Puts the value at a key that is absent. Needs the shard's lock.
KeyRef InstallValue(Keyspace& keyspace, std::string_view key, uint64_t hash, LoadedValue& loaded, int64_t expiry_ms);

}  // namespace brim
