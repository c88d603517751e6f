// SINTER, SUNION, SDIFF and their kin.
#include <algorithm>
#include <vector>

#include "commands/arguments.h"
#include "commands/store_result.h"
#include "commands/tables.h"
#include "store/shard.h"
#include "types/detached_value.h"
#include "types/set.h"

namespace brim {

namespace {

using Keys = std::span<const std::string_view>;
using Sets = std::vector<KeyRef>;  // an absent key's is empty

bool Same(const KeyRef& a, const KeyRef& b) { return a && b && &a.entry() == &b.entry(); }

// False with WRONGTYPE replied when one of the keys holds something else.
bool ReadSets(Context& context, Keys keys, Sets* sets) {
  sets->reserve(keys.size());
  for (std::string_view key : keys) {
    bool wrong_type;
    KeyRef ref = context.LookupTyped(key, Type::kSet, LookupKind::kRead, &wrong_type);
    if (wrong_type) return false;
    sets->push_back(ref);
  }
  return true;
}

bool AnyAbsent(const Sets& sets) {
  return std::any_of(sets.begin(), sets.end(), [](const KeyRef& set) { return !set; });
}

// A set being built in the heap where it is going to stay (or, for a reply, in that of the first key).
class Result : public DetachedValue {
 public:
  explicit Result(std::string_view key)
      : DetachedValue(&shards.Of(HashBytes(key)).heap(), Type::kSet, Encoding::kIntset, EmptySetBytes()) {
    InitSet(*this);
  }
};

void ReplySet(Context& context, const Value& set) {
  context.reply().SetHeader(SetLength(set));
  SetForEach(set, [&](const SetMember& member) {
    context.reply().Bulk(member.text);
    return true;
  });
}

// Calls fn(member) -> bool for what all sets share, until it answers false. No set may be absent. The smallest set is
// walked and the others are asked, smallest first, as they refuse the most.
template <class Fn>
void Intersect(Sets& sets, Fn&& fn) {
  std::sort(sets.begin(), sets.end(), [](const KeyRef& a, const KeyRef& b) { return SetLength(a) < SetLength(b); });
  auto last = std::unique(sets.begin(), sets.end(), Same);
  sets.erase(last, sets.end());
  SetForEach(sets[0], [&](const SetMember& member) {
    for (size_t i = 1; i < sets.size(); i++) {
      if (!SetContains(sets[i], member)) return true;
    }
    return fn(member);
  });
}

void Sinter(Context& context) {
  Sets sets;
  if (!ReadSets(context, context.argv().subspan(1), &sets)) return;
  if (AnyAbsent(sets)) {
    context.reply().SetHeader(0);
    return;
  }
  size_t token = context.reply().BeginDeferred();
  size_t count = 0;
  Intersect(sets, [&](const SetMember& member) {
    context.reply().Bulk(member.text);
    count++;
    return true;
  });
  context.reply().EndDeferredSet(token, count);
}

void Sinterstore(Context& context) {
  Sets sets;
  if (!ReadSets(context, context.argv().subspan(2), &sets)) return;
  Result result(context.arg(1));
  RoomWatch room;
  if (!AnyAbsent(sets)) {
    Intersect(sets, [&](const SetMember& member) {
      SetAdd(result, member);
      room.Added();
      return true;
    });
  }
  StoreResult(context, context.arg(1), result, kNotifySet, "sinterstore");
}

void Sintercard(Context& context) {
  int64_t keys;
  if (!ParseRangeArg(context, 1, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0")) return;
  if (static_cast<uint64_t>(keys) > context.argc() - 2) {
    context.reply().Error("ERR Number of keys can't be greater than number of args");
    return;
  }
  int64_t limit = 0;
  for (size_t i = 2 + static_cast<size_t>(keys); i < context.argc(); i += 2) {
    if (i + 1 >= context.argc() || !ArgIs(context, i, "LIMIT")) {
      context.reply().Error(errors::kSyntax);
      return;
    }
    if (!ParsePositiveArg(context, i + 1, &limit, "ERR LIMIT can't be negative")) return;
  }
  Sets sets;
  if (!ReadSets(context, context.argv().subspan(2, static_cast<size_t>(keys)), &sets)) return;
  int64_t count = 0;
  if (!AnyAbsent(sets)) Intersect(sets, [&](const SetMember&) { return ++count != limit; });
  context.reply().Integer(count);
}

void BuildUnion(const Sets& sets, Result& result) {
  RoomWatch room;
  for (const KeyRef& set : sets) {
    if (!set) continue;
    SetForEach(set, [&](const SetMember& member) {
      SetAdd(result, member);
      room.Added();
      return true;
    });
  }
}

// Whether asking the other sets about each member of the first is less work than taking every member of the others out
// of a copy of it. The first way can stop early, so its work counts half.
bool AskingIsCheaper(const Sets& sets) {
  size_t asking = 0;
  size_t removing = 0;
  for (const KeyRef& set : sets) {
    asking += SetLength(sets[0]);
    removing += set ? SetLength(set) : 0;
  }
  return asking / 2 <= removing;
}

// Calls fn(member) for what the first set has and no other. The biggest of the others are asked first.
template <class Fn>
void DiffByAsking(Sets& sets, Fn&& fn) {
  auto size = [](const KeyRef& set) { return set ? SetLength(set) : 0; };
  std::sort(sets.begin() + 1, sets.end(), [&](const KeyRef& a, const KeyRef& b) { return size(a) > size(b); });
  SetForEach(sets[0], [&](const SetMember& member) {
    for (size_t i = 1; i < sets.size() && sets[i]; i++) {
      if (SetContains(sets[i], member)) return true;
    }
    fn(member);
    return true;
  });
}

void DiffByRemoving(const Sets& sets, Result& result) {
  BuildUnion({sets[0]}, result);
  for (size_t i = 1; i < sets.size() && SetLength(result) > 0; i++) {
    if (!sets[i]) continue;
    SetForEach(sets[i], [&](const SetMember& member) {
      SetRemove(result, member);
      return SetLength(result) > 0;
    });
  }
}

// Nothing can be left: the first set is absent or named again.
bool DiffIsEmpty(const Sets& sets) {
  return !sets[0] || std::any_of(sets.begin() + 1, sets.end(), [&](const KeyRef& set) { return Same(set, sets[0]); });
}

void Sunion(Context& context) {
  Sets sets;
  if (!ReadSets(context, context.argv().subspan(1), &sets)) return;
  Result result(context.arg(1));
  BuildUnion(sets, result);
  ReplySet(context, result);
}

void Sunionstore(Context& context) {
  Sets sets;
  if (!ReadSets(context, context.argv().subspan(2), &sets)) return;
  Result result(context.arg(1));
  BuildUnion(sets, result);
  StoreResult(context, context.arg(1), result, kNotifySet, "sunionstore");
}

void Sdiff(Context& context) {
  Sets sets;
  if (!ReadSets(context, context.argv().subspan(1), &sets)) return;
  if (DiffIsEmpty(sets)) {
    context.reply().SetHeader(0);
    return;
  }
  if (!AskingIsCheaper(sets)) {
    Result result(context.arg(1));
    DiffByRemoving(sets, result);
    ReplySet(context, result);
    return;
  }
  size_t token = context.reply().BeginDeferred();
  size_t count = 0;
  DiffByAsking(sets, [&](const SetMember& member) {
    context.reply().Bulk(member.text);
    count++;
  });
  context.reply().EndDeferredSet(token, count);
}

void Sdiffstore(Context& context) {
  Sets sets;
  if (!ReadSets(context, context.argv().subspan(2), &sets)) return;
  Result result(context.arg(1));
  RoomWatch room;
  if (!DiffIsEmpty(sets)) {
    if (AskingIsCheaper(sets)) {
      DiffByAsking(sets, [&](const SetMember& member) {
        SetAdd(result, member);
        room.Added();
      });
    } else {
      DiffByRemoving(sets, result);
    }
  }
  StoreResult(context, context.arg(1), result, kNotifySet, "sdiffstore");
}

constexpr KeySpec kSources = KeyRange(1, -1, 1, kKeyRO | kKeyAccess);
constexpr KeySpec kStoredSources = KeyRange(2, -1, 1, kKeyRO | kKeyAccess);
constexpr KeySpec kTarget = KeyAt(1, kKeyOW | kKeyUpdate);
constexpr uint32_t kStore = kWrite | kDenyOom;
constexpr const char* kAnyOrder = "nondeterministic_output_order";
constexpr const char* kMeetCost = "O(N*M) at worst where N is the size of the smallest set and M the number of sets";
constexpr const char* kSumCost = "O(N) where N is the number of members in all sets";

constexpr CommandSpec kRows[] = {
    {"sinter",
     -2,
     kReadonly,
     {kSources},
     kCatSet,
     Group::kSet,
     "1.0.0",
     kMeetCost,
     "Answers the members that all the sets share.",
     "key [key ...]",
     Sinter,
     nullptr,
     kAnyOrder},
    {"sinterstore",
     -3,
     kStore,
     {KeyAt(1, kKeyRW | kKeyUpdate), kStoredSources},
     kCatSet,
     Group::kSet,
     "1.0.0",
     kMeetCost,
     "Stores the members that all the sets share.",
     "destination key [key ...]",
     Sinterstore},
    {"sintercard",
     -3,
     kReadonly,
     {KeyNum(1, 0, 1, 1, kKeyRO | kKeyAccess)},
     kCatSet,
     Group::kSet,
     "7.0.0",
     kMeetCost,
     "Counts the members that all the sets share, up to a limit.",
     "numkeys key [key ...] [LIMIT limit]",
     Sintercard},
    {"sunion",
     -2,
     kReadonly,
     {kSources},
     kCatSet,
     Group::kSet,
     "1.0.0",
     kSumCost,
     "Answers the members of any of the sets.",
     "key [key ...]",
     Sunion,
     nullptr,
     kAnyOrder},
    {"sunionstore",
     -3,
     kStore,
     {kTarget, kStoredSources},
     kCatSet,
     Group::kSet,
     "1.0.0",
     kSumCost,
     "Stores the members of any of the sets.",
     "destination key [key ...]",
     Sunionstore},
    {"sdiff",
     -2,
     kReadonly,
     {kSources},
     kCatSet,
     Group::kSet,
     "1.0.0",
     kSumCost,
     "Answers the members of the first set that no other set has.",
     "key [key ...]",
     Sdiff,
     nullptr,
     kAnyOrder},
    {"sdiffstore",
     -3,
     kStore,
     {kTarget, kStoredSources},
     kCatSet,
     Group::kSet,
     "1.0.0",
     kSumCost,
     "Stores the members of the first set that no other set has.",
     "destination key [key ...]",
     Sdiffstore},
};

}  // namespace

const CommandTable kSetAlgebraCommands = kRows;

}  // namespace brim
