#pragma once
// A B+ tree by stream id, each id with a payload of fixed size: a stream's nodes, what a group's consumers have not
// acknowledged, and each consumer's part of that.
//
//   node:   [ head 8: count 2 | capacity 2 | level 1 | unused 3 ] [ slots ]               at most 1 KB
//   inner:  slots of 24 bytes: id 16 | child 8; ids below the child are not less than its id (but below the first)
//   leaf:   slots of 16 bytes and the payload: id 16 | payload
//
// Nodes are only as long as their content needs, know no parent and stay full when ids come in order. The tree itself
// is 24 bytes that may be copied to another place, as its owner is when blocks are moved.
// Not thread-safe: the caller holds the shard's lock.
#include <cstdint>
#include <cstring>

#include "memory/heap.h"
#include "types/stream_id.h"

namespace brim {

// A heap and what was taken from it for one value, by the sizes of the blocks.
struct CountedHeap {
  Heap* heap = nullptr;
  size_t bytes = 0;

  void* Allocate(size_t size) {
    void* block = heap->Allocate(size, MemoryCategory::kData);
    bytes += Heap::BlockSize(block);
    return block;
  }
  void Free(void* block) {
    size_t size = Heap::BlockSize(block);
    bytes -= size;
    heap->Free(block, size, MemoryCategory::kData);
  }
  // The block with its first `keep` bytes in another of that size.
  void* Replace(void* block, size_t size, size_t keep) {
    void* fresh = Allocate(size);
    memcpy(fresh, block, keep);
    Free(block);
    return fresh;
  }
  // A copy of the first `bytes` of some block.
  template <class T>
  T* Copied(const T* from, size_t bytes) {
    void* copy = Allocate(bytes);
    memcpy(copy, static_cast<const void*>(from), bytes);
    return static_cast<T*>(copy);
  }
  // Moves a block out of a page that is being emptied. The caller points at what is returned.
  template <class T>
  T* Moved(T* block) {
    if (!Heap::WorthMoving(block)) return block;
    size_t size = Heap::BlockSize(block);
    return static_cast<T*>(Replace(static_cast<void*>(block), size, size));
  }
};

class IdTree {
 public:
  static constexpr int kMaxLevels = 16;

  explicit IdTree(uint8_t payload_bytes) : payload_(payload_bytes) {}

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t leaves() const { return leaves_; }

  // The id's payload; null when the id is absent. Valid until the tree changes. O(log n).
  uint8_t* Find(StreamId id) const;
  // Adds the id if it is absent (*added) and returns where its payload is, or is to be written. O(log n).
  uint8_t* Insert(CountedHeap& heap, StreamId id, bool* added);
  // False when the id is absent. O(log n).
  bool Erase(CountedHeap& heap, StreamId id);

 private:
  struct Node {
    uint16_t count;
    uint16_t capacity;
    uint8_t level;  // 0: leaf
    uint8_t unused[3];
  };
  // A way down: nodes by level, leaf first, and the place in each.
  struct Path {
    Node* node[kMaxLevels];
    uint32_t index[kMaxLevels];
  };

 public:
  // A place in the tree, or past an end. Valid until the tree changes.
  class Cursor {
   public:
    Cursor() = default;
    explicit operator bool() const { return tree_ != nullptr; }
    StreamId id() const { return IdAt(path_.node[0], tree_->LeafWidth(), path_.index[0]); }
    uint8_t* payload() const { return tree_->PayloadAt(path_.node[0], path_.index[0]); }
    // O(1) on the average.
    void Next() { Step(1); }
    void Previous() { Step(UINT32_MAX); }

   private:
    friend class IdTree;
    void Step(uint32_t step);
    const IdTree* tree_ = nullptr;
    Path path_;
  };
  // The first id that is not less, the last one that is not greater; both ends. O(log n).
  Cursor From(StreamId id) const;
  Cursor Until(StreamId id) const;
  Cursor First() const { return From(StreamId()); }
  Cursor Last() const { return Until(StreamId::Max()); }

  // Frees the last leaf, after fn(payload) for each of its ids. False when there is none.
  template <class Fn>
  bool DropLeaf(CountedHeap& heap, Fn&& fn);
  // Moves the nodes on the ways to at most `count` leaves, from that number on, out of pages that are being emptied;
  // fn(payload) for each id. Returns how many leaves there were. O(inner nodes + ids).
  template <class Fn>
  size_t Tidy(CountedHeap& heap, size_t leaf, size_t count, Fn&& fn);
  // This tree with blocks of another heap; fn(payload) for each id of the copy. O(n).
  template <class Fn>
  IdTree Copy(CountedHeap& heap, Fn&& fn) const {
    IdTree copy = *this;
    if (root_ != nullptr) copy.root_ = copy.CopyNode(heap, root_, fn);
    return copy;
  }

