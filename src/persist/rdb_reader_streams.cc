// Streams of RDB files: types 15 (redis-server 5), 19 (7.0), 21 (7.2) and 26 (8.6).
#include <algorithm>
#include <chrono>
#include <cstring>

#include "persist/rdb_format.h"
#include "persist/rdb_reader.h"
#include "types/limits.h"
#include "types/stream_producers.h"

namespace brim {

namespace {

// 16 bytes, the most significant first.
StreamId FromBigEndian(const char* bytes) {
  StreamId id;
  memcpy(&id.ms, bytes, sizeof id.ms);
  memcpy(&id.seq, bytes + sizeof id.ms, sizeof id.seq);
  id.ms = __builtin_bswap64(id.ms);
  id.seq = __builtin_bswap64(id.seq);
  return id;
}

}  // namespace

bool RdbReader::RawId(StreamId* id) {
  char bytes[sizeof(StreamId)];
  if (!Raw(bytes, sizeof bytes)) return false;
  *id = FromBigEndian(bytes);
  return true;
}

// `last`: the last entry's id so far.
bool RdbReader::StreamNode(brim::Stream& stream, StreamId* last) {
  if (!String(&other_) || !String(&text_)) return false;
  if (other_.size() != sizeof(StreamId)) return Fail("the id of a stream's node");
  StreamId master = FromBigEndian(other_.data());
  size_t live;
  bool first = stream.nodes.empty();
  if (!stream_node::IsValid(reinterpret_cast<const uint8_t*>(text_.data()), text_.size(), master, first, last, &live)) {
    return Fail("a stream's node");
  }
  StreamAddNode(stream, master, text_);
  stream.length += live;
  return true;
}

bool RdbReader::StreamPending(brim::Stream& stream, brim::StreamGroup& group) {
  uint64_t count;
  if (!Length(&count)) return false;
  for (uint64_t i = 0; i < count; i++) {
    StreamId id;
    int64_t delivered_ms;
    uint64_t deliveries;
    if (!RawId(&id) || !Raw(&delivered_ms, sizeof delivered_ms) || !Length(&deliveries)) return false;
    if (!LoadNack(stream, group, id, delivered_ms, deliveries)) return Fail("a pending entry that is named twice");
  }
  return true;
}

bool RdbReader::StreamConsumer(uint8_t type, brim::Stream& stream, brim::StreamGroup& group) {
  if (!String(&text_)) return false;
  brim::StreamConsumer* consumer = CreateConsumer(stream, group, text_, 0);
  if (consumer == nullptr) return Fail("a consumer that is named twice");
  if (!Raw(&consumer->seen_ms, sizeof consumer->seen_ms)) return false;
  consumer->active_ms = consumer->seen_ms;
  if (type >= rdb::kStreamListpacks3 && !Raw(&consumer->active_ms, sizeof consumer->active_ms)) return false;
  uint64_t count;
  if (!Length(&count)) return false;
  for (uint64_t i = 0; i < count; i++) {
    StreamId id;
    if (!RawId(&id)) return false;
    if (!LoadPending(stream, group, *consumer, id)) return Fail("a consumer's entry that is not pending");
  }
  return true;
}

bool RdbReader::StreamGroup(uint8_t type, brim::Stream& stream) {
  StreamId last_id;
  uint64_t read;
  if (!String(&text_) || !Id(&last_id)) return false;
  auto entries_read = EntriesReadAt(stream, last_id);
  if (type >= rdb::kStreamListpacks2) {
    if (!Length(&read)) return false;
    entries_read = static_cast<int64_t>(read);
  }
  brim::StreamGroup* group = CreateGroup(stream, text_, last_id, entries_read);
  if (group == nullptr) return Fail("a group that is named twice");
  uint64_t consumers;
  if (!StreamPending(stream, *group) || !Length(&consumers)) return false;
  for (uint64_t i = 0; i < consumers; i++) {
    if (!StreamConsumer(type, stream, *group)) return false;
  }
  return AllNacksOwned(*group) || Fail("a pending entry without a consumer");
}

// Records are as old as their entries, but for those of entries ahead of the clock.
bool RdbReader::StreamProducers(brim::Stream& stream) {
  using Clock = std::chrono::system_clock;
  auto now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
  brim::StreamProducers& all = ProducersOf(stream);
  uint64_t duration_s;
  uint64_t maxsize;
  uint64_t producers;
  if (!Length(&duration_s) || !Length(&maxsize) || !Length(&producers)) return false;
  all.duration_s = static_cast<uint32_t>(std::clamp<uint64_t>(duration_s, 1, kIdmpDurationMax));
  all.maxsize = static_cast<uint32_t>(std::clamp<uint64_t>(maxsize, 1, kIdmpMaxSizeMax));
  for (uint64_t i = 0; i < producers; i++) {
    uint64_t records;
    if (!String(&other_) || !Length(&records)) return false;
    for (uint64_t j = 0; j < records; j++) {
      StreamId id;
      if (!String(&text_) || !Id(&id)) return false;
      if (other_.empty() || text_.empty()) return Fail("an empty idempotent id");
      auto at_ms = static_cast<int64_t>(std::min(id.ms, static_cast<uint64_t>(now_ms)));
      if (FindRecord(stream, other_, text_, at_ms) != nullptr) return Fail("an idempotent id that is named twice");
      DropUpTo(stream, other_, text_);
      AddRecord(stream, other_, text_, id, at_ms);
    }
  }
  return Length(&all.added) && Length(&all.duplicates);
}

bool RdbReader::Stream(uint8_t type, Value& value) {
  auto& stream = *value.As<brim::Stream>();
  uint64_t nodes;
  if (!Length(&nodes)) return false;
  StreamId last;
  for (uint64_t i = 0; i < nodes; i++) {
    if (!StreamNode(stream, &last)) return false;
  }
  // The entries themselves say how many there are and which is the first.
  uint64_t length;
  StreamId first_id;
  if (!Length(&length) || !Id(&stream.last_id)) return false;
  StreamFindFirst(stream);
  stream.entries_added = stream.length;
  if (type >= rdb::kStreamListpacks2) {
    if (!Id(&first_id) || !Id(&stream.max_deleted_id) || !Length(&stream.entries_added)) return false;
  }
  if (stream.last_id < last) stream.last_id = last;
  uint64_t groups;
  if (!Length(&groups)) return false;
  for (uint64_t i = 0; i < groups; i++) {
    if (!StreamGroup(type, stream)) return false;
  }
  return type < rdb::kStreamListpacks4 || StreamProducers(stream);
}

}  // namespace brim
