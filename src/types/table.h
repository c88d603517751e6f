#pragma once
// The bucket table: extendible hashing over small segments of cache-line buckets. The keyspace and every large hash,
// set and sorted set use it. docs/table.md explains it with pictures and measurements.
//
//   hash (64 bits):  [ directory index: top `depth` bits | ... | local: low 11 bits ]
//   directory word:  [ depth 8 | buckets 8 | segment address 48 ]
//   segment:         1..16 buckets, contiguous, 64-byte aligned; grown one bucket at a time, then split in two
//   bucket (64 B):   8 fingerprints | 8 state bytes | 8 slots of 6 bytes
//   slot (48 bits):  [ low 3 bits of local | flag | block address >> 3 (44 bits) ]
//
// An element's home bucket is local * buckets >> 11; it may lie in the next bucket instead, and does so only while the
// home bucket is full. Fingerprint 0 means an empty slot. Fingerprint and the 3 extra bits are `local`, so growing a
// segment reads no element; splitting does.
// Not thread-safe: the caller holds the shard's lock, Prefetch* excepted.
#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>

#include "memory/heap.h"

namespace brim {

class Table {
 public:
  using HashFn = uint64_t (*)(const void* block);
  static constexpr int kSlots = 8;
  static constexpr int kMaxBuckets = 16;
  static constexpr int kBucketBytes = 64;
  static constexpr int kMaxDepth = 40;

  // One element's place. Valid until the next Insert or Erase.
  class Slot {
   public:
    Slot() = default;
    Slot(uint8_t* bucket, int index) : bucket_(bucket), index_(index) {}
    explicit operator bool() const { return bucket_ != nullptr; }
    void* block() const { return reinterpret_cast<void*>((Raw() & kAddressMask) << 3); }
    template <class T>
    T* As() const {
      return static_cast<T*>(block());
    }
    // Points the slot at a moved block of the same element.
    void SetBlock(const void* block) { Store((Raw() & ~kAddressMask) | (reinterpret_cast<uintptr_t>(block) >> 3)); }
    bool flag() const { return (Raw() & kFlag) != 0; }
    void SetFlag(bool on) { Store(on ? Raw() | kFlag : Raw() & ~kFlag); }
    uint8_t state() const { return bucket_[8 + index_]; }
    void SetState(uint8_t state) { bucket_[8 + index_] = state; }
    uint8_t* bucket() const { return bucket_; }
    int index() const { return index_; }

   private:
    friend class Table;
    uint64_t Raw() const { return LoadRaw(bucket_, index_); }
    void Store(uint64_t raw) { StoreRaw(bucket_, index_, raw); }
    uint8_t* bucket_ = nullptr;
    int index_ = 0;
  };

  // `heap` gives segments and directories (charged to kTables); `hash` is asked when a segment splits.
  Table(Heap* heap, HashFn hash);
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  size_t size() const { return count_; }
  // Bytes of segments and directory, granted sizes.
  size_t table_bytes() const { return bytes_; }
  size_t capacity() const { return buckets_ * kSlots; }
  int depth() const { return static_cast<int>(root_ >> 56); }

  // The slot whose block satisfies `match(block)`, or an empty Slot. O(1): the directory word, one or two buckets.
  template <class Match>
  Slot Find(uint64_t hash, Match&& match) const {
    uint64_t word = DirectoryWord(hash);
    if (word == 0) return {};
    uint8_t* segment = SegmentOf(word);
    uint32_t local = LocalOf(hash);
    uint32_t buckets = BucketsOf(word);
    uint32_t home = HomeOf(local, buckets);
    uint8_t* bucket = segment + home * kBucketBytes;
    int found = FindInBucket(bucket, local, match);
    if (found >= 0) return {bucket, found};
    if (buckets == 1 || HasRoom(bucket)) return {};
    bucket = segment + (home + 1 == buckets ? 0 : home + 1) * kBucketBytes;
    found = FindInBucket(bucket, local, match);
    return found >= 0 ? Slot{bucket, found} : Slot{};
  }
  // The slot that points at `block`, whose hash is `hash`. The block must be in the table.
  Slot FindBlock(uint64_t hash, const void* block) const {
    return Find(hash, [block](const void* b) { return b == block; });
  }

  // Adds a block that is not in the table. Its flag is off and its state 0. Amortised O(1); the longest pause is one
  // split (about 128 elements) or a doubling of the directory (8 bytes per 100 elements, copied).
  Slot Insert(uint64_t hash, const void* block);
  // Removes the element. The block itself is the caller's.
  void Erase(uint64_t hash, Slot slot);
  void Swap(Table& other);

  // Hands up to max_segments segments' elements to fn(Slot) (who frees the blocks) and frees the segments. True when
  // the table is empty. Between the calls nothing else may be done with it but Drain, size() and destruction.
  template <class Fn>
  bool Drain(size_t max_segments, Fn&& fn) {
    for (; drained_ < DirectorySize() && max_segments > 0; max_segments--) {
      uint64_t word = directory()[drained_];
      VisitSegment(word, fn);
      count_ -= CountSegment(SegmentOf(word), BucketsOf(word));
      drained_ += uint64_t{1} << (depth() - DepthOf(word));
      FreeSegment(SegmentOf(word), BucketsOf(word));
    }
    if (drained_ < DirectorySize()) return false;
    if (root_ != 0) ForgetDirectory();
    return true;
  }

