#pragma once
// The order of a large sorted set: a B+ tree that counts, over references to member blocks, sorted by (score, member).
//
//   node:   [ head 8: count 2 | capacity 2 | level 1 | unused 3 ] [ slots ]
//   inner:  slots of 24 bytes: lowest score below | child | number of elements below           (at most 32)
//   leaf:   slots of 6 bytes: address of a member block                                        (at most 84)
//
// Counts make rank, select by rank and the size of a score range O(log n). A node is only as long as its content needs
// (it is moved to a longer or shorter block in steps of some 6 %), so leaves are nearly full whatever the order of
// insertion, and splitting in halves wastes nothing. Nodes know no parent: a descent leaves its path on the stack.
// Scores lie in the member blocks; inner slots repeat the lowest one, so that a descent by score reads a block only in
// the leaf, or between equal scores.
// Not thread-safe: the caller holds the shard's lock.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "memory/heap.h"

namespace brim {

// One member of a large sorted set, a block of its own:
//   [ head 1: length (high 5 bits), score's form (low 3) ] [ score 1..8 ] [ length 1 or 4, if 30 or 31 ] [ text ]
// Scores that are whole numbers take 1, 2, 3, 4, 5 or 7 bytes, those that a float holds 4, others 8.
class ZsetMember {
 public:
  double score() const {
    uint64_t word;
    memcpy(&word, bytes_, 8);  // blocks have 8 bytes at least
    unsigned form = bytes_[0] & 7;
    if (form < kFloat) {
      unsigned unused = 64 - 8 * kScoreBytes[form];
      return static_cast<double>(static_cast<int64_t>(word << (unused - 8)) >> unused);
    }
    return form == kFloat ? FloatAt(bytes_ + 1) : DoubleAt(bytes_ + 1);
  }
  std::string_view text() const {
    const uint8_t* p = bytes_ + 1 + kScoreBytes[bytes_[0] & 7];
    size_t size = bytes_[0] >> 3;
    if (size >= kShortMark) {
      bool wide = size == kWideMark;
      size = wide ? Wide(p) : *p;
      p += wide ? 4 : 1;
    }
    return {reinterpret_cast<const char*>(p), size};
  }
  // Bytes that the block needs; what the heap is told when it is freed.
  size_t bytes() const { return BytesFor(text().size(), bytes_[0] & 7); }
  static size_t BytesFor(std::string_view text, double score) { return BytesFor(text.size(), FormOf(score)); }
  // Fills a block of BytesFor(text, score) bytes. The text may be the block's own.
  void Init(std::string_view text, double score);

 private:
  static constexpr unsigned kFloat = 6;
  static constexpr unsigned kDouble = 7;
  static constexpr size_t kShortMark = 30;  // the length is in one more byte
  static constexpr size_t kWideMark = 31;   // or in four
  static constexpr uint8_t kScoreBytes[8] = {1, 2, 3, 4, 5, 7, 4, 8};

  static unsigned FormOf(double score);
  static size_t LengthBytes(size_t size) { return size < kShortMark ? 0 : size < 256 ? 1 : 4; }
  static size_t BytesFor(size_t size, unsigned form) {
    size_t bytes = 1 + kScoreBytes[form] + LengthBytes(size) + size;
    return bytes < 8 ? 8 : bytes;
  }
  static double FloatAt(const uint8_t* p) {
    float f;
    memcpy(&f, p, 4);
    return f;
  }
  static double DoubleAt(const uint8_t* p) {
    double d;
    memcpy(&d, p, 8);
    return d;
  }
  static size_t Wide(const uint8_t* p) {
    uint32_t n;
    memcpy(&n, p, 4);
    return n;
  }

  uint8_t bytes_[8];  // and the rest of the block
};

// A place between elements: before or after all that are equal to it in what it speaks of (score, text or both).
struct ZsetBound {
  double score = 0;
  std::string_view text;
  bool by_score = true;
  bool by_text = false;
  bool after = false;

  static ZsetBound Score(double score, bool after) { return {score, {}, true, false, after}; }
  static ZsetBound Text(std::string_view text, bool after) { return {0, text, false, true, after}; }
  static ZsetBound Element(double score, std::string_view text, bool after) { return {score, text, true, true, after}; }
  // True when an element with that score and text lies before the bound.
  bool IsAbove(double other_score, std::string_view other_text) const {
    if (by_score && other_score != score) return other_score < score;
    if (!by_text) return after;
    int order = other_text.compare(text);
    return order == 0 ? after : order < 0;
  }
};

class ZsetTree {
 public:
  static constexpr uint32_t kLeafMax = 84;
  static constexpr uint32_t kInnerMax = 32;
  static constexpr int kMaxLevels = 20;

  explicit ZsetTree(Heap* heap) : heap_(heap) {}
  ~ZsetTree() { FreeNodes(SIZE_MAX); }
  ZsetTree(const ZsetTree&) = delete;
  ZsetTree& operator=(const ZsetTree&) = delete;

  size_t size() const { return size_; }
  // Bytes of all nodes, granted sizes.
  size_t node_bytes() const { return bytes_; }

