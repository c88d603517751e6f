#pragma once
// Hashes some of whose fields have an expiry. A hash has one of these two encodings as long as at least one of its
// fields has a time, and one of the plain ones (types/hash.h) otherwise: who sets no times pays nothing.
//
//   kListpackEx   field, value, time, field, value, time ...  as Redis has it: by time, those without one (0) last
//   kHashtableEx  TimedHashTable: the blocks of a HashTable, those of fields with a time 6 bytes longer
//                 (types/hash_blocks.h), and in the table's hints the earliest time of each segment
//
// What types/hash.h offers works on both, and takes every field that is there, its time past or not. Times are ms since
// 1970, from 1 to kFieldTimeMax. All calls need the lock of the value's shard.
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "types/hash.h"

namespace brim {

inline constexpr int64_t kFieldTimeMax = (int64_t{1} << 48) - 2;
inline constexpr int64_t kNoTime = -1;
inline constexpr int64_t kNoField = -2;

struct TimedHashTable : HashTable {
  explicit TimedHashTable(Heap* heap) : HashTable(heap) {}
  size_t timed = 0;                 // fields with a time
  int64_t next_due_ms = INT64_MAX;  // none is due earlier
  uint64_t sweep = 0;               // where DueFields goes on in the hints
};

inline bool IsTimedEncoding(Encoding encoding) {
  return encoding == Encoding::kListpackEx || encoding == Encoding::kHashtableEx;
}
inline bool HashIsTimed(const Value& value) { return IsTimedEncoding(value.encoding()); }

// The field's time, kNoTime or kNoField.
int64_t HashFieldTime(const Value& value, std::string_view field);
// Sets the field's time, or takes it away with kNoTime. False when there is no such field.
bool HashSetFieldTime(Value& value, std::string_view field, int64_t at_ms);
// HashSet, but a field that is there keeps its time.
bool HashSetKeepingTime(Value& value, std::string_view field, std::string_view text);
// No field is due before; INT64_MAX without times. Exact in a listpack, to 256 ms in a table. O(1).
int64_t HashNextDue(const Value& value);
// Fields with a time. O(1), O(n) in a listpack.
size_t HashTimedFields(const Value& value);

// To be called for a value that has come to its key as bytes or as a structure, whatever it is. The calls above tell
// by themselves when a field is due (Value::NoteDue).
inline void NoteFieldTimes(Value& value) {
  if (HashIsTimed(value)) value.NoteDue(HashNextDue(value));
}

// Whether fields may have to be hidden at that time: some one's may be past.
inline bool HashMayBeDue(const Value& value, int64_t now_ms) {
  return HashIsTimed(value) && HashNextDue(value) < now_ms;
}
inline bool FieldIsDue(int64_t at_ms, int64_t now_ms) { return at_ms >= 0 && at_ms < now_ms; }

// Any hash's fields with their times (kNoTime where none).
template <class Fn>
void HashForEachTimed(const Value& value, Fn&& fn);
template <class Fn>
uint64_t HashScanTimed(const Value& value, uint64_t cursor, Fn&& fn);

// HashLength, HashForEach, HashScan, and random fields (`count` of them, no field twice if `distinct`) without the
// fields that are due. O(n) when some may be, else as those.
size_t HashLiveLength(const Value& value, int64_t now_ms);
template <class Fn>
void HashForEachLive(const Value& value, int64_t now_ms, Fn&& fn);
template <class Fn>
uint64_t HashScanLive(const Value& value, uint64_t cursor, int64_t now_ms, Fn&& fn);
template <class Fn>
void HashSampleLive(const Value& value, int64_t now_ms, size_t count, bool distinct, Fn&& fn);

// The fields of a timed hash that are due, found and deleted a batch at a time.
class DueFields {
 public:
  static constexpr size_t kBatch = 256;
  // Finds some of those whose time is before now_ms (in a table, whose unit of 256 ms is over). False when there are
  // none; HashNextDue is then up to date. O(those found), and a look at each segment's hint once around.
  bool Find(const Value& value, int64_t now_ms);
  // Valid until the hash changes.
  std::span<const std::string_view> names() const { return {names_.data(), count_}; }
  // Deletes those fields; nothing may have changed since Find.
  void Delete(Value& value);

 private:
  bool FindInListpack(const Value& value, int64_t now_ms);
  bool FindInTable(TimedHashTable& table, int64_t now_ms);
  size_t count_ = 0;
  std::array<std::string_view, kBatch> names_;
  std::array<std::array<char, 24>, kBatch> numbers_;  // names that a listpack has as numbers
};

// --- for types/hash.cc
bool SetInTimed(Value& value, std::string_view field, std::string_view text, bool keep_time);
bool DeleteFromTimed(Value& value, std::string_view field);
void ConvertTimedListpack(Value& value);  // to a table
void CopyTimedTable(const Value& src, Value& dst);
void DeleteTimedTable(Heap& heap, TimedHashTable* table);

// --- for the templates
using TimedVisitor = void (*)(void* fn, std::string_view field, std::string_view text, int64_t at_ms);
void VisitTimedHash(const Value& value, TimedVisitor visit, void* fn);
uint64_t VisitTimedHashFrom(const Value& value, uint64_t cursor, TimedVisitor visit, void* fn);
void VisitLiveSample(const Value& value, int64_t now_ms, size_t count, bool distinct, HashVisitor visit, void* fn);
template <class Fn>
void CallTimedVisitor(void* fn, std::string_view field, std::string_view text, int64_t at_ms) {
  (*static_cast<Fn*>(fn))(field, text, at_ms);
}

template <class Fn>
void HashForEachTimed(const Value& value, Fn&& fn) {
  VisitTimedHash(value, CallTimedVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
uint64_t HashScanTimed(const Value& value, uint64_t cursor, Fn&& fn) {
  return VisitTimedHashFrom(value, cursor, CallTimedVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
void HashForEachLive(const Value& value, int64_t now_ms, Fn&& fn) {
  if (!HashMayBeDue(value, now_ms)) return HashForEach(value, fn);
  HashForEachTimed(value, [&](std::string_view field, std::string_view text, int64_t at_ms) {
    if (!FieldIsDue(at_ms, now_ms)) fn(field, text);
  });
}
template <class Fn>
uint64_t HashScanLive(const Value& value, uint64_t cursor, int64_t now_ms, Fn&& fn) {
  if (!HashMayBeDue(value, now_ms)) return HashScan(value, cursor, fn);
  return HashScanTimed(value, cursor, [&](std::string_view field, std::string_view text, int64_t at_ms) {
    if (!FieldIsDue(at_ms, now_ms)) fn(field, text);
  });
}
template <class Fn>
void HashSampleLive(const Value& value, int64_t now_ms, size_t count, bool distinct, Fn&& fn) {
  VisitLiveSample(value, now_ms, count, distinct, CallHashVisitor<std::remove_reference_t<Fn>>, &fn);
}

}  // namespace brim
