#include "types/place_table.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace brim {

uint32_t PlaceTable::SlotOf(uint32_t hash, uint32_t place) const {
  uint32_t i = hash & mask();
  while (slots_[i].place != place) i = (i + 1) & mask();
  return i;
}

void PlaceTable::Put(uint32_t hash, uint32_t place) {
  uint32_t i = hash & mask();
  while (slots_[i].place != kNone) i = (i + 1) & mask();
  slots_[i] = {hash, place};
}

void PlaceTable::Resize(CountedHeap& heap, uint32_t capacity) {
  Slot* before = slots_;
  uint32_t count = capacity_;
  slots_ = static_cast<Slot*>(heap.Allocate(capacity * sizeof(Slot)));
  capacity_ = capacity;
  std::fill_n(slots_, capacity, Slot{0, kNone});
  for (uint32_t i = 0; i < count; i++) {
    if (before[i].place != kNone) Put(before[i].hash, before[i].place);
  }
  if (before != nullptr) heap.Free(before);
}

void PlaceTable::Insert(CountedHeap& heap, uint32_t hash, uint32_t place) {
  if (size_ + 1 > capacity_ / 4 * 3) Resize(heap, std::max(kLeast, capacity_ * 2));
  Put(hash, place);
  size_++;
}

void PlaceTable::Erase(CountedHeap& heap, uint32_t hash, uint32_t place) {
  uint32_t hole = SlotOf(hash, place);
  // What lies behind and could not lie where it belongs comes forward, unless it belongs between the two.
  for (uint32_t i = (hole + 1) & mask(); slots_[i].place != kNone; i = (i + 1) & mask()) {
    uint32_t home = slots_[i].hash & mask();
    if (((i - home) & mask()) < ((i - hole) & mask())) continue;
    slots_[hole] = slots_[i];
    hole = i;
  }
  slots_[hole].place = kNone;
  size_--;
  if (capacity_ == kLeast || size_ >= capacity_ / 8) return;
  try {
    Resize(heap, capacity_ / 2);
  } catch (const std::bad_alloc&) {
    return;  // it stays as large as it is
  }
}

void PlaceTable::Free(CountedHeap& heap) {
  if (slots_ != nullptr) heap.Free(slots_);
  *this = PlaceTable();
}

void PlaceTable::Tidy(CountedHeap& heap) {
  if (slots_ != nullptr) slots_ = heap.Moved(slots_);
}

PlaceTable PlaceTable::Copy(CountedHeap& heap) const {
  PlaceTable copy = *this;
  if (slots_ == nullptr) return copy;
  copy.slots_ = static_cast<Slot*>(heap.Allocate(bytes()));
  memcpy(copy.slots_, slots_, bytes());
  return copy;
}

}  // namespace brim
