// ZUNION, ZINTER, ZDIFF and their kin. A source may be a plain set: its members all have the score 1.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "commands/sorted_sets.h"
#include "commands/store_result.h"
#include "commands/tables.h"
#include "types/set.h"

namespace brim {

namespace {

enum class Operation : uint8_t { kUnion, kInter, kDiff, kCard };  // kCard: ZINTERCARD

struct Source {
  KeyRef ref;  // empty: an absent key
  double weight = 1;

  bool is_set() const { return ref.type() == Type::kSet; }
  size_t length() const { return !ref ? 0 : is_set() ? SetLength(ref) : ZsetLength(ref); }
  bool Find(std::string_view member, double* score) const {
    if (!ref) return false;
    if (!is_set()) return ZsetScore(ref, member, score);
    *score = 1;
    return SetContains(ref, member);
  }
  // Calls fn(member, score) -> bool until it answers false.
  template <class Fn>
  void ForEach(Fn&& fn) const {
    if (!ref) return;
    if (is_set()) {
      SetForEach(ref, [&](const SetMember& member) { return fn(member.text, 1.0); });
    } else {
      ZsetForEach(ref, fn);
    }
  }
};

using Combine = double (*)(double, double);
double Lower(double a, double b) { return b < a ? b : a; }
double Higher(double a, double b) { return b > a ? b : a; }
double Sum(double a, double b) {
  double sum = a + b;
  return std::isnan(sum) ? 0 : sum;  // of both infinities
}

struct Query {
  explicit Query(Operation wanted) : operation(wanted) {}
  Operation operation;
  std::vector<Source> sources;
  Combine combine = Sum;
  bool with_scores = false;
  int64_t limit = 0;  // ZINTERCARD; 0: none
};

double Weighted(const Source& source, double score) {
  double product = source.weight * score;
  return std::isnan(product) ? 0 : product;  // 0 times an infinity
}

// ---- reading the arguments

// Reads numkeys at arg(at) and the keys behind it. False with the error replied.
bool ReadSources(Context& context, size_t at, Query* query) {
  int64_t count;
  if (!ParseIntArg(context, at, &count)) return false;
  if (count < 1) {
    context.reply().Error("ERR at least 1 input key is needed for '" + std::string(context.spec().name) + "' command");
    return false;
  }
  if (static_cast<uint64_t>(count) > context.argc() - at - 1) {
    context.reply().Error(errors::kSyntax);
    return false;
  }
  query->sources.resize(static_cast<size_t>(count));
  for (size_t i = 0; i < query->sources.size(); i++) {
    KeyRef ref = context.Lookup(context.arg(at + 1 + i), LookupKind::kRead);
    if (ref && ref.type() != Type::kZset && ref.type() != Type::kSet) {
      context.reply().Error(errors::kWrongType);
      return false;
    }
    query->sources[i].ref = ref;
  }
  return true;
}

bool ReadWeights(Context& context, size_t first, Query* query) {
  for (size_t i = 0; i < query->sources.size(); i++) {
    if (ParseDouble(context.arg(first + i), &query->sources[i].weight)) continue;
    context.reply().Error("ERR weight value is not a float");
    return false;
  }
  return true;
}

bool ReadAggregate(Context& context, size_t i, Query* query) {
  if (ArgIs(context, i, "SUM")) {
    query->combine = Sum;
  } else if (ArgIs(context, i, "MIN")) {
    query->combine = Lower;
  } else if (ArgIs(context, i, "MAX")) {
    query->combine = Higher;
  } else {
    context.reply().Error(errors::kSyntax);
    return false;
  }
  return true;
}

// Reads the options from arg(i) on. False with the error replied.
bool ReadOptions(Context& context, size_t i, bool store, Query* query) {
  bool aggregates = query->operation == Operation::kUnion || query->operation == Operation::kInter;
  while (i < context.argc()) {
    size_t left = context.argc() - i;
    if (aggregates && left > query->sources.size() && ArgIs(context, i, "WEIGHTS")) {
      if (!ReadWeights(context, i + 1, query)) return false;
      i += 1 + query->sources.size();
    } else if (aggregates && left > 1 && ArgIs(context, i, "AGGREGATE")) {
      if (!ReadAggregate(context, i + 1, query)) return false;
      i += 2;
    } else if (!store && query->operation != Operation::kCard && ArgIs(context, i, "WITHSCORES")) {
      query->with_scores = true;
      i++;
    } else if (query->operation == Operation::kCard && left > 1 && ArgIs(context, i, "LIMIT")) {
      if (!ParsePositiveArg(context, i + 1, &query->limit, "ERR LIMIT can't be negative")) return false;
      i += 2;
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

// ---- combining

// The smallest source first: it refuses the most, and the scores are summed in this order.
void SortBySize(Query& query) {
  std::stable_sort(query.sources.begin(), query.sources.end(),
                   [](const Source& a, const Source& b) { return a.length() < b.length(); });
}

void Unite(const Query& query, ZsetResult& result) {
  RoomWatch room;
  for (const Source& source : query.sources) {
    source.ForEach([&](std::string_view member, double score) {
      ZsetCombine(result, member, Weighted(source, score), query.combine);
      room.Added();
      return true;
    });
  }
}

// Calls fn(member, score) -> bool for what all sources share.
template <class Fn>
void Intersect(const Query& query, Fn&& fn) {
  const Source& smallest = query.sources[0];
  smallest.ForEach([&](std::string_view member, double score) {
    double sum = Weighted(smallest, score);
    for (size_t i = 1; i < query.sources.size(); i++) {
      const Source& source = query.sources[i];
      if (!source.Find(member, &score)) return true;
      // Not Weighted: what is no number is left to `combine`, as redis-server does.
      sum = query.combine(sum, source.weight * score);
    }
    return fn(member, sum);
  });
}

// Adds what the first source has and no other. The biggest of the others are asked first.
void Subtract(Query& query, ZsetResult& result) {
  std::stable_sort(query.sources.begin() + 1, query.sources.end(),
                   [](const Source& a, const Source& b) { return a.length() > b.length(); });
  RoomWatch room;
  query.sources[0].ForEach([&](std::string_view member, double score) {
    for (size_t i = 1; i < query.sources.size(); i++) {
      double ignored;
      if (query.sources[i].Find(member, &ignored)) return true;
    }
    ZsetSet(result, member, score);
    room.Added();
    return true;
  });
}

void Build(Query& query, ZsetResult& result) {
  // Not a listpack before the end: growing one member by member costs more, and it would lose the sign of zeros.
  ZsetConvertToTree(result);
  if (query.operation == Operation::kDiff) {
    Subtract(query, result);
    return;
  }
  SortBySize(query);
  if (query.operation == Operation::kUnion) {
    Unite(query, result);
    return;
  }
  RoomWatch room;
  Intersect(query, [&](std::string_view member, double score) {
    ZsetSet(result, member, score);
    room.Added();
    return true;
  });
}

// ---- the commands

void Answer(Context& context, Operation operation) {
  Query query(operation);
  if (!ReadSources(context, 1, &query)) return;
  if (!ReadOptions(context, 2 + query.sources.size(), false, &query)) return;
  ZsetResult result(context.arg(2));
  Build(query, result);
  ReplyMembersHeader(context.reply(), ZsetLength(result), query.with_scores);
  ZsetForEach(result, [&](std::string_view member, double score) {
    ReplyMember(context.reply(), member, score, query.with_scores);
    return true;
  });
}

void Store(Context& context, Operation operation, const char* event) {
  Query query(operation);
  if (!ReadSources(context, 2, &query)) return;
  if (!ReadOptions(context, 3 + query.sources.size(), true, &query)) return;
  ZsetResult result(context.arg(1));
  Build(query, result);
  ZsetPackIfSmall(result);
  StoreResult(context, context.arg(1), result, kNotifyZset, event);
}

void Zunion(Context& context) { Answer(context, Operation::kUnion); }
void Zinter(Context& context) { Answer(context, Operation::kInter); }
void Zdiff(Context& context) { Answer(context, Operation::kDiff); }
void Zunionstore(Context& context) { Store(context, Operation::kUnion, "zunionstore"); }
void Zinterstore(Context& context) { Store(context, Operation::kInter, "zinterstore"); }
void Zdiffstore(Context& context) { Store(context, Operation::kDiff, "zdiffstore"); }

void Zintercard(Context& context) {
  Query query(Operation::kCard);
  if (!ReadSources(context, 1, &query)) return;
  if (!ReadOptions(context, 2 + query.sources.size(), false, &query)) return;
  SortBySize(query);
  int64_t count = 0;
  Intersect(query, [&](std::string_view, double) { return ++count != query.limit; });
  context.reply().Integer(count);
}

constexpr KeySpec kSources = KeyNum(1, 0, 1, 1, kKeyRO | kKeyAccess);
constexpr KeySpec kStoredSources = KeyNum(2, 0, 1, 1, kKeyRO | kKeyAccess);
constexpr KeySpec kTarget = KeyAt(1, kKeyOW | kKeyUpdate);
constexpr uint32_t kStore = kWrite | kDenyOom;
constexpr const char* kUnionCost = "O(N*log(M)) where N is the number of members in all sets and M that of the result";
constexpr const char* kInterCost =
    "O(N*K+M*log(M)) at worst where N is the size of the smallest set, K the number of sets and M the size of the "
    "result";
constexpr const char* kDiffCost =
    "O(N*K+M*log(M)) at worst where N is the size of the first set, K the number of sets and M the size of the result";
constexpr const char* kCardCost = "O(N*K) at worst where N is the size of the smallest set and K the number of sets";

constexpr CommandSpec kRows[] = {
    {"zunion",
     -3,
     kReadonly,
     {kSources},
     kCatSortedSet,
     Group::kSortedSet,
     "6.2.0",
     kUnionCost,
     "Answers the members of any of the sorted sets.",
     "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]",
     Zunion},
    {"zinter",
     -3,
     kReadonly,
     {kSources},
     kCatSortedSet,
     Group::kSortedSet,
     "6.2.0",
     kInterCost,
     "Answers the members that all the sorted sets share.",
     "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX] [WITHSCORES]",
     Zinter},
    {"zdiff",
     -3,
     kReadonly,
     {kSources},
     kCatSortedSet,
     Group::kSortedSet,
     "6.2.0",
     kDiffCost,
     "Answers the members of the first sorted set that no other has.",
     "numkeys key [key ...] [WITHSCORES]",
     Zdiff},
    {"zunionstore",
     -4,
     kStore,
     {kTarget, kStoredSources},
     kCatSortedSet,
     Group::kSortedSet,
     "2.0.0",
     kUnionCost,
     "Stores the members of any of the sorted sets.",
     "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX]",
     Zunionstore},
    {"zinterstore",
     -4,
     kStore,
     {kTarget, kStoredSources},
     kCatSortedSet,
     Group::kSortedSet,
     "2.0.0",
     kInterCost,
     "Stores the members that all the sorted sets share.",
     "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM|MIN|MAX]",
     Zinterstore},
    {"zdiffstore",
     -4,
     kStore,
     {kTarget, kStoredSources},
     kCatSortedSet,
     Group::kSortedSet,
     "6.2.0",
     kDiffCost,
     "Stores the members of the first sorted set that no other has.",
     "destination numkeys key [key ...]",
     Zdiffstore},
    {"zintercard",
     -3,
     kReadonly,
     {kSources},
     kCatSortedSet,
     Group::kSortedSet,
     "7.0.0",
     kCardCost,
     "Counts the members that all the sorted sets share, up to a limit.",
     "numkeys key [key ...] [LIMIT limit]",
     Zintercard},
};

}  // namespace

const CommandTable kSortedSetAlgebraCommands = kRows;

}  // namespace brim
