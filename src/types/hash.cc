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

size_t EmptyHashBytes() { return listpack::kEmptyBytes; }

void InitHash(Value& value) { listpack::Init(value.data()); }

size_t HashLength(const Value& value) {
  return value.external() ? value.As<HashTable>()->table.size() : listpack::Count(InlineBytes(value)) / 2;
}

bool HashGet(const Value& value, std::string_view field, char* buffer, std::string_view* found) {
  if (value.external()) {
    Table::Slot slot = FindField(*value.As<HashTable>(), HashBytes(field), field);
    if (!slot) return false;
    *found = HashTable::ValueOf(slot.block());
    return true;
  }
  const uint8_t* lp = InlineBytes(value);
  size_t at = listpack::Find(lp, listpack::First(lp), field, 1);
  if (at == listpack::kEnd) return false;
  *found = listpack::Get(lp, listpack::Next(lp, at)).Text(buffer);
  return true;
}

bool HashContains(const Value& value, std::string_view field) {
  if (value.external()) return static_cast<bool>(FindField(*value.As<HashTable>(), HashBytes(field), field));
  const uint8_t* lp = InlineBytes(value);
  return listpack::Find(lp, listpack::First(lp), field, 1) != listpack::kEnd;
}

void HashConvertToTable(Value& value) {
  if (value.external()) return;
  Heap& heap = value.heap();
  HashTable* table = NewTable(heap);
  const uint8_t* lp = InlineBytes(value);
  char field_buffer[24];
  char value_buffer[24];
  for (size_t at = listpack::First(lp); at != listpack::kEnd; at = listpack::Next(lp, at)) {
    std::string_view field = listpack::Get(lp, at).Text(field_buffer);
    at = listpack::Next(lp, at);
    InsertField(heap, *table, HashBytes(field), field, listpack::Get(lp, at).Text(value_buffer));
  }
  value.MakeExternal(Encoding::kHashtable, table);
}

void HashMakeRoomFor(Value& value, std::span<const std::string_view> texts) {
  if (value.external()) return;
  size_t sum = 0;
  for (std::string_view text : texts) {
    sum += text.size();
    if (text.size() <= encoding_limits.hash_max_listpack_value) continue;
    HashConvertToTable(value);
    return;
  }
  if (listpack::TotalBytes(InlineBytes(value)) + sum > kListpackBytesMax) HashConvertToTable(value);
}

bool HashSet(Value& value, std::string_view field, std::string_view text) {
  std::string_view texts[] = {field, text};
  HashMakeRoomFor(value, texts);
  if (value.external()) return SetInTable(value.heap(), *value.As<HashTable>(), field, text);
  const uint8_t* lp = InlineBytes(value);
  size_t at = listpack::Find(lp, listpack::First(lp), field, 1);
  if (at != listpack::kEnd) {
    listpack::Replace(value, listpack::Next(lp, at), text);
    return false;
  }
  listpack::InsertMany(value, listpack::EndOffset(lp), texts, 2);
  if (HashLength(value) > encoding_limits.hash_max_listpack_entries) HashConvertToTable(value);
  return true;
}

bool HashDelete(Value& value, std::string_view field) {
  if (value.external()) return DeleteFromTable(value.heap(), *value.As<HashTable>(), field);
  const uint8_t* lp = InlineBytes(value);
  size_t at = listpack::Find(lp, listpack::First(lp), field, 1);
  if (at == listpack::kEnd) return false;
  listpack::Erase(value, at, 2);
  return true;
}

namespace {

// Visits the pair whose field is at `at`; returns where its value is.
size_t VisitPair(const uint8_t* lp, size_t at, HashVisitor visit, void* fn) {
  char field_buffer[24];
  char value_buffer[24];
  size_t next = listpack::Next(lp, at);
  visit(fn, listpack::Get(lp, at).Text(field_buffer), listpack::Get(lp, next).Text(value_buffer));
  return next;
}

}  // namespace

void VisitHash(const Value& value, HashVisitor visit, void* fn) {
  if (value.external()) {
    value.As<HashTable>()->table.ForEach([&](Table::Slot slot) { VisitBlock(slot.block(), visit, fn); });
    return;
  }
  const uint8_t* lp = InlineBytes(value);
  for (size_t at = listpack::First(lp); at != listpack::kEnd; at = listpack::Next(lp, at))
    at = VisitPair(lp, at, visit, fn);
}

uint64_t VisitHashFrom(const Value& value, uint64_t cursor, HashVisitor visit, void* fn) {
  if (value.external()) {
    return value.As<HashTable>()->table.Scan(cursor, [&](Table::Slot slot) { VisitBlock(slot.block(), visit, fn); });
  }
  VisitHash(value, visit, fn);
  return 0;
}

void VisitHashSample(const Value& value, size_t count, bool distinct, HashVisitor visit, void* fn) {
  if (value.external()) {
    const Table& table = value.As<HashTable>()->table;
    if (distinct) {
      for (void* block : SampleBlocks(table, count)) VisitBlock(block, visit, fn);
    } else {
      for (size_t i = 0; i < count; i++) VisitBlock(table.Random().block(), visit, fn);
    }
    return;
  }
  const uint8_t* lp = InlineBytes(value);
  std::vector<size_t> fields;
  for (size_t at = listpack::First(lp); at != listpack::kEnd; at = listpack::Next(lp, listpack::Next(lp, at))) {
    fields.push_back(at);
  }
  for (size_t i = 0; i < count; i++) {
    size_t pick = distinct ? i + RandomBelow(fields.size() - i) : RandomBelow(fields.size());
    VisitPair(lp, fields[pick], visit, fn);
    if (distinct) std::swap(fields[i], fields[pick]);
  }
}

}  // namespace brim
