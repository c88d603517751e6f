// Commands about one set, and SMOVE. Those that combine sets are in set_algebra.cc.
#include <algorithm>
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "commands/scan_options.h"
#include "commands/tables.h"
#include "store/shard.h"
#include "types/set.h"

namespace brim {

namespace {

KeyRef CreateSet(Context& context, std::string_view key) {
  KeyRef ref = context.Create(key, Type::kSet, Encoding::kIntset, EmptySetBytes());
  InitSet(ref);
  return ref;
}

void Sadd(Context& context) {
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kSet, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref) ref = CreateSet(context, key);
  int64_t added = 0;
  for (size_t i = 2; i < context.argc(); i++) added += SetAdd(ref, context.arg(i)) ? 1 : 0;
  if (added > 0) {
    context.Changed(key, kNotifySet, "sadd");
    context.CountChanges(added - 1);
  }
  context.reply().Integer(added);
}

// Deletes the key when its set has become empty, with the event.
void DeleteIfEmpty(Context& context, KeyRef& ref, std::string_view key) {
  if (SetLength(ref) > 0) return;
  context.Delete(ref, false);
  context.Notify(kNotifyGeneric, "del", key);
}

void Srem(Context& context) {
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kSet, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  int64_t removed = 0;
  for (size_t i = 2; ref && i < context.argc() && (removed == 0 || SetLength(ref) > 0); i++) {
    removed += SetRemove(ref, context.arg(i)) ? 1 : 0;
  }
  if (removed > 0) {
    context.Changed(key, kNotifySet, "srem");
    context.CountChanges(removed - 1);
    DeleteIfEmpty(context, ref, key);
  }
  context.reply().Integer(removed);
}

void Scard(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kSet, LookupKind::kRead, &wrong_type);
  if (!wrong_type) context.reply().Integer(ref ? static_cast<int64_t>(SetLength(ref)) : 0);
}

void Sismember(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kSet, LookupKind::kRead, &wrong_type);
  if (!wrong_type) context.reply().Integer(ref && SetContains(ref, context.arg(2)) ? 1 : 0);
}

void Smismember(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kSet, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  context.reply().ArrayHeader(context.argc() - 2);
  for (size_t i = 2; i < context.argc(); i++) context.reply().Integer(ref && SetContains(ref, context.arg(i)) ? 1 : 0);
}

void ReplyMembers(Context& context, const KeyRef& ref) {
  SetForEach(ref, [&](const SetMember& member) {
    context.reply().Bulk(member.text);
    return true;
  });
}

void Smembers(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kSet, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  context.reply().SetHeader(ref ? SetLength(ref) : 0);
  if (ref) ReplyMembers(context, ref);
}

// What a member takes in a reply, by some that are drawn where many are asked for.
size_t MeanMemberBytes(KeyRef& ref, size_t picks) {
  constexpr size_t kDraws = 64;
  constexpr size_t kFraming = 16;
  if (picks < kDraws) return 0;
  size_t bytes = 0;
  SetDraw(ref, kDraws, [&bytes](const SetMember& member) {
    bytes += member.text.size() + kFraming;
    return true;
  });
  return bytes / kDraws;
}

void PopSeveral(Context& context) {
  std::string_view key = context.arg(1);
  int64_t count;
  if (!ParsePositiveArg(context, 2, &count, "ERR value is out of range, must be positive")) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kSet, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref || count == 0) {
    context.reply().SetHeader(0);
    return;
  }
  bool all = static_cast<uint64_t>(count) >= SetLength(ref);
  size_t picks = all ? SetLength(ref) : static_cast<size_t>(count);
  if (!all) RequireReplyRoom(picks * MeanMemberBytes(ref, picks));
  context.reply().SetHeader(picks);
  if (all) {
    {
      OutputBuffer::Bounded bounded;
      ReplyMembers(context, ref);
    }
    context.Delete(ref, lazyfree.server_del);
    Tell(context, {lazyfree.server_del ? "UNLINK" : "DEL", key});
  }
  std::vector<std::string> popped;
  for (size_t i = 0; !all && i < picks; i++) {
    SetPop(ref, [&](const SetMember& member) {
      context.reply().Bulk(member.text);
      if (effects != nullptr) popped.emplace_back(member.text);
      return true;
    });
  }
  if (!popped.empty()) {
    std::vector<std::string_view> words{"SREM", key};
    words.insert(words.end(), popped.begin(), popped.end());
    Tell(context, words);
  }
  context.Changed(key, kNotifySet, "spop");
  context.CountChanges(static_cast<int64_t>(picks) - 1);
  if (all) context.Notify(kNotifyGeneric, "del", key);
}

void Spop(Context& context) {
  if (context.argc() > 3) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  if (context.argc() == 3) {
    PopSeveral(context);
    return;
  }
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kSet, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Null();
    return;
  }
  SetPop(ref, [&](const SetMember& member) {
    context.reply().Bulk(member.text);
    Tell(context, {"SREM", key, member.text});
    return true;
  });
  context.Changed(key, kNotifySet, "spop");
  DeleteIfEmpty(context, ref, key);
}

void RandomSeveral(Context& context) {
  int64_t count;
  if (!ParseRangeArg(context, 2, -INT64_MAX, INT64_MAX, &count)) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kSet, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (!ref || count == 0) {
    context.reply().ArrayHeader(0);
    return;
  }
  auto answer = [&](const SetMember& member) {
    context.reply().Bulk(member.text);
    return true;
  };
  if (count < 0) {
    context.reply().ArrayHeader(static_cast<size_t>(-count));
    SetDraw(ref, static_cast<size_t>(-count), answer);
    return;
  }
  size_t picks = std::min(static_cast<size_t>(count), SetLength(ref));
  context.reply().ArrayHeader(picks);
  if (picks == SetLength(ref)) {
    SetForEach(ref, answer);
  } else {
    SetSample(ref, picks, answer);
  }
}

