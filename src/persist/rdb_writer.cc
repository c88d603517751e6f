#include "persist/rdb_writer.h"

#include <liblzf/lzf.h>

#include <bit>
#include <cstring>

#include "base/numbers.h"
#include "persist/crc64.h"
#include "persist/rdb_format.h"
#include "store/access.h"
#include "types/hash.h"
#include "types/hash_expiry.h"
#include "types/intset.h"
#include "types/list.h"
#include "types/listpack.h"
#include "types/set.h"
#include "types/string.h"
#include "types/zset.h"

namespace brim {

namespace {

constexpr size_t kWorthCompressing = 20;
// Texts that do not shrink cost more than all the rest of a save. After 16 in a row of about the same size (many short
// ids say nothing of a long text) only each 16th of that size is tried, until one shrinks.
constexpr uint32_t kGivesUpAfter = 16;
constexpr uint32_t kTriesAgainEach = 16;
constexpr size_t kLongestNumber = 11;  // of those that are written as integers: -2147483648

template <class T>
T BigEndian(T n) {
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(n)));
  return static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(n)));
}

}  // namespace

void RdbWriter::Length(uint64_t n) {
  if (n < 64) {
    Byte(static_cast<uint8_t>(n));
  } else if (n < 16384) {
    Byte(static_cast<uint8_t>(rdb::kLength14 << 6 | n >> 8));
    Byte(static_cast<uint8_t>(n));
  } else if (n <= UINT32_MAX) {
    Byte(rdb::kLength32);
    auto big = BigEndian(static_cast<uint32_t>(n));
    Raw(&big, 4);
  } else {
    Byte(rdb::kLength64);
    auto big = BigEndian(n);
    Raw(&big, 8);
  }
}

// An integer of up to 32 bits, little endian in as many bytes as it needs.
void RdbWriter::Number(int64_t number) {
  if (number == static_cast<int8_t>(number)) {
    Byte(rdb::kEncoded << 6 | rdb::kInt8);
    Raw(&number, 1);
  } else if (number == static_cast<int16_t>(number)) {
    Byte(rdb::kEncoded << 6 | rdb::kInt16);
    Raw(&number, 2);
  } else {
    Byte(rdb::kEncoded << 6 | rdb::kInt32);
    Raw(&number, 4);
  }
}

void RdbWriter::String(std::string_view text) {
  int64_t number;
  if (text.size() <= kLongestNumber && ParseInt64(text, &number) && number == static_cast<int32_t>(number)) {
    Number(number);
    return;
  }
  if (text.size() > kWorthCompressing && text.size() < UINT32_MAX && TriesToCompress(text.size())) {
    scratch_.resize(text.size());
    unsigned size = lzf_compress(text.data(), static_cast<unsigned>(text.size()), scratch_.data(),
                                 static_cast<unsigned>(text.size() - 4));
    if (size > 0) {
      TrialsOf(text.size()).in_vain = 0;
      Byte(rdb::kEncoded << 6 | rdb::kLzf);
      Length(size);
      Length(text.size());
      Raw(scratch_.data(), size);
      return;
    }
    TrialsOf(text.size()).in_vain++;
  }
  Length(text.size());
  Raw(text.data(), text.size());
}

bool RdbWriter::TriesToCompress(size_t size) {
  if (!compress_ || hurry_) return false;
  Trials& trials = TrialsOf(size);
  if (trials.in_vain < kGivesUpAfter) return true;
  trials.passed_by++;
  return trials.passed_by % kTriesAgainEach == 0;
}

void RdbWriter::Function(std::string_view text) {
  Byte(rdb::kFunction2);
  String(text);
}

void RdbWriter::Aux(std::string_view name, std::string_view value) {
  Byte(rdb::kAux);
  String(name);
  String(value);
}

