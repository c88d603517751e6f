#pragma once
// An index beside an array: from the hash of an element to its place, which the owner keeps and compares. Open
// addressing with linear probing; a slot that becomes free is filled from behind, so there are no marks of what was
// deleted.
//
//   slots:  hash 4 | place 4, ...      a power of two of them, at most three quarters in use
//
// 16 bytes that may be copied to another place, as its owner is when blocks are moved. Blocks are the owner's heap's.
// Not thread-safe: the caller holds the shard's lock.
#include <cstdint>

#include "types/id_tree.h"

namespace brim {

class PlaceTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  uint32_t size() const { return size_; }
  // The place with that hash for which is(place) holds; kNone. O(1).
  template <class Is>
  uint32_t Find(uint32_t hash, Is&& is) const {
    if (size_ == 0) return kNone;
    for (uint32_t i = hash & mask(); slots_[i].place != kNone; i = (i + 1) & mask()) {
      if (slots_[i].hash == hash && is(slots_[i].place)) return slots_[i].place;
    }
    return kNone;
  }
  // Adds a place that is not in it; the place may not be kNone. O(1), but for growing.
  void Insert(CountedHeap& heap, uint32_t hash, uint32_t place);
  // Removes a place that is in it. O(1), but for shrinking.
  void Erase(CountedHeap& heap, uint32_t hash, uint32_t place);
  // The element at `from`, which is in it, lies at `to` now.
  void Move(uint32_t hash, uint32_t from, uint32_t to) { slots_[SlotOf(hash, from)].place = to; }
  // Empties it.
  void Free(CountedHeap& heap);
  // For moving and copying the owner.
  void Tidy(CountedHeap& heap);
  PlaceTable Copy(CountedHeap& heap) const;

 private:
  struct Slot {
    uint32_t hash;
    uint32_t place;  // kNone: free
  };
  static constexpr uint32_t kLeast = 4;

  uint32_t mask() const { return capacity_ - 1; }
  size_t bytes() const { return capacity_ * sizeof(Slot); }
  uint32_t SlotOf(uint32_t hash, uint32_t place) const;
  void Put(uint32_t hash, uint32_t place);
  void Resize(CountedHeap& heap, uint32_t capacity);

  Slot* slots_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
};

}  // namespace brim
