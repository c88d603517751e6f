#pragma once
// Sorted set values. Small: an inline listpack of member, score, member, score, sorted by (score, member). Large (over
// zset_max_listpack_entries members, or a member over zset_max_listpack_value): an external Zset, one ZsetMember block
// per member, found by member through a bucket table and by order through a counted tree. A key's sorted set never goes
// back to the listpack. A listpack knows no negative zero, as in redis-server: it is stored as 0. All calls need the
// lock of the value's shard. Ranks count from 0, lowest score first.
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "types/table.h"
#include "types/value.h"
#include "types/zset_tree.h"

namespace brim {

struct Zset {
  explicit Zset(Heap* heap);
  Table table;
  ZsetTree tree;
  size_t block_bytes = 0;  // of all member blocks, granted sizes

  static const ZsetMember* MemberOf(const void* block) { return static_cast<const ZsetMember*>(block); }
};

// Bytes of an inline sorted set without members, and its writing into a new key's value.
size_t EmptyZsetBytes();
void InitZset(Value& value);

// O(1), but for listpacks of more than 65534 elements.
size_t ZsetLength(const Value& value);
// The member's score in *score; false when it is absent. O(1), or O(n) in a listpack.
bool ZsetScore(const Value& value, std::string_view member, double* score);
// The member's rank in *rank; false when it is absent. O(log n), or O(n) in a listpack.
bool ZsetRank(const Value& value, std::string_view member, size_t* rank);

// ZADD's conditions.
struct ZsetAddRules {
  bool only_new = false;       // NX
  bool only_existing = false;  // XX
  bool only_greater = false;   // GT: existing members only change upwards
  bool only_less = false;      // LT
  bool increment = false;      // the score is added to the member's
};
enum class ZsetAddResult : uint8_t {
  kAdded,
  kUpdated,
  kSame,     // the member has that score already
  kRefused,  // by the rules
  kNan,      // the sum is no number; nothing was changed
};
// Adds the member or changes its score, unless the rules forbid. *result is the member's score afterwards (kAdded,
// kUpdated, kSame). Converts when the member no longer fits a listpack. The text may not lie in the set itself; the
// score may not be NaN. O(log n), or O(n) in a listpack.
ZsetAddResult ZsetAdd(Value& value, std::string_view member, double score, const ZsetAddRules& rules, double* result);
inline void ZsetSet(Value& value, std::string_view member, double score) {
  double result;
  ZsetAdd(value, member, score, ZsetAddRules(), &result);
}
// Adds the member, or gives the one that is there the score combine(its score, score), even where that only differs in
// the sign of a zero. As ZsetAdd otherwise.
void ZsetCombine(Value& value, std::string_view member, double score, double (*combine)(double, double));
// True when the member was there. The caller deletes the key once the set is empty.
bool ZsetRemove(Value& value, std::string_view member);

// Members of ranks [begin, end).
struct ZsetRanks {
  size_t begin = 0;
  size_t end = 0;
  size_t size() const { return end > begin ? end - begin : 0; }
};
struct ZsetScoreRange {
  double min = 0;
  double max = 0;
  bool without_min = false;
  bool without_max = false;
};
// By text, for sets whose scores are all the same.
struct ZsetLexRange {
  struct Bound {
    enum Kind : uint8_t { kLowest, kText, kHighest } kind = kText;
    bool without = false;
    std::string_view text;
  };
  Bound min;
  Bound max;
};
// O(log n), or O(n) in a listpack.
ZsetRanks ZsetRanksOf(const Value& value, const ZsetScoreRange& range);
// Where scores differ, the run that redis-server finds in a listpack: from the first member inside (`backward`: back
// from the last) to where the first outside follows.
ZsetRanks ZsetRanksOf(const Value& value, const ZsetLexRange& range, bool backward);

// Calls fn(std::string_view member, double score) -> bool for the ranks, rising or (`backward`) falling, until it
// answers false. fn may not change the set, and the text ends with the call. Ranks past the end are left out. O(log n +
// ranks), or O(n) in a listpack.
template <class Fn>
void ZsetForRanks(const Value& value, ZsetRanks ranks, bool backward, Fn&& fn);
// As ZsetForRanks, rising, for the members whose scores lie in the range. O(log n + those), or O(n) in a listpack.
template <class Fn>
void ZsetForScores(const Value& value, const ZsetScoreRange& range, Fn&& fn);
// As ZsetForRanks, for all members in whatever order is fastest.
template <class Fn>
void ZsetForEach(const Value& value, Fn&& fn);
// Removes the members of these ranks; those past the end are left out. O(log n + ranks), or O(n) in a listpack.
void ZsetRemoveRanks(Value& value, ZsetRanks ranks);

// One step of a scan that survives changes between the steps: the members at `cursor` (0 to begin); the next cursor, 0
// at the end. A listpack is visited whole at once. fn's answer is not looked at.
template <class Fn>
uint64_t ZsetScan(const Value& value, uint64_t cursor, Fn&& fn);
// `count` random members, none twice; count is at most the length. fn's answer is not looked at.
template <class Fn>
void ZsetSample(const Value& value, size_t count, Fn&& fn);
// `count` random members, drawn independently from a set that is not empty. fn's answer is not looked at.
template <class Fn>
void ZsetDraw(const Value& value, size_t count, Fn&& fn);

// A score as a listpack keeps it, and as ZSCAN shows it then: whole numbers up to 2^62 in plain digits. Returns the
// length; `to` has 40 bytes.
int FormatPackedScore(double score, char* to);

void ZsetConvertToTree(Value& value);
// That many members are about to be added to an empty sorted set: makes it a tree with room for them.
void ZsetExpect(Value& value, size_t members);
// For a result that was built as a tree: makes it a listpack if the limits allow. O(1) when it has too many members.
void ZsetPackIfSmall(Value& value);

// --- the external structure's part of types/value.h
// All its bytes, granted sizes. O(1).
size_t ZsetExternalBytes(const Zset& zset);
// Blocks to be freed.
size_t ZsetFreeEffort(const Zset& zset);
// Frees about `budget` blocks; true when everything, the structure too, is gone. Between the calls no other is allowed.
bool ZsetFreeSome(Heap& heap, Zset* zset, size_t budget);
void ZsetFree(Heap& heap, Zset* zset);
// Copies the set into dst, a new and still uninitialised value of the type: same encoding. O(n).
void CopyZset(const Value& src, Value& dst);
// One slice of TidyStructure: some segments of the table and their blocks. True at the end. The tree's nodes stay.
bool ZsetTidy(Heap& heap, Zset* zset, uint64_t* cursor);

// --- for the templates
using ZsetVisitor = bool (*)(void* fn, std::string_view member, double score);
void VisitZsetRanks(const Value& value, ZsetRanks ranks, bool backward, ZsetVisitor visit, void* fn);
void VisitZsetScores(const Value& value, const ZsetScoreRange& range, ZsetVisitor visit, void* fn);
uint64_t VisitZsetFrom(const Value& value, uint64_t cursor, ZsetVisitor visit, void* fn);
void VisitZsetSample(const Value& value, size_t count, bool distinct, ZsetVisitor visit, void* fn);
template <class Fn>
bool CallZsetVisitor(void* fn, std::string_view member, double score) {
  return (*static_cast<Fn*>(fn))(member, score);
}

template <class Fn>
void ZsetForRanks(const Value& value, ZsetRanks ranks, bool backward, Fn&& fn) {
  VisitZsetRanks(value, ranks, backward, CallZsetVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
void ZsetForScores(const Value& value, const ZsetScoreRange& range, Fn&& fn) {
  VisitZsetScores(value, range, CallZsetVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
void ZsetForEach(const Value& value, Fn&& fn) {
  VisitZsetRanks(value, {0, SIZE_MAX}, false, CallZsetVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
uint64_t ZsetScan(const Value& value, uint64_t cursor, Fn&& fn) {
  return VisitZsetFrom(value, cursor, CallZsetVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
void ZsetSample(const Value& value, size_t count, Fn&& fn) {
  VisitZsetSample(value, count, true, CallZsetVisitor<std::remove_reference_t<Fn>>, &fn);
}
template <class Fn>
void ZsetDraw(const Value& value, size_t count, Fn&& fn) {
  VisitZsetSample(value, count, false, CallZsetVisitor<std::remove_reference_t<Fn>>, &fn);
}

}  // namespace brim
