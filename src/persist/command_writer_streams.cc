// Streams as commands.
#include <string>
#include <string_view>

#include "base/numbers.h"
#include "persist/command_writer.h"
#include "resp/request.h"

namespace brim {

namespace {

enum Stage : int { kNew, kEntries, kGroup, kConsumer, kPending };

// A number's text, for as long as the object lives.
class NumberText {
 public:
  explicit NumberText(int64_t number) : size_(static_cast<size_t>(FormatInt64(number, text_))) {}
  std::string_view view() const { return {text_, size_}; }

 private:
  char text_[24];
  size_t size_;
};

}  // namespace

// Some entries from place->id on; kGroup when they are all written.
void CommandWriter::StreamEntries(const KeyRef& ref, WritePlace* place) {
  char buffer[24];
  StreamEntry entry;
  StreamRange range(*ref.As<Stream>(), place->id, StreamId::Max());
  for (size_t end = out_.size() + kBytesAStep; out_.size() < end;) {
    if (!range.Next(&entry)) {
      place->stage = kGroup;
      return;
    }
    BeginRequest(&out_, 3 + 2 * entry.pairs);
    AppendWord(&out_, "XADD");
    AppendWord(&out_, ref.key());
    AppendWord(&out_, StreamIdText(entry.id).view());
    entry.ForEachPair([&](const listpack::Item& field, const listpack::Item& value) {
      AppendWord(&out_, field.Text(buffer));
      AppendWord(&out_, value.Text(buffer));
    });
    place->id = entry.id;
    if (!place->id.Increment()) {
      place->stage = kGroup;
      return;
    }
  }
}

void CommandWriter::StreamIds(std::string_view key, const Stream& stream) {
  if (stream.length == 0) {
    // An entry that goes as it comes leaves an empty stream.
    std::string_view words[] = {"XADD", key, "MAXLEN", "0", "0-1", "x", "y"};
    AppendRequest(&out_, words);
  }
  StreamIdText last_id(stream.last_id);
  StreamIdText max_deleted_id(stream.max_deleted_id);
  NumberText added(static_cast<int64_t>(stream.entries_added));
  std::string_view words[] = {
      "XSETID", key, last_id.view(), "ENTRIESADDED", added.view(), "MAXDELETEDID", max_deleted_id.view()};
  AppendRequest(&out_, words);
}

// Those of entries that are gone, too: whether an entry is there is not asked of what is replayed.
void CommandWriter::StreamProducers(std::string_view key, const brim::StreamProducers& producers) {
  std::string duration = std::to_string(producers.duration_s);
  std::string maxsize = std::to_string(producers.maxsize);
  std::string_view limits[] = {"XCFGSET", key, "IDMP-DURATION", duration, "IDMP-MAXSIZE", maxsize};
  AppendRequest(&out_, limits);
  for (uint32_t i = 0; i < producers.count; i++) {
    const StreamProducer& producer = *producers.list[i];
    for (uint32_t age = 0; age < producer.count; age++) {
      const StreamRecord& record = producer.At(age);
      StreamIdText id(record.id);
      std::string_view words[] = {"XIDMPRECORD", key, producer.pid(), record.iid(), id.view()};
      AppendRequest(&out_, words);
    }
  }
}

void CommandWriter::CreateGroup(std::string_view key, const StreamGroup& group) {
  StreamIdText last_id(group.last_id);
  NumberText entries_read(group.entries_read);
  std::string_view words[] = {"XGROUP",      "CREATE",           key, group.name(), last_id.view(),
                              "ENTRIESREAD", entries_read.view()};
  AppendRequest(&out_, words);
}

// What is pending of entries that were deleted cannot be said in commands, and is left out as redis-server does.
void CommandWriter::StreamPending(std::string_view key, const StreamGroup& group, WritePlace* place) {
  const StreamConsumer& consumer = *ConsumerAt(group, place->consumer);
  IdTree::Cursor at = consumer.pending.From(place->id);
  for (size_t i = 0; at && i < kElementsAStep; at.Next(), i++) {
    StreamNack nack;
    GetNack(group, at.id(), &nack);
    StreamIdText id(at.id());
    NumberText delivered(nack.delivered_ms);
    NumberText deliveries(static_cast<int64_t>(nack.deliveries));
    std::string_view words[] = {"XCLAIM",  key,    group.name(),     consumer.name(), "0",
                                id.view(), "TIME", delivered.view(), "RETRYCOUNT",    deliveries.view(),
                                "JUSTID",  "FORCE"};
    AppendRequest(&out_, words);
  }
  if (at) {
    place->id = at.id();
    return;
  }
  place->consumer++;
  place->stage = kConsumer;
}

bool CommandWriter::StreamStep(const KeyRef& ref, WritePlace* place) {
  const auto& stream = *ref.As<Stream>();
  switch (place->stage) {
    case kNew:
      place->stage = kEntries;
      [[fallthrough]];
    case kEntries:
      StreamEntries(ref, place);
      if (place->stage == kEntries) return false;
      StreamIds(ref.key(), stream);
      if (stream.producers != nullptr) StreamProducers(ref.key(), *stream.producers);
      return stream.group_count == 0;
    case kGroup:
      if (place->group == stream.group_count) return true;
      CreateGroup(ref.key(), *stream.groups[place->group]);
      place->consumer = 0;
      place->stage = kConsumer;
      return false;
    case kConsumer: {
      const StreamGroup& group = *stream.groups[place->group];
      if (place->consumer == group.consumer_count) {
        place->group++;
        place->stage = kGroup;
        return false;
      }
      std::string_view words[] = {"XGROUP", "CREATECONSUMER", ref.key(), group.name(),
                                  ConsumerAt(group, place->consumer)->name()};
      AppendRequest(&out_, words);
      place->id = StreamId();
      place->stage = kPending;
      return false;
    }
    default:
      StreamPending(ref.key(), *stream.groups[place->group], place);
      return false;
  }
}

}  // namespace brim