void RdbWriter::Header(int64_t now_s, int64_t used_memory, bool aof_base, int version) {
  char magic[16];
  Raw(magic, static_cast<size_t>(snprintf(magic, sizeof magic, "REDIS%04d", version)));
  Aux("redis-ver", "7.0.15");
  Aux("redis-bits", "64");
  Aux("ctime", std::to_string(now_s));
  Aux("used-mem", std::to_string(used_memory));
  Aux("aof-base", aof_base ? "1" : "0");
}

void RdbWriter::SelectDb(int db) {
  Byte(rdb::kSelectDb);
  Length(static_cast<uint64_t>(db));
}

uint8_t RdbWriter::TypeOf(const Value& value) const {
  switch (value.type()) {
    case Type::kList:
      return rdb::kListQuicklist2;
    case Type::kSet:
      // redis-server 7.0 knows no sets in listpacks.
      return value.encoding() == Encoding::kIntset ? rdb::kSetIntset : rdb::kSet;
    case Type::kZset:
      return value.encoding() == Encoding::kListpack ? rdb::kZsetListpack : rdb::kZset2;
    case Type::kHash:
      if (HashIsTimed(value)) return value.external() ? rdb::kHashMetadata : rdb::kHashListpackEx;
      return value.encoding() == Encoding::kListpack ? rdb::kHashListpack : rdb::kHash;
    case Type::kStream:
      return value.As<brim::Stream>()->producers != nullptr ? rdb::kStreamListpacks4 : rdb::kStreamListpacks2;
    default:
      return rdb::kString;
  }
}

void RdbWriter::List(const Value& value) {
  const auto& list = *value.As<brim::List>();
  Length(list.nodes);
  for (ListNode* node = list.head; node != nullptr; node = node->next) {
    if (node->plain()) {
      Length(rdb::kPlainNode);
      char buffer[24];
      String(ListPlace{node, listpack::First(node->listpack())}.Get().Text(buffer));
    } else {
      Length(rdb::kPackedNode);
      String({reinterpret_cast<const char*>(node->listpack()), listpack::TotalBytes(node->listpack())});
    }
  }
}

// Behind a time that none is earlier than the fields with their times, relative to it and 1 more; 0 for none.
void RdbWriter::TimedHash(const Value& value) {
  int64_t earliest = HashNextDue(value);
  Raw(&earliest, sizeof earliest);
  if (!value.external()) {
    String({reinterpret_cast<const char*>(InlineBytes(value)), listpack::TotalBytes(InlineBytes(value))});
    return;
  }
  Length(HashLength(value));
  HashForEachTimed(value, [&](std::string_view field, std::string_view text, int64_t at_ms) {
    Length(at_ms < 0 ? 0 : static_cast<uint64_t>(at_ms - earliest) + 1);
    String(field);
    String(text);
  });
}

namespace {

// An id as 16 bytes, the most significant first.
struct BigEndianId {
  explicit BigEndianId(StreamId id) : ms(BigEndian(id.ms)), seq(BigEndian(id.seq)) {}
  std::string_view view() const { return {reinterpret_cast<const char*>(this), sizeof *this}; }
  uint64_t ms;
  uint64_t seq;
};

}  // namespace

