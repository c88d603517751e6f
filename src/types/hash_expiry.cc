#include "types/hash_expiry.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/numbers.h"
#include "base/random.h"
#include "types/expiry_hint.h"
#include "types/hash_blocks.h"
#include "types/limits.h"
#include "types/listpack.h"

namespace brim {

namespace {

constexpr size_t kWidth = 3;  // elements of a timed listpack for each field

// ---- listpacks

size_t FindTriple(const uint8_t* lp, std::string_view field) {
  return listpack::Find(lp, listpack::First(lp), field, kWidth - 1);
}

size_t TimeElement(const uint8_t* lp, size_t triple) { return listpack::Next(lp, listpack::Next(lp, triple)); }

// 0: none.
int64_t TimeOfTriple(const uint8_t* lp, size_t triple) { return listpack::Get(lp, TimeElement(lp, triple)).number; }

// Where a field of that time belongs: behind those that are due no later.
size_t PlaceForTime(const uint8_t* lp, int64_t at_ms) {
  if (at_ms == 0) return listpack::EndOffset(lp);
  for (size_t at = listpack::First(lp); at != listpack::kEnd;) {
    size_t time = TimeElement(lp, at);
    int64_t other = listpack::Get(lp, time).number;
    if (other == 0 || other > at_ms) return at;
    at = listpack::Next(lp, time);
  }
  return listpack::EndOffset(lp);
}

bool AnyTimeInListpack(const uint8_t* lp) {
  size_t first = listpack::First(lp);
  return first != listpack::kEnd && TimeOfTriple(lp, first) != 0;
}

// Makes the other kind of listpack: with a time (0) behind each pair, or without.
void ChangeListpackKind(Value& value, Encoding encoding) {
  constexpr uint8_t kNoTimeElement[] = {0, 1};  // the number 0 and its backward length
  const uint8_t* lp = InlineBytes(value);
  size_t fields = HashLength(value);
  std::string raw;
  raw.reserve(listpack::TotalBytes(lp) + fields * sizeof kNoTimeElement);
  for (size_t at = listpack::First(lp); at != listpack::kEnd; at = listpack::Next(lp, at)) {
    size_t text = listpack::Next(lp, at);
    size_t end = text + listpack::ElementBytesAt(lp, text);
    raw.append(reinterpret_cast<const char*>(lp) + at, end - at);
    if (encoding == Encoding::kListpackEx) {
      raw.append(reinterpret_cast<const char*>(kNoTimeElement), sizeof kNoTimeElement);
      at = text;
    } else {
      at = listpack::Next(lp, text);
    }
  }
  listpack::Init(value.MakeInline(encoding, listpack::kEmptyBytes));
  size_t width = encoding == Encoding::kListpackEx ? kWidth : kWidth - 1;
  listpack::AppendRaw(value, reinterpret_cast<const uint8_t*>(raw.data()), raw.size(), fields * width);
}

void SetTripleTime(Value& value, size_t triple, int64_t at_ms) {
  const uint8_t* lp = InlineBytes(value);
  size_t time = TimeElement(lp, triple);
  char number[24];
  std::string_view text(number, static_cast<size_t>(FormatInt64(at_ms, number)));
  size_t place = PlaceForTime(lp, at_ms);
  if (place == triple || place == time + listpack::ElementBytesAt(lp, time)) {
    listpack::Replace(value, time, text);
    return;
  }
  char buffer[24];
  std::string field(listpack::Get(lp, triple).Text(buffer));
  std::string old(listpack::Get(lp, listpack::Next(lp, triple)).Text(buffer));
  std::string_view words[] = {field, old, text};
  listpack::Erase(value, triple, kWidth);
  listpack::InsertMany(value, PlaceForTime(InlineBytes(value), at_ms), words, kWidth);
}

bool SetInListpack(Value& value, std::string_view field, std::string_view text, bool keep_time) {
  size_t at = FindTriple(InlineBytes(value), field);
  if (at == listpack::kEnd) {
    std::string_view words[] = {field, text, "0"};
    listpack::InsertMany(value, listpack::EndOffset(InlineBytes(value)), words, kWidth);
    if (HashLength(value) > encoding_limits.hash_max_listpack_entries) ConvertTimedListpack(value);
    return true;
  }
  listpack::Replace(value, listpack::Next(InlineBytes(value), at), text);
  if (!keep_time && TimeOfTriple(InlineBytes(value), at) != 0) SetTripleTime(value, at, 0);
  return false;
}

// ---- tables

void StoreTime(Table::Slot slot, int64_t at_ms) {
  memcpy(slot.As<uint8_t>() + FieldBlockBytes(slot.block()), &at_ms, kFieldTimeBytes);
}

// Makes the slot's block so long; what it holds of the old bytes stays.
void ResizeBlock(Heap& heap, HashTable& table, Table::Slot slot, size_t old_bytes, size_t bytes) {
  if (Heap::GrantedSize(bytes) == Heap::GrantedSize(old_bytes)) return;
  slot.SetBlock(heap.Reallocate(slot.block(), old_bytes, bytes, MemoryCategory::kData));
  table.block_bytes += Heap::GrantedSize(bytes) - Heap::GrantedSize(old_bytes);
}

void NoteTime(TimedHashTable& table, uint64_t hash, int64_t at_ms) {
  table.table.LowerHint(hash, ExpiryHint(at_ms));
  table.next_due_ms = std::min(table.next_due_ms, EarliestOfHint(ExpiryHint(at_ms)));
}

void SetSlotTime(Heap& heap, TimedHashTable& table, uint64_t hash, Table::Slot slot, int64_t at_ms) {
  size_t plain = FieldBlockBytes(slot.block());
  size_t old_bytes = FieldSlotBytes(slot);
  table.timed += (at_ms >= 0 ? size_t{1} : 0) - (slot.flag() ? size_t{1} : 0);
  ResizeBlock(heap, table, slot, old_bytes, plain + (at_ms >= 0 ? kFieldTimeBytes : 0));
  slot.SetFlag(at_ms >= 0);
  if (at_ms < 0) return;
  StoreTime(slot, at_ms);
  NoteTime(table, hash, at_ms);
}

bool SetInTable(Heap& heap, TimedHashTable& table, std::string_view field, std::string_view text, bool keep_time) {
  uint64_t hash = HashBytes(field);
  Table::Slot slot = FindField(table, hash, field);
  if (!slot) {
    InsertField(heap, table, hash, field, text);
    return true;
  }
  if (!keep_time && slot.flag()) SetSlotTime(heap, table, hash, slot, kNoTime);
  int64_t at_ms = TimeOfSlot(slot);
  size_t bytes = FieldBlockBytes(field, text) + (at_ms >= 0 ? kFieldTimeBytes : 0);
  ResizeBlock(heap, table, slot, FieldSlotBytes(slot), bytes);
  PackText(slot.As<uint8_t>() + PackedTextBytes(field.size()), text);
  if (at_ms >= 0) StoreTime(slot, at_ms);
  return false;
}

TimedHashTable* NewTimedTable(Heap& heap) {
  return new (heap.Allocate(sizeof(TimedHashTable), MemoryCategory::kData)) TimedHashTable(&heap);
}

// ---- from one encoding to the other

void MakeTimed(Value& value) {
  constexpr size_t kTimeElementMax = 10;
  if (!value.external() &&
      listpack::TotalBytes(InlineBytes(value)) + HashLength(value) * kTimeElementMax > listpack::kBytesMax) {
    HashConvertToTable(value);
  }
  if (!value.external()) {
    ChangeListpackKind(value, Encoding::kListpackEx);
    return;
  }
  auto* plain = value.As<HashTable>();
  TimedHashTable* timed = NewTimedTable(value.heap());
  timed->table.Swap(plain->table);
  timed->block_bytes = plain->block_bytes;
  DeleteHashTable(value.heap(), plain);
  value.MakeExternal(Encoding::kHashtableEx, timed);
}

// A hash without a time left becomes a plain one again.
void MakePlainIfUntimed(Value& value) {
  if (!value.external()) {
    if (!AnyTimeInListpack(InlineBytes(value))) ChangeListpackKind(value, Encoding::kListpack);
    return;
  }
  auto* timed = value.As<TimedHashTable>();
  if (timed->timed > 0) return;
  HashTable* plain = NewHashTable(value.heap());
  DropHints(timed->table);
  plain->table.Swap(timed->table);
  plain->block_bytes = timed->block_bytes;
  DeleteTimedTable(value.heap(), timed);
  value.MakeExternal(Encoding::kHashtable, plain);
}

}  // namespace

void DeleteTimedTable(Heap& heap, TimedHashTable* table) {
  table->~TimedHashTable();
  heap.Free(table, sizeof(TimedHashTable), MemoryCategory::kData);
}

void ConvertTimedListpack(Value& value) {
  Heap& heap = value.heap();
  TimedHashTable* table = NewTimedTable(heap);
  HashForEachTimed(value, [&](std::string_view field, std::string_view text, int64_t at_ms) {
    uint64_t hash = HashBytes(field);
    Table::Slot slot = InsertField(heap, *table, hash, field, text);
    if (at_ms >= 0) SetSlotTime(heap, *table, hash, slot, at_ms);
  });
  value.MakeExternal(Encoding::kHashtableEx, table);
}

void CopyTimedTable(const Value& src, Value& dst) {
  Heap& heap = dst.heap();
  TimedHashTable* table = NewTimedTable(heap);
  src.As<HashTable>()->table.ForEach([&](Table::Slot slot) {
    std::string_view field = HashTable::FieldOf(slot.block());
    uint64_t hash = HashBytes(field);
    Table::Slot copy = InsertField(heap, *table, hash, field, HashTable::ValueOf(slot.block()));
    if (slot.flag()) SetSlotTime(heap, *table, hash, copy, TimeOfSlot(slot));
  });
  dst.MakeExternal(Encoding::kHashtableEx, table);
  dst.NoteDue(table->next_due_ms);
}

bool SetInTimed(Value& value, std::string_view field, std::string_view text, bool keep_time) {
  bool is_new = value.external() ? SetInTable(value.heap(), *value.As<TimedHashTable>(), field, text, keep_time)
                                 : SetInListpack(value, field, text, keep_time);
  if (!keep_time && !is_new) MakePlainIfUntimed(value);
  return is_new;
}

bool DeleteFromTimed(Value& value, std::string_view field) {
  if (value.external()) {
    auto& table = *value.As<TimedHashTable>();
    uint64_t hash = HashBytes(field);
    Table::Slot slot = FindField(table, hash, field);
    if (!slot) return false;
    if (slot.flag()) table.timed--;
    EraseField(value.heap(), table, hash, slot, FieldSlotBytes(slot));
  } else {
    size_t at = FindTriple(InlineBytes(value), field);
    if (at == listpack::kEnd) return false;
    listpack::Erase(value, at, kWidth);
  }
  MakePlainIfUntimed(value);
  return true;
}

bool HashSetKeepingTime(Value& value, std::string_view field, std::string_view text) {
  if (!HashIsTimed(value)) return HashSet(value, field, text);
  std::string_view texts[] = {field, text};
  HashMakeRoomFor(value, texts);
  return SetInTimed(value, field, text, true);
}

int64_t HashFieldTime(const Value& value, std::string_view field) {
  if (!HashIsTimed(value)) return HashContains(value, field) ? kNoTime : kNoField;
  if (value.external()) {
    Table::Slot slot = FindField(*value.As<HashTable>(), HashBytes(field), field);
    return slot ? TimeOfSlot(slot) : kNoField;
  }
  const uint8_t* lp = InlineBytes(value);
  size_t at = FindTriple(lp, field);
  if (at == listpack::kEnd) return kNoField;
  int64_t at_ms = TimeOfTriple(lp, at);
  return at_ms == 0 ? kNoTime : at_ms;
}

bool HashSetFieldTime(Value& value, std::string_view field, int64_t at_ms) {
  assert(at_ms == kNoTime || (at_ms > 0 && at_ms <= kFieldTimeMax));
  if (!HashIsTimed(value)) {
    if (!HashContains(value, field)) return false;
    if (at_ms < 0) return true;
    MakeTimed(value);
  }
  if (value.external()) {
    auto& table = *value.As<TimedHashTable>();
    uint64_t hash = HashBytes(field);
    Table::Slot slot = FindField(table, hash, field);
    if (!slot) return false;
    SetSlotTime(value.heap(), table, hash, slot, at_ms);
  } else {
    size_t at = FindTriple(InlineBytes(value), field);
    if (at == listpack::kEnd) return false;
    SetTripleTime(value, at, at_ms < 0 ? 0 : at_ms);
  }
  if (at_ms >= 0) {
    value.NoteDue(at_ms);
  } else {
    MakePlainIfUntimed(value);
  }
  return true;
}

int64_t HashNextDue(const Value& value) {
  if (!HashIsTimed(value)) return INT64_MAX;
  if (value.external()) return value.As<TimedHashTable>()->next_due_ms;
  const uint8_t* lp = InlineBytes(value);
  return AnyTimeInListpack(lp) ? TimeOfTriple(lp, listpack::First(lp)) : INT64_MAX;
}

size_t HashTimedFields(const Value& value) {
  if (!HashIsTimed(value)) return 0;
  if (value.external()) return value.As<TimedHashTable>()->timed;
  size_t count = 0;
  HashForEachTimed(value, [&](std::string_view, std::string_view, int64_t at_ms) { count += at_ms >= 0 ? 1 : 0; });
  return count;
}

// ---- visiting

namespace {

void VisitSlot(Table::Slot slot, TimedVisitor visit, void* fn) {
  visit(fn, HashTable::FieldOf(slot.block()), HashTable::ValueOf(slot.block()), TimeOfSlot(slot));
}

}  // namespace

void VisitTimedHash(const Value& value, TimedVisitor visit, void* fn) {
  if (value.external()) {
    value.As<HashTable>()->table.ForEach([&](Table::Slot slot) { VisitSlot(slot, visit, fn); });
    return;
  }
  const uint8_t* lp = InlineBytes(value);
  bool timed = HashIsTimed(value);
  for (size_t at = listpack::First(lp); at != listpack::kEnd; at = listpack::Next(lp, at)) {
    char field[24];
    char text[24];
    size_t next = listpack::Next(lp, at);
    int64_t at_ms = timed ? TimeOfTriple(lp, at) : 0;
    visit(fn, listpack::Get(lp, at).Text(field), listpack::Get(lp, next).Text(text), at_ms == 0 ? kNoTime : at_ms);
    at = timed ? listpack::Next(lp, next) : next;
  }
}

uint64_t VisitTimedHashFrom(const Value& value, uint64_t cursor, TimedVisitor visit, void* fn) {
  if (value.external()) {
    return value.As<HashTable>()->table.Scan(cursor, [&](Table::Slot slot) { VisitSlot(slot, visit, fn); });
  }
  VisitTimedHash(value, visit, fn);
  return 0;
}

size_t HashLiveLength(const Value& value, int64_t now_ms) {
  if (!HashMayBeDue(value, now_ms)) return HashLength(value);
  size_t count = 0;
  HashForEachTimed(
      value, [&](std::string_view, std::string_view, int64_t at_ms) { count += FieldIsDue(at_ms, now_ms) ? 0 : 1; });
  return count;
}

// The due ones are few or about to go, so the others are gathered.
void VisitLiveSample(const Value& value, int64_t now_ms, size_t count, bool distinct, HashVisitor visit, void* fn) {
  if (!HashMayBeDue(value, now_ms)) return VisitHashSample(value, count, distinct, visit, fn);
  std::vector<const void*> blocks;
  std::vector<std::pair<std::string, std::string>> texts;  // of a listpack
  if (value.external()) {
    value.As<HashTable>()->table.ForEach([&](Table::Slot slot) {
      if (!FieldIsDue(TimeOfSlot(slot), now_ms)) blocks.push_back(slot.block());
    });
  } else {
    HashForEachLive(value, now_ms,
                    [&](std::string_view field, std::string_view text) { texts.emplace_back(field, text); });
  }
  size_t live = value.external() ? blocks.size() : texts.size();
  std::vector<size_t> order(distinct ? live : 0);
  for (size_t i = 0; i < order.size(); i++) order[i] = i;
  for (size_t i = 0; i < count && live > 0; i++) {
    size_t pick = distinct ? i + RandomBelow(live - i) : RandomBelow(live);
    if (distinct) {
      std::swap(order[i], order[pick]);
      pick = order[i];
    }
    if (value.external()) {
      visit(fn, HashTable::FieldOf(blocks[pick]), HashTable::ValueOf(blocks[pick]));
    } else {
      visit(fn, texts[pick].first, texts[pick].second);
    }
  }
}

// ---- what is due

bool DueFields::Find(const Value& value, int64_t now_ms) {
  count_ = 0;
  if (!HashMayBeDue(value, now_ms)) return false;
  return value.external() ? FindInTable(*value.As<TimedHashTable>(), now_ms) : FindInListpack(value, now_ms);
}

bool DueFields::FindInListpack(const Value& value, int64_t now_ms) {
  const uint8_t* lp = InlineBytes(value);
  for (size_t at = listpack::First(lp); at != listpack::kEnd && count_ < kBatch;) {
    size_t time = TimeElement(lp, at);
    int64_t at_ms = listpack::Get(lp, time).number;
    if (at_ms == 0 || at_ms >= now_ms) break;
    names_[count_] = listpack::Get(lp, at).Text(numbers_[count_].data());
    count_++;
    at = listpack::Next(lp, time);
  }
  return count_ > 0;
}

bool DueFields::FindInTable(TimedHashTable& table, int64_t now_ms) {
  constexpr size_t kSegmentsAStep = 64;
  constexpr size_t kFieldsASegment = Table::kMaxBuckets * Table::kSlots;
  static_assert(kFieldsASegment < kBatch);
  auto look = [&](uint64_t word, uint32_t hint) {
    if (count_ + kFieldsASegment > kBatch) return hint;  // later
    uint32_t earliest = Table::kNoHint;
    Table::VisitSegment(word, [](Table::Slot slot) {
      if (slot.flag()) __builtin_prefetch(slot.block());
    });
    Table::VisitSegment(word, [&](Table::Slot slot) {
      if (!slot.flag()) return;
      int64_t at_ms = TimeOfSlot(slot);
      if (at_ms < now_ms) {
        names_[count_++] = HashTable::FieldOf(slot.block());
      } else {
        earliest = std::min(earliest, ExpiryHint(at_ms));
      }
    });
    return earliest;
  };
  for (;;) {
    bool whole_round = table.sweep == 0;
    bool end = false;
    while (!end && count_ + kFieldsASegment <= kBatch) {
      end = table.table.VisitHints(&table.sweep, kSegmentsAStep, ExpiryHint(now_ms), look);
    }
    if (count_ > 0) return true;
    if (whole_round) break;
  }
  uint32_t lowest = Table::kNoHint;
  table.table.VisitHints(&table.sweep, SIZE_MAX, Table::kNoHint, [&](uint64_t, uint32_t hint) {
    lowest = std::min(lowest, hint);
    return hint;
  });
  table.next_due_ms = EarliestOfHint(lowest);
  return false;
}

void DueFields::Delete(Value& value) {
  if (!value.external()) {
    listpack::Erase(value, listpack::First(InlineBytes(value)), kWidth * count_);
    MakePlainIfUntimed(value);
  } else {
    for (std::string_view name : names()) DeleteFromTimed(value, name);
  }
  count_ = 0;
}

}  // namespace brim