  // Checks order, separators and counts. For tests. O(n).
  bool IsConsistent() const;

 private:
  static constexpr size_t kNodeBytesMax = 1024;
  static constexpr size_t kIdBytes = sizeof(StreamId);
  static constexpr size_t kInnerWidth = kIdBytes + sizeof(Node*);

  static uint8_t* Body(const Node* node) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(node)) + sizeof(Node);
  }
  size_t LeafWidth() const { return kIdBytes + payload_; }
  size_t Width(uint32_t level) const { return level == 0 ? LeafWidth() : kInnerWidth; }
  uint32_t MaxCount(uint32_t level) const {
    return static_cast<uint32_t>((kNodeBytesMax - sizeof(Node)) / Width(level));
  }
  static StreamId IdAt(const Node* node, size_t width, size_t i) {
    StreamId id;
    memcpy(&id, Body(node) + i * width, kIdBytes);
    return id;
  }
  static void SetId(Node* node, size_t width, size_t i, StreamId id) { memcpy(Body(node) + i * width, &id, kIdBytes); }
  uint8_t* PayloadAt(const Node* leaf, size_t i) const { return Body(leaf) + i * LeafWidth() + kIdBytes; }
  static Node* ChildAt(const Node* node, size_t i) {
    Node* child;
    memcpy(&child, Body(node) + i * kInnerWidth + kIdBytes, sizeof(Node*));
    return child;
  }
  static void SetChild(Node* node, size_t i, Node* child) {
    memcpy(Body(node) + i * kInnerWidth + kIdBytes, &child, sizeof(Node*));
  }

  Node* NewNode(CountedHeap& heap, uint32_t level, uint32_t wanted) const;
  Node* Resize(CountedHeap& heap, Path& path, int level, uint32_t wanted);
  void Link(Path& path, int level, Node* node);
  static uint32_t ChildFor(const Node* node, StreamId id);
  uint32_t PlaceInLeaf(const Node* leaf, StreamId id) const;
  void Descend(StreamId id, Path* path) const;
  void GrowRoot(CountedHeap& heap, Path& path);
  void Split(CountedHeap& heap, Path& path, int level, StreamId id);
  void InsertChild(CountedHeap& heap, Path& path, int level, uint32_t at, StreamId id, Node* child);
  void RemoveChild(CountedHeap& heap, Path& path, int level);
  void ShrinkRoot(CountedHeap& heap);
  void TryMerge(CountedHeap& heap, Path& path, int level);
  void MergeChildren(CountedHeap& heap, Path& path, int level, uint32_t left);
  bool SeekLeaf(size_t leaf, Path* path) const;
  bool SkipLeaves(Node* node, size_t* leaves, Path* path) const;
  void LastPath(Path* path) const;
  bool NextLeaf(Path* path) const;
  void MovePath(CountedHeap& heap, Path& path);
  bool CheckNode(const Node* node, int level, size_t* ids, size_t* leaves, const StreamId* low, StreamId* last) const;
  template <class Fn>
  Node* CopyNode(CountedHeap& heap, const Node* from, Fn& fn) const;

  Node* root_ = nullptr;
  size_t size_ = 0;
  uint32_t leaves_ = 0;
  uint8_t height_ = 0;
  uint8_t payload_;
};

template <class Fn>
bool IdTree::DropLeaf(CountedHeap& heap, Fn&& fn) {
  if (root_ == nullptr) return false;
  Path path;
  LastPath(&path);
  Node* leaf = path.node[0];
  for (uint32_t i = 0; i < leaf->count; i++) fn(PayloadAt(leaf, i));
  size_ -= leaf->count;
  leaves_--;
  heap.Free(leaf);
  RemoveChild(heap, path, 1);
  return true;
}

template <class Fn>
size_t IdTree::Tidy(CountedHeap& heap, size_t leaf, size_t count, Fn&& fn) {
  Path path;
  if (!SeekLeaf(leaf, &path)) return 0;
  size_t done = 0;
  while (done < count) {
    MovePath(heap, path);
    for (uint32_t i = 0; i < path.node[0]->count; i++) fn(PayloadAt(path.node[0], i));
    done++;
    if (!NextLeaf(&path)) break;
  }
  return done;
}

template <class Fn>
IdTree::Node* IdTree::CopyNode(CountedHeap& heap, const Node* from, Fn& fn) const {
  Node* node = NewNode(heap, from->level, from->count);
  node->count = from->count;
  memcpy(Body(node), Body(from), from->count * Width(from->level));
  for (uint32_t i = 0; i < node->count; i++) {
    if (node->level == 0) {
      fn(PayloadAt(node, i));
    } else {
      SetChild(node, i, CopyNode(heap, ChildAt(from, i), fn));
    }
  }
  return node;
}

}  // namespace brim
