#include "persist/command_writer.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "base/numbers.h"
#include "resp/request.h"
#include "types/hash_expiry.h"
#include "types/list.h"
#include "types/set.h"
#include "types/string.h"
#include "types/zset.h"

namespace brim {

namespace {

constexpr size_t kElementsAtOnce = 64;  // as many as redis-server has in one command

// The commands that add a number of elements to one key. Next goes before each element, then come its words.
class Elements {
 public:
  Elements(std::string* out, std::string_view name, std::string_view key, size_t count, size_t words_each)
      : out_(out), name_(name), key_(key), left_(count), words_each_(words_each) {}
  void Next() {
    if (room_ == 0) {
      room_ = std::min(left_, kElementsAtOnce);
      left_ -= room_;
      BeginRequest(out_, 2 + room_ * words_each_);
      AppendWord(out_, name_);
      AppendWord(out_, key_);
    }
    room_--;
  }

 private:
  std::string* out_;
  std::string_view name_;
  std::string_view key_;
  size_t left_;  // not in a command that has begun
  size_t words_each_;
  size_t room_ = 0;  // in the command that has begun
};

void AppendScore(std::string* out, double score) {
  char text[40];
  AppendWord(out, {text, static_cast<size_t>(FormatDouble17(score, text))});
}

bool IsNegativeZero(double score) { return score == 0 && std::signbit(score); }

}  // namespace

void CommandWriter::TimeStamp(int64_t now_s) { out_ += "#TS:" + std::to_string(now_s) + "\r\n"; }

void CommandWriter::Function(std::string_view text) {
  std::string_view words[] = {"FUNCTION", "LOAD", text};
  AppendRequest(&out_, words);
}

void CommandWriter::SelectDb(int db) {
  std::string number = std::to_string(db);
  std::string_view words[] = {"SELECT", number};
  AppendRequest(&out_, words);
}

// A set that is loaded has a listpack as long as it is small, and a listpack knows no negative zero. So members with
// that score get another one first, and theirs when all members are there.
void CommandWriter::Zset(const KeyRef& ref) {
  Elements all(&out_, "ZADD", ref.key(), ZsetLength(ref), 2);
  ZsetForEach(ref, [&](std::string_view member, double score) {
    all.Next();
    AppendScore(&out_, IsNegativeZero(score) ? 1 : score);
    AppendWord(&out_, member);
    return true;
  });
  ZsetRanks zeros = ZsetRanksOf(ref, ZsetScoreRange());
  size_t negative = 0;
  ZsetForRanks(ref, zeros, false, [&](std::string_view, double score) {
    negative += IsNegativeZero(score) ? 1 : 0;
    return true;
  });
  Elements again(&out_, "ZADD", ref.key(), negative, 2);
  ZsetForRanks(ref, zeros, false, [&](std::string_view member, double score) {
    if (!IsNegativeZero(score)) return true;
    again.Next();
    AppendScore(&out_, score);
    AppendWord(&out_, member);
    return true;
  });
}

// The pairs, then the times of the fields that have one: neighbours with the same go together.
void CommandWriter::Hash(const KeyRef& ref) {
  Elements elements(&out_, "HMSET", ref.key(), HashLength(ref), 2);
  HashForEach(ref, [&](std::string_view field, std::string_view text) {
    elements.Next();
    AppendWord(&out_, field);
    AppendWord(&out_, text);
  });
  if (!HashIsTimed(ref)) return;
  std::vector<std::string> fields;
  int64_t common_ms = kNoTime;
  auto flush = [&] {
    if (fields.empty()) return;
    std::string time = std::to_string(common_ms);
    std::string count = std::to_string(fields.size());
    std::vector<std::string_view> words = {"HPEXPIREAT", ref.key(), time, "FIELDS", count};
    words.insert(words.end(), fields.begin(), fields.end());
    AppendRequest(&out_, words);
    fields.clear();
  };
  HashForEachTimed(ref, [&](std::string_view field, std::string_view, int64_t at_ms) {
    if (at_ms == kNoTime) return;
    if (at_ms != common_ms || fields.size() == kElementsAtOnce) flush();
    common_ms = at_ms;
    fields.emplace_back(field);
  });
  flush();
}

// What is pending of entries that were deleted cannot be said in commands, and is left out as redis-server does.
void CommandWriter::StreamGroup(std::string_view key, const brim::StreamGroup& group) {
  char number[24];
  auto text = [&number](int64_t n) { return std::string_view(number, static_cast<size_t>(FormatInt64(n, number))); };
  std::string_view create[] = {"XGROUP", "CREATE", key, group.name(), {}, "ENTRIESREAD", text(group.entries_read)};
  StreamIdText last_id(group.last_id);
  create[4] = last_id.view();
  AppendRequest(&out_, create);
  for (size_t i = 0; i < group.consumer_count; i++) {
    const StreamConsumer& consumer = *ConsumerAt(group, i);
    std::string_view consumer_words[] = {"XGROUP", "CREATECONSUMER", key, group.name(), consumer.name()};
    AppendRequest(&out_, consumer_words);
    for (IdTree::Cursor at = consumer.pending.First(); at; at.Next()) {
      StreamNack nack;
      GetNack(group, at.id(), &nack);
      StreamIdText id(at.id());
      char count[24];
      std::string_view count_text(count,
                                  static_cast<size_t>(FormatInt64(static_cast<int64_t>(nack.deliveries), count)));
      std::string_view claim[] = {"XCLAIM",     key,        group.name(), consumer.name(),
                                  "0",          id.view(),  "TIME",       text(nack.delivered_ms),
                                  "RETRYCOUNT", count_text, "JUSTID",     "FORCE"};
      AppendRequest(&out_, claim);
    }
  }
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

void CommandWriter::Stream(const KeyRef& ref) {
  const auto& stream = *ref.As<brim::Stream>();
  char buffer[24];
  StreamEntry entry;
  StreamRange range(stream, StreamId(), StreamId::Max());
  while (range.Next(&entry)) {
    BeginRequest(&out_, 3 + 2 * entry.pairs);
    AppendWord(&out_, "XADD");
    AppendWord(&out_, ref.key());
    AppendWord(&out_, StreamIdText(entry.id).view());
    entry.ForEachPair([&](const listpack::Item& field, const listpack::Item& value) {
      AppendWord(&out_, field.Text(buffer));
      AppendWord(&out_, value.Text(buffer));
    });
  }
  if (stream.length == 0) {
    // An entry that goes as it comes leaves an empty stream.
    std::string_view words[] = {"XADD", ref.key(), "MAXLEN", "0", "0-1", "x", "y"};
    AppendRequest(&out_, words);
  }
  StreamIdText last_id(stream.last_id);
  StreamIdText max_deleted_id(stream.max_deleted_id);
  auto added = static_cast<size_t>(FormatInt64(static_cast<int64_t>(stream.entries_added), buffer));
  std::string_view words[] = {"XSETID",        ref.key(),      last_id.view(),       "ENTRIESADDED",
                              {buffer, added}, "MAXDELETEDID", max_deleted_id.view()};
  AppendRequest(&out_, words);
  if (stream.producers != nullptr) StreamProducers(ref.key(), *stream.producers);
  for (uint32_t i = 0; i < stream.group_count; i++) StreamGroup(ref.key(), *stream.groups[i]);
}

void CommandWriter::Key(const KeyRef& ref) {
  char buffer[24];
  switch (ref.type()) {
    case Type::kList: {
      const auto& list = *ref.As<List>();
      Elements elements(&out_, "RPUSH", ref.key(), list.length, 1);
      for (ListPlace place = ListSeek(list, 0); place; place = ListNext(place)) {
        elements.Next();
        AppendWord(&out_, place.Get().Text(buffer));
      }
      break;
    }
    case Type::kSet: {
      Elements elements(&out_, "SADD", ref.key(), SetLength(ref), 1);
      SetForEach(ref, [&](const SetMember& member) {
        elements.Next();
        AppendWord(&out_, member.text);
        return true;
      });
      break;
    }
    case Type::kZset:
      Zset(ref);
      break;
    case Type::kHash:
      Hash(ref);
      break;
    case Type::kStream:
      Stream(ref);
      break;
    default: {
      std::string_view words[] = {"SET", ref.key(), ReadString(ref, buffer)};
      AppendRequest(&out_, words);
      break;
    }
  }
  if (int64_t at = ref.expiry_ms(); at >= 0) {
    std::string_view words[] = {"PEXPIREAT", ref.key(), {buffer, static_cast<size_t>(FormatInt64(at, buffer))}};
    AppendRequest(&out_, words);
  }
}

}  // namespace brim
