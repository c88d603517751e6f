// Commands about single members of a sorted set. Ranges, pops and combinations have files of their own.
#include "commands/sorted_sets.h"

#include <algorithm>
#include <vector>

#include "commands/arguments.h"
#include "commands/scan_options.h"
#include "commands/tables.h"

namespace brim {

namespace {

// ---- ZADD

struct AddOptions {
  ZsetAddRules rules;
  bool count_changed = false;  // CH
  size_t first = 2;            // the first score's argument
};

void ReadAddOptions(Context& context, AddOptions* options) {
  for (; options->first < context.argc(); options->first++) {
    size_t i = options->first;
    if (ArgIs(context, i, "NX")) {
      options->rules.only_new = true;
    } else if (ArgIs(context, i, "XX")) {
      options->rules.only_existing = true;
    } else if (ArgIs(context, i, "CH")) {
      options->count_changed = true;
    } else if (ArgIs(context, i, "INCR")) {
      options->rules.increment = true;
    } else if (ArgIs(context, i, "GT")) {
      options->rules.only_greater = true;
    } else if (ArgIs(context, i, "LT")) {
      options->rules.only_less = true;
    } else {
      return;
    }
  }
}

// What is wrong with the options, or "".
std::string_view MistakeIn(const AddOptions& options, size_t argc) {
  const ZsetAddRules& rules = options.rules;
  size_t words = argc - options.first;
  if (words == 0 || words % 2 == 1) return errors::kSyntax;
  if (rules.only_new && rules.only_existing) return "ERR XX and NX options at the same time are not compatible";
  if ((rules.only_new && (rules.only_greater || rules.only_less)) || (rules.only_greater && rules.only_less)) {
    return "ERR GT, LT, and/or NX options at the same time are not compatible";
  }
  if (rules.increment && words > 2) return "ERR INCR option supports a single increment-element pair";
  return {};
}

// The scores of ZADD, on the stack when they are few.
class Scores {
 public:
  explicit Scores(size_t count) {
    if (count > kFew) more_.resize(count);
    values_ = count > kFew ? more_.data() : few_;
  }
  double& operator[](size_t i) { return values_[i]; }

 private:
  static constexpr size_t kFew = 16;
  double few_[kFew];
  double* values_;
  std::vector<double> more_;
};

struct AddCounts {
  int64_t added = 0;
  int64_t updated = 0;
  bool refused = false;  // the last one
  double score = 0;      // the last one's
};

// False with the error replied when a sum is no number.
bool AddPairs(Context& context, KeyRef& ref, const AddOptions& options, Scores& scores, AddCounts* counts) {
  for (size_t i = options.first, n = 0; i < context.argc(); i += 2, n++) {
    ZsetAddResult result = ZsetAdd(ref, context.arg(i + 1), scores[n], options.rules, &counts->score);
    if (result == ZsetAddResult::kNan) {
      context.reply().Error("ERR resulting score is not a number (NaN)");
      return false;
    }
    counts->added += result == ZsetAddResult::kAdded;
    counts->updated += result == ZsetAddResult::kUpdated;
    counts->refused = result == ZsetAddResult::kRefused;
  }
  return true;
}

void AddGeneric(Context& context, AddOptions options) {
  ReadAddOptions(context, &options);
  if (std::string_view mistake = MistakeIn(options, context.argc()); !mistake.empty()) {
    context.reply().Error(mistake);
    return;
  }
  Scores scores((context.argc() - options.first) / 2);
  for (size_t i = options.first, n = 0; i < context.argc(); i += 2, n++) {
    if (ParseDouble(context.arg(i), &scores[n])) continue;
    context.reply().Error(errors::kNotAFloat);
    return;
  }
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kZset, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  AddCounts counts;
  counts.refused = true;
  if (!ref && !options.rules.only_existing) {
    ref = context.Create(key, Type::kZset, Encoding::kListpack, EmptyZsetBytes());
    InitZset(ref);
  }
  bool sound = !ref || AddPairs(context, ref, options, scores, &counts);
  if (sound && !options.rules.increment) {
    context.reply().Integer(options.count_changed ? counts.added + counts.updated : counts.added);
  } else if (sound && counts.refused) {
    context.reply().Null();
  } else if (sound) {
    context.reply().Double(counts.score);
  }
  if (counts.added + counts.updated == 0) return;
  context.Changed(key, kNotifyZset, options.rules.increment ? "zincr" : "zadd");
  context.CountChanges(counts.added + counts.updated - 1);
}

void Zadd(Context& context) { AddGeneric(context, {}); }

void Zincrby(Context& context) {
  AddOptions options;
  options.rules.increment = true;
  AddGeneric(context, options);
}

// ---- the others

void Zrem(Context& context) {
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kZset, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  int64_t removed = 0;
  for (size_t i = 2; ref && i < context.argc() && (removed == 0 || ZsetLength(ref) > 0); i++) {
    removed += ZsetRemove(ref, context.arg(i)) ? 1 : 0;
  }
  if (removed > 0) {
    context.Changed(key, kNotifyZset, "zrem");
    context.CountChanges(removed - 1);
    DeleteEmptyZset(context, ref, key);
  }
  context.reply().Integer(removed);
}

void Zcard(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kZset, LookupKind::kRead, &wrong_type);
  if (!wrong_type) context.reply().Integer(ref ? static_cast<int64_t>(ZsetLength(ref)) : 0);
}

void ReplyScore(Context& context, const KeyRef& ref, std::string_view member) {
  double score;
  if (ref && ZsetScore(ref, member, &score)) {
    context.reply().Double(score);
  } else {
    context.reply().Null();
  }
}

void Zscore(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kZset, LookupKind::kRead, &wrong_type);
  if (!wrong_type) ReplyScore(context, ref, context.arg(2));
}

