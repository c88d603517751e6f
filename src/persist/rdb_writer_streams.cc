// Streams as RDB files have them: types 19 (redis-server 7.0) and 26 (8.6).
#include "persist/rdb_format.h"
#include "persist/rdb_writer.h"

namespace brim {

namespace {

enum Stage : int { kNew, kNodes, kGroup, kPending, kConsumer, kPendingOfConsumer };

// An id as 16 bytes, the most significant first.
struct BigEndianId {
  explicit BigEndianId(StreamId id) : ms(__builtin_bswap64(id.ms)), seq(__builtin_bswap64(id.seq)) {}
  std::string_view view() const { return {reinterpret_cast<const char*>(this), sizeof *this}; }
  uint64_t ms;
  uint64_t seq;
};

}  // namespace

// Some nodes from place->id on; kGroup when they are all written.
void RdbWriter::StreamNodes(const Stream& stream, WritePlace* place) {
  size_t end = out_.size() + kBytesAStep;
  IdTree::Cursor node = stream.nodes.From(place->id);
  for (; node && out_.size() < end; node.Next()) {
    const uint8_t* bytes = StreamNodeAt(node.payload());
    String(BigEndianId(node.id()).view());
    if (stream_node::IsSealed(bytes)) {
      stream_node::Unseal(bytes, node.id(), &listpack_);
      String(listpack_);
    } else {
      String({reinterpret_cast<const char*>(bytes), stream_node::Bytes(bytes)});
    }
  }
  if (node) {
    place->id = node.id();
    return;
  }
  Length(stream.length);
  Id(stream.last_id);
  Id(stream.first_id);
  Id(stream.max_deleted_id);
  Length(stream.entries_added);
  Length(stream.group_count);
  place->stage = kGroup;
}

// Some of the group's deliveries from place->id on; kConsumer when they are all written.
void RdbWriter::StreamPending(const StreamGroup& group, WritePlace* place) {
  IdTree::Cursor at = group.pending.From(place->id);
  for (size_t i = 0; at && i < kElementsAStep; at.Next(), i++) {
    out_ += BigEndianId(at.id()).view();
    StreamNack nack = NackAt(at.payload());
    Raw(&nack.delivered_ms, sizeof nack.delivered_ms);
    Length(nack.deliveries);
  }
  if (at) {
    place->id = at.id();
    return;
  }
  Length(group.consumer_count);
  place->consumer = 0;
  place->stage = kConsumer;
}

void RdbWriter::StreamConsumer(const brim::StreamConsumer& consumer, bool with_active) {
  String(consumer.name());
  Raw(&consumer.seen_ms, sizeof consumer.seen_ms);
  if (with_active) Raw(&consumer.active_ms, sizeof consumer.active_ms);
  Length(consumer.pending.size());
}

void RdbWriter::StreamPendingOf(const brim::StreamConsumer& consumer, WritePlace* place) {
  IdTree::Cursor at = consumer.pending.From(place->id);
  for (size_t i = 0; at && i < kElementsAStep; at.Next(), i++) out_ += BigEndianId(at.id()).view();
  if (at) {
    place->id = at.id();
    return;
  }
  place->consumer++;
  place->stage = kConsumer;
}

// Each producer's oldest record first.
void RdbWriter::StreamProducers(const brim::StreamProducers& producers) {
  Length(producers.duration_s);
  Length(producers.maxsize);
  Length(producers.count);
  for (uint32_t i = 0; i < producers.count; i++) {
    const StreamProducer& producer = *producers.list[i];
    String(producer.pid());
    Length(producer.count);
    for (uint32_t age = 0; age < producer.count; age++) {
      String(producer.At(age).iid());
      Id(producer.At(age).id);
    }
  }
  Length(producers.added);
  Length(producers.duplicates);
}

bool RdbWriter::StreamStep(const Value& value, WritePlace* place) {
  const auto& stream = *value.As<Stream>();
  switch (place->stage) {
    case kNew:
      Length(stream.nodes.size());
      place->stage = kNodes;
      [[fallthrough]];
    case kNodes:
      StreamNodes(stream, place);
      return false;
    case kGroup: {
      if (place->group == stream.group_count) {
        if (stream.producers != nullptr) StreamProducers(*stream.producers);
        return true;
      }
      const StreamGroup& group = *stream.groups[place->group];
      String(group.name());
      Id(group.last_id);
      Length(static_cast<uint64_t>(group.entries_read));
      Length(group.pending.size());
      place->id = StreamId();
      place->stage = kPending;
      return false;
    }
    case kPending:
      StreamPending(*stream.groups[place->group], place);
      return false;
    case kConsumer: {
      const StreamGroup& group = *stream.groups[place->group];
      if (place->consumer == group.consumer_count) {
        place->group++;
        place->stage = kGroup;
        return false;
      }
      StreamConsumer(*ConsumerAt(group, place->consumer), TypeOf(value) >= rdb::kStreamListpacks3);
      place->id = StreamId();
      place->stage = kPendingOfConsumer;
      return false;
    }
    default:
      StreamPendingOf(*ConsumerAt(*stream.groups[place->group], place->consumer), place);
      return false;
  }
}

}  // namespace brim
