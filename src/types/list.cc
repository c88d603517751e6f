#include "types/list.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "types/limits.h"

namespace brim {

namespace {

constexpr size_t kSafeBytes = 8192;  // of a node, where only elements are limited
constexpr size_t kLevelBytes[] = {4096, 8192, 16384, 32768, 65536};

// Bytes that a listpack may have, such that the node's block is just as large as the level says.
size_t BytesMax() {
  int64_t level = encoding_limits.list_max_listpack_size;
  if (level >= 0) return kSafeBytes - sizeof(ListNode);
  return kLevelBytes[std::min<int64_t>(-level, 5) - 1] - sizeof(ListNode);
}

size_t ElementsMax() {
  int64_t limit = encoding_limits.list_max_listpack_size;
  return limit > 0 ? static_cast<size_t>(limit) : limit == 0 ? 1 : SIZE_MAX;
}

size_t BlockBytes(ListNode* node) { return sizeof(ListNode) + listpack::TotalBytes(node->listpack()); }

bool HasRoom(ListNode* node, size_t more_bytes, size_t more_elements) {
  const uint8_t* lp = node->listpack();
  return listpack::TotalBytes(lp) + more_bytes <= BytesMax() && listpack::Count(lp) + more_elements <= ElementsMax();
}

// A node's listpack as bytes that can be resized: the block may move, and the neighbours learn of it.
class NodeBytes final : public ValueBytes {
 public:
  NodeBytes(List* list, ListNode* node) : list_(list), node_(node), bytes_(listpack::TotalBytes(node->listpack())) {}
  uint8_t* data() override { return node_->listpack(); }
  size_t size() const override { return bytes_; }
  uint8_t* Resize(size_t bytes) override {
    size_t old_block = sizeof(ListNode) + bytes_;
    size_t block = sizeof(ListNode) + bytes;
    bytes_ = bytes;
    size_t old_granted = Heap::GrantedSize(old_block);
    size_t granted = Heap::GrantedSize(block);
    if (granted == old_granted) return node_->listpack();
    list_->node_bytes += granted - old_granted;
    auto* moved = static_cast<ListNode*>(list_->heap->Reallocate(node_, old_block, block, MemoryCategory::kData));
    if (moved != node_) Relink(moved);
    return node_->listpack();
  }
  ListNode* node() const { return node_; }

 private:
  void Relink(ListNode* moved) {
    node_ = moved;
    (moved->previous != nullptr ? moved->previous->next : list_->head) = moved;
    (moved->next != nullptr ? moved->next->previous : list_->tail) = moved;
  }

