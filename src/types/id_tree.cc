#include "types/id_tree.h"

#include <algorithm>

namespace brim {

namespace {

// A node that falls below is joined with a neighbour when both fill at most three quarters of one.
uint32_t LowCount(uint32_t max) { return max / 3; }
uint32_t MergeLimit(uint32_t max) { return max * 3 / 4; }
// Room that a growing node gets beyond its content, and how much of it may be empty.
uint32_t WithRoom(uint32_t count) { return count + count / 8 + 1; }
bool HasMuchRoom(uint32_t count, uint32_t capacity) { return capacity > count + count / 4 + 4; }

}  // namespace

// ---- nodes

IdTree::Node* IdTree::NewNode(CountedHeap& heap, uint32_t level, uint32_t wanted) const {
  uint32_t count = std::min(wanted, MaxCount(level));
  size_t granted = Heap::GrantedSize(sizeof(Node) + count * Width(level));
  auto* node = static_cast<Node*>(heap.Allocate(granted));
  size_t capacity = std::min<size_t>((granted - sizeof(Node)) / Width(level), MaxCount(level));
  *node = {0, static_cast<uint16_t>(capacity), static_cast<uint8_t>(level), {}};
  return node;
}

// Points at the path's node of `level`, which is another block now.
void IdTree::Link(Path& path, int level, Node* node) {
  path.node[level] = node;
  if (level + 1 == height_) {
    root_ = node;
  } else {
    SetChild(path.node[level + 1], path.index[level + 1], node);
  }
}

// Moves the path's node of `level` to a block for `wanted` slots.
IdTree::Node* IdTree::Resize(CountedHeap& heap, Path& path, int level, uint32_t wanted) {
  Node* old = path.node[level];
  Node* node = NewNode(heap, old->level, wanted);
  node->count = old->count;
  memcpy(Body(node), Body(old), old->count * Width(old->level));
  heap.Free(old);
  Link(path, level, node);
  return node;
}

// ---- searching

// The last child that begins with the id or before it, or the first one.
uint32_t IdTree::ChildFor(const Node* node, StreamId id) {
  uint32_t low = 1;
  uint32_t high = node->count;
  // Ids that are looked for are often the latest.
  if (high > 1 && IdAt(node, kInnerWidth, high - 1) <= id) return high - 1;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (IdAt(node, kInnerWidth, middle) <= id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low - 1;
}

// How many of the leaf's ids are less.
uint32_t IdTree::PlaceInLeaf(const Node* leaf, StreamId id) const {
  size_t width = LeafWidth();
  uint32_t low = 0;
  uint32_t high = leaf->count;
  if (high > 0 && IdAt(leaf, width, high - 1) < id) return high;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (IdAt(leaf, width, middle) < id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void IdTree::Descend(StreamId id, Path* path) const {
  Node* node = root_;
  for (int level = height_ - 1; level > 0; level--) {
    path->node[level] = node;
    path->index[level] = ChildFor(node, id);
    node = ChildAt(node, path->index[level]);
  }
  path->node[0] = node;
  path->index[0] = PlaceInLeaf(node, id);
}

uint8_t* IdTree::Find(StreamId id) const {
  if (root_ == nullptr) return nullptr;
  const Node* node = root_;
  while (node->level > 0) node = ChildAt(node, ChildFor(node, id));
  uint32_t at = PlaceInLeaf(node, id);
  return at < node->count && IdAt(node, LeafWidth(), at) == id ? PayloadAt(node, at) : nullptr;
}

IdTree::Cursor IdTree::From(StreamId id) const {
  Cursor cursor;
  if (root_ == nullptr) return cursor;
  cursor.tree_ = this;
  Descend(id, &cursor.path_);
  if (cursor.path_.index[0] == cursor.path_.node[0]->count) {
    cursor.path_.index[0]--;
    cursor.Step(1);
  }
  return cursor;
}

IdTree::Cursor IdTree::Until(StreamId id) const {
  Cursor cursor;
  if (root_ == nullptr) return cursor;
  cursor.tree_ = this;
  Path& path = cursor.path_;
  Descend(id, &path);
  if (path.index[0] < path.node[0]->count && IdAt(path.node[0], LeafWidth(), path.index[0]) == id) return cursor;
  cursor.Step(UINT32_MAX);
  return cursor;
}

void IdTree::Cursor::Step(uint32_t step) {
  int level = 0;
  for (; level < tree_->height_; level++) {
    uint32_t next = path_.index[level] + step;  // wraps below 0
    if (next < path_.node[level]->count) {
      path_.index[level] = next;
      break;
    }
  }
  if (level == tree_->height_) {
    tree_ = nullptr;
    return;
  }
  for (; level > 0; level--) {
    Node* child = ChildAt(path_.node[level], path_.index[level]);
    path_.node[level - 1] = child;
    path_.index[level - 1] = step == 1 ? 0 : child->count - 1u;
  }
}

// ---- growing

void IdTree::GrowRoot(CountedHeap& heap, Path& path) {
  Node* root = NewNode(heap, height_, 2);
  root->count = 1;
  SetId(root, kInnerWidth, 0, StreamId());
  SetChild(root, 0, root_);
  root_ = root;
  path.node[height_] = root;
  path.index[height_] = 0;
  height_++;
}

// Puts a child into the inner node of the path's `level`, which is not full.
void IdTree::InsertChild(CountedHeap& heap, Path& path, int level, uint32_t at, StreamId id, Node* child) {
  Node* node = path.node[level];
  if (node->count == node->capacity) node = Resize(heap, path, level, WithRoom(node->count));
  uint8_t* place = Body(node) + at * kInnerWidth;
  memmove(place + kInnerWidth, place, (node->count - at) * kInnerWidth);
  node->count++;
  SetId(node, kInnerWidth, at, id);
  SetChild(node, at, child);
}

// Cuts the full node of the path's `level` in two; the path then leads to the same place in one of them. At the tree's
// right edge everything stays on the left: ids that come in order leave full nodes. `id` is what is to be inserted.
void IdTree::Split(CountedHeap& heap, Path& path, int level, StreamId id) {
  if (level + 1 == height_) GrowRoot(heap, path);
  if (path.node[level + 1]->count == MaxCount(static_cast<uint32_t>(level + 1))) Split(heap, path, level + 1, id);
  Node* node = path.node[level];
  uint32_t count = node->count;
  bool last = level > 0 ? path.index[level] + 1 == count : path.index[0] == count;
  for (int l = level + 1; l < height_; l++) last = last && path.index[l] + 1 == path.node[l]->count;
  uint32_t cut = !last ? count / 2 : level > 0 ? count - 1 : count;
  size_t width = Width(node->level);
  Node* right = NewNode(heap, node->level, WithRoom(count - cut));
  right->count = static_cast<uint16_t>(count - cut);
  memcpy(Body(right), Body(node) + cut * width, (count - cut) * width);
  node->count = static_cast<uint16_t>(cut);
  if (level == 0) leaves_++;
  if (cut < count / 2 + 1) Resize(heap, path, level, WithRoom(cut));
  uint32_t at = path.index[level + 1];
  InsertChild(heap, path, level + 1, at + 1, right->count > 0 ? IdAt(right, width, 0) : id, right);
  uint32_t index = path.index[level];
  if (index > cut || (index == cut && (level > 0 || cut == count))) {
    path.node[level] = right;
    path.index[level] = index - cut;
    path.index[level + 1]++;
  }
}

uint8_t* IdTree::Insert(CountedHeap& heap, StreamId id, bool* added) {
  if (root_ == nullptr) {
    root_ = NewNode(heap, 0, 1);
    height_ = 1;
    leaves_ = 1;
  }
  Path path;
  Descend(id, &path);
  Node* leaf = path.node[0];
  uint32_t at = path.index[0];
  size_t width = LeafWidth();
  *added = at == leaf->count || IdAt(leaf, width, at) != id;
  if (!*added) return PayloadAt(leaf, at);
  if (leaf->count == MaxCount(0)) {
    Split(heap, path, 0, id);
    leaf = path.node[0];
    at = path.index[0];
  }
  if (leaf->count == leaf->capacity) leaf = Resize(heap, path, 0, WithRoom(leaf->count));
  uint8_t* place = Body(leaf) + at * width;
  memmove(place + width, place, (leaf->count - at) * width);
  leaf->count++;
  size_++;
  SetId(leaf, width, at, id);
  return place + kIdBytes;
}

// ---- shrinking

bool IdTree::Erase(CountedHeap& heap, StreamId id) {
  if (root_ == nullptr) return false;
  Path path;
  Descend(id, &path);
  Node* leaf = path.node[0];
  uint32_t at = path.index[0];
  size_t width = LeafWidth();
  if (at == leaf->count || IdAt(leaf, width, at) != id) return false;
  uint8_t* place = Body(leaf) + at * width;
  memmove(place, place + width, (leaf->count - at - 1) * width);
  leaf->count--;
  size_--;
  if (leaf->count == 0) {
    leaves_--;
    heap.Free(leaf);
    RemoveChild(heap, path, 1);
    return true;
  }
  if (HasMuchRoom(leaf->count, leaf->capacity)) Resize(heap, path, 0, WithRoom(leaf->count));
  TryMerge(heap, path, 0);
  return true;
}

// The child that the path takes at `level` is freed: forgets it.
void IdTree::RemoveChild(CountedHeap& heap, Path& path, int level) {
  if (level == height_) {
    root_ = nullptr;
    height_ = 0;
    return;
  }
  Node* node = path.node[level];
  uint8_t* place = Body(node) + path.index[level] * kInnerWidth;
  memmove(place, place + kInnerWidth, (node->count - path.index[level] - 1) * kInnerWidth);
  node->count--;
  if (node->count == 0) {
    heap.Free(node);
    RemoveChild(heap, path, level + 1);
    return;
  }
  // The place may be past the end now; merging only looks at the node's own place in its parent.
  TryMerge(heap, path, level);
}

void IdTree::ShrinkRoot(CountedHeap& heap) {
  while (root_->level > 0 && root_->count == 1) {
    Node* child = ChildAt(root_, 0);
    heap.Free(root_);
    root_ = child;
    height_--;
  }
}

// Joins a thin node of the path with a neighbour where both fit well into one, and shortens the tree.
void IdTree::TryMerge(CountedHeap& heap, Path& path, int level) {
  Node* node = path.node[level];
  if (level + 1 == height_) {
    ShrinkRoot(heap);
    return;
  }
  uint32_t max = MaxCount(node->level);
  if (node->count >= LowCount(max)) return;
  const Node* parent = path.node[level + 1];
  uint32_t at = path.index[level + 1];
  auto fits = [&](uint32_t left) {
    return ChildAt(parent, left)->count + uint32_t{ChildAt(parent, left + 1)->count} <= MergeLimit(max);
  };
  if (at > 0 && fits(at - 1)) {
    MergeChildren(heap, path, level + 1, at - 1);
  } else if (at + 1u < parent->count && fits(at)) {
    MergeChildren(heap, path, level + 1, at);
  } else {
    return;
  }
  TryMerge(heap, path, level + 1);
}

// Joins the children `left` and `left` + 1 of the path's inner node of `level`.
void IdTree::MergeChildren(CountedHeap& heap, Path& path, int level, uint32_t left) {
  Node* parent = path.node[level];
  Node* first = ChildAt(parent, left);
  Node* second = ChildAt(parent, left + 1);
  uint32_t sum = first->count + uint32_t{second->count};
  size_t width = Width(first->level);
  Node* node = NewNode(heap, first->level, WithRoom(sum));
  node->count = static_cast<uint16_t>(sum);
  memcpy(Body(node), Body(first), first->count * width);
  memcpy(Body(node) + first->count * width, Body(second), second->count * width);
  // An inner node's first id was never looked at; in the middle it is.
  if (second->level > 0) SetId(node, width, first->count, IdAt(parent, kInnerWidth, left + 1));
  if (first->level == 0) leaves_--;
  heap.Free(first);
  heap.Free(second);
  SetChild(parent, left, node);
  uint8_t* place = Body(parent) + (left + 1) * kInnerWidth;
  memmove(place, place + kInnerWidth, (parent->count - left - 2) * kInnerWidth);
  parent->count--;
  if (HasMuchRoom(parent->count, parent->capacity)) Resize(heap, path, level, WithRoom(parent->count));
}

// ---- leaf by leaf

void IdTree::LastPath(Path* path) const {
  Node* node = root_;
  for (int level = height_ - 1; level > 0; level--) {
    path->node[level] = node;
    path->index[level] = node->count - 1u;
    node = ChildAt(node, path->index[level]);
  }
  path->node[0] = node;
  path->index[0] = 0;
}

// Goes down to the leaf of that number below the node; *leaves is lessened by those that are passed.
bool IdTree::SkipLeaves(Node* node, size_t* leaves, Path* path) const {
  path->node[node->level] = node;
  if (node->level == 0) {
    path->index[0] = 0;
    if (*leaves == 0) return true;
    --*leaves;
    return false;
  }
  if (node->level == 1 && *leaves >= node->count) {
    *leaves -= node->count;
    return false;
  }
  for (uint32_t i = 0; i < node->count; i++) {
    path->index[node->level] = i;
    if (SkipLeaves(ChildAt(node, i), leaves, path)) return true;
  }
  return false;
}

bool IdTree::SeekLeaf(size_t leaf, Path* path) const {
  return root_ != nullptr && leaf < leaves_ && SkipLeaves(root_, &leaf, path);
}

bool IdTree::NextLeaf(Path* path) const {
  int level = 1;
  while (level < height_ && path->index[level] + 1 == path->node[level]->count) level++;
  if (level >= height_) return false;
  path->index[level]++;
  for (; level > 0; level--) {
    path->node[level - 1] = ChildAt(path->node[level], path->index[level]);
    path->index[level - 1] = 0;
  }
  return true;
}

void IdTree::MovePath(CountedHeap& heap, Path& path) {
  for (int level = height_ - 1; level >= 0; level--) {
    Node* moved = heap.Moved(path.node[level]);
    if (moved != path.node[level]) Link(path, level, moved);
  }
}

// ---- checking

bool IdTree::CheckNode(const Node* node, int level, size_t* ids, size_t* leaves, const StreamId* low,
                       StreamId* last) const {
  if (node->level != level || node->count == 0 || node->count > node->capacity) return false;
  if (node->capacity > MaxCount(node->level)) return false;
  if (level == 0) ++*leaves;
  for (uint32_t i = 0; i < node->count; i++) {
    StreamId id = IdAt(node, Width(node->level), i);
    if (level == 0) {
      bool first = *ids == 0;
      if ((!first && id <= *last) || (low != nullptr && id < *low)) return false;
      *last = id;
      ++*ids;
    } else {
      // Everything before is less than what the child begins with.
      if (i > 0 && *ids > 0 && *last >= id) return false;
      if (!CheckNode(ChildAt(node, i), level - 1, ids, leaves, i > 0 ? &id : low, last)) return false;
    }
  }
  return true;
}

bool IdTree::IsConsistent() const {
  if (root_ == nullptr) return size_ == 0 && height_ == 0 && leaves_ == 0;
  size_t ids = 0;
  size_t leaves = 0;
  StreamId last;
  return CheckNode(root_, height_ - 1, &ids, &leaves, nullptr, &last) && ids == size_ && leaves == leaves_;
}

}  // namespace brim
