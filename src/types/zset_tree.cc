#include "types/zset_tree.h"

#include <algorithm>
#include <cmath>

namespace brim {

namespace {

// A node that falls below is joined with a neighbour when both fill at most three quarters of one.
uint32_t LowCount(uint32_t max) { return max / 3; }
uint32_t MergeLimit(uint32_t max) { return max * 3 / 4; }
// Room that a growing node gets beyond its content.
uint32_t WithRoom(uint32_t count) { return count + count / 16 + 2; }

}  // namespace

// ---- member blocks

unsigned ZsetMember::FormOf(double score) {
  if (score >= -36028797018963968.0 && score < 36028797018963968.0) {  // 2^55
    auto whole = static_cast<int64_t>(score);
    if (static_cast<double>(whole) == score && !(whole == 0 && std::signbit(score))) {
      for (unsigned form = 0; form < kFloat; form++) {
        unsigned unused = 64 - 8 * kScoreBytes[form];
        if (static_cast<int64_t>(static_cast<uint64_t>(whole) << unused) >> unused == whole) return form;
      }
    }
  }
  bool fits = std::isinf(score) || std::abs(score) <= 3.0e38;
  return fits && static_cast<double>(static_cast<float>(score)) == score ? kFloat : kDouble;
}

void ZsetMember::Init(std::string_view text, double score) {
  unsigned form = FormOf(score);
  size_t length_bytes = LengthBytes(text.size());
  uint8_t* to = bytes_ + 1 + kScoreBytes[form];
  if (!text.empty()) memmove(to + length_bytes, text.data(), text.size());
  size_t mark = length_bytes == 0 ? text.size() : length_bytes == 1 ? kShortMark : kWideMark;
  bytes_[0] = static_cast<uint8_t>(mark << 3 | form);
  auto size = static_cast<uint32_t>(text.size());
  memcpy(to, &size, length_bytes);
  if (form == kDouble) {
    memcpy(bytes_ + 1, &score, 8);
  } else if (form == kFloat) {
    auto narrow = static_cast<float>(score);
    memcpy(bytes_ + 1, &narrow, 4);
  } else {
    auto whole = static_cast<int64_t>(score);
    memcpy(bytes_ + 1, &whole, kScoreBytes[form]);
  }
}

// ---- nodes

ZsetTree::Node* ZsetTree::NewNode(uint32_t level, uint32_t wanted) {
  uint32_t count = std::min(wanted, MaxCount(level));
  size_t granted = Heap::GrantedSize(kHeadBytes + count * SlotBytes(level));
  auto* node = static_cast<Node*>(heap_->Allocate(granted, MemoryCategory::kData));
  bytes_ += granted;
  size_t capacity = std::min<size_t>((granted - kHeadBytes) / SlotBytes(level), MaxCount(level));
  *node = {0, static_cast<uint16_t>(capacity), static_cast<uint8_t>(level), {}};
  return node;
}

void ZsetTree::FreeNode(Node* node) {
  bytes_ -= Heap::GrantedSize(NodeBytes(node));
  heap_->Free(node, NodeBytes(node), MemoryCategory::kData);
}

// Moves the node to a block for `wanted` slots. `link` is where it is pointed at.
ZsetTree::Node* ZsetTree::Resize(Node** link, uint32_t wanted) {
  Node* old = *link;
  Node* node = NewNode(old->level, wanted);
  node->count = old->count;
  memcpy(Body(node), Body(old), old->count * SlotBytes(old->level));
  FreeNode(old);
  *link = node;
  return node;
}

ZsetTree::Node** ZsetTree::LinkOf(Path& path, int level) {
  return level + 1 == height_ ? &root_ : &Slots(path.node[level + 1])[path.index[level + 1]].child;
}

const ZsetMember* ZsetTree::LowestMember(const Node* node) {
  while (node->level > 0) node = Slots(node)[0].child;
  return RefAt(node, 0);
}

double ZsetTree::LowestScore(const Node* node) {
  return node->level > 0 ? Slots(node)[0].lowest : RefAt(node, 0)->score();
}

// ---- searching

// The last child that begins before the bound, or the first one.
uint32_t ZsetTree::ChildFor(const Node* node, const ZsetBound& bound) {
  const Slot* slots = Slots(node);
  uint32_t low = 1;  // slots below begin before the bound, slots from `high` on do not
  uint32_t high = node->count;
  if (bound.by_score) {
    const Slot* same =
        std::partition_point(slots + low, slots + high, [&](const Slot& s) { return s.lowest < bound.score; });
    const Slot* end = std::partition_point(same, slots + high, [&](const Slot& s) { return s.lowest <= bound.score; });
    low = static_cast<uint32_t>(same - slots);
    high = static_cast<uint32_t>(end - slots);
    if (!bound.by_text) return (bound.after ? high : low) - 1;
  }
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    const ZsetMember* member = LowestMember(slots[middle].child);
    if (bound.IsAbove(bound.score, member->text())) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low - 1;
}

// How many of the leaf's elements are before the bound.
uint32_t ZsetTree::PlaceInLeaf(const Node* leaf, const ZsetBound& bound) {
  uint32_t low = 0;
  uint32_t high = leaf->count;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    // Both blocks that may be asked next: the reading of one block is a cache miss.
    __builtin_prefetch(RefAt(leaf, (low + middle) / 2));
    __builtin_prefetch(RefAt(leaf, std::min<uint32_t>((middle + 1 + high) / 2, leaf->count - 1u)));
    const ZsetMember* member = RefAt(leaf, middle);
    if (bound.IsAbove(bound.by_score ? member->score() : 0, bound.by_text ? member->text() : std::string_view())) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void ZsetTree::Descend(const ZsetBound& bound, Path* path) const {
  Node* node = root_;
  for (int level = height_ - 1; level > 0; level--) {
    path->node[level] = node;
    path->index[level] = ChildFor(node, bound);
    node = Slots(node)[path->index[level]].child;
  }
  path->node[0] = node;
  path->index[0] = PlaceInLeaf(node, bound);
}

void ZsetTree::Locate(const ZsetMember* member, Path* path) const {
  Descend(ZsetBound::Element(member->score(), member->text(), true), path);
  path->index[0]--;
}

void ZsetTree::SelectPath(size_t rank, Path* path) const {
  Node* node = root_;
  for (int level = height_ - 1; level > 0; level--) {
    const Slot* slots = Slots(node);
    uint32_t i = 0;
    while (rank >= slots[i].elements) rank -= slots[i++].elements;
    path->node[level] = node;
    path->index[level] = i;
    node = slots[i].child;
  }
  path->node[0] = node;
  path->index[0] = static_cast<uint32_t>(rank);
}

size_t ZsetTree::CountBefore(const ZsetBound& bound) const {
  if (root_ == nullptr) return 0;
  size_t count = 0;
  const Node* node = root_;
  while (node->level > 0) {
    const Slot* slots = Slots(node);
    uint32_t child = ChildFor(node, bound);
    for (uint32_t i = 0; i < child; i++) count += slots[i].elements;
    node = slots[child].child;
  }
  return count + PlaceInLeaf(node, bound);
}

ZsetMember* ZsetTree::Select(size_t rank) const {
  Path path;
  SelectPath(rank, &path);
  return RefAt(path.node[0], path.index[0]);
}

size_t ZsetTree::MoveNodes(size_t rank) {
  if (rank >= size_) return size_;
  Path path;
  SelectPath(rank, &path);
  for (int level = height_ - 1; level >= 0; level--) {
    Node* old = path.node[level];
    if (!Heap::WorthMoving(old)) continue;
    size_t bytes = NodeBytes(old);
    auto* moved = static_cast<Node*>(heap_->Allocate(bytes, MemoryCategory::kData));
    memcpy(static_cast<void*>(moved), static_cast<void*>(old), bytes);
    *LinkOf(path, level) = moved;
    path.node[level] = moved;
    heap_->Free(old, bytes, MemoryCategory::kData);
  }
  return rank - path.index[0] + path.node[0]->count;
}

// ---- growing

// Where a full node is cut. At the edges of the tree everything stays on one side: filling in order leaves full nodes.
uint32_t ZsetTree::CutFor(const Path& path, int level) const {
  const Node* node = path.node[level];
  bool last = true;
  bool first = true;
  for (int l = level + 1; l < height_; l++) {
    last = last && path.index[l] + 1 == path.node[l]->count;
    first = first && path.index[l] == 0;
  }
  if (level == 0) {
    if (last && path.index[0] == node->count) return node->count;
    return first && path.index[0] == 0 ? 0 : node->count / 2;
  }
  if (last && path.index[level] + 1 == node->count) return node->count - 1u;
  return first && path.index[level] == 0 ? 1 : node->count / 2;
}

void ZsetTree::GrowRoot(Path& path) {
  Node* root = NewNode(static_cast<uint32_t>(height_), 2);
  root->count = 1;
  Slots(root)[0] = {LowestScore(root_), root_, size_};
  root_ = root;
  path.node[height_] = root;
  path.index[height_] = 0;
  height_++;
}

// Puts a slot into the inner node of the path's `level`, which has fewer than kInnerMax.
void ZsetTree::InsertSlot(Path& path, int level, uint32_t at, const Slot& slot) {
  Node* node = path.node[level];
  if (node->count == node->capacity) {
    node = Resize(LinkOf(path, level), WithRoom(node->count));
    path.node[level] = node;
  }
  Slot* slots = Slots(node);
  memmove(slots + at + 1, slots + at, (node->count - at) * sizeof(Slot));
  slots[at] = slot;
  node->count++;
}

// Cuts the full node of the path's `level` in two; the path then leads to the same place in one of them.
void ZsetTree::Split(Path& path, int level) {
  if (level + 1 == height_) GrowRoot(path);
  if (path.node[level + 1]->count == kInnerMax) Split(path, level + 1);
  Node* node = path.node[level];
  uint32_t count = node->count;
  uint32_t cut = CutFor(path, level);
  Node* right = NewNode(node->level, WithRoom(count - cut));
  size_t width = SlotBytes(node->level);
  right->count = static_cast<uint16_t>(count - cut);
  memcpy(Body(right), Body(node) + cut * width, (count - cut) * width);
  size_t moved = count - cut;
  if (level > 0) {
    moved = 0;
    for (uint32_t i = 0; i < right->count; i++) moved += Slots(right)[i].elements;
  }
  node->count = static_cast<uint16_t>(cut);
  if (cut < count) path.node[level] = Resize(LinkOf(path, level), WithRoom(cut));
  uint32_t at = path.index[level + 1];
  Slots(path.node[level + 1])[at].elements -= moved;
  // An empty right half gets its lowest score with its first element.
  InsertSlot(path, level + 1, at + 1, {right->count > 0 ? LowestScore(right) : 0, right, moved});
  uint32_t index = path.index[level];
  if (index > cut || (index == cut && (level > 0 || cut == count))) {
    path.node[level] = right;
    path.index[level] = index - cut;
    path.index[level + 1]++;
  }
}

// The lowest element of the path's node of `level` is another one: tells the levels above.
void ZsetTree::FixLowest(Path& path, int level) {
  double lowest = LowestScore(path.node[level]);
  for (int l = level + 1; l < height_; l++) {
    Slots(path.node[l])[path.index[l]].lowest = lowest;
    if (path.index[l] > 0) break;
  }
}

void ZsetTree::Insert(ZsetMember* member) {
  if (root_ == nullptr) {
    root_ = NewNode(0, 1);
    height_ = 1;
  }
  Path path;
  Descend(ZsetBound::Element(member->score(), member->text(), false), &path);
  if (path.node[0]->count == kLeafMax) Split(path, 0);
  Node* leaf = path.node[0];
  if (leaf->count == leaf->capacity) leaf = path.node[0] = Resize(LinkOf(path, 0), WithRoom(leaf->count));
  uint32_t at = path.index[0];
  uint8_t* place = Body(leaf) + at * kRefBytes;
  memmove(place + kRefBytes, place, (leaf->count - at) * kRefBytes);
  SetRef(leaf, at, member);
  leaf->count++;
  size_++;
  for (int l = 1; l < height_; l++) Slots(path.node[l])[path.index[l]].elements++;
  if (at == 0) FixLowest(path, 0);
}

// ---- changing and shrinking

// True when the located member may take the score where it is. At a leaf's ends its neighbours are not at hand.
bool ZsetTree::StaysPut(const Path& path, double score, std::string_view text) const {
  const Node* leaf = path.node[0];
  uint32_t at = path.index[0];
  if (at == 0 ? height_ > 1 : false) return false;
  if (at + 1u == leaf->count ? height_ > 1 : false) return false;
  if (at > 0) {
    const ZsetMember* before = RefAt(leaf, at - 1);
    if (!ZsetBound::Element(score, text, false).IsAbove(before->score(), before->text())) return false;
  }
  if (at + 1u < leaf->count) {
    const ZsetMember* next = RefAt(leaf, at + 1);
    if (ZsetBound::Element(score, text, true).IsAbove(next->score(), next->text())) return false;
  }
  return true;
}

void ZsetTree::Replace(const ZsetMember* member, ZsetMember* moved) {
  Path path;
  Locate(member, &path);
  SetRef(path.node[0], path.index[0], moved);
}

void ZsetTree::Erase(const ZsetMember* member) {
  Path path;
  Locate(member, &path);
  RemoveAt(path, 1);
}

size_t ZsetTree::EraseRun(size_t rank, size_t max, ZsetMember** removed) {
  Path path;
  SelectPath(rank, &path);
  const Node* leaf = path.node[0];
  uint32_t at = path.index[0];
  auto count = static_cast<uint32_t>(std::min<size_t>(max, leaf->count - at));
  for (uint32_t i = 0; i < count; i++) removed[i] = RefAt(leaf, at + i);
  RemoveAt(path, count);
  return count;
}

// Takes `count` references out of the path's leaf, from its index on.
void ZsetTree::RemoveAt(Path& path, uint32_t count) {
  Node* leaf = path.node[0];
  uint32_t at = path.index[0];
  uint8_t* place = Body(leaf) + at * kRefBytes;
  memmove(place, place + count * kRefBytes, (leaf->count - at - count) * kRefBytes);
  leaf->count = static_cast<uint16_t>(leaf->count - count);
  size_ -= count;
  for (int l = 1; l < height_; l++) Slots(path.node[l])[path.index[l]].elements -= count;
  if (leaf->count == 0) {
    FreeNode(leaf);
    RemoveChild(path, 1);
    return;
  }
  if (at == 0) FixLowest(path, 0);
  if (leaf->capacity > leaf->count + leaf->count / 4 + 4) path.node[0] = Resize(LinkOf(path, 0), WithRoom(leaf->count));
  TryMerge(path, 0);
}

// The child that the path takes at `level` is freed: forgets it.
void ZsetTree::RemoveChild(Path& path, int level) {
  if (level == height_) {
    root_ = nullptr;
    height_ = 0;
    return;
  }
  Node* node = path.node[level];
  uint32_t at = path.index[level];
  Slot* slots = Slots(node);
  memmove(slots + at, slots + at + 1, (node->count - at - 1) * sizeof(Slot));
  node->count--;
  if (node->count == 0) {
    FreeNode(node);
    RemoveChild(path, level + 1);
    return;
  }
  if (at == 0) FixLowest(path, level);
  TryMerge(path, level);
}

// Joins a thin node of the path with a neighbour where both fit well into one, and shortens the tree.
void ZsetTree::TryMerge(Path& path, int level) {
  Node* node = path.node[level];
  if (level + 1 == height_) {
    while (root_->level > 0 && root_->count == 1) {
      Node* child = Slots(root_)[0].child;
      FreeNode(root_);
      root_ = child;
      height_--;
    }
    return;
  }
  uint32_t max = MaxCount(node->level);
  if (node->count >= LowCount(max)) return;
  const Node* parent = path.node[level + 1];
  uint32_t at = path.index[level + 1];
  auto fits = [&](uint32_t left) {
    return Slots(parent)[left].child->count + Slots(parent)[left + 1].child->count <= static_cast<int>(MergeLimit(max));
  };
  if (at > 0 && fits(at - 1)) {
    MergeChildren(path, level + 1, at - 1);
  } else if (at + 1u < parent->count && fits(at)) {
    MergeChildren(path, level + 1, at);
  } else {
    return;
  }
  TryMerge(path, level + 1);
}

// Joins the children `left` and `left` + 1 of the path's inner node of `level`.
void ZsetTree::MergeChildren(Path& path, int level, uint32_t left) {
  Node* parent = path.node[level];
  Slot* slots = Slots(parent);
  Node* right = slots[left + 1].child;
  uint32_t sum = slots[left].child->count + uint32_t{right->count};
  Node* node = Resize(&slots[left].child, WithRoom(sum));
  size_t width = SlotBytes(node->level);
  memcpy(Body(node) + node->count * width, Body(right), right->count * width);
  node->count = static_cast<uint16_t>(sum);
  slots[left].elements += slots[left + 1].elements;
  FreeNode(right);
  memmove(slots + left + 1, slots + left + 2, (parent->count - left - 2) * sizeof(Slot));
  parent->count--;
  if (parent->capacity > parent->count + parent->count / 4 + 4) {
    path.node[level] = Resize(LinkOf(path, level), WithRoom(parent->count));
  }
}

bool ZsetTree::FreeNodes(size_t budget) {
  for (; root_ != nullptr && budget > 0; budget--) {
    Path path;
    Node* node = root_;
    for (int level = height_ - 1; level > 0; level--) {
      path.node[level] = node;
      node = Slots(node)[node->count - 1].child;
    }
    FreeNode(node);
    int level = 1;
    for (; level < height_ && --path.node[level]->count == 0; level++) FreeNode(path.node[level]);
    if (level == height_) root_ = nullptr;
  }
  return root_ == nullptr;
}

// ---- walking

ZsetTree::Cursor::Cursor(const ZsetTree& tree, size_t rank, bool backward)
    : height_(tree.height_), backward_(backward), valid_(rank < tree.size_), fresh_(true) {
  if (!valid_) return;
  tree.SelectPath(rank, &path_);
  EnterLeaf();
}

ZsetTree::Cursor::Cursor(const ZsetTree& tree, const ZsetBound& bound)
    : height_(tree.height_), valid_(tree.size_ > 0), fresh_(true) {
  if (!valid_) return;
  tree.Descend(bound, &path_);
  // Behind the leaf's last element: the next leaf's first.
  if (path_.index[0] == path_.node[0]->count) {
    path_.index[0]--;
    fresh_ = false;
  } else {
    EnterLeaf();
  }
}

constexpr uint32_t kPrefetchAhead = 8;

// Fetches what the walk through the leaf needs first: its nearest blocks, and the leaf after it.
void ZsetTree::Cursor::EnterLeaf() const {
  const Node* leaf = path_.node[0];
  int step = backward_ ? -1 : 1;
  for (uint32_t i = 0, at = path_.index[0]; i < kPrefetchAhead && at < leaf->count;
       i++, at += static_cast<uint32_t>(step)) {
    __builtin_prefetch(RefAt(leaf, at));
  }
  if (height_ < 2) return;
  uint32_t next = path_.index[1] + static_cast<uint32_t>(step);
  if (next >= path_.node[1]->count) return;
  const auto* bytes = reinterpret_cast<const char*>(Slots(path_.node[1])[next].child);
  for (int line = 0; line < 8; line++) __builtin_prefetch(bytes + line * 64);
}

bool ZsetTree::Cursor::Advance() {
  auto step = static_cast<uint32_t>(backward_ ? -1 : 1);
  int level = 0;
  for (; level < height_; level++) {
    uint32_t next = path_.index[level] + step;  // wraps below 0
    if (next < path_.node[level]->count) {
      path_.index[level] = next;
      break;
    }
  }
  if (level == height_) return false;
  if (level == 0) {
    uint32_t ahead = path_.index[0] + step * kPrefetchAhead;
    if (ahead < path_.node[0]->count) __builtin_prefetch(RefAt(path_.node[0], ahead));
    return true;
  }
  for (; level > 0; level--) {
    Node* child = Slots(path_.node[level])[path_.index[level]].child;
    path_.node[level - 1] = child;
    path_.index[level - 1] = backward_ ? child->count - 1u : 0;
  }
  EnterLeaf();
  return true;
}

ZsetMember* ZsetTree::Cursor::Next() {
  if (!valid_) return nullptr;
  if (!fresh_ && !Advance()) {
    valid_ = false;
    return nullptr;
  }
  fresh_ = false;
  return RefAt(path_.node[0], path_.index[0]);
}

// ---- checking

bool ZsetTree::CheckNode(const Node* node, int level, size_t* elements, const ZsetMember** last) {
  if (node->level != level || node->count == 0 || node->count > node->capacity) return false;
  if (node->capacity > MaxCount(node->level)) return false;
  *elements = 0;
  for (uint32_t i = 0; i < node->count; i++) {
    if (level == 0) {
      const ZsetMember* member = RefAt(node, i);
      if (*last != nullptr &&
          !ZsetBound::Element(member->score(), member->text(), false).IsAbove((*last)->score(), (*last)->text())) {
        return false;
      }
      *last = member;
      ++*elements;
      continue;
    }
    const Slot& slot = Slots(node)[i];
    size_t below;
    if (LowestScore(slot.child) != slot.lowest || !CheckNode(slot.child, level - 1, &below, last)) return false;
    if (below != slot.elements) return false;
    *elements += below;
  }
  return true;
}

bool ZsetTree::IsConsistent() const {
  if (root_ == nullptr) return size_ == 0 && height_ == 0 && bytes_ == 0;
  size_t elements;
  const ZsetMember* last = nullptr;
  return CheckNode(root_, height_ - 1, &elements, &last) && elements == size_;
}

}  // namespace brim