void Zmscore(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kZset, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  context.reply().ArrayHeader(context.argc() - 2);
  for (size_t i = 2; i < context.argc(); i++) ReplyScore(context, ref, context.arg(i));
}

void RankGeneric(Context& context, bool from_end) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kZset, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  size_t rank;
  if (!ref || !ZsetRank(ref, context.arg(2), &rank)) {
    context.reply().Null();
    return;
  }
  context.reply().Integer(static_cast<int64_t>(from_end ? ZsetLength(ref) - 1 - rank : rank));
}

void Zrank(Context& context) { RankGeneric(context, false); }
void Zrevrank(Context& context) { RankGeneric(context, true); }

// ---- ZRANDMEMBER and ZSCAN

void RandomSeveral(Context& context) {
  int64_t count;
  if (!ParseRangeArg(context, 2, -INT64_MAX, INT64_MAX, &count)) return;
  bool with_scores = context.argc() == 4;
  if (context.argc() > 4 || (with_scores && !ArgIs(context, 3, "WITHSCORES"))) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  if (with_scores && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
    context.reply().Error(errors::kOutOfRange);
    return;
  }
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kZset, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (!ref || count == 0) {
    context.reply().ArrayHeader(0);
    return;
  }
  auto answer = [&](std::string_view member, double score) {
    ReplyMember(context.reply(), member, score, with_scores);
    return true;
  };
  if (count < 0) {
    ReplyMembersHeader(context.reply(), static_cast<size_t>(-count), with_scores);
    ZsetDraw(ref, static_cast<size_t>(-count), answer);
    return;
  }
  size_t picks = std::min(static_cast<size_t>(count), ZsetLength(ref));
  ReplyMembersHeader(context.reply(), picks, with_scores);
  if (picks == ZsetLength(ref)) {
    ZsetForEach(ref, answer);
  } else {
    ZsetSample(ref, picks, answer);
  }
}

void Zrandmember(Context& context) {
  if (context.argc() > 2) {
    RandomSeveral(context);
    return;
  }
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kZset, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Null();
    return;
  }
  ZsetDraw(ref, 1, [&](std::string_view member, double) {
    context.reply().Bulk(member);
    return true;
  });
}

