#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "base/numbers.h"
#include "commands/sorted_sets.h"
#include "store/shard.h"

namespace brim {

namespace {

// As redis-server reads ends of ranges: strtod up to the first zero byte, blanks in front, "" and overflow included.
bool ReadLoosely(std::string_view text, double* value) {
  if (ParseDouble(text, value)) return true;
  std::string copy(text);
  char* end;
  *value = strtod(copy.c_str(), &end);
  return *end == 0 && !std::isnan(*value);
}

bool ParseScoreEnd(std::string_view text, double* score, bool* without) {
  *without = !text.empty() && text[0] == '(';
  return ReadLoosely(*without ? text.substr(1) : text, score);
}

bool ParseLexEnd(std::string_view text, ZsetLexRange::Bound* bound) {
  if (text.empty()) return false;
  char first = text[0];
  if (first == '-' || first == '+') {
    if (text.size() > 1 && text[1] != 0) return false;
    bound->kind = first == '-' ? ZsetLexRange::Bound::kLowest : ZsetLexRange::Bound::kHighest;
    bound->without = true;
    return true;
  }
  bound->kind = ZsetLexRange::Bound::kText;
  bound->without = first == '(';
  bound->text = text.substr(1);
  return first == '(' || first == '[';
}

}  // namespace

bool ParseScoreRange(std::string_view min, std::string_view max, ZsetScoreRange* range) {
  return ParseScoreEnd(min, &range->min, &range->without_min) && ParseScoreEnd(max, &range->max, &range->without_max);
}

bool ParseLexRange(std::string_view min, std::string_view max, ZsetLexRange* range) {
  return ParseLexEnd(min, &range->min) && ParseLexEnd(max, &range->max);
}

ZsetRanks RanksBetween(int64_t first, int64_t last, size_t length) {
  auto size = static_cast<int64_t>(length);
  if (first < 0) first = std::max<int64_t>(first + size, 0);
  if (last < 0) last += size;
  if (first > last || first >= size) return {};
  return {static_cast<size_t>(first), static_cast<size_t>(std::min(last, size - 1)) + 1};
}

void ReplyMember(Reply& reply, std::string_view member, double score, bool with_score) {
  if (with_score && reply.version() >= 3) reply.ArrayHeader(2);
  reply.Bulk(member);
  if (with_score) reply.Double(score);
}

void ReplyMembersHeader(Reply& reply, size_t count, bool with_scores) {
  reply.ArrayHeader(with_scores && reply.version() < 3 ? count * 2 : count);
}

void DeleteEmptyZset(Context& context, KeyRef& ref, std::string_view key) {
  if (ZsetLength(ref) > 0) return;
  context.Delete(ref, false);
  context.Notify(kNotifyGeneric, "del", key);
}

void DeleteFullZset(Context& context, KeyRef& ref, std::string_view key) {
  context.Delete(ref, lazyfree.server_del);
  context.Notify(kNotifyGeneric, "del", key);
}

ZsetResult::ZsetResult(std::string_view key)
    : DetachedValue(&shards.Of(HashBytes(key)).heap(), Type::kZset, Encoding::kListpack, EmptyZsetBytes()) {
  InitZset(*this);
}

}  // namespace brim
