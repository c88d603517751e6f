#include "types/stream_groups.h"

#include <algorithm>
#include <new>

namespace brim {

namespace {

constexpr uint32_t kNobody = UINT32_MAX;  // the consumer of a delivery that is being loaded

// A fixed-size part followed by its name.
template <class T>
T* NewNamed(CountedHeap& heap, std::string_view name) {
  void* block = heap.Allocate(sizeof(T) + name.size());
  T* named = new (block) T();
  named->name_size = static_cast<uint32_t>(name.size());
  if (!name.empty()) memcpy(static_cast<void*>(named + 1), name.data(), name.size());
  return named;
}

// An array of plain elements with room for one more.
template <class T>
T* Grown(CountedHeap& heap, T* array, uint32_t used, uint32_t capacity) {
  size_t bytes = capacity * sizeof(T);
  if (array == nullptr) return static_cast<T*>(heap.Allocate(bytes));
  return static_cast<T*>(heap.Replace(array, bytes, used * sizeof(T)));
}

uint32_t MoreThan(uint32_t capacity) { return capacity == 0 ? 1 : capacity + capacity / 2 + 1; }

// The place of the name among the groups; where it would be if it is none.
StreamGroup** GroupPlace(const Stream& stream, std::string_view name) {
  return std::lower_bound(stream.groups, stream.groups + stream.group_count, name,
                          [](const StreamGroup* group, std::string_view n) { return group->name() < n; });
}

uint32_t* ConsumerPlace(const StreamGroup& group, std::string_view name) {
  return std::lower_bound(
      group.by_name, group.by_name + group.consumer_count, name,
      [&group](uint32_t number, std::string_view n) { return group.consumers[number]->name() < n; });
}

void WriteNack(uint8_t* payload, const StreamNack& nack) {
  memcpy(payload, &nack.delivered_ms, 8);
  memcpy(payload + 8, &nack.deliveries, 8);
  memcpy(payload + 16, &nack.consumer, 4);
}

}  // namespace

// ---- groups

StreamGroup* FindGroup(const Stream& stream, std::string_view name) {
  StreamGroup** place = GroupPlace(stream, name);
  return place != stream.groups + stream.group_count && (*place)->name() == name ? *place : nullptr;
}

StreamGroup* CreateGroup(Stream& stream, std::string_view name, StreamId last_id, int64_t entries_read) {
  if (FindGroup(stream, name) != nullptr) return nullptr;
  if (stream.group_count == stream.group_capacity) {
    uint32_t capacity = MoreThan(stream.group_capacity);
    stream.groups = Grown(stream.heap, stream.groups, stream.group_count, capacity);
    stream.group_capacity = capacity;
  }
  auto* group = NewNamed<StreamGroup>(stream.heap, name);
  group->last_id = last_id;
  group->entries_read = entries_read;
  StreamGroup** place = GroupPlace(stream, name);
  std::move_backward(place, stream.groups + stream.group_count, stream.groups + stream.group_count + 1);
  *place = group;
  stream.group_count++;
  return group;
}

void DestroyGroup(Stream& stream, StreamGroup* group) {
  StreamGroup** place = GroupPlace(stream, group->name());
  std::move(place + 1, stream.groups + stream.group_count, place);
  stream.group_count--;
  auto nothing = [](uint8_t*) {};
  for (uint32_t i = 0; i < group->consumer_count; i++) {
    StreamConsumer* consumer = ConsumerAt(*group, i);
    while (consumer->pending.DropLeaf(stream.heap, nothing)) {
    }
    stream.heap.Free(consumer);
  }
  while (group->pending.DropLeaf(stream.heap, nothing)) {
  }
  if (group->capacity > 0) {
    stream.heap.Free(group->consumers);
    stream.heap.Free(group->by_name);
  }
  stream.heap.Free(group);
}

// ---- consumers

StreamConsumer* FindConsumer(const StreamGroup& group, std::string_view name) {
  uint32_t* place = ConsumerPlace(group, name);
  if (place == group.by_name + group.consumer_count) return nullptr;
  StreamConsumer* consumer = group.consumers[*place];
  return consumer->name() == name ? consumer : nullptr;
}

namespace {

// A number that no consumer of the group has, and its place.
uint32_t FreeNumber(Stream& stream, StreamGroup& group) {
  if (group.consumer_count < group.numbers) {
    StreamConsumer** hole = std::find(group.consumers, group.consumers + group.numbers, nullptr);
    return static_cast<uint32_t>(hole - group.consumers);
  }
  if (group.numbers == group.capacity) {
    uint32_t capacity = MoreThan(group.capacity);
    group.consumers = Grown(stream.heap, group.consumers, group.numbers, capacity);
    group.by_name = Grown(stream.heap, group.by_name, group.consumer_count, capacity);
    group.capacity = capacity;
  }
  return group.numbers++;
}

}  // namespace

StreamConsumer* CreateConsumer(Stream& stream, StreamGroup& group, std::string_view name, int64_t now_ms) {
  if (FindConsumer(group, name) != nullptr) return nullptr;
  auto* consumer = NewNamed<StreamConsumer>(stream.heap, name);
  consumer->seen_ms = now_ms;
  consumer->number = FreeNumber(stream, group);
  uint32_t* place = ConsumerPlace(group, name);
  std::move_backward(place, group.by_name + group.consumer_count, group.by_name + group.consumer_count + 1);
  *place = consumer->number;
  group.consumers[consumer->number] = consumer;
  group.consumer_count++;
  return consumer;
}

void DeleteConsumer(Stream& stream, StreamGroup& group, StreamConsumer* consumer) {
  for (IdTree::Cursor pending = consumer->pending.First(); pending; pending.Next()) {
    group.pending.Erase(stream.heap, pending.id());
  }
  while (consumer->pending.DropLeaf(stream.heap, [](uint8_t*) {})) {
  }
  uint32_t* place = ConsumerPlace(group, consumer->name());
  std::move(place + 1, group.by_name + group.consumer_count, place);
  group.consumer_count--;
  group.consumers[consumer->number] = nullptr;
  stream.heap.Free(consumer);
}

// ---- deliveries

StreamNack NackAt(const uint8_t* payload) {
  StreamNack nack;
  memcpy(&nack.delivered_ms, payload, 8);
  memcpy(&nack.deliveries, payload + 8, 8);
  memcpy(&nack.consumer, payload + 16, 4);
  return nack;
}

bool GetNack(const StreamGroup& group, StreamId id, StreamNack* nack) {
  const uint8_t* payload = group.pending.Find(id);
  if (payload == nullptr) return false;
  *nack = NackAt(payload);
  return true;
}

void SetNack(Stream& stream, StreamGroup& group, StreamId id, const StreamNack& nack) {
  bool added;
  uint8_t* payload = group.pending.Insert(stream.heap, id, &added);
  uint32_t before = added ? kNobody : NackAt(payload).consumer;
  WriteNack(payload, nack);
  if (before == nack.consumer) return;
  if (before != kNobody) group.consumers[before]->pending.Erase(stream.heap, id);
  group.consumers[nack.consumer]->pending.Insert(stream.heap, id, &added);
}

bool RemoveNack(Stream& stream, StreamGroup& group, StreamId id) {
  StreamNack nack;
  if (!GetNack(group, id, &nack)) return false;
  group.pending.Erase(stream.heap, id);
  group.consumers[nack.consumer]->pending.Erase(stream.heap, id);
  return true;
}

bool LoadNack(Stream& stream, StreamGroup& group, StreamId id, int64_t delivered_ms, uint64_t deliveries) {
  bool added;
  uint8_t* payload = group.pending.Insert(stream.heap, id, &added);
  if (added) WriteNack(payload, {delivered_ms, deliveries, kNobody});
  return added;
}

bool LoadPending(Stream& stream, StreamGroup& group, StreamConsumer& consumer, StreamId id) {
  uint8_t* payload = group.pending.Find(id);
  if (payload == nullptr) return false;
  StreamNack nack = NackAt(payload);
  if (nack.consumer != kNobody) return false;
  nack.consumer = consumer.number;
  WriteNack(payload, nack);
  bool added;
  consumer.pending.Insert(stream.heap, id, &added);
  return true;
}

bool AllNacksOwned(const StreamGroup& group) {
  size_t owned = 0;
  for (uint32_t i = 0; i < group.consumer_count; i++) owned += ConsumerAt(group, i)->pending.size();
  return owned == group.pending.size();
}

// ---- how far a group is

int64_t EntriesReadAt(const Stream& stream, StreamId id) {
  auto added = static_cast<int64_t>(stream.entries_added);
  auto length = static_cast<int64_t>(stream.length);
  if (added == 0) return 0;
  if (length == 0 && id <= stream.last_id) return added;
  if (id == stream.last_id) return added;
  if (id > stream.last_id) return kEntriesReadUnknown;
  if (!stream.max_deleted_id.is_zero() && stream.max_deleted_id >= stream.first_id) return kEntriesReadUnknown;
  if (id < stream.first_id) return added - length;
  return id == stream.first_id ? added - length + 1 : kEntriesReadUnknown;
}

bool HasDeletedAfter(const Stream& stream, StreamId id) {
  if (stream.length == 0 || stream.max_deleted_id.is_zero()) return false;
  // All that was deleted lies before the first entry.
  if (stream.first_id > stream.max_deleted_id) return false;
  return id <= stream.max_deleted_id;
}

bool GroupLag(const Stream& stream, const StreamGroup& group, int64_t* lag) {
  auto added = static_cast<int64_t>(stream.entries_added);
  *lag = 0;
  if (added == 0) return true;
  int64_t read = group.entries_read != kEntriesReadUnknown && !HasDeletedAfter(stream, group.last_id)
                     ? group.entries_read
                     : EntriesReadAt(stream, group.last_id);
  // Both counters can be set to anything by commands.
  *lag = static_cast<int64_t>(static_cast<uint64_t>(added) - static_cast<uint64_t>(read));
  return read != kEntriesReadUnknown;
}

void AdvanceGroup(const Stream& stream, StreamGroup& group, StreamId id) {
  if (group.entries_read != kEntriesReadUnknown && !HasDeletedAfter(stream, id)) {
    group.entries_read = static_cast<int64_t>(static_cast<uint64_t>(group.entries_read) + 1);
  } else if (stream.entries_added != 0) {
    group.entries_read = EntriesReadAt(stream, id);
  }
  group.last_id = id;
}

bool IsReferenced(const Stream& stream, StreamId id) {
  for (uint32_t i = 0; i < stream.group_count; i++) {
    const StreamGroup& group = *stream.groups[i];
    if (group.last_id < id || group.pending.Find(id) != nullptr) return true;
  }
  return false;
}

bool RemoveReferences(Stream& stream, StreamId id) {
  bool any = false;
  for (uint32_t i = 0; i < stream.group_count; i++) any = RemoveNack(stream, *stream.groups[i], id) || any;
  return any;
}

}  // namespace brim
