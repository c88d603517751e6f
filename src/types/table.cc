#include "types/table.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/random.h"

namespace brim {

namespace {

// A rebuilt segment is made this full, in percent, when it shrinks, splits or merges.
constexpr uint32_t kTargetFill = 80;
// Below this a segment is rebuilt smaller.
constexpr uint32_t kLowFill = 45;

uint32_t BucketsFor(uint32_t elements) {
  uint32_t buckets = (elements * 100 + 8 * kTargetFill - 1) / (8 * kTargetFill);
  return std::clamp<uint32_t>(buckets, 1, Table::kMaxBuckets);
}

}  // namespace

Table::Table(Heap* heap, HashFn hash) : heap_(heap), hash_(hash) {}

Table::~Table() { Clear(); }

uint8_t* Table::NewSegment(uint32_t buckets) {
  size_t bytes = buckets * kBucketBytes;
  auto* segment = static_cast<uint8_t*>(heap_->Allocate(bytes, MemoryCategory::kTables));
  memset(segment, 0, bytes);
  bytes_ += Heap::GrantedSize(bytes);
  buckets_ += buckets;
  return segment;
}

void Table::FreeSegment(uint8_t* segment, uint32_t buckets) {
  size_t bytes = buckets * kBucketBytes;
  heap_->Free(segment, bytes, MemoryCategory::kTables);
  bytes_ -= Heap::GrantedSize(bytes);
  buckets_ -= buckets;
}

uint64_t* Table::NewDirectory(int depth) {
  size_t bytes = sizeof(uint64_t) << depth;
  bytes_ += Heap::GrantedSize(bytes);
  return static_cast<uint64_t*>(heap_->Allocate(bytes, MemoryCategory::kTables));
}

void Table::FreeDirectory() {
  size_t bytes = sizeof(uint64_t) << depth();
  bytes_ -= Heap::GrantedSize(bytes);
  heap_->Free(directory(), bytes, MemoryCategory::kTables);
  DropHints();
}

void Table::DropHints() {
  if (hints_ == nullptr) return;
  size_t bytes = sizeof(uint32_t) << depth();
  bytes_ -= Heap::GrantedSize(bytes);
  heap_->Free(hints_, bytes, MemoryCategory::kTables);
  hints_ = nullptr;
}

void Table::ForgetDirectory() {
  FreeDirectory();
  root_ = 0;
  count_ = 0;
  deepest_ = 0;
  drained_ = 0;
}

// Forgets all elements and frees segments and directory.
void Table::Clear() {
  if (root_ == 0) return;
  for (uint64_t i = drained_; i < DirectorySize();) {
    uint64_t word = directory()[i];
    i += uint64_t{1} << (depth() - DepthOf(word));
    FreeSegment(SegmentOf(word), BucketsOf(word));
  }
  ForgetDirectory();
}

void Table::Swap(Table& other) {
  std::swap(root_, other.root_);
  std::swap(heap_, other.heap_);
  std::swap(hash_, other.hash_);
  std::swap(count_, other.count_);
  std::swap(bytes_, other.bytes_);
  std::swap(buckets_, other.buckets_);
  std::swap(deepest_, other.deepest_);
  std::swap(drained_, other.drained_);
  std::swap(erase_clock_, other.erase_clock_);
  std::swap(hints_, other.hints_);
}

// Moves slot i of `from` into a free slot of `to`. False when `to` is full.
bool Table::MoveSlot(uint8_t* from, int i, uint8_t* to) {
  uint64_t free = ~UsedBits(to) & kHighBits;
  if (free == 0) return false;
  int j = std::countr_zero(free) >> 3;
  to[j] = from[i];
  to[8 + j] = from[8 + i];
  StoreRaw(to, j, LoadRaw(from, i));
  from[i] = 0;
  return true;
}

// Home bucket and its neighbour are full: moves one element to its other bucket. `where` gets the freed slot, which
// lies in one of the two.
bool Table::MakeRoom(uint8_t* segment, uint32_t buckets, uint32_t home, Slot* where) {
  uint8_t* bucket = segment + home * kBucketBytes;
  uint8_t* before = segment + (home == 0 ? buckets - 1 : home - 1) * kBucketBytes;
  uint32_t next = home + 1 == buckets ? 0 : home + 1;
  uint8_t* neighbour = segment + next * kBucketBytes;
  uint8_t* after = segment + (next + 1 == buckets ? 0 : next + 1) * kBucketBytes;
  for (int i = 0; i < kSlots; i++) {
    if (HomeOf(LocalAt(bucket, i), buckets) != home && MoveSlot(bucket, i, before)) {
      *where = {bucket, i};
      return true;
    }
  }
  for (int i = 0; i < kSlots; i++) {
    if (HomeOf(LocalAt(neighbour, i), buckets) == next && MoveSlot(neighbour, i, after)) {
      *where = {neighbour, i};
      return true;
    }
  }
  return false;
}

bool Table::Place(uint8_t* segment, uint32_t buckets, uint32_t local, uint64_t raw, uint8_t state, Slot* where) {
  uint32_t home = HomeOf(local, buckets);
  uint8_t* bucket = segment + home * kBucketBytes;
  uint64_t free = ~UsedBits(bucket) & kHighBits;
  if (free == 0) {
    if (buckets == 1) return false;
    bucket = segment + (home + 1 == buckets ? 0 : home + 1) * kBucketBytes;
    free = ~UsedBits(bucket) & kHighBits;
  }
  if (free != 0) {
    *where = {bucket, std::countr_zero(free) >> 3};
  } else if (buckets < 3 || !MakeRoom(segment, buckets, home, where)) {
    return false;
  }
  where->bucket_[where->index_] = static_cast<uint8_t>(local >> 3);
  where->bucket_[8 + where->index_] = state;
  StoreRaw(where->bucket_, where->index_, raw);
  return true;
}

bool Table::Refill(uint8_t* segment, uint32_t buckets, const uint8_t* old, uint32_t old_buckets) {
  Slot where;
  for (uint32_t b = 0; b < old_buckets; b++) {
    const uint8_t* bucket = old + b * kBucketBytes;
    for (uint64_t used = UsedBits(bucket); used; used &= used - 1) {
      int i = std::countr_zero(used) >> 3;
      if (!Place(segment, buckets, LocalAt(bucket, i), LoadRaw(bucket, i), bucket[8 + i], &where)) return false;
    }
  }
  return true;
}

// A copy of the segment with *buckets buckets, or more where an element found no place; null when kMaxBuckets do not
// do.
uint8_t* Table::Rebuild(const uint8_t* old, uint32_t old_buckets, uint32_t* buckets) {
  for (; *buckets <= kMaxBuckets; ++*buckets) {
    uint8_t* segment = NewSegment(*buckets);
    if (Refill(segment, *buckets, old, old_buckets)) return segment;
    FreeSegment(segment, *buckets);
  }
  return nullptr;
}

void Table::SetWords(uint64_t index, int word_depth, uint64_t word) {
  uint64_t span = uint64_t{1} << (depth() - word_depth);
  index &= ~(span - 1);
  std::fill_n(directory() + index, span, word);
}

Table::Slot Table::Insert(uint64_t hash, const void* block) {
  if (root_ == 0) {
    uint64_t* words = NewDirectory(0);
    words[0] = MakeWord(NewSegment(1), 1, 0);
    root_ = reinterpret_cast<uint64_t>(words);
    deepest_ = 1;
  }
  uint32_t local = LocalOf(hash);
  uint64_t raw = reinterpret_cast<uintptr_t>(block) >> 3 | static_cast<uint64_t>(local & 7) << 45;
  count_++;
  return PlaceOrGrow(hash, local, raw, 0);
}

void Table::Reserve(size_t elements) {
  constexpr size_t kMost = kMaxBuckets * kSlots * kTargetFill / 100 * 85 / 100;  // so that few segments have to split
  if (root_ != 0 || elements == 0) return;
  int depth = 0;
  while (elements >> depth > kMost && depth < kMaxDepth) depth++;
  uint64_t* words = NewDirectory(depth);
  uint32_t buckets = BucketsFor(static_cast<uint32_t>(elements >> depth));
  deepest_ = uint32_t{1} << depth;
  for (uint64_t i = 0; i < deepest_; i++) words[i] = MakeWord(NewSegment(buckets), buckets, depth);
  root_ = reinterpret_cast<uint64_t>(words) | static_cast<uint64_t>(depth) << 56;
}

Table::Slot Table::PlaceOrGrow(uint64_t hash, uint32_t local, uint64_t raw, uint8_t state) {
  Slot where;
  for (;;) {
    uint64_t index = IndexOf(hash);
    uint64_t word = directory()[index];
    if (Place(SegmentOf(word), BucketsOf(word), local, raw, state, &where)) return where;
    Grow(index);
  }
}

void Table::Grow(uint64_t index) {
  uint64_t word = directory()[index];
  uint32_t old_buckets = BucketsOf(word);
  if (old_buckets < kMaxBuckets) {
    uint32_t buckets = old_buckets + 1;
    if (uint8_t* segment = Rebuild(SegmentOf(word), old_buckets, &buckets)) {
      SetWords(index, DepthOf(word), MakeWord(segment, buckets, DepthOf(word)));
      FreeSegment(SegmentOf(word), old_buckets);
      return;
    }
  }
  Split(index);
}

void Table::DoubleDirectory() {
  int old_depth = depth();
  if (old_depth == kMaxDepth) abort();  // 128 equal 51-bit hash values: the secret is broken
  uint64_t size = DirectorySize();
  uint64_t* words = NewDirectory(old_depth + 1);
  for (uint64_t i = 0; i < size; i++) words[2 * i] = words[2 * i + 1] = directory()[i];
  uint32_t* hints = nullptr;
  if (hints_ != nullptr) {
    size_t bytes = sizeof(uint32_t) << (old_depth + 1);
    hints = static_cast<uint32_t*>(heap_->Allocate(bytes, MemoryCategory::kTables));
    bytes_ += Heap::GrantedSize(bytes);
    for (uint64_t i = 0; i < size; i++) {
      hints[2 * i] = hints_[i];
      hints[2 * i + 1] = kNoHint;
    }
  }
  FreeDirectory();
  hints_ = hints;
  root_ = reinterpret_cast<uint64_t>(words) | static_cast<uint64_t>(old_depth + 1) << 56;
  deepest_ = 0;
}

void Table::MoveSegment(uint64_t index) {
  uint64_t word = directory()[index];
  uint8_t* old = SegmentOf(word);
  if (!heap_->WorthMoving(old)) return;
  uint8_t* segment = NewSegment(BucketsOf(word));
  memcpy(segment, old, BucketsOf(word) * kBucketBytes);
  SetWords(index, DepthOf(word), MakeWord(segment, BucketsOf(word), DepthOf(word)));
  FreeSegment(old, BucketsOf(word));
}

// Places slots of another segment; returns how many of them found a place before one did not.
uint32_t Table::PlaceSlots(uint8_t* segment, uint32_t buckets, const Slot* slots, uint32_t count) {
  Slot where;
  for (uint32_t i = 0; i < count; i++) {
    const Slot& s = slots[i];
    if (!Place(segment, buckets, LocalAt(s.bucket_, s.index_), s.Raw(), s.state(), &where)) return i;
  }
  return count;
}

void Table::Split(uint64_t index) {
  uint64_t word = directory()[index];
  int old_depth = DepthOf(word);
  if (old_depth == depth()) {
    DoubleDirectory();
    index *= 2;
  }
  uint8_t* old = SegmentOf(word);
  uint32_t old_buckets = BucketsOf(word);
  VisitSegment(word, [](Slot slot) { __builtin_prefetch(slot.block()); });
  // Sort the elements by the next bit of their hash into two lists of slots.
  Slot halves[2][kMaxBuckets * kSlots];
  uint32_t counts[2] = {0, 0};
  VisitSegment(word, [&](Slot slot) {
    int half = static_cast<int>(hash_(slot.block()) >> (63 - old_depth) & 1);
    halves[half][counts[half]++] = slot;
  });
  uint64_t span = uint64_t{1} << (depth() - old_depth - 1);
  uint64_t first = index & ~(2 * span - 1);
  uint32_t placed[2];
  for (int half = 0; half < 2; half++) {
    uint32_t buckets = BucketsFor(counts[half]);
    uint8_t* segment = nullptr;
    for (;; buckets++) {
      segment = NewSegment(buckets);
      placed[half] = PlaceSlots(segment, buckets, halves[half], counts[half]);
      if (placed[half] == counts[half] || buckets == kMaxBuckets) break;
      FreeSegment(segment, buckets);
    }
    SetWords(first + static_cast<uint64_t>(half) * span, old_depth + 1, MakeWord(segment, buckets, old_depth + 1));
  }
  if (hints_ != nullptr) hints_[first + span] = hints_[first];
  if (old_depth + 1 == depth()) deepest_ += 2;
  // Elements that came in the order of their hashes may all be in one half, which is then as full as before: what found
  // no place there goes in by further splits.
  for (int half = 0; half < 2; half++) {
    for (uint32_t i = placed[half]; i < counts[half]; i++) {
      Slot s = halves[half][i];
      PlaceOrGrow(hash_(s.block()), LocalAt(s.bucket_, s.index_), s.Raw(), s.state());
    }
  }
  FreeSegment(old, old_buckets);
}

void Table::Erase(uint64_t hash, Slot slot) {
  slot.bucket_[slot.index_] = 0;
  count_--;
  uint64_t index = IndexOf(hash);
  uint64_t word = directory()[index];
  uint8_t* segment = SegmentOf(word);
  uint32_t buckets = BucketsOf(word);
  // An element lies outside its home only while the home is full: pull one back into the hole, and so on.
  auto hole = static_cast<uint32_t>((slot.bucket_ - segment) / kBucketBytes);
  for (uint32_t steps = 0; buckets > 1 && steps < buckets; steps++) {
    uint32_t next = hole + 1 == buckets ? 0 : hole + 1;
    uint8_t* neighbour = segment + next * kBucketBytes;
    int displaced = -1;
    for (uint64_t used = UsedBits(neighbour); used; used &= used - 1) {
      int i = std::countr_zero(used) >> 3;
      if (HomeOf(LocalAt(neighbour, i), buckets) == hole) displaced = i;
    }
    if (displaced < 0) break;
    MoveSlot(neighbour, displaced, segment + hole * kBucketBytes);
    hole = next;
  }
  if (count_ == 0) {
    Clear();
  } else if ((++erase_clock_ & 15) == 0) {
    MaybeShrink(index);
  }
}

uint32_t Table::CountSegment(const uint8_t* segment, uint32_t buckets) {
  uint32_t count = 0;
  for (uint32_t b = 0; b < buckets; b++)
    count += static_cast<uint32_t>(std::popcount(UsedBits(segment + b * kBucketBytes)));
  return count;
}

void Table::MaybeShrink(uint64_t index) {
  uint64_t word = directory()[index];
  uint32_t buckets = BucketsOf(word);
  uint32_t count = CountSegment(SegmentOf(word), buckets);
  if (count * 100 >= buckets * kSlots * kLowFill) return;
  if (buckets <= kMaxBuckets / 2 && MergeWithBuddy(index)) return;
  uint32_t smaller = BucketsFor(count);
  if (smaller >= buckets) return;
  if (uint8_t* segment = Rebuild(SegmentOf(word), buckets, &smaller)) {
    SetWords(index, DepthOf(word), MakeWord(segment, smaller, DepthOf(word)));
    FreeSegment(SegmentOf(word), buckets);
  }
}

// Joins a small segment with the one that differs in its last prefix bit, when both fit well into one.
bool Table::MergeWithBuddy(uint64_t index) {
  uint64_t word = directory()[index];
  int word_depth = DepthOf(word);
  if (word_depth == 0) return false;
  uint64_t span = uint64_t{1} << (depth() - word_depth);
  uint64_t low = index & ~(2 * span - 1);
  uint64_t words[2] = {directory()[low], directory()[low + span]};
  if (DepthOf(words[0]) != word_depth || DepthOf(words[1]) != word_depth) return false;
  uint32_t count =
      CountSegment(SegmentOf(words[0]), BucketsOf(words[0])) + CountSegment(SegmentOf(words[1]), BucketsOf(words[1]));
  if (count > kMaxBuckets * kSlots * 6 / 10) return false;
  for (uint32_t buckets = BucketsFor(count); buckets <= kMaxBuckets; buckets++) {
    uint8_t* segment = NewSegment(buckets);
    if (Refill(segment, buckets, SegmentOf(words[0]), BucketsOf(words[0])) &&
        Refill(segment, buckets, SegmentOf(words[1]), BucketsOf(words[1]))) {
      SetWords(low, word_depth - 1, MakeWord(segment, buckets, word_depth - 1));
      for (uint64_t old : words) FreeSegment(SegmentOf(old), BucketsOf(old));
      if (hints_ != nullptr) hints_[low] = std::min(hints_[low], hints_[low + span]);
      if (word_depth == depth()) {
        deepest_ -= 2;
        if (deepest_ == 0) HalveDirectory();
      }
      return true;
    }
    FreeSegment(segment, buckets);
  }
  return false;
}

void Table::HalveDirectory() {
  int new_depth = depth() - 1;
  uint64_t size = uint64_t{1} << new_depth;
  uint64_t* words = NewDirectory(new_depth);
  for (uint64_t i = 0; i < size; i++) words[i] = directory()[2 * i];
  uint32_t* hints = nullptr;
  if (hints_ != nullptr) {
    size_t bytes = sizeof(uint32_t) << new_depth;
    hints = static_cast<uint32_t*>(heap_->Allocate(bytes, MemoryCategory::kTables));
    bytes_ += Heap::GrantedSize(bytes);
    for (uint64_t i = 0; i < size; i++) hints[i] = hints_[2 * i];
  }
  FreeDirectory();
  hints_ = hints;
  root_ = reinterpret_cast<uint64_t>(words) | static_cast<uint64_t>(new_depth) << 56;
  deepest_ = 0;
  for (uint64_t i = 0; i < size;) {
    if (DepthOf(words[i]) == new_depth) deepest_++;
    i += uint64_t{1} << (new_depth - DepthOf(words[i]));
  }
  if (deepest_ == 0 && new_depth > 0) HalveDirectory();
}

Table::Slot Table::Random() const {
  for (;;) {
    uint64_t word = directory()[RandomBelow(DirectorySize())];
    uint64_t pick = RandomBelow(BucketsOf(word) * kSlots);
    Slot slot{SegmentOf(word) + pick / kSlots * kBucketBytes, static_cast<int>(pick % kSlots)};
    if (slot.bucket_[slot.index_] != 0) return slot;
  }
}

uint8_t* Table::RandomBucket() const {
  if (root_ == 0) return nullptr;
  uint64_t word = directory()[RandomBelow(DirectorySize())];
  return SegmentOf(word) + RandomBelow(BucketsOf(word)) * kBucketBytes;
}

uint8_t* Table::NextBucket(uint64_t* position) const {
  if (root_ == 0) return nullptr;
  // position: directory index * kMaxBuckets + bucket
  uint64_t index = *position / kMaxBuckets;
  uint64_t bucket = *position % kMaxBuckets;
  if (index >= DirectorySize()) index = bucket = 0;
  uint64_t word = directory()[index];
  if (bucket >= BucketsOf(word)) bucket = 0;
  uint8_t* result = SegmentOf(word) + bucket * kBucketBytes;
  if (++bucket == BucketsOf(word)) {
    uint64_t span = uint64_t{1} << (depth() - DepthOf(word));
    index = (index & ~(span - 1)) + span;
    bucket = 0;
  }
  *position = index * kMaxBuckets + bucket;
  return result;
}

__attribute__((no_sanitize("thread", "address"))) void Table::PrefetchBucket(uint64_t hash) const {
  uint64_t root = *const_cast<const volatile uint64_t*>(&root_);
  if (root == 0) return;
  int d = static_cast<int>(root >> 56);
  uint64_t word = reinterpret_cast<const uint64_t*>(root & 0xffffffffffff)[d == 0 ? 0 : hash >> (64 - d)];
  __builtin_prefetch(SegmentOf(word) + HomeOf(LocalOf(hash), BucketsOf(word)) * kBucketBytes);
}

__attribute__((no_sanitize("thread", "address"))) void Table::PrefetchBlock(uint64_t hash) const {
  uint64_t root = *const_cast<const volatile uint64_t*>(&root_);
  if (root == 0) return;
  int d = static_cast<int>(root >> 56);
  uint64_t word = reinterpret_cast<const uint64_t*>(root & 0xffffffffffff)[d == 0 ? 0 : hash >> (64 - d)];
  uint32_t local = LocalOf(hash);
  const uint8_t* bucket = SegmentOf(word) + HomeOf(local, BucketsOf(word)) * kBucketBytes;
  if (!Heap::Owns(bucket)) return;
  // FindInBucket's search, with reads that the sanitizers know to be racy: the bucket may be another's by now.
  uint64_t fingerprints;
  __builtin_memcpy(&fingerprints, bucket, 8);
  uint64_t differ = fingerprints ^ uint64_t { local >> 3 } * 0x0101010101010101;
  uint64_t same = ~(((differ & ~kHighBits) + ~kHighBits) | differ) & kHighBits;
  for (; same; same &= same - 1) {
    uint64_t raw;
    __builtin_memcpy(&raw, bucket + 14 + 6 * (std::countr_zero(same) >> 3), 8);
    raw >>= 16;
    if (raw >> 45 != (local & 7)) continue;
    const auto* block = reinterpret_cast<const char*>((raw & kAddressMask) << 3);
    __builtin_prefetch(block);
    __builtin_prefetch(block + 64);
  }
}

void Table::LowerHint(uint64_t hash, uint32_t value) {
  if (hints_ == nullptr) {
    size_t bytes = sizeof(uint32_t) << depth();
    hints_ = static_cast<uint32_t*>(heap_->Allocate(bytes, MemoryCategory::kTables));
    bytes_ += Heap::GrantedSize(bytes);
    std::fill_n(hints_, DirectorySize(), kNoHint);
  }
  uint64_t index = IndexOf(hash);
  index &= ~((uint64_t{1} << (depth() - DepthOf(directory()[index]))) - 1);
  hints_[index] = std::min(hints_[index], value);
}

}  // namespace brim