void RdbWriter::StreamGroup(const brim::StreamGroup& group, uint8_t type) {
  String(group.name());
  Id(group.last_id);
  Length(static_cast<uint64_t>(group.entries_read));
  Length(group.pending.size());
  for (IdTree::Cursor at = group.pending.First(); at; at.Next()) {
    out_ += BigEndianId(at.id()).view();
    StreamNack nack = NackAt(at.payload());
    Raw(&nack.delivered_ms, sizeof nack.delivered_ms);
    Length(nack.deliveries);
  }
  Length(group.consumer_count);
  for (size_t i = 0; i < group.consumer_count; i++) {
    const StreamConsumer& consumer = *ConsumerAt(group, i);
    String(consumer.name());
    Raw(&consumer.seen_ms, sizeof consumer.seen_ms);
    if (type >= rdb::kStreamListpacks3) Raw(&consumer.active_ms, sizeof consumer.active_ms);
    Length(consumer.pending.size());
    for (IdTree::Cursor at = consumer.pending.First(); at; at.Next()) out_ += BigEndianId(at.id()).view();
  }
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

void RdbWriter::Stream(const Value& value) {
  const auto& stream = *value.As<brim::Stream>();
  Length(stream.nodes.size());
  for (IdTree::Cursor node = stream.nodes.First(); node; node.Next()) {
    const uint8_t* bytes = StreamNodeAt(node.payload());
    String(BigEndianId(node.id()).view());
    if (stream_node::IsSealed(bytes)) {
      stream_node::Unseal(bytes, node.id(), &listpack_);
      String(listpack_);
    } else {
      String({reinterpret_cast<const char*>(bytes), stream_node::Bytes(bytes)});
    }
  }
  Length(stream.length);
  Id(stream.last_id);
  Id(stream.first_id);
  Id(stream.max_deleted_id);
  Length(stream.entries_added);
  Length(stream.group_count);
  for (uint32_t i = 0; i < stream.group_count; i++) StreamGroup(*stream.groups[i], TypeOf(value));
  if (stream.producers != nullptr) StreamProducers(*stream.producers);
}

void RdbWriter::Content(const Value& value) {
  switch (value.type()) {
    case Type::kList:
      List(value);
      return;
    case Type::kStream:
      Stream(value);
      return;
    case Type::kSet:
      if (value.encoding() == Encoding::kIntset) break;
      Length(SetLength(value));
      SetForEach(value, [this](const SetMember& member) {
        String(member.text);
        return true;
      });
      return;
    case Type::kZset:
      if (value.encoding() == Encoding::kListpack) break;
      // From the highest score down: a reader that adds them in this order always adds at one end.
      Length(ZsetLength(value));
      ZsetForRanks(value, {0, ZsetLength(value)}, true, [this](std::string_view member, double score) {
        String(member);
        Double(score);
        return true;
      });
      return;
    case Type::kHash:
      if (value.encoding() == Encoding::kListpack) break;
      if (HashIsTimed(value)) {
        TimedHash(value);
        return;
      }
      Length(HashLength(value));
      HashForEach(value, [this](std::string_view field, std::string_view text) {
        String(field);
        String(text);
      });
      return;
    default: {
      char buffer[24];
      String(ReadString(value, buffer));
      return;
    }
  }
  // Inline: the bytes are the format's.
  const uint8_t* bytes = InlineBytes(value);
  String({reinterpret_cast<const char*>(bytes), MeasureInline(value.encoding(), bytes, 8)});
}

void RdbWriter::Object(const Value& value) {
  Byte(TypeOf(value));
  Content(value);
}

void RdbWriter::Key(const KeyRef& ref) {
  if (int64_t at = ref.expiry_ms(); at >= 0) {
    Byte(rdb::kExpireMs);
    Raw(&at, sizeof at);
  }
  if (eviction.IsLfu()) {
    Byte(rdb::kFreq);
    Byte(LfuCounterNow(ref.entry().access(), coarse_clock.lfu_minutes));
  } else if (eviction.IsLru()) {
    Byte(rdb::kIdle);
    Length(IdleSeconds(ref.entry()));
  }
  Byte(TypeOf(ref));
  String(ref.key());
  Content(ref);
}

void RdbWriter::Dumped(const Value& value) {
  Object(value);
  bool idempotent = value.type() == Type::kStream && value.As<brim::Stream>()->producers != nullptr;
  Footer(idempotent ? rdb::kIdempotentVersion : HashIsTimed(value) ? rdb::kTimedVersion : rdb::kVersion);
}

void RdbWriter::Footer(int rdb_version) {
  auto version = static_cast<uint16_t>(rdb_version);
  Raw(&version, sizeof version);
  uint64_t checksum = Crc64(0, bytes().data(), bytes().size());
  Raw(&checksum, sizeof checksum);
}

}  // namespace brim