void Zscan(Context& context) {
  ScanOptions options;
  if (!ParseCursorArg(context, 2, &options.cursor)) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kZset, LookupKind::kRead, &wrong_type);
  if (wrong_type || (ref && !ParseScanWords(context, 3, false, &options))) return;
  ScanReply found;
  uint64_t cursor = ref ? options.cursor : 0;
  for (size_t visited = 0; ref && visited < options.count;) {
    cursor = ZsetScan(ref, cursor, [&](std::string_view member, double score) {
      visited++;
      if (!options.Wants(member)) return true;
      char text[40];
      found.Add(member);
      int size = ref.external() ? FormatDouble17(score, text) : FormatPackedScore(score, text);
      found.Add({text, static_cast<size_t>(size)});
      return true;
    });
    if (cursor == 0) break;
  }
  found.Send(context, cursor);
}

constexpr uint32_t kRead = kReadonly | kFast;
constexpr uint32_t kAdd = kWrite | kDenyOom | kFast;
constexpr KeySpec kGet = KeyAt(1, kKeyRO | kKeyAccess);
constexpr const char* kAnyOutput = "nondeterministic_output";
constexpr const char* kLogCost = "O(log(N)) where N is the size of the sorted set";
constexpr const char* kLogCostEach =
    "O(M*log(N)) where M is the number of members named and N the size of the sorted set";

constexpr CommandSpec kRows[] = {
    {"zadd",
     -4,
     kAdd | kElementAt3,
     {KeyAt(1, kKeyRW | kKeyUpdate)},
     kCatSortedSet,
     Group::kSortedSet,
     "1.2.0",
     kLogCostEach,
     "Adds members to a sorted set or changes their scores; creates it when absent.",
     "key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]",
     Zadd},
    {"zincrby",
     4,
     kAdd | kElementAt3,
     {KeyAt(1, kKeyRW | kKeyAccess | kKeyUpdate)},
     kCatSortedSet,
     Group::kSortedSet,
     "1.2.0",
     kLogCost,
     "Adds to the score of a member.",
     "key increment member",
     Zincrby},
    {"zrem",
     -3,
     kWrite | kFast | kElementAt2,
     {KeyAt(1, kKeyRW | kKeyDelete)},
     kCatSortedSet,
     Group::kSortedSet,
     "1.2.0",
     kLogCostEach,
     "Removes members of a sorted set, and the set with its last one.",
     "key member [member ...]",
     Zrem},
    {"zcard",
     2,
     kRead,
     {KeyAt(1, kKeyRO)},
     kCatSortedSet,
     Group::kSortedSet,
     "1.2.0",
     "O(1)",
     "Counts the members of a sorted set.",
     "key",
     Zcard},
    {"zscore",
     3,
     kRead | kElementAt2,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "1.2.0",
     "O(1)",
     "Answers the score of a member.",
     "key member",
     Zscore},
    {"zmscore",
     -3,
     kRead | kElementAt2,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "6.2.0",
     "O(N) where N is the number of members named",
     "Answers the scores of several members.",
     "key member [member ...]",
     Zmscore},
    {"zrank",
     3,
     kRead | kElementAt2,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "2.0.0",
     kLogCost,
     "Answers a member's place, counted from the lowest score.",
     "key member",
     Zrank},
    {"zrevrank",
     3,
     kRead | kElementAt2,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "2.0.0",
     kLogCost,
     "Answers a member's place, counted from the highest score.",
     "key member",
     Zrevrank},
    {"zrandmember",
     -2,
     kReadonly,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "6.2.0",
     "O(N) where N is the count, 1 when not given",
     "Answers random members of a sorted set.",
     "key [count [WITHSCORES]]",
     Zrandmember,
     nullptr,
     kAnyOutput},
    {"zscan",
     -3,
     kReadonly,
     {kGet},
     kCatSortedSet,
     Group::kSortedSet,
     "2.8.0",
     "O(1) per call, O(N) for the whole sorted set",
     "Walks over the members of a sorted set and their scores in steps.",
     "key cursor [MATCH pattern] [COUNT count]",
     Zscan,
     nullptr,
     kAnyOutput},
};

}  // namespace

const CommandTable kSortedSetCommands = kRows;

}  // namespace brim
