#include "persist/command_writer.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/numbers.h"
#include "resp/request.h"
#include "types/hash.h"
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
    case Type::kHash: {
      Elements elements(&out_, "HMSET", ref.key(), HashLength(ref), 2);
      HashForEach(ref, [&](std::string_view field, std::string_view text) {
        elements.Next();
        AppendWord(&out_, field);
        AppendWord(&out_, text);
      });
      break;
    }
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
