#include "types/list.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/numbers.h"
#include "types/limits.h"

namespace brim {

namespace {

constexpr size_t kSafeBytes = 8192;  // of a node, where only elements are limited
constexpr size_t kHeadBytes = 1024;  // beyond them a head is not pushed to
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

// A plain node: [0: 4][1: 2][unused 2][size 8][text]. The 1 lies where a listpack counts its elements.
constexpr size_t kPlainHeaderBytes = 16;

size_t PlainSize(const uint8_t* area) {
  uint64_t size;
  memcpy(&size, area + 8, sizeof(size));
  return size;
}

size_t AreaBytes(ListNode* node) {
  uint8_t* area = node->listpack();
  return node->plain() ? kPlainHeaderBytes + PlainSize(area) : listpack::TotalBytes(area);
}

size_t BlockBytes(ListNode* node) { return sizeof(ListNode) + AreaBytes(node); }

// Not so large for listpacks, whose sizes are 32-bit numbers.
bool IsPlainSize(std::string_view text) {
  return text.size() >= std::min(encoding_limits.list_packed_threshold, listpack::kBytesMax);
}

bool HasRoom(ListNode* node, size_t more_bytes, size_t more_elements) {
  if (node->plain()) return false;
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

// A new node between the two (null: at an end), its area of that size uninitialised.
ListNode* LinkNode(List& list, ListNode* previous, ListNode* next, size_t area_bytes) {
  size_t bytes = sizeof(ListNode) + area_bytes;
  auto* node = new (list.heap->Allocate(bytes, MemoryCategory::kData)) ListNode{previous, next};
  (previous != nullptr ? previous->next : list.head) = node;
  (next != nullptr ? next->previous : list.tail) = node;
  list.node_bytes += Heap::GrantedSize(bytes);
  list.nodes++;
  return node;
}

ListNode* AddNode(List& list, ListNode* previous, ListNode* next) {
  ListNode* node = LinkNode(list, previous, next, listpack::kEmptyBytes);
  listpack::Init(node->listpack());
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

// The node that an element goes to the front of; null: a new one. Pushing there moves what the node has, so a small
// head is kept: when it has grown it joins the node behind, if that has room.
ListNode* HeadForPush(List& list) {
  ListNode* head = list.head;
  if (head == nullptr || head->plain()) return nullptr;
  const uint8_t* lp = head->listpack();
  if (listpack::TotalBytes(lp) < kHeadBytes) return head;
  size_t bytes = listpack::TotalBytes(lp) - listpack::kEmptyBytes;
  size_t count = listpack::Count(lp);
  if (head->next != nullptr && HasRoom(head->next, bytes, count)) {
    NodeBytes target(&list, head->next);
    listpack::InsertRaw(target, listpack::kHeaderBytes, lp + listpack::kHeaderBytes, bytes, count);
    RemoveNode(list, list.head);
  }
  return nullptr;
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

// A node of its own for the text, whatever its size.
void AddAlone(List& list, ListNode* previous, ListNode* next, std::string_view text) {
  if (!IsPlainSize(text)) {
    ListNode* node = AddNode(list, previous, next);
    try {
      InsertAt(list, node, listpack::kHeaderBytes, text);
    } catch (const std::bad_alloc&) {
      RemoveNode(list, node);
      throw;
    }
    return;
  }
  ListNode* node = LinkNode(list, previous, next, kPlainHeaderBytes + text.size());
  static constexpr uint8_t kMark[8] = {0, 0, 0, 0, 1};
  uint64_t size = text.size();
  uint8_t* area = node->listpack();
  memcpy(area, kMark, sizeof(kMark));
  memcpy(area + sizeof(kMark), &size, sizeof(size));
  if (size != 0) memcpy(area + kPlainHeaderBytes, text.data(), size);
  list.length++;
}

ListPlace FirstOf(ListNode* node) {
  if (node == nullptr) return {};
  return {node, node->plain() ? kPlainHeaderBytes : listpack::First(node->listpack())};
}

ListPlace LastOf(ListNode* node) {
  if (node == nullptr) return {};
  return {node, node->plain() ? kPlainHeaderBytes : listpack::Last(node->listpack())};
}

ListPlace InNode(ListNode* node, int64_t index) {
  return {node, node->plain() ? kPlainHeaderBytes : listpack::At(node->listpack(), index)};
}

List* NewList(Heap& heap) { return new (heap.Allocate(sizeof(List), MemoryCategory::kData)) List{&heap}; }

}  // namespace

size_t EmptyListBytes() { return sizeof(void*); }

void InitList(Value& value) { value.MakeExternal(Encoding::kQuicklist, NewList(value.heap())); }

size_t ListLength(const Value& value) { return value.As<List>()->length; }

listpack::Item ListPlace::Get() const {
  const uint8_t* area = node->listpack();
  if (!node->plain()) [[likely]]
    return listpack::Get(area, at);
  return {{reinterpret_cast<const char*>(area) + kPlainHeaderBytes, PlainSize(area)}, false, 0};
}

ListNeedle::ListNeedle(std::string_view text) : text_(text), is_number_(ParseInt64(text, &number_)) {}

bool ListNeedle::Equals(ListPlace place) const {
  listpack::Item item = place.Get();
  if (item.is_number) return is_number_ && item.number == number_;
  // A number is never a text, but in a plain node.
  return item.text == text_;
}

void ListPush(List& list, std::string_view text, bool front) {
  ListNode* node = front ? HeadForPush(list) : list.tail;
  if (node == nullptr || IsPlainSize(text) || !HasRoom(node, listpack::ElementBytes(text), 1)) {
    front ? AddAlone(list, nullptr, list.head, text) : AddAlone(list, list.tail, nullptr, text);
    return;
  }
  InsertAt(list, node, front ? listpack::kHeaderBytes : listpack::EndOffset(node->listpack()), text);
}

namespace {

// As many of the texts as the node takes at that end, the first one at least, for which it has room. Returns how many.
size_t PushSome(List& list, ListNode* node, std::span<const std::string_view> texts, bool front) {
  size_t total = listpack::TotalBytes(node->listpack());
  // A head that is pushed to stays small: see HeadForPush.
  size_t most = front ? std::min(BytesMax(), kHeadBytes) : BytesMax();
  texts = texts.first(std::min(texts.size(), ElementsMax() - listpack::Count(node->listpack())));
  NodeBytes bytes(&list, node);
  size_t at = front ? listpack::kHeaderBytes : total - 1;
  size_t pushed = 0;
  try {
    pushed = listpack::InsertSome(bytes, at, texts, most, front);
    if (pushed == 0) {
      listpack::Insert(bytes, at, texts[0]);
      pushed = 1;
    }
  } catch (const std::bad_alloc&) {
    if (listpack::Count(node->listpack()) == 0) RemoveNode(list, node);
    throw;
  }
  list.length += pushed;
  return pushed;
}

}  // namespace

void ListPushMany(List& list, std::span<const std::string_view> texts, bool front) {
  if (texts.size() == 1) {
    ListPush(list, texts[0], front);
    return;
  }
  while (!texts.empty()) {
    // Those before one that has a node of its own.
    auto few = texts.first(std::min(texts.size(), listpack::kSomeMax));
    few = few.first(static_cast<size_t>(std::find_if(few.begin(), few.end(), IsPlainSize) - few.begin()));
    ListNode* node = front ? HeadForPush(list) : list.tail;
    size_t pushed = 1;
    if (few.size() > 1 && (node == nullptr || !HasRoom(node, listpack::ElementBytes(few[0]), 1)) &&
        listpack::kEmptyBytes + listpack::ElementBytes(few[0]) <= BytesMax()) {
      node = front ? AddNode(list, nullptr, list.head) : AddNode(list, list.tail, nullptr);
    }
    if (node != nullptr && !few.empty() && HasRoom(node, listpack::ElementBytes(few[0]), 1)) {
      pushed = PushSome(list, node, few, front);
    } else {
      front ? AddAlone(list, nullptr, list.head, texts[0]) : AddAlone(list, list.tail, nullptr, texts[0]);
    }
    texts = texts.subspan(pushed);
  }
}

void ListPop(List& list, bool front) { ListErase(list, front ? FirstOf(list.head) : LastOf(list.tail)); }

ListPlace ListSeek(const List& list, int64_t index) {
  auto length = static_cast<int64_t>(list.length);
  if (index < 0) index += length;
  if (index < 0 || index >= length) return {};
  if (index < length / 2) {
    for (ListNode* node = list.head;; node = node->next) {
      auto count = static_cast<int64_t>(listpack::Count(node->listpack()));
      if (index < count) return InNode(node, index);
      index -= count;
    }
  }
  index = length - 1 - index;
  for (ListNode* node = list.tail;; node = node->previous) {
    auto count = static_cast<int64_t>(listpack::Count(node->listpack()));
    if (index < count) return InNode(node, -1 - index);
    index -= count;
  }
}

ListPlace ListNext(ListPlace place) {
  if (place.node->plain()) return FirstOf(place.node->next);
  size_t at = listpack::Next(place.node->listpack(), place.at);
  return at != listpack::kEnd ? ListPlace{place.node, at} : FirstOf(place.node->next);
}

ListPlace ListPrevious(ListPlace place) {
  if (place.node->plain()) return LastOf(place.node->previous);
  size_t at = listpack::Previous(place.node->listpack(), place.at);
  return at != listpack::kEnd ? ListPlace{place.node, at} : LastOf(place.node->previous);
}

void ListReplace(List& list, ListPlace place, std::string_view text) {
  ListNode* node = place.node;
  bool alone = listpack::Count(node->listpack()) == 1;
  if (alone && (node->plain() || IsPlainSize(text))) {
    AddAlone(list, node, node->next, text);
    RemoveNode(list, node);
    list.length--;
    return;
  }
  NodeBytes bytes(&list, node);
  size_t old_bytes = listpack::ElementBytesAt(node->listpack(), place.at);
  size_t new_bytes = listpack::ElementBytes(text);
  bool fits = new_bytes <= old_bytes || HasRoom(node, new_bytes - old_bytes, 0);
  if (alone || (fits && !IsPlainSize(text))) {
    listpack::Replace(bytes, place.at, text);
    return;
  }
  // No room: the old one goes, the new one takes its place as an insertion.
  size_t next = listpack::Erase(bytes, place.at, 1);
  list.length--;
  node = bytes.node();
  if (next != listpack::kEnd) {
    ListInsert(list, {node, next}, text, false);
  } else {
    ListInsert(list, {node, listpack::Last(node->listpack())}, text, true);
  }
}

namespace {

// Puts the text between two nodes, into one of them if it has room.
void InsertBetween(List& list, ListNode* previous, ListNode* next, std::string_view text) {
  bool alone = IsPlainSize(text);
  size_t bytes = listpack::ElementBytes(text);
  if (!alone && previous != nullptr && HasRoom(previous, bytes, 1)) {
    InsertAt(list, previous, listpack::EndOffset(previous->listpack()), text);
  } else if (!alone && next != nullptr && HasRoom(next, bytes, 1)) {
    InsertAt(list, next, listpack::kHeaderBytes, text);
  } else {
    AddAlone(list, previous, next, text);
  }
}

}  // namespace

void ListInsert(List& list, ListPlace place, std::string_view text, bool behind) {
  ListNode* node = place.node;
  size_t at = place.at;
  bool at_begin = !behind;
  bool at_end = behind;
  if (!node->plain()) {
    const uint8_t* lp = node->listpack();
    if (behind) at += listpack::ElementBytesAt(lp, at);
    if (!IsPlainSize(text) && HasRoom(node, listpack::ElementBytes(text), 1)) {
      InsertAt(list, node, at, text);
      return;
    }
    at_begin = at == listpack::kHeaderBytes;
    at_end = at == listpack::EndOffset(lp);
  }
  if (at_begin) {
    InsertBetween(list, node->previous, node, text);
  } else {
    if (!at_end) node = SplitAt(list, node, at);
    InsertBetween(list, node, node->next, text);
  }
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
    if (total <= count && place.at == FirstOf(node).at) {
      here = total;
    } else {
      for (size_t at = place.at; at != listpack::kEnd && here < count; at = listpack::Next(node->listpack(), at))
        here++;
    }
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
  constexpr uint64_t kNodes = 1024;
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