  List* list_;
  ListNode* node_;
  size_t bytes_;
};

// A new node with an empty listpack between the two (null: at an end).
ListNode* AddNode(List& list, ListNode* previous, ListNode* next) {
  size_t bytes = sizeof(ListNode) + listpack::kEmptyBytes;
  auto* node = new (list.heap->Allocate(bytes, MemoryCategory::kData)) ListNode{previous, next};
  listpack::Init(node->listpack());
  (previous != nullptr ? previous->next : list.head) = node;
  (next != nullptr ? next->previous : list.tail) = node;
  list.node_bytes += Heap::GrantedSize(bytes);
  list.nodes++;
  return node;
}

void RemoveNode(List& list, ListNode* node) {
  (node->previous != nullptr ? node->previous->next : list.head) = node->next;
  (node->next != nullptr ? node->next->previous : list.tail) = node->previous;
  size_t bytes = BlockBytes(node);
  list.node_bytes -= Heap::GrantedSize(bytes);
  list.nodes--;
  list.heap->Free(node, bytes, MemoryCategory::kData);
}

// Appends all elements of `from` to `to` and removes `from`. Both are neighbours; returns where `to` is now.
ListNode* MergeInto(List& list, ListNode* to, ListNode* from) {
  const uint8_t* lp = from->listpack();
  size_t bytes = listpack::TotalBytes(lp) - listpack::kEmptyBytes;
  NodeBytes target(&list, to);
  listpack::AppendRaw(target, lp + listpack::kHeaderBytes, bytes, listpack::Count(lp));
  RemoveNode(list, from);
  return target.node();
}

// After something was removed: a node with little in it joins a neighbour that has room. The elements' order stays, so
// only the caller's place must be found anew: (*place) is kept up to date.
void MergeIfSparse(List& list, ListPlace* place) {
  ListNode* node = place->node;
  size_t bytes = listpack::TotalBytes(node->listpack());
  if (bytes > BytesMax() / 4) return;
  size_t count = listpack::Count(node->listpack());
  if (node->next != nullptr && HasRoom(node->next, bytes, count)) {
    place->node = MergeInto(list, node, node->next);
  } else if (node->previous != nullptr && HasRoom(node->previous, bytes, count)) {
    place->at += listpack::TotalBytes(node->previous->listpack()) - listpack::kEmptyBytes;
    place->node = MergeInto(list, node->previous, node);
  }
}

// Moves the elements from `at` on into a new node behind. Returns the node, where it is now.
ListNode* SplitAt(List& list, ListNode* node, size_t at) {
  ListNode* behind = AddNode(list, node, node->next);
  const uint8_t* lp = node->listpack();
  size_t count = 0;
  for (size_t i = at; i != listpack::kEnd; i = listpack::Next(lp, i)) count++;
  NodeBytes target(&list, behind);
  listpack::AppendRaw(target, lp + at, listpack::EndOffset(lp) - at, count);
  NodeBytes rest(&list, node);
  listpack::Erase(rest, at, count);
  return rest.node();
}

void InsertAt(List& list, ListNode* node, size_t at, std::string_view text) {
  NodeBytes bytes(&list, node);
  listpack::Insert(bytes, at, text);
  list.length++;
}

ListPlace FirstOf(ListNode* node) {
  if (node == nullptr) return {};
  return {node, listpack::First(node->listpack())};
}

ListPlace LastOf(ListNode* node) {
  if (node == nullptr) return {};
  return {node, listpack::Last(node->listpack())};
}

List* NewList(Heap& heap) { return new (heap.Allocate(sizeof(List), MemoryCategory::kData)) List{&heap}; }

}  // namespace

size_t EmptyListBytes() { return sizeof(void*); }

void InitList(Value& value) { value.MakeExternal(Encoding::kQuicklist, NewList(value.heap())); }

size_t ListLength(const Value& value) { return value.As<List>()->length; }

void ListPush(List& list, std::string_view text, bool front) {
  ListNode* node = front ? list.head : list.tail;
  if (node == nullptr || !HasRoom(node, listpack::ElementBytes(text), 1)) {
    node = front ? AddNode(list, nullptr, list.head) : AddNode(list, list.tail, nullptr);
  }
  InsertAt(list, node, front ? listpack::kHeaderBytes : listpack::EndOffset(node->listpack()), text);
}

void ListPop(List& list, bool front) { ListErase(list, front ? FirstOf(list.head) : LastOf(list.tail)); }

ListPlace ListSeek(const List& list, int64_t index) {
  auto length = static_cast<int64_t>(list.length);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return {};
  if (index < length / 2) {
    for (ListNode* node = list.head;; node = node->next) {
      auto count = static_cast<int64_t>(listpack::Count(node->listpack()));
      if (index < count) return {node, listpack::At(node->listpack(), index)};
      index -= count;
    }
  }
  index = length - 1 - index;
  for (ListNode* node = list.tail;; node = node->previous) {
    auto count = static_cast<int64_t>(listpack::Count(node->listpack()));
    if (index < count) return {node, listpack::At(node->listpack(), -1 - index)};
    index -= count;
  }
}

ListPlace ListNext(ListPlace place) {
  size_t at = listpack::Next(place.node->listpack(), place.at);
  return at != listpack::kEnd ? ListPlace{place.node, at} : FirstOf(place.node->next);
}

ListPlace ListPrevious(ListPlace place) {
  size_t at = listpack::Previous(place.node->listpack(), place.at);
  return at != listpack::kEnd ? ListPlace{place.node, at} : LastOf(place.node->previous);
}

void ListReplace(List& list, ListPlace place, std::string_view text) {
  NodeBytes bytes(&list, place.node);
  size_t old_bytes = listpack::ElementBytesAt(place.node->listpack(), place.at);
  size_t new_bytes = listpack::ElementBytes(text);
  if (new_bytes <= old_bytes || HasRoom(place.node, new_bytes - old_bytes, 0) ||
      listpack::Count(place.node->listpack()) == 1) {
    listpack::Replace(bytes, place.at, text);
    return;
  }
  // No room: the old one goes, the new one takes its place as an insertion.
  size_t next = listpack::Erase(bytes, place.at, 1);
  list.length--;
  ListNode* node = bytes.node();
  if (next != listpack::kEnd) {
    ListInsert(list, {node, next}, text, false);
  } else {
    ListInsert(list, {node, listpack::Last(node->listpack())}, text, true);
  }
}

void ListInsert(List& list, ListPlace place, std::string_view text, bool behind) {
  ListNode* node = place.node;
  size_t bytes = listpack::ElementBytes(text);
  const uint8_t* lp = node->listpack();
  size_t at = place.at;
  if (behind) at += listpack::ElementBytesAt(lp, at);
  if (HasRoom(node, bytes, 1)) {
    InsertAt(list, node, at, text);
    return;
  }
  bool at_begin = at == listpack::kHeaderBytes;
  bool at_end = at == listpack::EndOffset(lp);
  if (!at_begin && !at_end) {
    node = SplitAt(list, node, at);
    at_end = true;
  }
  if (at_end) {
    if (HasRoom(node, bytes, 1)) {
      InsertAt(list, node, listpack::EndOffset(node->listpack()), text);
      return;
    }
    ListNode* next = node->next;
    if (next == nullptr || !HasRoom(next, bytes, 1)) next = AddNode(list, node, node->next);
    InsertAt(list, next, listpack::kHeaderBytes, text);
    return;
  }
  ListNode* previous = node->previous;
  if (previous == nullptr || !HasRoom(previous, bytes, 1)) previous = AddNode(list, node->previous, node);
  InsertAt(list, previous, listpack::EndOffset(previous->listpack()), text);
}

ListPlace ListErase(List& list, ListPlace place, bool backward) {
  list.length--;
  ListNode* node = place.node;
  if (listpack::Count(node->listpack()) == 1) {
    ListPlace other = backward ? LastOf(node->previous) : FirstOf(node->next);
    RemoveNode(list, node);
    return other;
  }
  NodeBytes bytes(&list, node);
  size_t before = listpack::Previous(node->listpack(), place.at);
  size_t next = listpack::Erase(bytes, place.at, 1);
  ListPlace kept{bytes.node(), next};
  bool inside = next != listpack::kEnd;
  if (backward) {
    kept.at = before;
    inside = before != listpack::kEnd;
  }
  if (!inside) {
    // The neighbour's end is next; merging now would only complicate finding it.
    return backward ? LastOf(kept.node->previous) : FirstOf(kept.node->next);
  }
  MergeIfSparse(list, &kept);
  return kept;
}

void ListEraseRange(List& list, size_t index, size_t count) {
  if (index >= list.length) return;
  count = std::min(count, list.length - index);
  ListPlace place = ListSeek(list, static_cast<int64_t>(index));
  while (count > 0) {
    ListNode* node = place.node;
    ListNode* next = node->next;
    size_t total = listpack::Count(node->listpack());
    size_t here = 0;
    for (size_t at = place.at; at != listpack::kEnd && here < count; at = listpack::Next(node->listpack(), at)) here++;
    if (here == total) {
      RemoveNode(list, node);
    } else {
      NodeBytes bytes(&list, node);
      listpack::Erase(bytes, place.at, here);
    }
    list.length -= here;
    count -= here;
    if (count > 0) place = FirstOf(next);
  }
}

size_t ListExternalBytes(const List& list) { return Heap::GrantedSize(sizeof(List)) + list.node_bytes; }

size_t ListFreeEffort(const List& list) { return list.nodes; }

bool ListFreeSome(Heap& heap, List* list, size_t budget) {
  for (; list->head != nullptr; budget--) {
    if (budget == 0) return false;
    RemoveNode(*list, list->head);
  }
  heap.Free(list, sizeof(List), MemoryCategory::kData);
  return true;
}

void ListFree(Heap& heap, List* list) {
  while (!ListFreeSome(heap, list, SIZE_MAX)) {
  }
}

bool ListTidySome(List& list, uint64_t* cursor) {
  constexpr uint64_t kNodes = 64;
  ListNode* node = list.head;
  for (uint64_t i = 0; i < *cursor && node != nullptr; i++) node = node->next;
  for (uint64_t i = 0; i < kNodes && node != nullptr; i++, node = node->next, ++*cursor) {
    if (!list.heap->WorthMoving(node)) continue;
    size_t bytes = Heap::BlockSize(node);
    auto* moved = static_cast<ListNode*>(list.heap->Allocate(bytes, MemoryCategory::kData));
    memcpy(static_cast<void*>(moved), static_cast<void*>(node), bytes);
    (moved->previous != nullptr ? moved->previous->next : list.head) = moved;
    (moved->next != nullptr ? moved->next->previous : list.tail) = moved;
    list.heap->Free(node, bytes, MemoryCategory::kData);
    node = moved;
  }
  return node == nullptr;
}

void CopyList(const Value& src, Value& dst) {
  Heap& heap = dst.heap();
  List* copy = NewList(heap);
  for (ListNode* node = src.As<List>()->head; node != nullptr; node = node->next) {
    size_t bytes = BlockBytes(node);
    auto* fresh = static_cast<ListNode*>(heap.Allocate(bytes, MemoryCategory::kData));
    memcpy(static_cast<void*>(fresh), static_cast<void*>(node), bytes);
    fresh->previous = copy->tail;
    fresh->next = nullptr;
    (copy->tail != nullptr ? copy->tail->next : copy->head) = fresh;
    copy->tail = fresh;
    copy->node_bytes += Heap::GrantedSize(bytes);
    copy->nodes++;
  }
  copy->length = src.As<List>()->length;
  dst.MakeExternal(Encoding::kQuicklist, copy);
}

}  // namespace brim
