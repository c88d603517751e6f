#pragma once
// Hash values. Small: an inline listpack of field, value, field, value. Large (over hash_max_listpack_entries pairs, or
// a text over hash_max_listpack_value): an external HashTable, the bucket table over one block per field:
//   [packed field][packed value]   (types/packed_text.h)
// A hash never goes back to the listpack. Fields with an expiry: types/hash_expiry.h. All calls need the lock of the
// value's shard.
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "types/packed_text.h"
#include "types/table.h"
#include "types/value.h"

namespace brim {

struct HashTable {
  explicit HashTable(Heap* heap);
  Table table;
  size_t block_bytes = 0;  // of all field blocks, granted sizes

  static std::string_view FieldOf(const void* block) { return UnpackText(block); }
  static std::string_view ValueOf(const void* block) { return NextPackedText(UnpackText(block)); }
};

// Bytes of an inline hash without fields, and its writing into a new key's value.
size_t EmptyHashBytes();
void InitHash(Value& value);

// Pairs in the hash. O(1), but for listpacks of more than 65534 elements.
size_t HashLength(const Value& value);
// The field's value in *found, which lives in the hash or (numbers in a listpack) in `buffer` of 24 bytes, until the
// hash changes. False when there is no such field. O(1), or O(n) in a listpack.
bool HashGet(const Value& value, std::string_view field, char* buffer, std::string_view* found);
bool HashContains(const Value& value, std::string_view field);

// Sets the field, converting first when a text is too long and after when there are too many. True when it is new. A
// time that the field has goes. The texts may not lie in the hash itself.
bool HashSet(Value& value, std::string_view field, std::string_view text);
// True when the field was there. The caller deletes the key once the hash is empty.
bool HashDelete(Value& value, std::string_view field);
// Converts to the table at once when one of the texts, or all together, are too long for a listpack.
void HashMakeRoomFor(Value& value, std::span<const std::string_view> texts);
void HashConvertToTable(Value& value);
// That many fields are about to be set in an empty hash: converts to a table with room for them if they are many.
void HashExpect(Value& value, size_t fields);

// Calls fn(field, value) for every pair; fn may not change the hash, and the views end with the call.
template <class Fn>
void HashForEach(const Value& value, Fn&& fn);
// One step of a scan that survives changes between the steps: the pairs at `cursor` (0 to begin); the next cursor, 0 at
// the end. A listpack is visited whole at once.
template <class Fn>
uint64_t HashScan(const Value& value, uint64_t cursor, Fn&& fn);

// --- the external structure's part of types/value.h; `table` is a HashTable
// All its bytes, granted sizes. O(1).
size_t HashExternalBytes(const HashTable& table, Encoding encoding);
// Blocks to be freed.
size_t HashFreeEffort(const HashTable& table);
// Frees about `budget` blocks; true when everything, the structure too, is gone. Between the calls no other is allowed.
bool HashFreeSome(Heap& heap, HashTable* table, Encoding encoding, size_t budget);
// Copies the hash into dst, a new and still uninitialised value of the type: same encoding. O(n).
void CopyHash(const Value& src, Value& dst);

// --- for the templates
using HashVisitor = void (*)(void* fn, std::string_view field, std::string_view value);
void VisitHash(const Value& value, HashVisitor visit, void* fn);
uint64_t VisitHashFrom(const Value& value, uint64_t cursor, HashVisitor visit, void* fn);
// `count` random pairs; if `distinct` none twice (count is at most the length), else drawn independently from a hash
// that is not empty.
void VisitHashSample(const Value& value, size_t count, bool distinct, HashVisitor visit, void* fn);
template <class Fn>
void CallHashVisitor(void* fn, std::string_view field, std::string_view value) {
  (*static_cast<Fn*>(fn))(field, value);
}

template <class Fn>
void HashForEach(const Value& value, Fn&& fn) {
  VisitHash(value, CallHashVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
uint64_t HashScan(const Value& value, uint64_t cursor, Fn&& fn) {
  return VisitHashFrom(value, cursor, CallHashVisitor<std::remove_reference_t<Fn>>, &fn);
}
}  // namespace brim
