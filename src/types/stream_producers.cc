#include "types/stream_producers.h"

#include <algorithm>
#include <new>

#include "base/hash.h"
#include "types/limits.h"

namespace brim {

namespace {

constexpr uint32_t kSweptProducers = 2;  // looked at with each new record,
constexpr uint32_t kSweptRecords = 64;   // and so many of each go at most

uint32_t HashOf(std::string_view text) { return static_cast<uint32_t>(HashBytes(text)); }

// A fixed-size part followed by a text.
template <class T>
T* NewNamed(CountedHeap& heap, std::string_view text) {
  T* named = new (heap.Allocate(sizeof(T) + text.size())) T();
  if (!text.empty()) memcpy(static_cast<void*>(named + 1), text.data(), text.size());
  return named;
}

bool IsOver(const StreamProducers& producers, const StreamRecord& record, int64_t now_ms) {
  return record.at_ms <= now_ms - int64_t{producers.duration_s} * 1000;
}

StreamProducer* FindProducer(const StreamProducers& producers, std::string_view pid) {
  uint32_t place = producers.places.Find(HashOf(pid), [&](uint32_t at) { return producers.list[at]->pid() == pid; });
  return place != PlaceTable::kNone ? producers.list[place] : nullptr;
}

// The record's place; PlaceTable::kNone.
uint32_t PlaceOf(const StreamProducer& producer, std::string_view iid) {
  return producer.places.Find(HashOf(iid), [&](uint32_t place) { return producer.ring[place]->iid() == iid; });
}

StreamProducer* NewProducer(Stream& stream, std::string_view pid) {
  StreamProducers& producers = *stream.producers;
  CountedHeap& heap = stream.heap;
  if (producers.count == producers.capacity) {
    uint32_t capacity = std::max(1u, producers.capacity * 2);
    size_t bytes = capacity * sizeof(StreamProducer*);
    producers.list = static_cast<StreamProducer**>(
        producers.list == nullptr ? heap.Allocate(bytes)
                                  : heap.Replace(producers.list, bytes, producers.count * sizeof(StreamProducer*)));
    producers.capacity = capacity;
  }
  auto* producer = NewNamed<StreamProducer>(heap, pid);
  producer->pid_size = static_cast<uint32_t>(pid.size());
  try {
    producers.places.Insert(heap, HashOf(pid), producers.count);
  } catch (const std::bad_alloc&) {
    heap.Free(producer);
    throw;
  }
  producers.list[producers.count++] = producer;
  return producer;
}

void GrowRing(CountedHeap& heap, StreamProducer& producer) {
  uint32_t capacity = std::max(1u, producer.capacity * 2);
  auto** ring = static_cast<StreamRecord**>(heap.Allocate(capacity * sizeof(StreamRecord*)));
  PlaceTable places;
  try {
    for (uint32_t i = 0; i < producer.count; i++) {
      ring[i] = producer.ring[producer.PlaceAt(i)];
      places.Insert(heap, HashOf(ring[i]->iid()), i);
    }
  } catch (const std::bad_alloc&) {
    places.Free(heap);
    heap.Free(ring);
    throw;
  }
  producer.places.Free(heap);
  if (producer.ring != nullptr) heap.Free(producer.ring);
  producer.places = places;
  producer.ring = ring;
  producer.capacity = capacity;
  producer.first = 0;
}

// Frees the oldest or the newest record, which lies at that place.
void FreeRecord(Stream& stream, StreamProducer& producer, uint32_t place) {
  StreamRecord* record = producer.ring[place];
  producer.places.Erase(stream.heap, HashOf(record->iid()), place);
  stream.heap.Free(record);
  if (place == producer.first) producer.first = producer.PlaceAt(1);
  producer.count--;
  stream.producers->records--;
}

void DropOldest(Stream& stream, StreamProducer& producer) { FreeRecord(stream, producer, producer.first); }

void DropOld(Stream& stream, StreamProducer& producer, int64_t now_ms, uint32_t most) {
  for (; most > 0 && producer.count > 0 && IsOver(*stream.producers, producer.At(0), now_ms); most--) {
    DropOldest(stream, producer);
  }
}

// The producer has no records. The last of the list takes its place.
void RemoveProducer(Stream& stream, uint32_t place) {
  StreamProducers& producers = *stream.producers;
  StreamProducer* producer = producers.list[place];
  producers.places.Erase(stream.heap, HashOf(producer->pid()), place);
  uint32_t last = --producers.count;
  if (place != last) {
    producers.list[place] = producers.list[last];
    producers.places.Move(HashOf(producers.list[place]->pid()), last, place);
  }
  producer->places.Free(stream.heap);
  if (producer->ring != nullptr) stream.heap.Free(producer->ring);
  stream.heap.Free(producer);
}

// Producers that are not heard of again would keep what they have: each new record has the next few looked at.
void Sweep(Stream& stream, int64_t now_ms) {
  StreamProducers& producers = *stream.producers;
  for (uint32_t i = 0; i < kSweptProducers && producers.count > 0; i++) {
    if (producers.sweep >= producers.count) producers.sweep = 0;
    StreamProducer& producer = *producers.list[producers.sweep];
    DropOld(stream, producer, now_ms, kSweptRecords);
    if (producer.count > 0) {
      producers.sweep++;
    } else {
      RemoveProducer(stream, producers.sweep);
    }
  }
}

void FreeArrays(Stream& stream) {
  StreamProducers& producers = *stream.producers;
  producers.places.Free(stream.heap);
  if (producers.list != nullptr) stream.heap.Free(producers.list);
  producers.list = nullptr;
  producers.capacity = 0;
  producers.sweep = 0;
}

}  // namespace

StreamProducers& ProducersOf(Stream& stream) {
  if (stream.producers != nullptr) return *stream.producers;
  stream.producers = new (stream.heap.Allocate(sizeof(StreamProducers))) StreamProducers();
  stream.producers->duration_s = encoding_limits.stream_idmp_duration_s;
  stream.producers->maxsize = encoding_limits.stream_idmp_maxsize;
  streams_with_producers.fetch_add(1, std::memory_order_relaxed);
  return *stream.producers;
}

const StreamRecord* FindRecord(const Stream& stream, std::string_view pid, std::string_view iid, int64_t now_ms) {
  if (stream.producers == nullptr) return nullptr;
  const StreamProducer* producer = FindProducer(*stream.producers, pid);
  if (producer == nullptr) return nullptr;
  uint32_t place = PlaceOf(*producer, iid);
  if (place == PlaceTable::kNone) return nullptr;
  const StreamRecord* record = producer->ring[place];
  return IsOver(*stream.producers, *record, now_ms) ? nullptr : record;
}

void AddRecord(Stream& stream, std::string_view pid, std::string_view iid, StreamId id, int64_t now_ms) {
  StreamProducers& producers = ProducersOf(stream);
  Sweep(stream, now_ms);
  StreamProducer* producer = FindProducer(producers, pid);
  if (producer == nullptr) producer = NewProducer(stream, pid);
  DropOld(stream, *producer, now_ms, UINT32_MAX);
  while (producer->count >= producers.maxsize) DropOldest(stream, *producer);
  if (producer->count == producer->capacity) GrowRing(stream.heap, *producer);
  auto* record = NewNamed<StreamRecord>(stream.heap, iid);
  record->id = id;
  record->iid_size = static_cast<uint32_t>(iid.size());
  // Entries of ids that are ahead of the clock have no more time than others; and a clock that goes back leaves the
  // ring in order.
  record->at_ms = static_cast<int64_t>(std::min(id.ms, static_cast<uint64_t>(std::max<int64_t>(now_ms, 0))));
  if (producer->count > 0) record->at_ms = std::max(record->at_ms, producer->At(producer->count - 1).at_ms);
  uint32_t place = producer->PlaceAt(producer->count);
  try {
    producer->places.Insert(stream.heap, HashOf(iid), place);
  } catch (const std::bad_alloc&) {
    stream.heap.Free(record);
    throw;
  }
  producer->ring[place] = record;
  producer->count++;
  producers.records++;
  producers.added++;
}

void ForgetNewest(Stream& stream, std::string_view pid) {
  StreamProducer& producer = *FindProducer(*stream.producers, pid);
  FreeRecord(stream, producer, producer.PlaceAt(producer.count - 1));
  stream.producers->added--;
}

void DropUpTo(Stream& stream, std::string_view pid, std::string_view iid) {
  StreamProducer* producer = stream.producers != nullptr ? FindProducer(*stream.producers, pid) : nullptr;
  if (producer == nullptr) return;
  uint32_t place = PlaceOf(*producer, iid);
  if (place == PlaceTable::kNone) return;
  while (producer->first != place) DropOldest(stream, *producer);
  DropOldest(stream, *producer);
}

void SetProducerLimits(Stream& stream, uint32_t duration_s, uint32_t maxsize) {
  StreamProducers& producers = ProducersOf(stream);
  if (producers.duration_s == duration_s && producers.maxsize == maxsize) return;
  producers.duration_s = duration_s;
  producers.maxsize = maxsize;
  while (producers.count > 0) {
    StreamProducer& last = *producers.list[producers.count - 1];
    while (last.count > 0) DropOldest(stream, last);
    RemoveProducer(stream, producers.count - 1);
  }
  FreeArrays(stream);
}

ProducerCounts CountProducers(const Stream& stream, int64_t now_ms) {
  constexpr uint32_t kCountedMost = 10000;
  ProducerCounts counts;
  if (stream.producers == nullptr) return counts;
  const StreamProducers& producers = *stream.producers;
  if (producers.count > kCountedMost) return {producers.count, producers.records};
  for (uint32_t i = 0; i < producers.count; i++) {
    const StreamProducer& producer = *producers.list[i];
    // Ages below `low` are over, from `high` on they are not.
    uint32_t low = 0;
    for (uint32_t high = producer.count; low < high;) {
      uint32_t middle = low + (high - low) / 2;
      IsOver(producers, producer.At(middle), now_ms) ? low = middle + 1 : high = middle;
    }
    counts.producers += low < producer.count ? 1 : 0;
    counts.records += producer.count - low;
  }
  return counts;
}

// ---- memory

bool FreeProducersSome(Stream& stream, size_t* blocks) {
  if (stream.producers == nullptr) return true;
  StreamProducers& producers = *stream.producers;
  CountedHeap& heap = stream.heap;
  for (; producers.count > 0; producers.count--) {
    StreamProducer* last = producers.list[producers.count - 1];
    for (; last->count > 0; last->count--) {
      if (*blocks == 0) return false;
      heap.Free(last->ring[last->PlaceAt(last->count - 1)]);
      --*blocks;
    }
    if (*blocks == 0) return false;
    last->places.Free(heap);
    if (last->ring != nullptr) heap.Free(last->ring);
    heap.Free(last);
    --*blocks;
  }
  FreeArrays(stream);
  heap.Free(stream.producers);
  stream.producers = nullptr;
  streams_with_producers.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

size_t TidyProducer(CountedHeap& heap, StreamProducer*& producer) {
  producer = heap.Moved(producer);
  producer->places.Tidy(heap);
  if (producer->ring != nullptr) producer->ring = heap.Moved(producer->ring);
  for (uint32_t i = 0; i < producer->count; i++) {
    StreamRecord*& record = producer->ring[producer->PlaceAt(i)];
    record = heap.Moved(record);
  }
  return producer->count + 3;
}

namespace {

StreamProducer* CopyProducer(CountedHeap& heap, const StreamProducer* from) {
  StreamProducer* copy = heap.Copied(from, sizeof(StreamProducer) + from->pid_size);
  copy->places = from->places.Copy(heap);
  if (from->ring == nullptr) return copy;
  copy->ring = heap.Copied(from->ring, from->capacity * sizeof(StreamRecord*));
  for (uint32_t i = 0; i < from->count; i++) {
    StreamRecord*& record = copy->ring[from->PlaceAt(i)];
    record = heap.Copied(record, sizeof(StreamRecord) + record->iid_size);
  }
  return copy;
}

}  // namespace

StreamProducers* CopyProducers(CountedHeap& heap, const StreamProducers& from) {
  StreamProducers* copy = heap.Copied(&from, sizeof(StreamProducers));
  streams_with_producers.fetch_add(1, std::memory_order_relaxed);
  copy->places = from.places.Copy(heap);
  if (from.list == nullptr) return copy;
  copy->list = heap.Copied(from.list, from.capacity * sizeof(StreamProducer*));
  for (uint32_t i = 0; i < from.count; i++) copy->list[i] = CopyProducer(heap, from.list[i]);
  return copy;
}

}  // namespace brim
