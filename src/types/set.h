#pragma once
// Set values. Integers only, up to set_max_intset_entries: an inline intset. Small sets of texts, where
// set_max_listpack_entries is above 0: an inline listpack. Else an external SetTable: the bucket table over one block
// per member, [packed member] (types/packed_text.h). A set never goes back to a smaller encoding.
// All calls need the lock of the value's shard.
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "types/packed_text.h"
#include "types/table.h"
#include "types/value.h"

namespace brim {

struct SetTable {
  explicit SetTable(Heap* heap);
  Table table;
  size_t block_bytes = 0;  // of all member blocks, granted sizes

  static std::string_view MemberOf(const void* block) { return UnpackText(block); }
};

// A member as text, and as a number where its encoding knows it already.
struct SetMember {
  std::string_view text;
  bool is_number = false;
  int64_t number = 0;
};

// Bytes of an inline set without members (an intset), and its writing into a new key's value.
size_t EmptySetBytes();
void InitSet(Value& value);

// O(1), but for listpacks of more than 65534 members.
size_t SetLength(const Value& value);
// O(1); O(log n) in an intset, O(n) in a listpack.
bool SetContains(const Value& value, const SetMember& member);
inline bool SetContains(const Value& value, std::string_view member) { return SetContains(value, SetMember{member}); }
// True when the member is new. Converts when it no longer fits the encoding.
bool SetAdd(Value& value, const SetMember& member);
inline bool SetAdd(Value& value, std::string_view member) { return SetAdd(value, SetMember{member}); }
// True when it was there. The caller deletes the key once the set is empty.
bool SetRemove(Value& value, const SetMember& member);
inline bool SetRemove(Value& value, std::string_view member) { return SetRemove(value, SetMember{member}); }
// Takes a random member out of a set that is not empty, after fn(const SetMember&) -> bool saw it (answer unused).
template <class Fn>
void SetPop(Value& value, Fn&& fn);

// Calls fn(const SetMember&) -> bool for each member until one answers false; fn may not change the set, and the text
// ends with the call. False when it was stopped.
template <class Fn>
bool SetForEach(const Value& value, Fn&& fn);
// One step of a scan that survives changes between the steps: the members at `cursor` (0 to begin); the next cursor, 0
// at the end. Inline sets are visited whole at once. fn's answer is not looked at.
template <class Fn>
uint64_t SetScan(const Value& value, uint64_t cursor, Fn&& fn);
// `count` random members, none twice; count is at most the length.
template <class Fn>
void SetSample(const Value& value, size_t count, Fn&& fn);
// `count` random members, drawn independently from a set that is not empty.
template <class Fn>
void SetDraw(const Value& value, size_t count, Fn&& fn);

void SetConvertToTable(Value& value);
// That many members are about to be added to an empty set: converts to a table with room for them if they are many.
void SetExpect(Value& value, size_t members);

// --- the external structure's part of types/value.h; `table` is a SetTable
// All its bytes, granted sizes. O(1).
size_t SetExternalBytes(const SetTable& table);
// Blocks to be freed.
size_t SetFreeEffort(const SetTable& table);
// Frees about `budget` blocks; true when everything, the structure too, is gone. Between the calls no other is allowed.
bool SetFreeSome(Heap& heap, SetTable* table, size_t budget);
void SetFree(Heap& heap, SetTable* table);
// Copies the set into dst, a new and still uninitialised value of the type: same encoding. O(n).
void CopySet(const Value& src, Value& dst);

// --- for the templates
using SetVisitor = bool (*)(void* fn, const SetMember& member);
bool VisitSet(const Value& value, SetVisitor visit, void* fn);
uint64_t VisitSetFrom(const Value& value, uint64_t cursor, SetVisitor visit, void* fn);
void VisitSetSample(const Value& value, size_t count, bool distinct, SetVisitor visit, void* fn);
void PopSetMember(Value& value, SetVisitor visit, void* fn);
template <class Fn>
bool CallSetVisitor(void* fn, const SetMember& member) {
  return (*static_cast<Fn*>(fn))(member);
}

template <class Fn>
bool SetForEach(const Value& value, Fn&& fn) {
  return VisitSet(value, CallSetVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
uint64_t SetScan(const Value& value, uint64_t cursor, Fn&& fn) {
  return VisitSetFrom(value, cursor, CallSetVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
void SetSample(const Value& value, size_t count, Fn&& fn) {
  VisitSetSample(value, count, true, CallSetVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
void SetDraw(const Value& value, size_t count, Fn&& fn) {
  VisitSetSample(value, count, false, CallSetVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
void SetPop(Value& value, Fn&& fn) {
  PopSetMember(value, CallSetVisitor<std::remove_reference_t<Fn>>, &fn);
}

}  // namespace brim
