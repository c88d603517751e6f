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

enum Stage : int { kNew, kElements, kSecond };

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

void CommandWriter::NextElement(const Adding& adding, WritePlace* place) {
  if (place->room == 0) {
    place->room = std::min(place->left, kElementsAtOnce);
    place->left -= place->room;
    BeginRequest(&out_, 2 + place->room * adding.words_each);
    AppendWord(&out_, adding.name);
    AppendWord(&out_, adding.key);
  }
  place->room--;
}

bool CommandWriter::StringStep(const KeyRef& ref, WritePlace* place) {
  if (place->stage == kElements) {
    out_ += "\r\n";  // behind the blob
    return true;
  }
  BeginRequest(&out_, 3);
  AppendWord(&out_, "SET");
  AppendWord(&out_, ref.key());
  place->blob = leaves_blobs_ ? BlobOf(ref) : nullptr;
  if (place->blob != nullptr) {
    AppendWordHead(&out_, place->blob->size);
    place->stage = kElements;
    return false;
  }
  char buffer[24];
  AppendWord(&out_, ReadString(ref, buffer));
  return true;
}

bool CommandWriter::ListStep(const KeyRef& ref, WritePlace* place) {
  const auto& list = *ref.As<List>();
  if (place->stage == kNew) {
    place->left = list.length;
    place->list = ListSeek(list, 0);
    place->stage = kElements;
  }
  char buffer[24];
  size_t end = out_.size() + kBytesAStep;
  for (; place->list && out_.size() < end; place->list = ListNext(place->list)) {
    NextElement({"RPUSH", ref.key(), 1}, place);
    AppendWord(&out_, place->list.Get().Text(buffer));
  }
  return !place->list;
}

bool CommandWriter::SetStep(const KeyRef& ref, WritePlace* place) {
  if (place->stage == kNew) place->left = SetLength(ref);
  place->stage = kElements;
  place->cursor = SetScan(ref, place->cursor, [&](const SetMember& member) {
    NextElement({"SADD", ref.key(), 1}, place);
    AppendWord(&out_, member.text);
    return true;
  });
  return place->cursor == 0;
}

// A set that is loaded has a listpack as long as it is small, and a listpack knows no negative zero. So members with
// that score get another one first, and theirs when all members are there.
bool CommandWriter::ZsetStep(const KeyRef& ref, WritePlace* place) {
  if (place->stage == kSecond) return ZsetZeros(ref, place);
  size_t length = ZsetLength(ref);
  if (place->stage == kNew) place->left = length;
  place->stage = kElements;
  size_t end = ref.external() ? std::min(length, place->cursor + kElementsAStep) : length;
  ZsetForRanks(ref, {place->cursor, end}, false, [&](std::string_view member, double score) {
    NextElement({"ZADD", ref.key(), 2}, place);
    place->negative_zeros += IsNegativeZero(score) ? 1 : 0;
    AppendScore(&out_, IsNegativeZero(score) ? 1 : score);
    AppendWord(&out_, member);
    return true;
  });
  place->cursor = end;
  if (end < length) return false;
  if (place->negative_zeros == 0) return true;
  place->left = place->negative_zeros;
  place->cursor = ZsetRanksOf(ref, ZsetScoreRange()).begin;
  place->stage = kSecond;
  return false;
}

// Negative zeros and zeros are neighbours, in the order of the members.
bool CommandWriter::ZsetZeros(const KeyRef& ref, WritePlace* place) {
  size_t end = place->cursor + kElementsAStep;
  ZsetForRanks(ref, {place->cursor, end}, false, [&](std::string_view member, double score) {
    if (IsNegativeZero(score)) {
      NextElement({"ZADD", ref.key(), 2}, place);
      AppendScore(&out_, score);
      AppendWord(&out_, member);
    }
    return true;
  });
  place->cursor = end;
  return (place->left == 0 && place->room == 0) || end >= ZsetLength(ref);
}

// The times of some fields: neighbours with the same go together.
void CommandWriter::FieldTimes(const KeyRef& ref, WritePlace* place) {
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
  place->cursor = HashScanTimed(ref, place->cursor, [&](std::string_view field, std::string_view, int64_t at_ms) {
    if (at_ms == kNoTime) return;
    if (at_ms != common_ms || fields.size() == kElementsAtOnce) flush();
    common_ms = at_ms;
    fields.emplace_back(field);
  });
  flush();
}

// The pairs, then the times.
bool CommandWriter::HashStep(const KeyRef& ref, WritePlace* place) {
  if (place->stage == kSecond) {
    FieldTimes(ref, place);
    return place->cursor == 0;
  }
  if (place->stage == kNew) place->left = HashLength(ref);
  place->stage = kElements;
  place->cursor = HashScan(ref, place->cursor, [&](std::string_view field, std::string_view text) {
    NextElement({"HMSET", ref.key(), 2}, place);
    AppendWord(&out_, field);
    AppendWord(&out_, text);
  });
  if (place->cursor != 0) return false;
  if (!HashIsTimed(ref)) return true;
  place->stage = kSecond;
  return false;
}

bool CommandWriter::ValueStep(const KeyRef& ref, WritePlace* place) {
  switch (ref.type()) {
    case Type::kList:
      return ListStep(ref, place);
    case Type::kSet:
      return SetStep(ref, place);
    case Type::kZset:
      return ZsetStep(ref, place);
    case Type::kHash:
      return HashStep(ref, place);
    case Type::kStream:
      return StreamStep(ref, place);
    default:
      return StringStep(ref, place);
  }
}

bool CommandWriter::KeyStep(const KeyRef& ref, WritePlace* place) {
  if (!ValueStep(ref, place)) return false;
  if (int64_t at = ref.expiry_ms(); at >= 0) {
    char buffer[24];
    std::string_view words[] = {"PEXPIREAT", ref.key(), {buffer, static_cast<size_t>(FormatInt64(at, buffer))}};
    AppendRequest(&out_, words);
  }
  return true;
}

}  // namespace brim
