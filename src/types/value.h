#pragma once
// What a key holds, seen from the types: a type, an encoding, and either bytes inside the key's own block ("inline") or
// a pointer to a structure in the shard's heap ("external"). src/store implements Value over an entry; tests implement
// it over malloc. Layout of each encoding: docs/entry.md.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "memory/heap.h"
#include "types/value_bytes.h"

namespace brim {

// Numbered as RDB numbers object types.
enum class Type : uint8_t {
  kString = 0,
  kList = 1,
  kSet = 2,
  kZset = 3,
  kHash = 4,
  kModule = 5,
  kStream = 6,
  kNone = 15
};

enum class Encoding : uint8_t {
  kRaw,          // string: inline [length][bytes], or external Blob
  kInt,          // string: inline integer of 1, 2, 4 or 8 bytes (the width is kept in the entry)
  kEmbstr,       // string: inline [length][bytes]
  kListpack,     // inline listpack (hash, zset, set; list: a quicklist is used from the first element)
  kIntset,       // inline intset
  kHashtable,    // external HashTable (hash) or SetTable (set)
  kSkiplist,     // external sorted set: table and counted tree
  kQuicklist,    // external list of listpack nodes
  kStream,       // external stream of listpack nodes
  kListpackEx,   // hash some fields of which have an expiry: inline listpack of field, value, time
  kHashtableEx,  // the same, external: TimedHashTable
};

// Names as TYPE and OBJECT ENCODING print them.
const char* TypeName(Type type);
const char* EncodingName(Encoding encoding);

class Table;

// A handle on one stored value. Valid while its shard is locked and its key exists; the block may move under it by any
// of the mutating calls, so data() is asked again after each.
class Value : public ValueBytes {
 public:
  Type type() const { return type_; }
  Encoding encoding() const { return encoding_; }
  bool external() const { return external_; }
  Heap& heap() const { return *heap_; }

  // Inline values: their bytes (strings: with the length prefix). ValueBytes::size() is the number of bytes in use as
  // told by the content itself (MeasureInline).
  // uint8_t* data() override; size_t size() const override; uint8_t* Resize(size_t) override;

  // External values: the structure; its type is given by type() and encoding().
  template <class T>
  T* As() const {
    return static_cast<T*>(pointer());
  }
  virtual void* pointer() const = 0;

  // Replace the representation. Neither frees what was there before: convert from a copy, or free first.
  // MakeInline returns room for `bytes` bytes, uninitialised; the caller writes a well-formed value into it.
  virtual uint8_t* MakeInline(Encoding encoding, size_t bytes) = 0;
  virtual void MakeExternal(Encoding encoding, void* structure) = 0;
  virtual void SetEncoding(Encoding encoding) = 0;  // same bytes, other name (embstr <-> raw)
  // Encoding::kInt: the number; MakeInt replaces the representation by the smallest integer width.
  virtual int64_t GetInt() const = 0;
  virtual void MakeInt(int64_t number) = 0;
  // A part of the value (a hash's field) is to go at that time; for whoever looks after such values.
  virtual void NoteDue(int64_t at_ms) { (void)at_ms; }

 protected:
  ~Value() = default;
  Type type_ = Type::kNone;
  Encoding encoding_ = Encoding::kRaw;
  bool external_ = false;
  Heap* heap_ = nullptr;
};

// The bytes of an inline value, for reading.
inline const uint8_t* InlineBytes(const Value& value) { return const_cast<Value&>(value).data(); }

// Bytes of an inline value, told by its content. `int_width` is for Encoding::kInt.
size_t MeasureInline(Encoding encoding, const uint8_t* bytes, size_t int_width);

// Elements in a collection (a string counts 1). O(1) but for listpacks of more than 65534 entries.
size_t ValueLength(const Value& value);
// The table that an external set, sorted set or hash finds its elements in by HashBytes of their texts; else null.
// O(1).
const Table* ElementTable(const Value& value);

// All bytes the value's external structure holds, granted sizes; 0 when inline. `samples` elements are measured and
// the rest extrapolated, 0 measures every one. O(samples) or O(n).
size_t ExternalBytes(const Value& value, size_t samples);

// A detached external structure, to be freed in slices by the shard (lazy freeing).
struct Detached {
  Type type;
  Encoding encoding;
  void* structure;
};
// How many separate blocks freeing takes (Redis's "free effort"): 1 for strings and inline values.
size_t FreeEffort(Type type, Encoding encoding, void* structure);
// Frees up to `budget` blocks of the structure. Returns true when nothing is left of it.
bool FreeSome(Heap& heap, Detached* detached, size_t budget);
// Frees the whole structure at once.
void FreeExternal(Heap& heap, Type type, Encoding encoding, void* structure);
// One slice of moving an external structure's blocks out of pages with gaps (Heap::WorthMoving): from *cursor on (0 to
// begin), some hundred elements. Returns true at the end.
bool TidyStructure(Heap& heap, Type type, Encoding encoding, void* structure, uint64_t* cursor);
// Copies src's value into dst (a new, empty value of the same type), byte for byte the same encoding. O(n).
void CopyValue(const Value& src, Value& dst);

}  // namespace brim
