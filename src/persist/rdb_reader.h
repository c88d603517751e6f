#pragma once
// Reads lengths, texts and values in the RDB format, of every version, from bytes that nobody vouches for: each length
// is checked, and what does not fit ends the reading with what was being read and where.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "persist/rdb_input.h"
#include "store/keyspace.h"
#include "types/detached_value.h"

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
  bool empty = false;  // a collection without elements, as old versions wrote some: no key is made of it
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
  bool Set(Value& value);
  bool Zset(uint8_t type, Value& value);
  bool OldScore(double* score);
  bool Hash(uint8_t type, Value& value);
  bool Packed(uint8_t type, Value& value);
  bool Pairs(uint8_t type, Value& value);
  bool AddPair(Value& value, std::string_view first, std::string_view second);

  RdbInput& input_;
  std::string text_;
  std::string other_;
  std::string error_;
};

// Puts the value at a key that is absent. Needs the shard's lock.
KeyRef InstallValue(Keyspace& keyspace, std::string_view key, uint64_t hash, LoadedValue& loaded, int64_t expiry_ms);

}  // namespace brim
