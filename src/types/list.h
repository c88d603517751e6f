#pragma once
// List values: a doubly linked list of listpacks, external from the first element on.
//
//   List:  head, tail, elements, bytes of the nodes
//   node:  [ previous 8 | next 8 ] [ listpack ]      one block; grown and shrunk with its content
//   plain: [ previous 8 | next 8 ] [ 0: 4 bytes | 1: 2 bytes | 2 unused ] [ size 8 ] [ text ]
//
// Nodes are as full as list-max-listpack-size allows (-2: 8 KB); an element larger than that has a node of its own, and
// one that no listpack should hold (1 GB, or DEBUG QUICKLIST-PACKED-THRESHOLD) a plain node, told by the size 0 where a
// listpack tells its own.
// Of a list that is pushed to at its front the first node is a small one, and the second may not be full.
// list-compress-depth is accepted; nodes are not compressed. All calls need the lock of the value's shard.
#include <cstdint>
#include <span>
#include <string_view>

#include "types/listpack.h"
#include "types/value.h"

namespace brim {

struct ListNode {
  ListNode* previous;
  ListNode* next;
  // What follows the links: a listpack, but for plain nodes.
  uint8_t* listpack() { return reinterpret_cast<uint8_t*>(this + 1); }
  bool plain() { return listpack::TotalBytes(listpack()) == 0; }
};

struct List {
  Heap* heap;
  ListNode* head = nullptr;
  ListNode* tail = nullptr;
  size_t length = 0;
  size_t node_bytes = 0;  // of all nodes, granted sizes
  size_t nodes = 0;
};

// An element's place; valid until the list changes. Empty: past an end.
struct ListPlace {
  ListNode* node = nullptr;
  size_t at = 0;
  explicit operator bool() const { return node != nullptr; }
  listpack::Item Get() const;
};

// A text that elements are compared with, read as a number just once.
class ListNeedle {
 public:
  explicit ListNeedle(std::string_view text);
  bool Equals(ListPlace place) const;

 private:
  std::string_view text_;
  int64_t number_ = 0;
  bool is_number_;
};

// Bytes of a new list's value area, and its writing into a new key's value.
size_t EmptyListBytes();
void InitList(Value& value);
size_t ListLength(const Value& value);

// O(1), but for moving at most one node's bytes. The text may lie in another list's node, not in this one's.
void ListPush(List& list, std::string_view text, bool front);
// All of them, each in front of (behind) the one before. They may not lie in this list's nodes.
void ListPushMany(List& list, std::span<const std::string_view> texts, bool front);
// Removes the first or last element of a list that is not empty. The caller deletes the key with the last one.
void ListPop(List& list, bool front);
// The element of that index, negative from the end. O(nodes).
ListPlace ListSeek(const List& list, int64_t index);
ListPlace ListNext(ListPlace place);
ListPlace ListPrevious(ListPlace place);
void ListReplace(List& list, ListPlace place, std::string_view text);
// Puts a new element before or behind the place.
void ListInsert(List& list, ListPlace place, std::string_view text, bool behind);
// Removes the element; returns the place of the one behind it (`backward`: before it).
ListPlace ListErase(List& list, ListPlace place, bool backward = false);
// Removes `count` elements from `index` (0 or more) on. O(nodes).
void ListEraseRange(List& list, size_t index, size_t count);

// --- the external structure's part of types/value.h
size_t ListExternalBytes(const List& list);
size_t ListFreeEffort(const List& list);
bool ListFreeSome(Heap& heap, List* list, size_t budget);
void ListFree(Heap& heap, List* list);
// Moves nodes out of sparse heap pages; *cursor is the number of the next node. True at the end.
bool ListTidySome(List& list, uint64_t* cursor);
void CopyList(const Value& src, Value& dst);

}  // namespace brim
