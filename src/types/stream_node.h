#pragma once
// The inside of a stream's node, in one of two forms. The last node is open: a listpack with redis-server's own
// arrangement of entries, as it lies in RDB files.
//
//   master:  live entries | deleted entries | number of fields | field ... | 0
//   entry:   flags | ms | seq | [number of fields | field value ...] or [value ...] | number of elements before this
//   one
//
// The milliseconds and the sequence are differences to the id of the node. Flag 1: deleted, the entry stays where it
// is. Flag 2: the entry has just the master's fields, in their order, and only values. The number at the end is for
// walking backwards. Live entries are in the order of their ids; a deleted one may be out of it (XSETID can go below
// it).
//
// Nodes before the last are sealed: the same elements without what only walking backwards needs, which is half of a
// small entry, behind a head of fixed width.
//
//   [ bytes 4, high bit set | live 4 | deleted 4 | fields 4 | bytes as a listpack 4 ] { field } { entry }
//   element: as in the listpack, without the length behind it; entry: without the number at its end
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "types/listpack.h"
#include "types/stream_id.h"

namespace brim {

namespace stream_node {

inline constexpr uint8_t kDeletedFlag = 1;
inline constexpr uint8_t kSameFieldsFlag = 2;
inline constexpr size_t kTextBytesMax = size_t{1} << 30;  // of all texts of one entry
inline constexpr uint32_t kSealedBit = uint32_t{1} << 31;

struct SealedHead {
  uint32_t bytes;  // and kSealedBit
  uint32_t live;
  uint32_t deleted;
  uint32_t fields;
  uint32_t listpack_bytes;
};

inline bool IsSealed(const uint8_t* node) { return node[3] & 0x80; }
inline SealedHead ReadSealedHead(const uint8_t* node) {
  SealedHead head;
  memcpy(&head, node, sizeof head);
  head.bytes &= ~kSealedBit;
  return head;
}
// Bytes of the node, and those of its listpack. O(1).
inline size_t Bytes(const uint8_t* node) {
  return IsSealed(node) ? ReadSealedHead(node).bytes : listpack::TotalBytes(node);
}
inline size_t ListpackBytes(const uint8_t* node) {
  return IsSealed(node) ? ReadSealedHead(node).listpack_bytes : listpack::TotalBytes(node);
}

// The place `count` elements further on.
inline size_t Skip(const uint8_t* node, bool sealed, size_t at, size_t count) {
  if (!sealed) return listpack::Skip(node, at, count);
  for (; count > 0; count--) at += listpack::BodyBytes(node + at);
  return at;
}

}  // namespace stream_node

struct StreamEntry {
  StreamId id;
  const uint8_t* node = nullptr;
  size_t at = 0;         // of the flags
  size_t pairs = 0;      // of field and value
  size_t names_at = 0;   // the first field's, in the master entry; 0: each stands before its value
  size_t values_at = 0;  // the first value's, or that of the first field
  bool deleted = false;
  bool sealed = false;

  // fn(field, value) for each pair, both listpack::Item.
  template <class Fn>
  void ForEachPair(Fn&& fn) const {
    size_t name_at = names_at;
    size_t value_at = values_at;
    for (size_t i = 0; i < pairs; i++) {
      if (names_at == 0) {
        name_at = value_at;
        value_at = stream_node::Skip(node, sealed, value_at, 1);
      }
      fn(listpack::Get(node, name_at), listpack::Get(node, value_at));
      if (names_at != 0) name_at = stream_node::Skip(node, sealed, name_at, 1);
      value_at = stream_node::Skip(node, sealed, value_at, 1);
    }
  }
};

namespace stream_node {

struct Head {
  int64_t live = 0;
  int64_t deleted = 0;
  size_t fields = 0;
  size_t fields_at = 0;
  size_t entries_at = 0;  // may be the end
};
// O(fields).
Head ReadHead(const uint8_t* node);
inline int64_t LiveEntries(const uint8_t* node) {
  return IsSealed(node) ? ReadSealedHead(node).live : listpack::Get(node, listpack::kHeaderBytes).number;
}

// Walks over a node's entries, deleted ones too. Valid until the node changes.
class Walker {
 public:
  Walker() = default;
  // Before the first entry of the node with that id.
  Walker(const uint8_t* node, StreamId master)
      : node_(node), master_(master), head_(ReadHead(node)), sealed_(IsSealed(node)), at_(head_.entries_at) {
    end_ = sealed_ ? Bytes(node) : listpack::EndOffset(node);
  }
  void GoToEnd() { at_ = end_; }
  // Goes to where Next gives the first live entry that is not before the id. O(entries); in an open node from the
  // nearer end.
  void Seek(StreamId id);
  // The entry behind the place, or before it; the place is then behind, or before, that. False at an end. Previous is
  // O(entries) the first time in a sealed node.
  bool Next(StreamEntry* entry);
  bool Previous(StreamEntry* entry);

 private:
  size_t ReadEntry(size_t at, StreamEntry* entry) const;
  bool SeekBack(StreamId id);

  const uint8_t* node_ = nullptr;
  StreamId master_;
  Head head_;
  bool sealed_ = false;
  size_t at_ = 0;
  size_t end_ = 0;
  std::vector<uint32_t> places_;  // of all entries of a sealed node, once Previous was called
};

// ---- open nodes
// Writes the master entry into an empty listpack, for entries with these fields (two texts a pair).
void WriteMaster(ValueBytes& node, const std::string_view* pairs, size_t count);
// Adds an entry and counts it.
void AppendEntry(ValueBytes& node, StreamId master, StreamId id, const std::string_view* pairs, size_t count);

// ---- sealing: the bytes of the other form
void Seal(const uint8_t* open, StreamId master, std::string* sealed);
void Unseal(const uint8_t* sealed, StreamId master, std::string* open);

// ---- both forms
// Flags an entry as deleted, where it stands.
inline void SetDeleted(uint8_t* node, size_t at) { node[at] |= kDeletedFlag; }
// Counts `count` live entries as deleted ones.
void CountDeleted(ValueBytes& node, int64_t count);

// Whether bytes from outside are an open node: a well-formed listpack of this arrangement, whose counts are true and
// whose live entries' ids rise from the node's own on, which is after *last (but for the first). *last is kept up to
// date: the last live entry's id, or the node's own where there is none. *live is their number. O(n).
bool IsValid(const uint8_t* bytes, size_t size, StreamId master, bool first, StreamId* last, size_t* live);

}  // namespace stream_node

}  // namespace brim
