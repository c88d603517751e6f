#include "types/set.h"

#include <algorithm>
#include <new>
#include <vector>

#include "base/hash.h"
#include "base/numbers.h"
#include "base/random.h"
#include "types/intset.h"
#include "types/limits.h"
#include "types/listpack.h"
#include "types/table_sample.h"

namespace brim {

namespace {

// An intset never grows beyond this, whatever the configuration allows.
constexpr size_t kIntsetMembersMax = size_t{1} << 30;
constexpr size_t kListpackBytesMax = size_t{1} << 30;

uint64_t HashOfBlock(const void* block) { return HashBytes(SetTable::MemberOf(block)); }

SetTable* NewTable(Heap& heap) { return new (heap.Allocate(sizeof(SetTable), MemoryCategory::kData)) SetTable(&heap); }

void DeleteTable(Heap& heap, SetTable* table) {
  table->~SetTable();
  heap.Free(table, sizeof(SetTable), MemoryCategory::kData);
}

Table::Slot FindMember(const SetTable& table, uint64_t hash, std::string_view member) {
  return table.table.Find(hash, [member](const void* block) { return SetTable::MemberOf(block) == member; });
}

// Adds a member that is absent.
void InsertMember(Heap& heap, SetTable& table, uint64_t hash, std::string_view member) {
  size_t bytes = PackedTextBytes(member.size());
  auto* block = static_cast<uint8_t*>(heap.Allocate(bytes, MemoryCategory::kData));
  PackText(block, member);
  table.block_bytes += Heap::GrantedSize(bytes);
  table.table.Insert(hash, block);
}

bool AddToTable(Heap& heap, SetTable& table, std::string_view member) {
  uint64_t hash = HashBytes(member);
  if (FindMember(table, hash, member)) return false;
  InsertMember(heap, table, hash, member);
  return true;
}

void EraseMember(Heap& heap, SetTable& table, uint64_t hash, Table::Slot slot) {
  void* block = slot.block();
  size_t bytes = PackedTextBytes(SetTable::MemberOf(block).size());
  table.table.Erase(hash, slot);
  heap.Free(block, bytes, MemoryCategory::kData);
  table.block_bytes -= Heap::GrantedSize(bytes);
}

bool RemoveFromTable(Heap& heap, SetTable& table, std::string_view member) {
  uint64_t hash = HashBytes(member);
  Table::Slot slot = FindMember(table, hash, member);
  if (slot) EraseMember(heap, table, hash, slot);
  return static_cast<bool>(slot);
}

}  // namespace

SetTable::SetTable(Heap* heap) : table(heap, HashOfBlock) {}

size_t SetExternalBytes(const SetTable& table) {
  return Heap::GrantedSize(sizeof(SetTable)) + table.block_bytes + table.table.table_bytes();
}

size_t SetFreeEffort(const SetTable& table) { return table.table.size() + 1; }

bool SetFreeSome(Heap& heap, SetTable* table, size_t budget) {
  constexpr size_t kMembersASegment = 100;
  bool empty = table->table.Drain(budget / kMembersASegment + 1, [&](Table::Slot slot) {
    heap.Free(slot.block(), PackedTextBytes(SetTable::MemberOf(slot.block()).size()), MemoryCategory::kData);
  });
  if (empty) DeleteTable(heap, table);
  return empty;
}

void SetFree(Heap& heap, SetTable* table) {
  while (!SetFreeSome(heap, table, size_t{1} << 20)) {
  }
}

void CopySet(const Value& src, Value& dst) {
  if (!src.external()) {
    size_t bytes = src.size();
    memcpy(dst.MakeInline(src.encoding(), bytes), InlineBytes(src), bytes);
    return;
  }
  Heap& heap = dst.heap();
  SetTable* table = NewTable(heap);
  src.As<SetTable>()->table.ForEach([&](Table::Slot slot) {
    std::string_view member = SetTable::MemberOf(slot.block());
    InsertMember(heap, *table, HashBytes(member), member);
  });
  dst.MakeExternal(Encoding::kHashtable, table);
}

size_t EmptySetBytes() { return intset::kEmptyBytes; }

void InitSet(Value& value) { intset::Init(value.data()); }

size_t SetLength(const Value& value) {
  if (value.external()) return value.As<SetTable>()->table.size();
  const uint8_t* bytes = InlineBytes(value);
  return value.encoding() == Encoding::kIntset ? intset::Count(bytes) : listpack::Count(bytes);
}

namespace {

// The member as a number, if it is one.
bool NumberOf(const SetMember& member, int64_t* number) {
  if (!member.is_number) return ParseInt64(member.text, number);
  *number = member.number;
  return true;
}

SetMember MemberOfNumber(int64_t number, char* buffer) {
  return {{buffer, static_cast<size_t>(FormatInt64(number, buffer))}, true, number};
}

size_t FindInListpack(const Value& value, std::string_view text) {
  const uint8_t* lp = InlineBytes(value);
  return listpack::Find(lp, listpack::First(lp), text);
}

bool FitsListpack(const Value& value, size_t members, std::string_view longest) {
  return members <= encoding_limits.set_max_listpack_entries &&
         longest.size() <= encoding_limits.set_max_listpack_value && value.size() + longest.size() < kListpackBytesMax;
}

// Re-encodes an intset as a listpack.
void ConvertToListpack(Value& value) {
  const uint8_t* is = InlineBytes(value);
  std::vector<int64_t> numbers(intset::Count(is));
  for (size_t i = 0; i < numbers.size(); i++) numbers[i] = intset::Get(is, i);
  listpack::Init(value.MakeInline(Encoding::kListpack, listpack::kEmptyBytes));
  char buffer[24];
  for (int64_t number : numbers) listpack::Append(value, MemberOfNumber(number, buffer).text);
}

bool AddToIntset(Value& value, const SetMember& member) {
  int64_t number;
  if (NumberOf(member, &number)) {
    if (!intset::Add(value, number)) return false;
    size_t most = std::min(encoding_limits.set_max_intset_entries, kIntsetMembersMax);
    if (SetLength(value) > most) SetConvertToTable(value);
    return true;
  }
  // The longest number has 20 characters.
  constexpr std::string_view kLongestNumber = "-9223372036854775808";
  std::string_view longest = member.text.size() > kLongestNumber.size() ? member.text : kLongestNumber;
  if (FitsListpack(value, SetLength(value) + 1, longest)) {
    ConvertToListpack(value);
  } else {
    SetConvertToTable(value);
  }
  return SetAdd(value, member);
}

}  // namespace

bool SetContains(const Value& value, const SetMember& member) {
  if (value.external())
    return static_cast<bool>(FindMember(*value.As<SetTable>(), HashBytes(member.text), member.text));
  if (value.encoding() == Encoding::kListpack) return FindInListpack(value, member.text) != listpack::kEnd;
  int64_t number;
  return NumberOf(member, &number) && intset::Contains(InlineBytes(value), number);
}

bool SetAdd(Value& value, const SetMember& member) {
  if (value.external()) return AddToTable(value.heap(), *value.As<SetTable>(), member.text);
  if (value.encoding() == Encoding::kIntset) return AddToIntset(value, member);
  if (FindInListpack(value, member.text) != listpack::kEnd) return false;
  if (!FitsListpack(value, SetLength(value) + 1, member.text)) {
    SetConvertToTable(value);
    return SetAdd(value, member);
  }
  listpack::Append(value, member.text);
  return true;
}

bool SetRemove(Value& value, const SetMember& member) {
  if (value.external()) return RemoveFromTable(value.heap(), *value.As<SetTable>(), member.text);
  if (value.encoding() == Encoding::kListpack) {
    size_t at = FindInListpack(value, member.text);
    if (at != listpack::kEnd) listpack::Erase(value, at);
    return at != listpack::kEnd;
  }
  int64_t number;
  return NumberOf(member, &number) && intset::Remove(value, number);
}

void SetConvertToTable(Value& value) {
  if (value.external()) return;
  Heap& heap = value.heap();
  SetTable* table = NewTable(heap);
  SetForEach(value, [&](const SetMember& member) {
    InsertMember(heap, *table, HashBytes(member.text), member.text);
    return true;
  });
  value.MakeExternal(Encoding::kHashtable, table);
}

void SetExpect(Value& value, size_t members) {
  size_t most = std::max(encoding_limits.set_max_intset_entries, encoding_limits.set_max_listpack_entries);
  if (members <= most) return;
  SetConvertToTable(value);
  Reserve(value.As<SetTable>()->table, members);
}

bool VisitSet(const Value& value, SetVisitor visit, void* fn) {
  char buffer[24];
  if (value.external()) {
    bool more = true;
    for (uint64_t cursor = 0; more;) {
      cursor = value.As<SetTable>()->table.Scan(cursor, [&](Table::Slot slot) {
        if (more) more = visit(fn, {SetTable::MemberOf(slot.block())});
      });
      if (cursor == 0) break;
    }
    return more;
  }
  const uint8_t* bytes = InlineBytes(value);
  if (value.encoding() == Encoding::kIntset) {
    for (size_t i = 0; i < intset::Count(bytes); i++) {
      if (!visit(fn, MemberOfNumber(intset::Get(bytes, i), buffer))) return false;
    }
    return true;
  }
  for (size_t at = listpack::First(bytes); at != listpack::kEnd; at = listpack::Next(bytes, at)) {
    if (!visit(fn, {listpack::Get(bytes, at).Text(buffer)})) return false;
  }
  return true;
}

uint64_t VisitSetFrom(const Value& value, uint64_t cursor, SetVisitor visit, void* fn) {
  if (value.external()) {
    return value.As<SetTable>()->table.Scan(cursor,
                                            [&](Table::Slot slot) { visit(fn, {SetTable::MemberOf(slot.block())}); });
  }
  VisitSet(value, visit, fn);
  return 0;
}

namespace {

// The member of that rank in an inline set.
SetMember InlineMember(const Value& value, size_t rank, char* buffer) {
  const uint8_t* bytes = InlineBytes(value);
  if (value.encoding() == Encoding::kIntset) return MemberOfNumber(intset::Get(bytes, rank), buffer);
  return {listpack::Get(bytes, listpack::At(bytes, static_cast<int64_t>(rank))).Text(buffer)};
}

}  // namespace

void VisitSetSample(const Value& value, size_t count, bool distinct, SetVisitor visit, void* fn) {
  if (value.external()) {
    const Table& table = value.As<SetTable>()->table;
    if (distinct) {
      for (void* block : SampleBlocks(table, count)) visit(fn, {SetTable::MemberOf(block)});
    } else {
      for (size_t i = 0; i < count; i++) visit(fn, {SetTable::MemberOf(table.Random().block())});
    }
    return;
  }
  char buffer[24];
  std::vector<size_t> ranks(distinct ? SetLength(value) : 0);
  for (size_t i = 0; i < ranks.size(); i++) ranks[i] = i;
  for (size_t i = 0; i < count; i++) {
    if (distinct) std::swap(ranks[i], ranks[i + RandomBelow(ranks.size() - i)]);
    visit(fn, InlineMember(value, distinct ? ranks[i] : RandomBelow(SetLength(value)), buffer));
  }
}

void PopSetMember(Value& value, SetVisitor visit, void* fn) {
  if (value.external()) {
    SetTable& table = *value.As<SetTable>();
    Table::Slot slot = table.table.Random();
    std::string_view member = SetTable::MemberOf(slot.block());
    visit(fn, {member});
    EraseMember(value.heap(), table, HashBytes(member), slot);
    return;
  }
  char buffer[24];
  size_t rank = RandomBelow(SetLength(value));
  SetMember member = InlineMember(value, rank, buffer);
  visit(fn, member);
  if (value.encoding() == Encoding::kIntset) {
    intset::Remove(value, member.number);
  } else {
    listpack::Erase(value, listpack::At(InlineBytes(value), static_cast<int64_t>(rank)));
  }
}

}  // namespace brim