  // Calls fn(Slot) for each element. fn may not insert or erase.
  template <class Fn>
  void ForEach(Fn&& fn) const {
    for (uint64_t i = 0; i < DirectorySize();) {
      uint64_t word = directory()[i];
      VisitSegment(word, fn);
      i += uint64_t{1} << (depth() - DepthOf(word));
    }
  }

  // One step of an iteration that survives growing and shrinking: visits the segment at `cursor` (0 to begin) and
  // returns the next cursor, 0 at the end. An element present all the time is visited at least once. Cursors are
  // positions in hash order, below 2^40.
  template <class Fn>
  uint64_t Scan(uint64_t cursor, Fn&& fn) const {
    if (count_ == 0) return 0;
    uint64_t index = depth() == 0 ? 0 : (cursor << (64 - kMaxDepth)) >> (64 - depth());
    uint64_t word = directory()[index];
    VisitSegment(word, fn);
    int d = DepthOf(word);
    if (d == 0) return 0;
    uint64_t prefix = (cursor >> (kMaxDepth - d)) + 1;
    return prefix >> d ? 0 : prefix << (kMaxDepth - d);
  }

  // One step of a walk that closes gaps in the heap: where it helps to empty a page (Heap::WorthMoving) the segment at
  // `cursor` moves, then fn(Slot) may move each of its blocks (Slot::SetBlock). Returns the next cursor as Scan does.
  template <class Fn>
  uint64_t Tidy(uint64_t cursor, Fn&& fn) {
    if (count_ == 0) return 0;
    MoveSegment(depth() == 0 ? 0 : (cursor << (64 - kMaxDepth)) >> (64 - depth()));
    return Scan(cursor, fn);
  }

  // A random element, about uniformly; the table may not be empty. Expected O(1).
  Slot Random() const;
  // A random bucket (for eviction samples), or null in an empty table.
  uint8_t* RandomBucket() const;
  // The n-th bucket in hash order, walking on: `*position` is advanced; wraps at the end. Null in an empty table.
  uint8_t* NextBucket(uint64_t* position) const;

  // Fetches the lines that Find(hash) will read. Safe without the lock: reads may be stale, and what they point at is
  // only prefetched. First pass: directory and bucket; second pass: the block whose fingerprint matches.
  void PrefetchBucket(uint64_t hash) const;
  void PrefetchBlock(uint64_t hash) const;

  // Hints: a number per segment, a lower bound of something about its elements (the keyspace keeps the earliest expiry
  // there). kNoHint where nothing was lowered. A split hands the hint to both halves, a merge takes the smaller.
  static constexpr uint32_t kNoHint = 0xffffffff;
  void LowerHint(uint64_t hash, uint32_t value);
  // Calls fn(word, hint) -> new hint for segments whose hint is below `limit`, from *position on, at most
  // `max_segments` looked at. Returns true when the end was reached (position is then 0), at once without hints.
  template <class Fn>
  bool VisitHints(uint64_t* position, size_t max_segments, uint32_t limit, Fn&& fn) {
    uint64_t i = hints_ == nullptr ? DirectorySize() : *position < DirectorySize() ? *position : 0;
    for (size_t n = 0; i < DirectorySize() && n < max_segments; n++) {
      uint64_t word = directory()[i];
      i &= ~((uint64_t{1} << (depth() - DepthOf(word))) - 1);
      if (hints_[i] < limit) hints_[i] = fn(word, hints_[i]);
      i += uint64_t{1} << (depth() - DepthOf(word));
    }
    bool end = i >= DirectorySize();
    *position = end ? 0 : i;
    return end;
  }
  template <class Fn>
  static void VisitSegment(uint64_t word, Fn&& fn) {
    if (word == 0) return;
    uint8_t* segment = SegmentOf(word);
    for (uint32_t b = 0; b < BucketsOf(word); b++) VisitBucket(segment + b * kBucketBytes, fn);
  }
  template <class Fn>
  static void VisitBucket(uint8_t* bucket, Fn&& fn) {
    for (uint64_t used = UsedBits(bucket); used; used &= used - 1) fn(Slot{bucket, std::countr_zero(used) >> 3});
  }

 private:
  // Makes room for that many elements to come, if the table is empty: they find their segments made. O(elements / 100).
  friend void Reserve(Table& table, size_t elements) { table.Reserve(elements); }
  void Reserve(size_t elements);
  // Frees the hints: every segment's is kNoHint again.
  friend void DropHints(Table& table) { table.DropHints(); }
  void DropHints();

  static constexpr uint64_t kAddressMask = (uint64_t{1} << 44) - 1;
  static constexpr uint64_t kFlag = uint64_t{1} << 44;
  static constexpr int kLocalBits = 11;
  static constexpr uint64_t kHighBits = 0x8080808080808080;

