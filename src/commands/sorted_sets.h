#pragma once
// What the files of sorted set commands share.
#include <string_view>

#include "command/context.h"
#include "types/detached_value.h"
#include "types/zset.h"

namespace brim {

inline constexpr const char* kNotAScoreRange = "ERR min or max is not a float";
inline constexpr const char* kNotALexRange = "ERR min or max not valid string range item";

// Ends of a range as ZRANGEBYSCORE ("5", "(5", "-inf") and ZRANGEBYLEX ("[a", "(a", "-", "+") take them. False when
// they are none.
bool ParseScoreRange(std::string_view min, std::string_view max, ZsetScoreRange* range);
bool ParseLexRange(std::string_view min, std::string_view max, ZsetLexRange* range);

// Ranks as ZRANGE takes them: inclusive, negative from the end.
ZsetRanks RanksBetween(int64_t first, int64_t last, size_t length);

// A member and, if asked for, its score: in RESP3 the two are an array of their own.
void ReplyMember(Reply& reply, std::string_view member, double score, bool with_score);
// The header before `count` of them.
void ReplyMembersHeader(Reply& reply, size_t count, bool with_scores);

// Deletes the key when its sorted set has become empty, with the event.
void DeleteEmptyZset(Context& context, KeyRef& ref, std::string_view key);
// Deletes the key with all that is in it, with the event.
void DeleteFullZset(Context& context, KeyRef& ref, std::string_view key);

// A sorted set being built in the heap where it is going to stay (or, for a reply, in that of some key).
class ZsetResult : public DetachedValue {
 public:
  explicit ZsetResult(std::string_view key);
};

}  // namespace brim
