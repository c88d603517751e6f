#include "types/hash.h"

#include "base/hash.h"
#include "base/numbers.h"
#include "base/random.h"
#include "types/hash_blocks.h"
#include "types/hash_expiry.h"
#include "types/limits.h"
#include "types/listpack.h"
#include "types/table_sample.h"

namespace brim {

namespace {

uint64_t HashOfBlock(const void* block) { return HashBytes(HashTable::FieldOf(block)); }

// Elements of the listpack for each field.
size_t WidthOf(const Value& value) { return value.encoding() == Encoding::kListpack ? 2 : 3; }

bool SetInTable(Heap& heap, HashTable& table, std::string_view field, std::string_view value) {
  uint64_t hash = HashBytes(field);
  Table::Slot slot = FindField(table, hash, field);
  if (!slot) {
    InsertField(heap, table, hash, field, value);
    return true;
  }
  auto* block = slot.As<uint8_t>();
  size_t old_bytes = FieldBlockBytes(block);
  size_t bytes = FieldBlockBytes(field, value);
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
  EraseField(heap, table, hash, slot, FieldBlockBytes(slot.block()));
  return true;
}

void VisitBlock(const void* block, HashVisitor visit, void* fn) {
  visit(fn, HashTable::FieldOf(block), HashTable::ValueOf(block));
}

}  // namespace

HashTable::HashTable(Heap* heap) : table(heap, HashOfBlock) {}

size_t HashExternalBytes(const HashTable& table, Encoding encoding) {
  size_t root = encoding == Encoding::kHashtable ? sizeof(HashTable) : sizeof(TimedHashTable);
  return Heap::GrantedSize(root) + table.block_bytes + table.table.table_bytes();
}

size_t HashFreeEffort(const HashTable& table) { return table.table.size() + 1; }

bool HashFreeSome(Heap& heap, HashTable* table, Encoding encoding, size_t budget) {
  constexpr size_t kFieldsASegment = 100;
  bool empty = table->table.Drain(budget / kFieldsASegment + 1, [&](Table::Slot slot) {
    heap.Free(slot.block(), FieldSlotBytes(slot), MemoryCategory::kData);
  });
  if (!empty) return false;
  if (encoding == Encoding::kHashtable) {
    DeleteHashTable(heap, table);
  } else {
    DeleteTimedTable(heap, static_cast<TimedHashTable*>(table));
  }
  return true;
}

void CopyHash(const Value& src, Value& dst) {
  if (!src.external()) {
    memcpy(dst.MakeInline(src.encoding(), src.size()), InlineBytes(src), src.size());
    if (HashIsTimed(src)) dst.NoteDue(HashNextDue(src));
    return;
  }
  if (HashIsTimed(src)) {
    CopyTimedTable(src, dst);
    return;
  }
  Heap& heap = dst.heap();
  HashTable* table = NewHashTable(heap);
  src.As<HashTable>()->table.ForEach([&](Table::Slot slot) {
    std::string_view field = HashTable::FieldOf(slot.block());
    InsertField(heap, *table, HashBytes(field), field, HashTable::ValueOf(slot.block()));
  });
  dst.MakeExternal(Encoding::kHashtable, table);
}

size_t EmptyHashBytes() { return listpack::kEmptyBytes; }

void InitHash(Value& value) { listpack::Init(value.data()); }

size_t HashLength(const Value& value) {
  if (value.external()) return value.As<HashTable>()->table.size();
  size_t elements = listpack::Count(InlineBytes(value));
  return value.encoding() == Encoding::kListpack ? elements / 2 : elements / 3;
}

bool HashGet(const Value& value, std::string_view field, char* buffer, std::string_view* found) {
  if (value.external()) {
    Table::Slot slot = FindField(*value.As<HashTable>(), HashBytes(field), field);
    if (!slot) return false;
    *found = HashTable::ValueOf(slot.block());
    return true;
  }
  const uint8_t* lp = InlineBytes(value);
  size_t at = listpack::Find(lp, listpack::First(lp), field, WidthOf(value) - 1);
  if (at == listpack::kEnd) return false;
  *found = listpack::Get(lp, listpack::Next(lp, at)).Text(buffer);
  return true;
}

bool HashContains(const Value& value, std::string_view field) {
  if (value.external()) return static_cast<bool>(FindField(*value.As<HashTable>(), HashBytes(field), field));
  const uint8_t* lp = InlineBytes(value);
  return listpack::Find(lp, listpack::First(lp), field, WidthOf(value) - 1) != listpack::kEnd;
}

void HashConvertToTable(Value& value) {
  if (value.external()) return;
  if (value.encoding() == Encoding::kListpackEx) return ConvertTimedListpack(value);
  Heap& heap = value.heap();
  HashTable* table = NewHashTable(heap);
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

void HashExpect(Value& value, size_t fields) {
  if (fields <= encoding_limits.hash_max_listpack_entries) return;
  HashConvertToTable(value);
  Reserve(value.As<HashTable>()->table, fields);
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
  if (listpack::TotalBytes(InlineBytes(value)) + sum > listpack::kBytesMax) HashConvertToTable(value);
}

bool HashSet(Value& value, std::string_view field, std::string_view text) {
  std::string_view texts[] = {field, text};
  HashMakeRoomFor(value, texts);
  if (HashIsTimed(value)) return SetInTimed(value, field, text, false);
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
  if (HashIsTimed(value)) return DeleteFromTimed(value, field);
  if (value.external()) return DeleteFromTable(value.heap(), *value.As<HashTable>(), field);
  const uint8_t* lp = InlineBytes(value);
  size_t at = listpack::Find(lp, listpack::First(lp), field, 1);
  if (at == listpack::kEnd) return false;
  listpack::Erase(value, at, 2);
  return true;
}

namespace {

// Visits the pair whose field is at `at`; returns where its last element is.
size_t VisitPair(const uint8_t* lp, size_t at, size_t width, HashVisitor visit, void* fn) {
  char field_buffer[24];
  char value_buffer[24];
  size_t next = listpack::Next(lp, at);
  visit(fn, listpack::Get(lp, at).Text(field_buffer), listpack::Get(lp, next).Text(value_buffer));
  return width == 2 ? next : listpack::Next(lp, next);
}

}  // namespace

void VisitHash(const Value& value, HashVisitor visit, void* fn) {
  if (value.external()) {
    value.As<HashTable>()->table.ForEach([&](Table::Slot slot) { VisitBlock(slot.block(), visit, fn); });
    return;
  }
  const uint8_t* lp = InlineBytes(value);
  size_t width = WidthOf(value);
  for (size_t at = listpack::First(lp); at != listpack::kEnd; at = listpack::Next(lp, at))
    at = VisitPair(lp, at, width, visit, fn);
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
  size_t width = WidthOf(value);
  for (size_t at = listpack::First(lp); at != listpack::kEnd; at = listpack::Next(lp, at)) {
    fields.push_back(at);
    for (size_t i = 1; i < width; i++) at = listpack::Next(lp, at);
  }
  for (size_t i = 0; i < count; i++) {
    size_t pick = distinct ? i + RandomBelow(fields.size() - i) : RandomBelow(fields.size());
    VisitPair(lp, fields[pick], width, visit, fn);
    if (distinct) std::swap(fields[i], fields[pick]);
  }
}

}  // namespace brim
