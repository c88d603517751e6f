#include "types/hash.h"

#include <new>

#include "base/hash.h"
#include "base/numbers.h"
#include "base/random.h"
#include "types/limits.h"
#include "types/listpack.h"
#include "types/table_sample.h"

namespace brim {

namespace {

// A listpack larger than this has offsets that no longer fit its header well; redis-server stops there too.
constexpr size_t kListpackBytesMax = size_t{1} << 30;

uint64_t HashOfBlock(const void* block) { return HashBytes(HashTable::FieldOf(block)); }

size_t BlockBytes(std::string_view field, std::string_view value) {
  return PackedTextBytes(field.size()) + PackedTextBytes(value.size());
}

size_t BlockBytes(const void* block) {
  std::string_view value = HashTable::ValueOf(block);
  return static_cast<size_t>(value.data() + value.size() - static_cast<const char*>(block));
}

HashTable* NewTable(Heap& heap) {
  return new (heap.Allocate(sizeof(HashTable), MemoryCategory::kData)) HashTable(&heap);
}

void DeleteTable(Heap& heap, HashTable* table) {
  table->~HashTable();
  heap.Free(table, sizeof(HashTable), MemoryCategory::kData);
}

Table::Slot FindField(const HashTable& table, uint64_t hash, std::string_view field) {
  return table.table.Find(hash, [field](const void* block) { return HashTable::FieldOf(block) == field; });
}

// Adds a field that is absent.
void InsertField(Heap& heap, HashTable& table, uint64_t hash, std::string_view field, std::string_view value) {
  size_t bytes = BlockBytes(field, value);
  auto* block = static_cast<uint8_t*>(heap.Allocate(bytes, MemoryCategory::kData));
  PackText(PackText(block, field), value);
  table.block_bytes += Heap::GrantedSize(bytes);
  table.table.Insert(hash, block);
}

bool SetInTable(Heap& heap, HashTable& table, std::string_view field, std::string_view value) {
  uint64_t hash = HashBytes(field);
  Table::Slot slot = FindField(table, hash, field);
  if (!slot) {
    InsertField(heap, table, hash, field, value);
    return true;
  }
  auto* block = slot.As<uint8_t>();
  size_t old_bytes = BlockBytes(block);
  size_t bytes = BlockBytes(field, value);
  if (Heap::GrantedSize(bytes) != Heap::GrantedSize(old_bytes)) {
    block = static_cast<uint8_t*>(heap.Reallocate(block, old_bytes, bytes, MemoryCategory::kData));
    slot.SetBlock(block);
    table.block_bytes += Heap::GrantedSize(bytes) - Heap::GrantedSize(old_bytes);
  }
  PackText(block + PackedTextBytes(field.size()), value);
  return false;
}

bool DeleteFromTable(Heap& heap, HashTable& table, std::string_view field) {
  uint64_t hash = HashBytes(field);
  Table::Slot slot = FindField(table, hash, field);
  if (!slot) return false;
  void* block = slot.block();
  size_t bytes = BlockBytes(block);
  table.table.Erase(hash, slot);
  heap.Free(block, bytes, MemoryCategory::kData);
  table.block_bytes -= Heap::GrantedSize(bytes);
  return true;
}

void VisitBlock(const void* block, HashVisitor visit, void* fn) {
  visit(fn, HashTable::FieldOf(block), HashTable::ValueOf(block));
}

}  // namespace

HashTable::HashTable(Heap* heap) : table(heap, HashOfBlock) {}

size_t HashExternalBytes(const HashTable& table) {
  return Heap::GrantedSize(sizeof(HashTable)) + table.block_bytes + table.table.table_bytes();
}

size_t HashFreeEffort(const HashTable& table) { return table.table.size() + 1; }

bool HashFreeSome(Heap& heap, HashTable* table, size_t budget) {
  constexpr size_t kFieldsASegment = 100;
  bool empty = table->table.Drain(budget / kFieldsASegment + 1, [&](Table::Slot slot) {
    heap.Free(slot.block(), BlockBytes(slot.block()), MemoryCategory::kData);
  });
  if (empty) DeleteTable(heap, table);
  return empty;
}

void HashFree(Heap& heap, HashTable* table) {
  while (!HashFreeSome(heap, table, size_t{1} << 20)) {
  }
}

void CopyHash(const Value& src, Value& dst) {
  if (!src.external()) {
    memcpy(dst.MakeInline(src.encoding(), src.size()), InlineBytes(src), src.size());
    return;
  }
  Heap& heap = dst.heap();
  HashTable* table = NewTable(heap);
  src.As<HashTable>()->table.ForEach([&](Table::Slot slot) {
    std::string_view field = HashTable::FieldOf(slot.block());
    InsertField(heap, *table, HashBytes(field), field, HashTable::ValueOf(slot.block()));
  });
  dst.MakeExternal(Encoding::kHashtable, table);
}

}  // namespace brim
