#pragma once
// Stream values: nodes of up to some hundred entries (types/stream_node.h) in a tree by the id of their first
// entry, consumer groups (types/stream_groups.h), and where entries are added idempotently who has added what
// (types/stream_producers.h). External from the first entry on; a stream without entries stays.
// docs/stream.md draws it.
//
//   Stream:  heap 16 | tree of nodes | length | last, first and highest deleted id | entries ever added | groups |
//            producers
//   node:    a block with its entries; the last one is open and has some room for what comes, those before it are
//   sealed
//            (but for very large ones) and have none
//
// All calls need the lock of the value's shard.
#include <cstdint>
#include <string_view>

#include "types/id_tree.h"
#include "types/stream_node.h"
#include "types/value.h"

namespace brim {

struct StreamGroup;
struct StreamProducers;

struct Stream {
  explicit Stream(Heap* shard_heap) : heap{shard_heap} {}
  CountedHeap heap;  // all blocks but this one
  IdTree nodes{sizeof(uint8_t*)};
  size_t length = 0;
  StreamId last_id;         // of the last entry that was added, or what XSETID says
  StreamId first_id;        // of the first entry; zero in a stream without entries
  StreamId max_deleted_id;  // of those that XDEL removed
  uint64_t entries_added = 0;
  StreamGroup** groups = nullptr;  // sorted by name
  uint32_t group_count = 0;
  uint32_t group_capacity = 0;
  StreamProducers* producers = nullptr;  // null: never anything was added idempotently
};

// Bytes of a new stream's value area, and its writing into a new key's value.
size_t EmptyStreamBytes();
void InitStream(Value& value);
size_t StreamLength(const Value& value);

// Entries of the ids [from, to], in order or (`backward`) against it. Valid until the stream changes.
class StreamRange {
 public:
  StreamRange(const Stream& stream, StreamId from, StreamId to, bool backward = false);
  // The next live entry; false at the end. O(log n) to begin, then O(elements).
  bool Next(StreamEntry* entry);

 private:
  void Enter();
  IdTree::Cursor node_;
  stream_node::Walker walker_;
  StreamId from_;
  StreamId to_;
  bool backward_;
  bool fresh_ = true;
};

// The id that `*` stands for; false when there are no more.
bool StreamNextId(const Stream& stream, uint64_t now_ms, StreamId* id);
// Adds an entry of `count` pairs (field, value, field ...) behind all others: the id is greater than last_id. The texts
// together have at most stream_node::kTextBytesMax bytes and lie elsewhere. O(entry), but for moving the node's bytes.
void StreamAppend(Stream& stream, StreamId id, const std::string_view* pairs, size_t count);
// False when there is no such entry. Says nothing to max_deleted_id. O(log n + entries of a node).
bool StreamErase(Stream& stream, StreamId id);
bool StreamContains(const Stream& stream, StreamId id);
bool StreamGet(const Stream& stream, StreamId id, StreamEntry* entry);
// The last entry's id, or zero. O(log n), but for deleted entries.
StreamId StreamLastLive(const Stream& stream);
// Entries with greater ids, but no more than `most`. O(nodes of them).
size_t StreamCountAfter(const Stream& stream, StreamId id, size_t most);

struct StreamTrim {
  enum By : uint8_t { kNothing, kLength, kId } by = kNothing;
  size_t length = 0;         // kLength: that many entries stay
  StreamId min_id;           // kId: entries with smaller ids go
  bool approximate = false;  // only whole nodes
  int64_t limit = 0;         // most entries that go, in whole nodes; 0: any number
};
// Removes the oldest entries; returns how many. O(nodes), and the entries of one node.
size_t TrimStream(Stream& stream, const StreamTrim& trim);

// --- for loading: a node with its listpack, as IsValid accepts it, behind all others. Lengths and ids are the
// caller's.
void StreamAddNode(Stream& stream, StreamId master, std::string_view bytes);
void StreamFindFirst(Stream& stream);  // sets first_id from the entries

// Nodes that redis-server's radix tree has for the keys of these nodes (XINFO STREAM tells). O(nodes), but estimated
// from the first 16384 where there are more.
size_t StreamRadixNodes(const Stream& stream);

// --- the external structure's part of types/value.h
size_t StreamExternalBytes(const Stream& stream);
size_t StreamFreeEffort(const Stream& stream);
bool StreamFreeSome(Heap& heap, Stream* stream, size_t budget);
bool StreamTidySome(Stream& stream, uint64_t* cursor);
void CopyStream(const Value& src, Value& dst);

// The node that a payload of Stream::nodes points at.
inline uint8_t* StreamNodeAt(const uint8_t* payload) {
  uint8_t* node;
  memcpy(&node, payload, sizeof node);
  return node;
}
inline void SetStreamNode(uint8_t* payload, const uint8_t* node) { memcpy(payload, &node, sizeof node); }

}  // namespace brim