void Srandmember(Context& context) {
  if (context.argc() > 3) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  if (context.argc() == 3) {
    RandomSeveral(context);
    return;
  }
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kSet, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Null();
    return;
  }
  SetDraw(ref, 1, [&](const SetMember& member) {
    context.reply().Bulk(member.text);
    return true;
  });
}

void Smove(Context& context) {
  std::string_view from_key = context.arg(1);
  std::string_view to_key = context.arg(2);
  std::string_view member = context.arg(3);
  KeyRef from = context.Lookup(from_key, LookupKind::kWrite);
  KeyRef to = context.Lookup(to_key, LookupKind::kWrite);
  if (!from) {
    context.reply().Integer(0);
    return;
  }
  if (from.type() != Type::kSet || (to && to.type() != Type::kSet)) {
    context.reply().Error(errors::kWrongType);
    return;
  }
  if (to && &from.entry() == &to.entry()) {
    context.reply().Integer(SetContains(from, member) ? 1 : 0);
    return;
  }
  if (!SetRemove(from, member)) {
    context.reply().Integer(0);
    return;
  }
  context.Changed(from_key, kNotifySet, "srem");
  DeleteIfEmpty(context, from, from_key);
  if (!to) to = CreateSet(context, to_key);
  if (SetAdd(to, member)) context.Changed(to_key, kNotifySet, "sadd");
  context.reply().Integer(1);
}

void Sscan(Context& context) {
  ScanOptions options;
  if (!ParseCursorArg(context, 2, &options.cursor)) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kSet, LookupKind::kRead, &wrong_type);
  if (wrong_type || (ref && !ParseScanWords(context, 3, false, &options))) return;
  ScanReply found;
  uint64_t cursor = ref ? options.cursor : 0;
  for (size_t visited = 0; ref && visited < options.count;) {
    cursor = SetScan(ref, cursor, [&](const SetMember& member) {
      visited++;
      if (options.Wants(member.text)) found.Add(member.text);
      return true;
    });
    if (cursor == 0) break;
  }
  found.Send(context, cursor);
}

constexpr uint32_t kRead = kReadonly | kFast;
constexpr KeySpec kLook = KeyAt(1, kKeyRO);
constexpr KeySpec kGet = KeyAt(1, kKeyRO | kKeyAccess);
constexpr KeySpec kTake = KeyAt(1, kKeyRW | kKeyAccess | kKeyDelete);
constexpr const char* kAnyOutput = "nondeterministic_output";

constexpr CommandSpec kRows[] = {
    {"sadd",
     -3,
     kWrite | kDenyOom | kFast | kElementAt2,
     {KeyAt(1, kKeyRW | kKeyInsert)},
     kCatSet,
     Group::kSet,
     "1.0.0",
     "O(N) where N is the number of members named",
     "Adds members to a set; creates it when absent.",
     "key member [member ...]",
     Sadd},
    {"srem",
     -3,
     kWrite | kFast | kElementAt2,
     {KeyAt(1, kKeyRW | kKeyDelete)},
     kCatSet,
     Group::kSet,
     "1.0.0",
     "O(N) where N is the number of members named",
     "Removes members of a set, and the set with its last one.",
     "key member [member ...]",
     Srem},
    {"scard", 2, kRead, {kLook}, kCatSet, Group::kSet, "1.0.0", "O(1)", "Counts the members of a set.", "key", Scard},
    {"sismember",
     3,
     kRead | kElementAt2,
     {kLook},
     kCatSet,
     Group::kSet,
     "1.0.0",
     "O(1)",
     "Tells whether a set has the member.",
     "key member",
     Sismember},
    {"smismember",
     -3,
     kRead | kElementAt2,
     {kGet},
     kCatSet,
     Group::kSet,
     "6.2.0",
     "O(N) where N is the number of members named",
     "Tells for several members whether a set has them.",
     "key member [member ...]",
     Smismember},
    {"smembers",
     2,
     kReadonly,
     {kGet},
     kCatSet,
     Group::kSet,
     "1.0.0",
     "O(N) where N is the size of the set",
     "Answers all members of a set.",
     "key",
     Smembers,
     nullptr,
     "nondeterministic_output_order"},
    {"spop",
     -2,
     kWrite | kFast,
     {kTake},
     kCatSet,
     Group::kSet,
     "1.0.0",
     "O(N) where N is the count, 1 when not given",
     "Takes random members out of a set and answers them.",
     "key [count]",
     Spop,
     nullptr,
     kAnyOutput},
    {"srandmember",
     -2,
     kReadonly,
     {kGet},
     kCatSet,
     Group::kSet,
     "1.0.0",
     "O(N) where N is the count, 1 when not given",
     "Answers random members of a set.",
     "key [count]",
     Srandmember,
     nullptr,
     kAnyOutput},
    {"smove",
     4,
     kWrite | kFast,
     {kTake, KeyAt(2, kKeyRW | kKeyInsert)},
     kCatSet,
     Group::kSet,
     "1.0.0",
     "O(1)",
     "Moves a member from one set to another.",
     "source destination member",
     Smove},
    {"sscan",
     -3,
     kReadonly,
     {kGet},
     kCatSet,
     Group::kSet,
     "2.8.0",
     "O(1) per call, O(N) for the whole set",
     "Walks over the members of a set in steps.",
     "key cursor [MATCH pattern] [COUNT count]",
     Sscan,
     nullptr,
     kAnyOutput},
};

}  // namespace

const CommandTable kSetCommands = kRows;

}  // namespace brim
