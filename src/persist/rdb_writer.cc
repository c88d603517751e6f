#include "persist/rdb_writer.h"

#include <liblzf/lzf.h>

#include <algorithm>
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
// ids say nothing of a long text) only each 16th of that size is tried, after 16 more each 128th, until one shrinks.
constexpr uint32_t kGivesUpAfter = 16;
constexpr uint32_t kTriesAgainEach = 16;
constexpr uint32_t kTriesSeldomEach = 128;
// In a snapshot, where it would hold up all else, a longer text of a collection is not compressed.
constexpr size_t kLongestAtOnce = 1 << 20;
constexpr size_t kLongPiece = 64 << 10;
constexpr size_t kLongTrial = 4 * kLongPiece;  // what does not shrink by then is left
constexpr size_t kLongestNumber = 11;          // of those that are written as integers: -2147483648

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
  size_t longest = leaves_blobs_ ? kLongestAtOnce : UINT32_MAX - 1;
  if (text.size() > kWorthCompressing && text.size() <= longest && TriesToCompress(text.size())) {
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

void RdbWriter::LongHead(size_t size, size_t compressed) {
  Byte(rdb::kEncoded << 6 | rdb::kLzf);
  Length(compressed);
  Length(size);
}

// A piece at a time: LZF looks back over 8 KB only, and its output for two texts in a row is one for both.
bool RdbWriter::LongCompressed(std::string_view text, std::string* out) {
  out->clear();
  if (text.size() >= UINT32_MAX) return false;
  for (size_t at = 0; at < text.size(); at += kLongPiece) {
    std::string_view piece = text.substr(at, kLongPiece);
    size_t before = out->size();
    out->resize(before + piece.size() + piece.size() / 16 + 64);  // LZF's worst is 33 bytes for 32
    unsigned size = lzf_compress(piece.data(), static_cast<unsigned>(piece.size()), out->data() + before,
                                 static_cast<unsigned>(out->size() - before));
    if (size == 0) return false;
    out->resize(before + size);
    size_t read = at + piece.size();
    bool vain = read >= kLongTrial && out->size() > read - read / 32;
    if (vain || out->size() > kLongCompressedMax) return false;
  }
  return out->size() + 4 < text.size();
}

bool RdbWriter::TriesToCompress(size_t size) {
  if (!compress_ || hurry_) return false;
  Trials& trials = TrialsOf(size);
  if (trials.in_vain < kGivesUpAfter) return true;
  uint32_t each = trials.in_vain < 2 * kGivesUpAfter ? kTriesAgainEach : kTriesSeldomEach;
  return ++trials.passed_by % each == 0;
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

void RdbWriter::DatabaseSize(int db, uint64_t keys, uint64_t expires) {
  SelectDb(db);
  Byte(rdb::kResizeDb);
  Length(keys);
  Length(expires);
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

bool RdbWriter::InlineBody(const Value& value) {
  const uint8_t* bytes = InlineBytes(value);
  String({reinterpret_cast<const char*>(bytes), MeasureInline(value.encoding(), bytes, 8)});
  return true;
}

bool RdbWriter::ListStep(const Value& value, WritePlace* place) {
  const auto& list = *value.As<List>();
  if (place->stage == 0) {
    Length(list.nodes);
    place->list.node = list.head;
    place->stage = 1;
  }
  size_t end = out_.size() + kBytesAStep;
  ListNode* node = place->list.node;
  for (; node != nullptr && out_.size() < end; node = node->next) {
    if (node->plain()) {
      Length(rdb::kPlainNode);
      char buffer[24];
      String(ListPlace{node, listpack::First(node->listpack())}.Get().Text(buffer));
    } else {
      Length(rdb::kPackedNode);
      String({reinterpret_cast<const char*>(node->listpack()), listpack::TotalBytes(node->listpack())});
    }
  }
  place->list.node = node;
  return node == nullptr;
}

bool RdbWriter::SetStep(const Value& value, WritePlace* place) {
  if (value.encoding() == Encoding::kIntset) return InlineBody(value);
  if (place->stage == 0) Length(SetLength(value));
  place->stage = 1;
  place->cursor = SetScan(value, place->cursor, [this](const SetMember& member) {
    String(member.text);
    return true;
  });
  return place->cursor == 0;
}

// From the highest score down: a reader that adds them in this order always adds at one end.
bool RdbWriter::ZsetStep(const Value& value, WritePlace* place) {
  if (value.encoding() == Encoding::kListpack) return InlineBody(value);
  if (place->stage == 0) Length(place->cursor = ZsetLength(value));
  place->stage = 1;
  size_t from = place->cursor - std::min<size_t>(place->cursor, kElementsAStep);
  ZsetForRanks(value, {from, place->cursor}, true, [this](std::string_view member, double score) {
    String(member);
    Double(score);
    return true;
  });
  place->cursor = from;
  return from == 0;
}

// A timed one is behind a time that none is earlier than; the fields have theirs before them, relative to it and 1
// more, 0 for none.
bool RdbWriter::HashStep(const Value& value, WritePlace* place) {
  if (value.encoding() == Encoding::kListpack) return InlineBody(value);
  bool timed = HashIsTimed(value);
  if (place->stage == 0) {
    if (timed) {
      place->time_ms = HashNextDue(value);
      Raw(&place->time_ms, sizeof place->time_ms);
      if (!value.external()) return InlineBody(value);
    }
    Length(HashLength(value));
    place->stage = 1;
  }
  if (timed) {
    place->cursor =
        HashScanTimed(value, place->cursor, [&](std::string_view field, std::string_view text, int64_t at_ms) {
          Length(at_ms < 0 ? 0 : static_cast<uint64_t>(at_ms - place->time_ms) + 1);
          String(field);
          String(text);
        });
  } else {
    place->cursor = HashScan(value, place->cursor, [this](std::string_view field, std::string_view text) {
      String(field);
      String(text);
    });
  }
  return place->cursor == 0;
}

bool RdbWriter::ContentStep(const Value& value, WritePlace* place) {
  switch (value.type()) {
    case Type::kList:
      return ListStep(value, place);
    case Type::kStream:
      return StreamStep(value, place);
    case Type::kSet:
      return SetStep(value, place);
    case Type::kZset:
      return ZsetStep(value, place);
    case Type::kHash:
      return HashStep(value, place);
    default: {
      place->blob = leaves_blobs_ ? BlobOf(value) : nullptr;
      if (place->blob != nullptr) return true;
      char buffer[24];
      String(ReadString(value, buffer));
      return true;
    }
  }
}

void RdbWriter::Object(const Value& value, void (*admit)(size_t bytes)) {
  Byte(TypeOf(value));
  WritePlace place;
  while (!ContentStep(value, &place)) {
    if (admit != nullptr) admit(out_.size());
  }
}

bool RdbWriter::KeyStep(const KeyRef& ref, WritePlace* place) {
  if (place->stage > 0) return ContentStep(ref, place);
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
  return ContentStep(ref, place);
}

void RdbWriter::Dumped(const Value& value, void (*admit)(size_t bytes)) {
  Object(value, admit);
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