  // Adds a member that is not in the tree. O(log n).
  void Insert(ZsetMember* member);
  // Takes a member out; its block, unchanged since Insert, is the caller's. O(log n).
  void Erase(const ZsetMember* member);
  // Gives a member its new score: `rewrite()` changes the block and returns it, or the one that replaces it. O(log n),
  // half of Erase and Insert when the member keeps its place.
  template <class Rewrite>
  void Move(const ZsetMember* member, double score, Rewrite&& rewrite) {
    Path path;
    Locate(member, &path);
    if (StaysPut(path, score, member->text())) {
      SetRef(path.node[0], path.index[0], rewrite());
    } else {
      RemoveAt(path, 1);
      Insert(rewrite());
    }
  }
  // Points at a moved block of the same content; both blocks must still be readable. O(log n).
  void Replace(const ZsetMember* member, ZsetMember* moved);

  // Moves the nodes on the way to the leaf of that rank out of pages that are being emptied. Returns the rank after the
  // leaf, or size() at the end. O(log n).
  size_t MoveNodes(size_t rank);

  // Elements before the bound: a rank, or size(). O(log n).
  size_t CountBefore(const ZsetBound& bound) const;
  // The element of that rank, which is below size(). O(log n).
  ZsetMember* Select(size_t rank) const;
  // Takes elements out from `rank` on, at most `max` and those of one leaf, into removed (kLeafMax places). Returns how
  // many: at least one. O(log n) for all of them.
  size_t EraseRun(size_t rank, size_t max, ZsetMember** removed);

  // Frees up to `budget` nodes, the tree is not to be used further; true when none is left.
  bool FreeNodes(size_t budget);

  // Checks order, counts and lowest scores. For tests. O(n).
  bool IsConsistent() const;

 private:
  struct Node {
    uint16_t count;
    uint16_t capacity;
    uint8_t level;  // 0: leaf
    uint8_t unused[3];
  };
  struct Slot {
    double lowest;
    Node* child;
    size_t elements;
  };
  // A way down: nodes by level, leaf first, and the place in each.
  struct Path {
    Node* node[kMaxLevels];
    uint32_t index[kMaxLevels];
  };

 public:
  // Walks from a rank on, forward or backward. Valid until the tree changes.
  class Cursor {
   public:
    Cursor() = default;
    Cursor(const ZsetTree& tree, size_t rank, bool backward);
    // Forward from the first element that is not before the bound.
    Cursor(const ZsetTree& tree, const ZsetBound& bound);
    // The next element, or null at the end. O(1).
    ZsetMember* Next();

   private:
    bool Advance();
    void EnterLeaf() const;
    Path path_;
    int height_ = 0;
    bool backward_ = false;
    bool valid_ = false;
    bool fresh_ = false;
  };

 private:
  static constexpr size_t kHeadBytes = sizeof(Node);
  static constexpr size_t kRefBytes = 6;

  static uint8_t* Body(const Node* node) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(node)) + kHeadBytes;
  }
  static Slot* Slots(const Node* node) { return reinterpret_cast<Slot*>(Body(node)); }
  // A reference is read as the upper part of an 8-byte load that stays inside the node.
  static ZsetMember* RefAt(const Node* leaf, size_t i) {
    uint64_t word;
    memcpy(&word, Body(leaf) + kRefBytes * i - 2, 8);
    return reinterpret_cast<ZsetMember*>(word >> 16);
  }
  static void SetRef(Node* leaf, size_t i, const ZsetMember* member) {
    memcpy(Body(leaf) + kRefBytes * i, &member, kRefBytes);
  }
  static size_t SlotBytes(uint32_t level) { return level == 0 ? kRefBytes : sizeof(Slot); }
  static uint32_t MaxCount(uint32_t level) { return level == 0 ? kLeafMax : kInnerMax; }
  static size_t NodeBytes(const Node* node) { return kHeadBytes + node->capacity * SlotBytes(node->level); }
  static const ZsetMember* LowestMember(const Node* node);
  static double LowestScore(const Node* node);
  static uint32_t ChildFor(const Node* node, const ZsetBound& bound);
  static uint32_t PlaceInLeaf(const Node* leaf, const ZsetBound& bound);
  static bool CheckNode(const Node* node, int level, size_t* elements, const ZsetMember** last);

  Node* NewNode(uint32_t level, uint32_t wanted);
  void FreeNode(Node* node);
  Node* Resize(Node** link, uint32_t wanted);
  Node** LinkOf(Path& path, int level);

  void Descend(const ZsetBound& bound, Path* path) const;
  void Locate(const ZsetMember* member, Path* path) const;
  void SelectPath(size_t rank, Path* path) const;
  bool StaysPut(const Path& path, double score, std::string_view text) const;
  uint32_t CutFor(const Path& path, int level) const;
  void GrowRoot(Path& path);
  void Split(Path& path, int level);
  void InsertSlot(Path& path, int level, uint32_t at, const Slot& slot);
  void FixLowest(Path& path, int level);
  void RemoveAt(Path& path, uint32_t count);
  void RemoveChild(Path& path, int level);
  void TryMerge(Path& path, int level);
  void MergeChildren(Path& path, int level, uint32_t left);

  Heap* heap_;
  Node* root_ = nullptr;
  int height_ = 0;
  size_t size_ = 0;
  size_t bytes_ = 0;
};

}  // namespace brim
