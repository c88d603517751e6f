#include "types/set.h"

#include <new>

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

SetTable* NewTable(Heap& heap) {
  return new (heap.Allocate(sizeof(SetTable), MemoryCategory::kData)) SetTable(&heap);
}

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

}  // namespace brim
