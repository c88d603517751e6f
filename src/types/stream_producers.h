#pragma once
// Idempotent adding to a stream: under which idempotent id (iid) of which producer (pid) an entry was added lately, so
// that who sends it again gets the id of the first.
//
//   StreamProducers:  limits | counters | producers, in no order | index: hash of the pid > place
//   StreamProducer:   ring of records, the oldest first | index: hash of the iid > place | pid
//   StreamRecord:     id of the entry | when it was added | iid
//
// A stream gets them with its first iid or its own limits (XCFGSET); all others have a null pointer. Records go when
// they are too old, as their producer or the sweep of another meets them, or when their producer has too many. No block
// knows its own address, so that all can be moved. Blocks are the stream's (Stream::heap). All calls need the lock of
// its shard.
#include <atomic>
#include <cstdint>
#include <string_view>

#include "types/place_table.h"
#include "types/stream.h"

namespace brim {

struct StreamRecord {
  StreamId id;
  int64_t at_ms = 0;
  uint32_t iid_size = 0;
  std::string_view iid() const { return {reinterpret_cast<const char*>(this + 1), iid_size}; }
};

struct StreamProducer {
  StreamRecord** ring = nullptr;
  uint32_t capacity = 0;  // a power of two
  uint32_t first = 0;     // place of the oldest record
  uint32_t count = 0;
  uint32_t pid_size = 0;
  PlaceTable places;
  std::string_view pid() const { return {reinterpret_cast<const char*>(this + 1), pid_size}; }
  // Of the record that has `age` older ones before it.
  uint32_t PlaceAt(uint32_t age) const { return (first + age) & (capacity - 1); }
  const StreamRecord& At(uint32_t age) const { return *ring[PlaceAt(age)]; }
};

struct StreamProducers {
  uint32_t duration_s = 0;  // a record lasts
  uint32_t maxsize = 0;     // records of one producer
  uint64_t added = 0;       // records ever
  uint64_t duplicates = 0;  // that were found
  StreamProducer** list = nullptr;
  uint32_t count = 0;
  uint32_t capacity = 0;
  uint32_t sweep = 0;  // the producer whose old records are looked for next
  PlaceTable places;
  size_t records = 0;
};

// Streams of the process that have StreamProducers: a snapshot says so at its beginning.
inline std::atomic<int64_t> streams_with_producers{0};

// The stream's, made with the settings' limits when it has none.
StreamProducers& ProducersOf(Stream& stream);
// The record of that iid, null when there is none or its time is over. O(1).
const StreamRecord* FindRecord(const Stream& stream, std::string_view pid, std::string_view iid, int64_t now_ms);
// Adds a record for an iid that FindRecord does not find. What is too old goes before, and the producer's oldest one
// where it has as many as it may. O(1), but for what goes.
void AddRecord(Stream& stream, std::string_view pid, std::string_view iid, StreamId id, int64_t now_ms);
// Takes back what AddRecord has just added.
void ForgetNewest(Stream& stream, std::string_view pid);
// Removes this record, if there is one, and all of its producer that are older.
void DropUpTo(Stream& stream, std::string_view pid, std::string_view iid);
// Sets the limits; the records go when that changes one. O(records) then.
void SetProducerLimits(Stream& stream, uint32_t duration_s, uint32_t maxsize);

struct ProducerCounts {
  size_t producers = 0;
  size_t records = 0;
};
// Those whose time is not over; with more than 10000 producers all that are there. O(producers).
ProducerCounts CountProducers(const Stream& stream, int64_t now_ms);

// --- for types/stream_memory.cc
// Frees up to *blocks blocks and counts them down. True when nothing is left.
bool FreeProducersSome(Stream& stream, size_t* blocks);
// Moves the blocks of a producer out of pages that are being emptied; returns how many it has.
size_t TidyProducer(CountedHeap& heap, StreamProducer*& producer);
StreamProducers* CopyProducers(CountedHeap& heap, const StreamProducers& from);

}  // namespace brim
