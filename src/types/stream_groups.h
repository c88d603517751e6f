#pragma once
// Consumer groups of a stream: what was delivered to whom and is not acknowledged yet.
//
//   StreamGroup:     last id | entries read | pending: tree of id > nack 20 | consumers | name
//   nack:            delivered at 8 | deliveries 8 | number of the consumer 4
//   StreamConsumer:  seen | active | pending: tree of ids | number | name
//
// The group's tree has the nack, the consumer's only the id: both views of one delivery. Nacks name their consumer by a
// number, so that its block may move. Groups and consumers are listed by name, byte by byte.
// All blocks are the stream's (Stream::heap). All calls need the lock of its shard.
#include <cstdint>
#include <string_view>

#include "types/stream.h"

namespace brim {

inline constexpr int64_t kEntriesReadUnknown = -1;

struct StreamNack {
  int64_t delivered_ms = 0;
  uint64_t deliveries = 0;
  uint32_t consumer = 0;
};

struct StreamConsumer {
  int64_t seen_ms = 0;
  int64_t active_ms = -1;  // of the last delivery; -1: none
  IdTree pending{0};
  uint32_t number = 0;
  uint32_t name_size = 0;
  std::string_view name() const { return {reinterpret_cast<const char*>(this + 1), name_size}; }
};

struct StreamGroup {
  static constexpr uint8_t kNackBytes = 20;
  StreamId last_id;  // delivered last
  int64_t entries_read = kEntriesReadUnknown;
  IdTree pending{kNackBytes};
  StreamConsumer** consumers = nullptr;  // by number; null where one was removed
  uint32_t* by_name = nullptr;           // their numbers
  uint32_t consumer_count = 0;
  uint32_t numbers = 0;  // that were given out
  uint32_t capacity = 0;
  uint32_t name_size = 0;
  std::string_view name() const { return {reinterpret_cast<const char*>(this + 1), name_size}; }
};

// ---- groups
StreamGroup* FindGroup(const Stream& stream, std::string_view name);
// Null when there is one of that name.
StreamGroup* CreateGroup(Stream& stream, std::string_view name, StreamId last_id, int64_t entries_read);
// O(what is pending).
void DestroyGroup(Stream& stream, StreamGroup* group);

// ---- consumers
StreamConsumer* FindConsumer(const StreamGroup& group, std::string_view name);
// Null when there is one of that name.
StreamConsumer* CreateConsumer(Stream& stream, StreamGroup& group, std::string_view name, int64_t now_ms);
// Forgets what it has not acknowledged. O(pending).
void DeleteConsumer(Stream& stream, StreamGroup& group, StreamConsumer* consumer);
// The consumer of that rank in the order of names.
inline StreamConsumer* ConsumerAt(const StreamGroup& group, size_t rank) {
  return group.consumers[group.by_name[rank]];
}

// ---- deliveries
StreamNack NackAt(const uint8_t* payload);
// False when the id is not pending.
bool GetNack(const StreamGroup& group, StreamId id, StreamNack* nack);
// Makes the id pending with nack.consumer, whether it was pending already or not. O(log n).
void SetNack(Stream& stream, StreamGroup& group, StreamId id, const StreamNack& nack);
// False when the id was not pending.
bool RemoveNack(Stream& stream, StreamGroup& group, StreamId id);
// As SetNack for what is read from outside: only into the group's view; the consumer's comes later. False: twice.
bool LoadNack(Stream& stream, StreamGroup& group, StreamId id, int64_t delivered_ms, uint64_t deliveries);
// Gives a loaded delivery to the consumer. False when it is none, or somebody's already.
bool LoadPending(Stream& stream, StreamGroup& group, StreamConsumer& consumer, StreamId id);
// Whether every loaded delivery has its consumer.
bool AllNacksOwned(const StreamGroup& group);

// ---- how far a group is
// The number of the entry with that id among all that were ever added; kEntriesReadUnknown where deletions hide it.
int64_t EntriesReadAt(const Stream& stream, StreamId id);
// A deleted entry may lie behind the id.
bool HasDeletedAfter(const Stream& stream, StreamId id);
// Entries that were not delivered yet; false when that cannot be told.
bool GroupLag(const Stream& stream, const StreamGroup& group, int64_t* lag);
// A delivery of the entry of that id, behind all before: last_id and entries_read go on.
void AdvanceGroup(const Stream& stream, StreamGroup& group, StreamId id);
// Whether a group has not read the entry, or has it pending.
bool IsReferenced(const Stream& stream, StreamId id);
// Takes the id out of every group. True when it was in one.
bool RemoveReferences(Stream& stream, StreamId id);

}  // namespace brim
