#pragma once
// The blocks of a hash's table, one per field, for types/hash.cc and types/hash_expiry.cc:
//   [packed field][packed value]               the slot's flag is off
//   [packed field][packed value][time, 6 B]    the slot's flag is on: ms since 1970, little endian
// The time stands last, so that everybody who only looks for fields and values need not know of it.
#include <cstring>
#include <new>
#include <string_view>

#include "base/hash.h"
#include "types/hash.h"

namespace brim {

inline constexpr size_t kFieldTimeBytes = 6;

// Without the time.
inline size_t FieldBlockBytes(std::string_view field, std::string_view text) {
  return PackedTextBytes(field.size()) + PackedTextBytes(text.size());
}
inline size_t FieldBlockBytes(const void* block) {
  std::string_view text = HashTable::ValueOf(block);
  return static_cast<size_t>(text.data() + text.size() - static_cast<const char*>(block));
}
// With the time, where it has one.
inline size_t FieldSlotBytes(Table::Slot slot) {
  return FieldBlockBytes(slot.block()) + (slot.flag() ? kFieldTimeBytes : 0);
}

// The field's time, or -1.
inline int64_t TimeOfSlot(Table::Slot slot) {
  if (!slot.flag()) return -1;
  int64_t at_ms = 0;
  memcpy(&at_ms, slot.As<uint8_t>() + FieldBlockBytes(slot.block()), kFieldTimeBytes);
  return at_ms;
}

inline Table::Slot FindField(const HashTable& table, uint64_t hash, std::string_view field) {
  return table.table.Find(hash, [field](const void* block) { return HashTable::FieldOf(block) == field; });
}

// Adds a field that is absent, without a time.
inline Table::Slot InsertField(Heap& heap, HashTable& table, uint64_t hash, std::string_view field,
                               std::string_view text) {
  size_t bytes = FieldBlockBytes(field, text);
  auto* block = static_cast<uint8_t*>(heap.Allocate(bytes, MemoryCategory::kData));
  PackText(PackText(block, field), text);
  table.block_bytes += Heap::GrantedSize(bytes);
  return table.table.Insert(hash, block);
}

// Removes the field with its block of so many bytes.
inline void EraseField(Heap& heap, HashTable& table, uint64_t hash, Table::Slot slot, size_t bytes) {
  void* block = slot.block();
  table.table.Erase(hash, slot);
  heap.Free(block, bytes, MemoryCategory::kData);
  table.block_bytes -= Heap::GrantedSize(bytes);
}

inline HashTable* NewHashTable(Heap& heap) {
  return new (heap.Allocate(sizeof(HashTable), MemoryCategory::kData)) HashTable(&heap);
}
inline void DeleteHashTable(Heap& heap, HashTable* table) {
  table->~HashTable();
  heap.Free(table, sizeof(HashTable), MemoryCategory::kData);
}

}  // namespace brim
