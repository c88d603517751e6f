// Sorted set commands about ranges of ranks, scores and texts.
#include <algorithm>

#include "commands/arguments.h"
#include "commands/sorted_sets.h"
#include "commands/store_result.h"
#include "commands/tables.h"

namespace brim {

namespace {

// What a range is told by, and the range as read.
enum class RangeBy : uint8_t { kAny, kRank, kScore, kLex };  // kAny: the arguments tell (BYSCORE, BYLEX), or else rank
struct Range {
  RangeBy by = RangeBy::kRank;
  bool backward = false;
  int64_t first = 0;
  int64_t last = 0;
  ZsetScoreRange scores;
  ZsetLexRange texts;
};

// Reads arg(i) and arg(i + 1) as the range's ends; backward ranges by score or text name the higher one first. False
// with the error replied.
bool ParseRange(Context& context, size_t i, Range* range) {
  if (range->by == RangeBy::kRank)
    return ParseIntArg(context, i, &range->first) && ParseIntArg(context, i + 1, &range->last);
  std::string_view min = context.arg(range->backward ? i + 1 : i);
  std::string_view max = context.arg(range->backward ? i : i + 1);
  bool by_score = range->by == RangeBy::kScore;
  if (by_score ? ParseScoreRange(min, max, &range->scores) : ParseLexRange(min, max, &range->texts)) return true;
  context.reply().Error(by_score ? kNotAScoreRange : kNotALexRange);
  return false;
}

ZsetRanks RanksOf(const Value& value, const Range& range) {
  switch (range.by) {
    case RangeBy::kScore:
      return ZsetRanksOf(value, range.scores);
    case RangeBy::kLex:
      return ZsetRanksOf(value, range.texts, range.backward);
    default:
      break;
  }
  size_t length = ZsetLength(value);
  ZsetRanks ranks = RanksBetween(range.first, range.last, length);
  if (!range.backward || ranks.size() == 0) return ranks;
  return {length - ranks.end, length - ranks.begin};
}

// ---- ZRANGE and its kin

struct RangeQuery {
  Range range;
  bool with_scores = false;
  int64_t offset = 0;
  int64_t limit = -1;
};

// Reads the options behind the range. False with the error replied.
bool ReadOptions(Context& context, size_t first, bool store, bool any_direction, RangeQuery* query) {
  for (size_t i = first; i < context.argc(); i++) {
    if (!store && ArgIs(context, i, "WITHSCORES")) {
      query->with_scores = true;
    } else if (i + 2 < context.argc() && ArgIs(context, i, "LIMIT")) {
      if (!ParseIntArg(context, i + 1, &query->offset) || !ParseIntArg(context, i + 2, &query->limit)) return false;
      i += 2;
    } else if (any_direction && !query->range.backward && ArgIs(context, i, "REV")) {
      query->range.backward = true;
    } else if (query->range.by == RangeBy::kAny && ArgIs(context, i, "BYLEX")) {
      query->range.by = RangeBy::kLex;
    } else if (query->range.by == RangeBy::kAny && ArgIs(context, i, "BYSCORE")) {
      query->range.by = RangeBy::kScore;
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  if (query->range.by == RangeBy::kAny) query->range.by = RangeBy::kRank;
  return true;
}

// False with the error replied when the options do not go together.
bool CheckOptions(Context& context, const RangeQuery& query) {
  const char* mistake = nullptr;
  if (query.limit != -1 && query.range.by == RangeBy::kRank) {
    mistake = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
  } else if (query.with_scores && query.range.by == RangeBy::kLex) {
    mistake = "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
  }
  if (mistake != nullptr) context.reply().Error(mistake);
  return mistake == nullptr;
}

// The part of the ranks that LIMIT leaves: it counts in the query's direction.
ZsetRanks Limited(ZsetRanks ranks, const RangeQuery& query) {
  size_t size = ranks.size();
  if (query.range.by == RangeBy::kRank || size == 0) return ranks;
  if (query.offset < 0 || static_cast<size_t>(query.offset) >= size) return {};
  auto skip = static_cast<size_t>(query.offset);
  size_t take = query.limit < 0 ? size - skip : std::min(static_cast<size_t>(query.limit), size - skip);
  if (query.range.backward) return {ranks.end - skip - take, ranks.end - skip};
  return {ranks.begin + skip, ranks.begin + skip + take};
}

// The key is arg(at), the range follows, then options. `store`: the result goes to arg(1).
void RangeGeneric(Context& context, size_t at, bool store, RangeBy by, bool any_direction, bool backward) {
  RangeQuery query;
  query.range.by = by;
  query.range.backward = backward;
  if (!ReadOptions(context, at + 3, store, any_direction, &query)) return;
  if (!CheckOptions(context, query) || !ParseRange(context, at + 1, &query.range)) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(at), Type::kZset, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  ZsetRanks ranks;
  if (ref) ranks = Limited(RanksOf(ref, query.range), query);
  if (store) {
    ZsetResult result(context.arg(1));
    if (query.range.by == RangeBy::kRank && ranks.size() > encoding_limits.zset_max_listpack_entries) {
      ZsetConvertToTree(result);
    }
    if (ref) {
      ZsetForRanks(ref, ranks, query.range.backward, [&](std::string_view member, double score) {
        ZsetSet(result, member, score);
        return true;
      });
    }
    StoreResult(context, context.arg(1), result, kNotifyZset, "zrangestore");
    return;
  }
  ReplyMembersHeader(context.reply(), ranks.size(), query.with_scores);
  if (ranks.size() == 0) return;
  ZsetForRanks(ref, ranks, query.range.backward, [&](std::string_view member, double score) {
    ReplyMember(context.reply(), member, score, query.with_scores);
    return true;
  });
}

void Zrange(Context& context) { RangeGeneric(context, 1, false, RangeBy::kAny, true, false); }
void Zrangestore(Context& context) { RangeGeneric(context, 2, true, RangeBy::kAny, true, false); }
void Zrevrange(Context& context) { RangeGeneric(context, 1, false, RangeBy::kRank, false, true); }
void Zrangebyscore(Context& context) { RangeGeneric(context, 1, false, RangeBy::kScore, false, false); }
void Zrevrangebyscore(Context& context) { RangeGeneric(context, 1, false, RangeBy::kScore, false, true); }
void Zrangebylex(Context& context) { RangeGeneric(context, 1, false, RangeBy::kLex, false, false); }
void Zrevrangebylex(Context& context) { RangeGeneric(context, 1, false, RangeBy::kLex, false, true); }

// ---- counting and removing

void CountGeneric(Context& context, RangeBy by) {
  Range range;
  range.by = by;
  if (!ParseRange(context, 2, &range)) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kZset, LookupKind::kRead, &wrong_type);
  if (!wrong_type) context.reply().Integer(ref ? static_cast<int64_t>(RanksOf(ref, range).size()) : 0);
}

void Zcount(Context& context) { CountGeneric(context, RangeBy::kScore); }
void Zlexcount(Context& context) { CountGeneric(context, RangeBy::kLex); }

void RemoveGeneric(Context& context, RangeBy by, const char* event) {
  std::string_view key = context.arg(1);
  Range range;
  range.by = by;
  if (!ParseRange(context, 2, &range)) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kZset, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  ZsetRanks ranks;
  if (ref) ranks = RanksOf(ref, range);
  size_t removed = ranks.size();
  if (removed > 0) {
    bool all = removed == ZsetLength(ref);
    if (!all) ZsetRemoveRanks(ref, ranks);
    context.Changed(key, kNotifyZset, event);
    context.CountChanges(static_cast<int64_t>(removed) - 1);
    if (all) DeleteFullZset(context, ref, key);
  }
  context.reply().Integer(static_cast<int64_t>(removed));
}

void Zremrangebyrank(Context& context) { RemoveGeneric(context, RangeBy::kRank, "zremrangebyrank"); }
void Zremrangebyscore(Context& context) { RemoveGeneric(context, RangeBy::kScore, "zremrangebyscore"); }
void Zremrangebylex(Context& context) { RemoveGeneric(context, RangeBy::kLex, "zremrangebylex"); }

constexpr KeySpec kGet = KeyAt(1, kKeyRO | kKeyAccess);
constexpr KeySpec kCut = KeyAt(1, kKeyRW | kKeyDelete);
constexpr const char* kCountCost = "O(log(N)) where N is the size of the sorted set";
constexpr const char* kRangeCost =
    "O(log(N)+M) where N is the size of the sorted set and M the number of members answered";
constexpr const char* kRemoveCost =
    "O(log(N)+M) where N is the size of the sorted set and M the number of members removed";

constexpr CommandSpec kRows[] = {
    {"zrange",
     -4,
     kReadonly,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "1.2.0",
     kRangeCost,
     "Answers the members of a range of ranks, scores or texts.",
     "key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
     Zrange},
    {"zrangestore",
     -5,
     kWrite | kDenyOom,
     {KeyAt(1, kKeyOW | kKeyUpdate), KeyAt(2, kKeyRO | kKeyAccess)},
     kCatSortedSet,
     Group::kSortedSet,
     "6.2.0",
     kRangeCost,
     "Stores the members of a range of ranks, scores or texts.",
     "dst src min max [BYSCORE|BYLEX] [REV] [LIMIT offset count]",
     Zrangestore},
    {"zrevrange",
     -4,
     kReadonly,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "1.2.0",
     kRangeCost,
     "Answers the members of a range of ranks, highest score first.",
     "key start stop [WITHSCORES]",
     Zrevrange,
     nullptr,
     "",
     "`ZRANGE` with the `REV` argument",
     "6.2.0"},
    {"zrangebyscore",
     -4,
     kReadonly,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "1.0.5",
     kRangeCost,
     "Answers the members of a range of scores.",
     "key min max [WITHSCORES] [LIMIT offset count]",
     Zrangebyscore,
     nullptr,
     "",
     "`ZRANGE` with the `BYSCORE` argument",
     "6.2.0"},
    {"zrevrangebyscore",
     -4,
     kReadonly,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "2.2.0",
     kRangeCost,
     "Answers the members of a range of scores, highest first.",
     "key max min [WITHSCORES] [LIMIT offset count]",
     Zrevrangebyscore,
     nullptr,
     "",
     "`ZRANGE` with the `REV` and `BYSCORE` arguments",
     "6.2.0"},
    {"zrangebylex",
     -4,
     kReadonly,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "2.8.9",
     kRangeCost,
     "Answers the members of a range of texts, all scores being the same.",
     "key min max [LIMIT offset count]",
     Zrangebylex,
     nullptr,
     "",
     "`ZRANGE` with the `BYLEX` argument",
     "6.2.0"},
    {"zrevrangebylex",
     -4,
     kReadonly,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "2.8.9",
     kRangeCost,
     "Answers the members of a range of texts, last text first, all scores being the same.",
     "key max min [LIMIT offset count]",
     Zrevrangebylex,
     nullptr,
     "",
     "`ZRANGE` with the `REV` and `BYLEX` arguments",
     "6.2.0"},
    {"zcount",
     4,
     kReadonly | kFast,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "2.0.0",
     kCountCost,
     "Counts the members of a range of scores.",
     "key min max",
     Zcount},
    {"zlexcount",
     4,
     kReadonly | kFast,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "2.8.9",
     kCountCost,
     "Counts the members of a range of texts, all scores being the same.",
     "key min max",
     Zlexcount},
    {"zremrangebyrank",
     4,
     kWrite,
     {kCut},
     kCatSortedSet,
     Group::kSortedSet,
     "2.0.0",
     kRemoveCost,
     "Removes the members of a range of ranks.",
     "key start stop",
     Zremrangebyrank},
    {"zremrangebyscore",
     4,
     kWrite,
     {kCut},
     kCatSortedSet,
     Group::kSortedSet,
     "1.2.0",
     kRemoveCost,
     "Removes the members of a range of scores.",
     "key min max",
     Zremrangebyscore},
    {"zremrangebylex",
     4,
     kWrite,
     {kCut},
     kCatSortedSet,
     Group::kSortedSet,
     "2.8.9",
     kRemoveCost,
     "Removes the members of a range of texts, all scores being the same.",
     "key min max",
     Zremrangebylex},
};

}  // namespace

const CommandTable kSortedSetRangeCommands = kRows;

}  // namespace brim
