#include "types/zset.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <new>

#include "base/hash.h"
#include "types/limits.h"
#include "types/table_sample.h"
#include "types/zset_pack.h"

namespace brim {

namespace {

using zset_pack::BytesOf;
using zset_pack::IsAboveMin;
using zset_pack::IsBelowMax;

uint64_t HashOfBlock(const void* block) { return HashBytes(Zset::MemberOf(block)->text()); }

Zset* NewZset(Heap& heap) { return new (heap.Allocate(sizeof(Zset), MemoryCategory::kData)) Zset(&heap); }

void DeleteZset(Heap& heap, Zset* zset) {
  zset->~Zset();
  heap.Free(zset, sizeof(Zset), MemoryCategory::kData);
}

Table::Slot FindMember(const Zset& zset, uint64_t hash, std::string_view member) {
  return zset.table.Find(hash, [member](const void* block) { return Zset::MemberOf(block)->text() == member; });
}

const ZsetMember* FindMember(const Value& value, std::string_view member) {
  Table::Slot slot = FindMember(*value.As<Zset>(), HashBytes(member), member);
  return slot ? Zset::MemberOf(slot.block()) : nullptr;
}

// Adds a member that is absent.
void InsertMember(Heap& heap, Zset& zset, uint64_t hash, std::string_view text, double score) {
  size_t bytes = ZsetMember::BytesFor(text, score);
  auto* member = static_cast<ZsetMember*>(heap.Allocate(bytes, MemoryCategory::kData));
  member->Init(text, score);
  zset.block_bytes += Heap::GrantedSize(bytes);
  zset.tree.Insert(member);
  zset.table.Insert(hash, member);
}

void FreeMember(Heap& heap, Zset& zset, ZsetMember* member) {
  size_t granted = Heap::GrantedSize(member->bytes());
  heap.Free(member, granted, MemoryCategory::kData);
  zset.block_bytes -= granted;
}

// Gives a member its new score, and a longer or shorter block where the score needs it.
void ChangeScore(Heap& heap, Zset& zset, Table::Slot slot, double score) {
  auto* member = slot.As<ZsetMember>();
  zset.tree.Move(member, score, [&] {
    std::string_view text = member->text();
    size_t old_granted = Heap::GrantedSize(member->bytes());
    size_t granted = Heap::GrantedSize(ZsetMember::BytesFor(text, score));
    if (granted == old_granted) {
      member->Init(text, score);
      return member;
    }
    auto* moved = static_cast<ZsetMember*>(heap.Allocate(granted, MemoryCategory::kData));
    moved->Init(text, score);
    slot.SetBlock(moved);
    heap.Free(member, old_granted, MemoryCategory::kData);
    zset.block_bytes += granted - old_granted;
    return moved;
  });
}

// What the rules make of a member that is there. *score is the new score, the sum when they ask for one.
ZsetAddResult Judge(const ZsetAddRules& rules, double old_score, double* score) {
  if (rules.only_new) return ZsetAddResult::kRefused;
  if (rules.increment) *score += old_score;
  if (std::isnan(*score)) return ZsetAddResult::kNan;
  if (rules.only_greater && *score <= old_score) return ZsetAddResult::kRefused;
  if (rules.only_less && *score >= old_score) return ZsetAddResult::kRefused;
  return *score == old_score ? ZsetAddResult::kSame : ZsetAddResult::kUpdated;
}

ZsetAddResult AddToTree(Value& value, std::string_view member, double score, const ZsetAddRules& rules,
                        double* result) {
  auto& zset = *value.As<Zset>();
  uint64_t hash = HashBytes(member);
  Table::Slot slot = FindMember(zset, hash, member);
  auto outcome = ZsetAddResult::kAdded;
  if (slot) {
    outcome = Judge(rules, slot.As<ZsetMember>()->score(), &score);
    if (outcome == ZsetAddResult::kUpdated) ChangeScore(value.heap(), zset, slot, score);
  } else if (rules.only_existing) {
    return ZsetAddResult::kRefused;
  } else {
    InsertMember(value.heap(), zset, hash, member, score);
  }
  *result = score;
  return outcome;
}

bool SameBits(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }

bool FitsPack(const Value& value, std::string_view member) {
  return ZsetLength(value) < encoding_limits.zset_max_listpack_entries &&
         member.size() <= encoding_limits.zset_max_listpack_value && value.size() + member.size() < listpack::kBytesMax;
}

}  // namespace

Zset::Zset(Heap* heap) : table(heap, HashOfBlock), tree(heap) {}

size_t EmptyZsetBytes() { return listpack::kEmptyBytes; }

void InitZset(Value& value) { listpack::Init(value.MakeInline(Encoding::kListpack, listpack::kEmptyBytes)); }

size_t ZsetLength(const Value& value) {
  return value.external() ? value.As<Zset>()->table.size() : listpack::Count(BytesOf(value)) / 2;
}

bool ZsetScore(const Value& value, std::string_view member, double* score) {
  if (value.external()) {
    const ZsetMember* found = FindMember(value, member);
    if (found != nullptr) *score = found->score();
    return found != nullptr;
  }
  const uint8_t* lp = BytesOf(value);
  size_t at = zset_pack::Find(lp, member);
  if (at != listpack::kEnd) *score = zset_pack::ScoreOf(lp, at);
  return at != listpack::kEnd;
}

bool ZsetRank(const Value& value, std::string_view member, size_t* rank) {
  if (!value.external()) return zset_pack::Rank(BytesOf(value), member, rank);
  const ZsetMember* found = FindMember(value, member);
  if (found == nullptr) return false;
  *rank = value.As<Zset>()->tree.CountBefore(ZsetBound::Element(found->score(), member, false));
  return true;
}

ZsetAddResult ZsetAdd(Value& value, std::string_view member, double score, const ZsetAddRules& rules, double* result) {
  if (value.external()) return AddToTree(value, member, score, rules, result);
  const uint8_t* lp = BytesOf(value);
  size_t at = zset_pack::Find(lp, member);
  auto outcome = ZsetAddResult::kAdded;
  if (at != listpack::kEnd) {
    outcome = Judge(rules, zset_pack::ScoreOf(lp, at), &score);
    if (outcome == ZsetAddResult::kUpdated) zset_pack::Change(value, at, member, score);
  } else if (rules.only_existing) {
    return ZsetAddResult::kRefused;
  } else if (FitsPack(value, member)) {
    zset_pack::Insert(value, member, score);
  } else {
    ZsetConvertToTree(value);
    InsertMember(value.heap(), *value.As<Zset>(), HashBytes(member), member, score);
  }
  *result = score;
  return outcome;
}

void ZsetCombine(Value& value, std::string_view member, double score, double (*combine)(double, double)) {
  if (value.external()) {
    auto& zset = *value.As<Zset>();
    uint64_t hash = HashBytes(member);
    Table::Slot slot = FindMember(zset, hash, member);
    if (!slot) {
      InsertMember(value.heap(), zset, hash, member, score);
      return;
    }
    double old_score = slot.As<ZsetMember>()->score();
    score = combine(old_score, score);
    if (!SameBits(score, old_score)) ChangeScore(value.heap(), zset, slot, score);
    return;
  }
  const uint8_t* lp = BytesOf(value);
  size_t at = zset_pack::Find(lp, member);
  if (at == listpack::kEnd) {
    ZsetSet(value, member, score);
    return;
  }
  double old_score = zset_pack::ScoreOf(lp, at);
  score = combine(old_score, score);
  if (!SameBits(score, old_score)) zset_pack::Change(value, at, member, score);
}

bool ZsetRemove(Value& value, std::string_view member) {
  if (!value.external()) {
    size_t at = zset_pack::Find(BytesOf(value), member);
    if (at != listpack::kEnd) listpack::Erase(value, at, 2);
    return at != listpack::kEnd;
  }
  auto& zset = *value.As<Zset>();
  uint64_t hash = HashBytes(member);
  Table::Slot slot = FindMember(zset, hash, member);
  if (!slot) return false;
  auto* found = slot.As<ZsetMember>();
  zset.tree.Erase(found);
  zset.table.Erase(hash, slot);
  FreeMember(value.heap(), zset, found);
  return true;
}

void ZsetRemoveRanks(Value& value, ZsetRanks ranks) {
  ranks.end = std::min(ranks.end, ZsetLength(value));
  if (ranks.size() == 0) return;
  if (!value.external()) {
    size_t at = listpack::At(BytesOf(value), static_cast<int64_t>(ranks.begin * 2));
    listpack::Erase(value, at, ranks.size() * 2);
    return;
  }
  auto& zset = *value.As<Zset>();
  for (size_t left = ranks.size(); left > 0;) {
    ZsetMember* removed[ZsetTree::kLeafMax];
    size_t count = zset.tree.EraseRun(ranks.begin, left, removed);
    for (size_t i = 0; i < count; i++) {
      uint64_t hash = HashOfBlock(removed[i]);
      zset.table.Erase(hash, zset.table.FindBlock(hash, removed[i]));
      FreeMember(value.heap(), zset, removed[i]);
    }
    left -= count;
  }
}

void ZsetConvertToTree(Value& value) {
  if (value.external()) return;
  Heap& heap = value.heap();
  Zset* zset = NewZset(heap);
  ZsetForEach(value, [&](std::string_view member, double score) {
    InsertMember(heap, *zset, HashBytes(member), member, score);
    return true;
  });
  value.MakeExternal(Encoding::kSkiplist, zset);
}

void ZsetExpect(Value& value, size_t members) {
  ZsetConvertToTree(value);
  Reserve(value.As<Zset>()->table, members);
}

void ZsetPackIfSmall(Value& value) {
  if (!value.external() || ZsetLength(value) > encoding_limits.zset_max_listpack_entries) return;
  bool fits = true;
  size_t bytes = 0;
  ZsetForEach(value, [&](std::string_view member, double) {
    bytes += member.size();
    fits = member.size() <= encoding_limits.zset_max_listpack_value && bytes < listpack::kBytesMax;
    return fits;
  });
  if (!fits) return;
  auto* zset = value.As<Zset>();
  InitZset(value);
  ZsetTree::Cursor cursor(zset->tree, 0, false);
  while (const ZsetMember* member = cursor.Next()) zset_pack::Append(value, member->text(), member->score());
  ZsetFree(value.heap(), zset);
}

// ---- reading

ZsetRanks ZsetRanksOf(const Value& value, const ZsetScoreRange& range) {
  if (!value.external()) return zset_pack::RanksOf(BytesOf(value), range);
  const ZsetTree& tree = value.As<Zset>()->tree;
  return {tree.CountBefore(ZsetBound::Score(range.min, range.without_min)),
          tree.CountBefore(ZsetBound::Score(range.max, !range.without_max))};
}

ZsetRanks ZsetRanksOf(const Value& value, const ZsetLexRange& range, bool backward) {
  if (!value.external()) return zset_pack::RanksOf(BytesOf(value), range, backward);
  const ZsetTree& tree = value.As<Zset>()->tree;
  if (tree.size() == 0) return {};
  const ZsetMember* first = tree.Select(0);
  const ZsetMember* last = tree.Select(tree.size() - 1);
  if (!IsAboveMin(range.min, last->text()) || !IsBelowMax(range.max, first->text())) return {};
  auto rank = [&](const ZsetLexRange::Bound& bound, bool after) {
    if (bound.kind == ZsetLexRange::Bound::kText) return tree.CountBefore(ZsetBound::Text(bound.text, after));
    return bound.kind == ZsetLexRange::Bound::kLowest ? 0 : tree.size();
  };
  ZsetRanks ranks{rank(range.min, range.min.without), rank(range.max, !range.max.without)};
  if (first->score() == last->score() || ranks.size() == 0) return ranks;
  // Texts are not in order: what is answered begins at one end and stops at the first member outside.
  ZsetTree::Cursor cursor(tree, backward ? ranks.end - 1 : ranks.begin, backward);
  size_t inside = 0;
  while (const ZsetMember* member = cursor.Next()) {
    if (!IsAboveMin(range.min, member->text()) || !IsBelowMax(range.max, member->text())) break;
    inside++;
  }
  return backward ? ZsetRanks{ranks.end - inside, ranks.end} : ZsetRanks{ranks.begin, ranks.begin + inside};
}

void VisitZsetRanks(const Value& value, ZsetRanks ranks, bool backward, ZsetVisitor visit, void* fn) {
  if (!value.external()) {
    zset_pack::VisitRanks(BytesOf(value), ranks, backward, visit, fn);
    return;
  }
  const ZsetTree& tree = value.As<Zset>()->tree;
  ranks.end = std::min(ranks.end, tree.size());
  if (ranks.size() == 0) return;
  ZsetTree::Cursor cursor(tree, backward ? ranks.end - 1 : ranks.begin, backward);
  for (size_t left = ranks.size(); left > 0; left--) {
    const ZsetMember* member = cursor.Next();
    if (!visit(fn, member->text(), member->score())) return;
  }
}

void VisitZsetScores(const Value& value, const ZsetScoreRange& range, ZsetVisitor visit, void* fn) {
  if (!value.external()) {
    zset_pack::VisitScores(BytesOf(value), range, visit, fn);
    return;
  }
  ZsetTree::Cursor cursor(value.As<Zset>()->tree, ZsetBound::Score(range.min, range.without_min));
  while (const ZsetMember* member = cursor.Next()) {
    double score = member->score();
    if (range.without_max ? score >= range.max : score > range.max) return;
    if (!visit(fn, member->text(), score)) return;
  }
}

uint64_t VisitZsetFrom(const Value& value, uint64_t cursor, ZsetVisitor visit, void* fn) {
  if (!value.external()) {
    zset_pack::VisitRanks(BytesOf(value), {0, SIZE_MAX}, false, visit, fn);
    return 0;
  }
  return value.As<Zset>()->table.Scan(cursor, [&](Table::Slot slot) {
    const ZsetMember* member = Zset::MemberOf(slot.block());
    visit(fn, member->text(), member->score());
  });
}

void VisitZsetSample(const Value& value, size_t count, bool distinct, ZsetVisitor visit, void* fn) {
  if (!value.external()) {
    zset_pack::VisitSample(BytesOf(value), count, distinct, visit, fn);
    return;
  }
  auto see = [&](const void* block) {
    const ZsetMember* member = Zset::MemberOf(block);
    visit(fn, member->text(), member->score());
  };
  const Table& table = value.As<Zset>()->table;
  if (distinct) {
    for (const void* block : SampleBlocks(table, count)) see(block);
  } else {
    for (size_t i = 0; i < count; i++) see(table.Random().block());
  }
}

// ---- the external structure as a whole

size_t ZsetExternalBytes(const Zset& zset) {
  return Heap::GrantedSize(sizeof(Zset)) + zset.block_bytes + zset.table.table_bytes() + zset.tree.node_bytes();
}

size_t ZsetFreeEffort(const Zset& zset) { return zset.table.size() + 1; }

bool ZsetFreeSome(Heap& heap, Zset* zset, size_t budget) {
  constexpr size_t kMembersASegment = 100;
  bool empty = zset->table.Drain(budget / kMembersASegment + 1, [&](Table::Slot slot) {
    auto* member = slot.As<ZsetMember>();
    heap.Free(member, member->bytes(), MemoryCategory::kData);
  });
  if (!empty || !zset->tree.FreeNodes(budget)) return false;
  DeleteZset(heap, zset);
  return true;
}

void ZsetFree(Heap& heap, Zset* zset) {
  while (!ZsetFreeSome(heap, zset, size_t{1} << 20)) {
  }
}

void CopyZset(const Value& src, Value& dst) {
  if (!src.external()) {
    size_t bytes = src.size();
    memcpy(dst.MakeInline(src.encoding(), bytes), BytesOf(src), bytes);
    return;
  }
  Heap& heap = dst.heap();
  Zset* zset = NewZset(heap);
  ZsetForEach(src, [&](std::string_view member, double score) {
    InsertMember(heap, *zset, HashBytes(member), member, score);
    return true;
  });
  dst.MakeExternal(src.encoding(), zset);
}

bool ZsetTidy(Heap& heap, Zset* zset, uint64_t* cursor) {
  constexpr uint64_t kTreePhase = uint64_t{1}
                                  << 63;  // the table first, then the tree: the rest of the cursor is a rank
  constexpr int kSegments = 8;
  for (int i = 0; i < kSegments && !(*cursor & kTreePhase); i++) {
    *cursor = zset->table.Tidy(*cursor, [&](Table::Slot slot) {
      auto* member = slot.As<ZsetMember>();
      if (!Heap::WorthMoving(member)) return;
      size_t granted = Heap::GrantedSize(member->bytes());
      auto* moved = static_cast<ZsetMember*>(heap.Allocate(granted, MemoryCategory::kData));
      memcpy(static_cast<void*>(moved), member, granted);
      zset->tree.Replace(member, moved);
      slot.SetBlock(moved);
      heap.Free(member, granted, MemoryCategory::kData);
    });
    if (*cursor == 0) *cursor = kTreePhase;
  }
  if (!(*cursor & kTreePhase)) return false;
  constexpr int kLeaves = 32;
  size_t rank = *cursor & ~kTreePhase;
  for (int i = 0; i < kLeaves && rank < zset->tree.size(); i++) rank = zset->tree.MoveNodes(rank);
  *cursor = kTreePhase | rank;
  return rank >= zset->tree.size();
}

}  // namespace brim