  static uint64_t Load64(const uint8_t* p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
  }
  // A slot's 6 bytes are read as the upper part of an 8-byte load that stays inside the bucket.
  static uint64_t LoadRaw(const uint8_t* bucket, int i) { return Load64(bucket + 14 + 6 * i) >> 16; }
  static void StoreRaw(uint8_t* bucket, int i, uint64_t raw) { memcpy(bucket + 16 + 6 * i, &raw, 6); }
  // The high bit of each byte that is not zero.
  static uint64_t NonZero(uint64_t x) { return (((x & ~kHighBits) + ~kHighBits) | x) & kHighBits; }
  static uint64_t UsedBits(const uint8_t* bucket) { return NonZero(Load64(bucket)); }
  static bool HasRoom(const uint8_t* bucket) { return UsedBits(bucket) != kHighBits; }

  static uint32_t LocalOf(uint64_t hash) {
    uint32_t local = hash & ((1u << kLocalBits) - 1);
    return local < 8 ? local + 8 : local;  // fingerprint 0 is taken
  }
  static uint32_t LocalAt(const uint8_t* bucket, int i) {
    return static_cast<uint32_t>(bucket[i]) << 3 | static_cast<uint32_t>(LoadRaw(bucket, i) >> 45);
  }
  static uint32_t HomeOf(uint32_t local, uint32_t buckets) { return local * buckets >> kLocalBits; }
  static uint8_t* SegmentOf(uint64_t word) { return reinterpret_cast<uint8_t*>(word & 0xffffffffffff); }
  static uint32_t BucketsOf(uint64_t word) { return (word >> 48) & 0xff; }
  static int DepthOf(uint64_t word) { return static_cast<int>(word >> 56); }
  static uint64_t MakeWord(uint8_t* segment, uint32_t buckets, int depth) {
    return reinterpret_cast<uint64_t>(segment) | uint64_t{buckets} << 48 | static_cast<uint64_t>(depth) << 56;
  }

  template <class Match>
  static int FindInBucket(uint8_t* bucket, uint32_t local, Match& match) {
    uint64_t same = ~NonZero(Load64(bucket) ^ uint64_t{local >> 3} * 0x0101010101010101) & kHighBits;
    for (; same; same &= same - 1) {
      int i = std::countr_zero(same) >> 3;
      uint64_t raw = LoadRaw(bucket, i);
      if (raw >> 45 == (local & 7) && match(reinterpret_cast<void*>((raw & kAddressMask) << 3))) return i;
    }
    return -1;
  }

  uint64_t* directory() const { return reinterpret_cast<uint64_t*>(root_ & 0xffffffffffff); }
  uint64_t DirectorySize() const { return root_ == 0 ? 0 : uint64_t{1} << depth(); }
  uint64_t IndexOf(uint64_t hash) const { return depth() == 0 ? 0 : hash >> (64 - depth()); }
  uint64_t DirectoryWord(uint64_t hash) const { return root_ == 0 ? 0 : directory()[IndexOf(hash)]; }

  void Clear();
  uint8_t* NewSegment(uint32_t buckets);
  void FreeSegment(uint8_t* segment, uint32_t buckets);
  void SetWords(uint64_t index, int depth, uint64_t word);
  static bool Place(uint8_t* segment, uint32_t buckets, uint32_t local, uint64_t raw, uint8_t state, Slot* where);
  static bool MakeRoom(uint8_t* segment, uint32_t buckets, uint32_t home, Slot* where);
  static bool MoveSlot(uint8_t* from, int i, uint8_t* to);
  static bool Refill(uint8_t* segment, uint32_t buckets, const uint8_t* old, uint32_t old_buckets);
  uint8_t* Rebuild(const uint8_t* old, uint32_t old_buckets, uint32_t* buckets);
  void Grow(uint64_t index);
  void MoveSegment(uint64_t index);
  static uint32_t PlaceSlots(uint8_t* segment, uint32_t buckets, const Slot* slots, uint32_t count);
  Slot PlaceOrGrow(uint64_t hash, uint32_t local, uint64_t raw, uint8_t state);
  void Split(uint64_t index);
  void DoubleDirectory();
  void HalveDirectory();
  void MaybeShrink(uint64_t index);
  bool MergeWithBuddy(uint64_t index);
  static uint32_t CountSegment(const uint8_t* segment, uint32_t buckets);
  uint64_t* NewDirectory(int depth);
  void FreeDirectory();
  void ForgetDirectory();

  uint64_t root_ = 0;  // [ depth 8 | unused 8 | directory address 48 ], one word so that a racy reader sees both
  Heap* heap_;
  HashFn hash_;
  size_t count_ = 0;
  size_t bytes_ = 0;
  size_t buckets_ = 0;
  uint32_t deepest_ = 0;       // segments whose depth is the directory's
  uint64_t drained_ = 0;       // directory words that Drain has done with
  uint32_t erase_clock_ = 0;   // every 16th Erase looks whether its segment should shrink
  uint32_t* hints_ = nullptr;  // one per directory word; a segment's is at its first word
};

}  // namespace brim
