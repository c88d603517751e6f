// ZPOPMIN, ZPOPMAX, ZMPOP and their blocking forms.
#include <algorithm>
#include <string>

#include "commands/arguments.h"
#include "commands/sorted_sets.h"
#include "commands/tables.h"
#include "commands/timeout.h"

namespace brim {

namespace {

using Keys = std::span<const std::string_view>;

struct Pop {
  bool highest = false;
  size_t count = 1;
  bool with_key = false;  // the key is answered as well
  bool pairs = false;     // each member and its score are an array of their own
};

void ReplyPopHeader(Reply& reply, const Pop& pop, std::string_view key, size_t count) {
  if (!pop.with_key) {
    reply.ArrayHeader(pop.pairs ? count : count * 2);
  } else if (pop.pairs) {
    reply.ArrayHeader(2);
    reply.Bulk(key);
    reply.ArrayHeader(count);
  } else {
    reply.ArrayHeader(count * 2 + 1);
    reply.Bulk(key);
  }
}

// Takes members out of the set, which is not empty, and answers them.
void TakeMembers(Context& context, KeyRef& ref, std::string_view key, const Pop& pop) {
  size_t length = ZsetLength(ref);
  size_t count = std::min(pop.count, length);
  ZsetRanks ranks = pop.highest ? ZsetRanks{length - count, length} : ZsetRanks{0, count};
  {
    OutputBuffer::Bounded bounded;
    ReplyPopHeader(context.reply(), pop, key, count);
    ZsetForRanks(ref, ranks, pop.highest, [&](std::string_view member, double score) {
      if (pop.pairs) context.reply().ArrayHeader(2);
      context.reply().Bulk(member);
      context.reply().Double(score);
      return true;
    });
  }
  if (count < length) ZsetRemoveRanks(ref, ranks);
  if (pop.with_key) {
    // Which of the keys it was, and no waiting.
    std::string number = std::to_string(count);
    Tell(context, {pop.highest ? "ZPOPMAX" : "ZPOPMIN", key, number});
  }
  context.Changed(key, kNotifyZset, pop.highest ? "zpopmax" : "zpopmin");
  context.CountChanges(static_cast<int64_t>(count) - 1);
  if (count == length) DeleteFullZset(context, ref, key);
}

// The first of the keys that is there, its name in *found. Empty when none is, and (with WRONGTYPE replied and
// *wrong_type set) when one holds something else.
KeyRef FirstFilled(Context& context, Keys keys, std::string_view* found, bool* wrong_type) {
  *wrong_type = false;
  for (std::string_view key : keys) {
    KeyRef ref = context.LookupTyped(key, Type::kZset, LookupKind::kWrite, wrong_type);
    if (*wrong_type) return {};
    *found = key;
    if (ref) return ref;
  }
  return {};
}

void PopGeneric(Context& context, bool highest) {
  Pop pop;
  pop.highest = highest;
  if (context.argc() > 3) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  if (context.argc() == 3) {
    int64_t count;
    if (!ParsePositiveArg(context, 2, &count)) return;
    pop.count = static_cast<size_t>(count);
    pop.pairs = context.reply().version() >= 3;
  }
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kZset, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref || pop.count == 0) {
    context.reply().ArrayHeader(0);
    return;
  }
  TakeMembers(context, ref, key, pop);
}

void Zpopmin(Context& context) { PopGeneric(context, false); }
void Zpopmax(Context& context) { PopGeneric(context, true); }

// Reads numkeys at arg(at), the keys, MIN or MAX, and COUNT. False with the error replied.
bool ParseMultiPop(Context& context, size_t at, Keys* keys, Pop* pop) {
  int64_t number;
  if (!ParseRangeArg(context, at, 1, INT64_MAX, &number, "ERR numkeys should be greater than 0")) return false;
  size_t words = context.argc() - at - 1;
  if (static_cast<uint64_t>(number) >= words) {
    context.reply().Error(errors::kSyntax);
    return false;
  }
  *keys = context.argv().subspan(at + 1, static_cast<size_t>(number));
  size_t where = at + 1 + keys->size();
  pop->highest = ArgIs(context, where, "MAX");
  bool sound = pop->highest || ArgIs(context, where, "MIN");
  bool counted = false;
  for (size_t i = where + 1; sound && i < context.argc(); i += 2) {
    sound = !counted && i + 1 < context.argc() && ArgIs(context, i, "COUNT");
    if (!sound) break;
    int64_t count;
    if (!ParseRangeArg(context, i + 1, 1, INT64_MAX, &count, "ERR count should be greater than 0")) return false;
    pop->count = static_cast<size_t>(count);
    counted = true;
  }
  if (!sound) context.reply().Error(errors::kSyntax);
  return sound;
}

void Zmpop(Context& context) {
  Keys keys;
  Pop pop{.with_key = true, .pairs = true};
  if (!ParseMultiPop(context, 1, &keys, &pop)) return;
  std::string_view key;
  bool wrong_type;
  KeyRef ref = FirstFilled(context, keys, &key, &wrong_type);
  if (ref) {
    TakeMembers(context, ref, key, pop);
  } else if (!wrong_type) {
    context.reply().NullArray();
  }
}

void PopOrBlock(Context& context, Keys keys, size_t timeout_arg, const Pop& pop) {
  BlockRequest request;
  if (!ParseTimeout(context, timeout_arg, &request.timeout_ms)) return;
  std::string_view key;
  bool wrong_type;
  KeyRef ref = FirstFilled(context, keys, &key, &wrong_type);
  if (wrong_type) return;
  if (ref) {
    TakeMembers(context, ref, key, pop);
  } else if (context.may_block()) {
    request.type = Type::kZset;
    request.keys = keys;
    context.Block(request);
  } else {
    context.reply().NullArray();
  }
}

void BlockingPop(Context& context, bool highest) {
  Pop pop{.highest = highest, .with_key = true};
  PopOrBlock(context, context.argv().subspan(1, context.argc() - 2), context.argc() - 1, pop);
}

void Bzpopmin(Context& context) { BlockingPop(context, false); }
void Bzpopmax(Context& context) { BlockingPop(context, true); }

void Bzmpop(Context& context) {
  Keys keys;
  Pop pop{.with_key = true, .pairs = true};
  if (ParseMultiPop(context, 2, &keys, &pop)) PopOrBlock(context, keys, 1, pop);
}

constexpr uint32_t kBlock = kWrite | kNoScript | kFast | kBlocking;
constexpr int kTakeFlags = kKeyRW | kKeyAccess | kKeyDelete;
constexpr const char* kPopCost = "O(log(N)+M) where N is the size of the sorted set and M the number of members taken";
constexpr const char* kMultiCost =
    "O(K+log(N)+M) where K is the number of keys, N the size of the sorted set and M the number of members taken";

constexpr CommandSpec kRows[] = {
    {"zpopmin",
     -2,
     kWrite | kFast,
     {KeyAt(1, kTakeFlags)},
     kCatSortedSet,
     Group::kSortedSet,
     "5.0.0",
     kPopCost,
     "Takes the members with the lowest scores out of a sorted set and answers them.",
     "key [count]",
     Zpopmin},
    {"zpopmax",
     -2,
     kWrite | kFast,
     {KeyAt(1, kTakeFlags)},
     kCatSortedSet,
     Group::kSortedSet,
     "5.0.0",
     kPopCost,
     "Takes the members with the highest scores out of a sorted set and answers them.",
     "key [count]",
     Zpopmax},
    {"zmpop",
     -4,
     kWrite,
     {KeyNum(1, 0, 1, 1, kTakeFlags)},
     kCatSortedSet,
     Group::kSortedSet,
     "7.0.0",
     kMultiCost,
     "Takes members out of the first sorted set that is not empty and answers them.",
     "numkeys key [key ...] MIN|MAX [COUNT count]",
     Zmpop},
    {"bzpopmin",
     -3,
     kBlock,
     {KeyRange(1, -2, 1, kTakeFlags)},
     kCatSortedSet,
     Group::kSortedSet,
     "5.0.0",
     kPopCost,
     "As ZPOPMIN on the first of several keys; waits when all are empty.",
     "key [key ...] timeout",
     Bzpopmin},
    {"bzpopmax",
     -3,
     kBlock,
     {KeyRange(1, -2, 1, kTakeFlags)},
     kCatSortedSet,
     Group::kSortedSet,
     "5.0.0",
     kPopCost,
     "As ZPOPMAX on the first of several keys; waits when all are empty.",
     "key [key ...] timeout",
     Bzpopmax},
    {"bzmpop",
     -5,
     kWrite | kBlocking,
     {KeyNum(2, 0, 1, 1, kTakeFlags)},
     kCatSortedSet,
     Group::kSortedSet,
     "7.0.0",
     kMultiCost,
     "As ZMPOP, but waits when all are empty.",
     "timeout numkeys key [key ...] MIN|MAX [COUNT count]",
     Bzmpop},
};

}  // namespace

const CommandTable kSortedSetPopCommands = kRows;

}  // namespace brim
