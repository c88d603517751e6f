// Hash commands. Random fields and scans are in hash_fields.cc.
#include <cmath>

#include "commands/arguments.h"
#include "commands/hash_fields.h"
#include "commands/live_fields.h"
#include "commands/tables.h"
#include "store/shard.h"
#include "types/hash.h"

namespace brim {

namespace {

// The hash at the key, for a command about these fields; created when absent, empty with WRONGTYPE replied.
KeyRef HashForWrite(Context& context, std::span<const std::string_view> fields) {
  bool wrong_type;
  KeyRef ref = LookupFields(context, LookupKind::kWrite, fields, 1, &wrong_type);
  if (wrong_type || ref) return wrong_type ? KeyRef() : ref;
  return CreateHash(context, context.arg(1));
}

// Sets the pairs from arg(2) on. False with the error replied; *added counts the new fields.
bool SetPairs(Context& context, int64_t* added) {
  if (context.argc() % 2 == 1) {
    ReplyWrongArity(context);
    return false;
  }
  std::string_view key = context.arg(1);
  KeyRef ref = HashForWrite(context, {});
  if (!ref) return false;
  HashMakeRoomFor(ref, context.argv().subspan(2));
  for (size_t i = 2; i < context.argc(); i += 2) *added += HashSet(ref, context.arg(i), context.arg(i + 1)) ? 1 : 0;
  context.Changed(key, kNotifyHash, "hset");
  context.CountChanges(static_cast<int64_t>(context.argc() - 2) / 2 - 1);
  return true;
}

void Hset(Context& context) {
  int64_t added = 0;
  if (SetPairs(context, &added)) context.reply().Integer(added);
}

void Hmset(Context& context) {
  int64_t added = 0;
  if (SetPairs(context, &added)) context.reply().Ok();
}

void Hsetnx(Context& context) {
  std::string_view key = context.arg(1);
  KeyRef ref = HashForWrite(context, context.argv().subspan(2, 1));
  if (!ref) return;
  if (HashContains(ref, context.arg(2))) {
    context.reply().Integer(0);
    return;
  }
  HashMakeRoomFor(ref, context.argv().subspan(2));
  HashSet(ref, context.arg(2), context.arg(3));
  context.Changed(key, kNotifyHash, "hset");
  context.reply().Integer(1);
}

void ReplyField(Context& context, const KeyRef& ref, std::string_view field) {
  char buffer[24];
  std::string_view text;
  if (LiveGet(context, ref, field, buffer, &text)) {
    context.reply().Bulk(text);
  } else {
    context.reply().Null();
  }
}

KeyRef LookupToRead(Context& context, bool* wrong_type) {
  return LookupFields(context, LookupKind::kRead, context.argv().subspan(2), 1, wrong_type);
}

void Hget(Context& context) {
  bool wrong_type;
  KeyRef ref = LookupToRead(context, &wrong_type);
  if (!wrong_type) ReplyField(context, ref, context.arg(2));
}

void Hmget(Context& context) {
  bool wrong_type;
  KeyRef ref = LookupToRead(context, &wrong_type);
  if (wrong_type) return;
  context.reply().ArrayHeader(context.argc() - 2);
  for (size_t i = 2; i < context.argc(); i++) ReplyField(context, ref, context.arg(i));
}

void Hgetall(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  Reply& reply = context.reply();
  int64_t now_ms = LiveTime(context);
  reply.MapHeader(ref ? HashLiveLength(ref, now_ms) : 0);
  if (!ref) return;
  HashForEachLive(ref, now_ms, [&](std::string_view field, std::string_view value) {
    reply.Bulk(field);
    reply.Bulk(value);
  });
}

void ReplyHalf(Context& context, bool fields) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  Reply& reply = context.reply();
  int64_t now_ms = LiveTime(context);
  reply.ArrayHeader(ref ? HashLiveLength(ref, now_ms) : 0);
  if (!ref) return;
  HashForEachLive(ref, now_ms,
                  [&](std::string_view field, std::string_view value) { reply.Bulk(fields ? field : value); });
}

void Hkeys(Context& context) { ReplyHalf(context, true); }
void Hvals(Context& context) { ReplyHalf(context, false); }

void Hlen(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, LookupKind::kRead, &wrong_type);
  if (!wrong_type) context.reply().Integer(ref ? static_cast<int64_t>(HashLength(ref)) : 0);
}

void Hstrlen(Context& context) {
  bool wrong_type;
  KeyRef ref = LookupToRead(context, &wrong_type);
  if (wrong_type) return;
  char buffer[24];
  std::string_view text;
  bool there = LiveGet(context, ref, context.arg(2), buffer, &text);
  context.reply().Integer(there ? static_cast<int64_t>(text.size()) : 0);
}

void Hexists(Context& context) {
  bool wrong_type;
  KeyRef ref = LookupToRead(context, &wrong_type);
  if (!wrong_type) context.reply().Integer(LiveContains(context, ref, context.arg(2)) ? 1 : 0);
}

void Hdel(Context& context) {
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kHash, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  int64_t deleted = 0;
  bool emptied = false;
  for (size_t i = 2; ref && i < context.argc() && !emptied; i++) {
    if (!HashDelete(ref, context.arg(i))) continue;
    deleted++;
    emptied = HashLength(ref) == 0;
  }
  if (emptied) context.Delete(ref, false);
  if (deleted > 0) {
    context.Changed(key, kNotifyHash, "hdel");
    context.CountChanges(deleted - 1);
    if (emptied) context.Notify(kNotifyGeneric, "del", key);
  }
  context.reply().Integer(deleted);
}

void Hincrby(Context& context) {
  int64_t delta;
  if (!ParseIntArg(context, 3, &delta)) return;
  std::string_view key = context.arg(1);
  KeyRef ref = HashForWrite(context, context.argv().subspan(2, 1));
  if (!ref) return;
  int64_t value = 0;
  char buffer[24];
  std::string_view text;
  if (HashGet(ref, context.arg(2), buffer, &text) && !ParseInt64(text, &value)) {
    context.reply().Error("ERR hash value is not an integer");
    return;
  }
  if (__builtin_add_overflow(value, delta, &value)) {
    context.reply().Error("ERR increment or decrement would overflow");
    return;
  }
  HashSetKeepingTime(ref, context.arg(2), {buffer, static_cast<size_t>(FormatInt64(value, buffer))});
  context.Changed(key, kNotifyHash, "hincrby");
  context.reply().Integer(value);
}

void Hincrbyfloat(Context& context) {
  long double delta;
  if (!ParseLongDouble(context.arg(3), &delta)) {
    context.reply().Error("ERR value is not a valid float");
    return;
  }
  if (std::isnan(delta) || std::isinf(delta)) {
    context.reply().Error("ERR value is NaN or Infinity");
    return;
  }
  std::string_view key = context.arg(1);
  KeyRef ref = HashForWrite(context, context.argv().subspan(2, 1));
  if (!ref) return;
  long double value = 0;
  char buffer[24];
  std::string_view old;
  if (HashGet(ref, context.arg(2), buffer, &old) && !ParseLongDouble(old, &value)) {
    context.reply().Error("ERR hash value is not a float");
    return;
  }
  value += delta;
  if (std::isnan(value) || std::isinf(value)) {
    context.reply().Error("ERR increment would produce NaN or Infinity");
    return;
  }
  char text[5200];
  std::string_view result(text, static_cast<size_t>(FormatLongDoubleHuman(value, text)));
  HashSetKeepingTime(ref, context.arg(2), result);
  if (HashIsTimed(ref)) {
    Tell(context, {"HSETEX", key, "KEEPTTL", "FIELDS", "1", context.arg(2), result});
  } else {
    Tell(context, {"HSET", key, context.arg(2), result});
  }
  context.Changed(key, kNotifyHash, "hincrbyfloat");
  context.reply().Bulk(result);
}

constexpr uint32_t kRead = kReadonly | kFast;
constexpr uint32_t kSet = kWrite | kDenyOom | kFast;
constexpr KeySpec kLook = KeyAt(1, kKeyRO);
constexpr KeySpec kGet = KeyAt(1, kKeyRO | kKeyAccess);
constexpr KeySpec kPut = KeyAt(1, kKeyRW | kKeyUpdate);
constexpr KeySpec kAdd = KeyAt(1, kKeyRW | kKeyAccess | kKeyUpdate);
constexpr const char* kAnyOrder = "nondeterministic_output_order";
constexpr const char* kAnyOutput = "nondeterministic_output";

constexpr CommandSpec kRows[] = {
    {"hset",
     -4,
     kSet | kElementAt2,
     {kPut},
     kCatHash,
     Group::kHash,
     "2.0.0",
     "O(N) where N is the number of pairs",
     "Sets fields of a hash; creates what is absent.",
     "key field value [field value ...]",
     Hset},
    {"hsetnx",
     4,
     kSet | kElementAt2,
     {KeyAt(1, kKeyRW | kKeyInsert)},
     kCatHash,
     Group::kHash,
     "2.0.0",
     "O(1)",
     "Sets a field of a hash unless the field exists.",
     "key field value",
     Hsetnx},
    {"hmset",
     -4,
     kSet | kElementAt2,
     {kPut},
     kCatHash,
     Group::kHash,
     "2.0.0",
     "O(N) where N is the number of pairs",
     "Sets fields of a hash and answers OK.",
     "key field value [field value ...]",
     Hmset,
     nullptr,
     "",
     "`HSET` with multiple field-value pairs",
     "4.0.0"},
    {"hget",
     3,
     kRead | kElementAt2,
     {kGet},
     kCatHash,
     Group::kHash,
     "2.0.0",
     "O(1)",
     "Answers the value of a hash's field.",
     "key field",
     Hget},
    {"hmget",
     -3,
     kRead | kElementAt2,
     {kGet},
     kCatHash,
     Group::kHash,
     "2.0.0",
     "O(N) where N is the number of fields asked for",
     "Answers the values of several fields, nil for absent ones.",
     "key field [field ...]",
     Hmget},
    {"hgetall",
     2,
     kReadonly,
     {kGet},
     kCatHash,
     Group::kHash,
     "2.0.0",
     "O(N) where N is the size of the hash",
     "Answers all fields of a hash with their values.",
     "key",
     Hgetall,
     nullptr,
     kAnyOrder},
    {"hkeys",
     2,
     kReadonly,
     {kGet},
     kCatHash,
     Group::kHash,
     "2.0.0",
     "O(N) where N is the size of the hash",
     "Answers all fields of a hash.",
     "key",
     Hkeys,
     nullptr,
     kAnyOrder},
    {"hvals",
     2,
     kReadonly,
     {kGet},
     kCatHash,
     Group::kHash,
     "2.0.0",
     "O(N) where N is the size of the hash",
     "Answers all values of a hash.",
     "key",
     Hvals,
     nullptr,
     kAnyOrder},
    {"hlen", 2, kRead, {kLook}, kCatHash, Group::kHash, "2.0.0", "O(1)", "Counts the fields of a hash.", "key", Hlen},
    {"hstrlen",
     3,
     kRead | kElementAt2,
     {kLook},
     kCatHash,
     Group::kHash,
     "3.2.0",
     "O(1)",
     "Answers the bytes of a field's value.",
     "key field",
     Hstrlen},
    {"hexists",
     3,
     kRead | kElementAt2,
     {kLook},
     kCatHash,
     Group::kHash,
     "2.0.0",
     "O(1)",
     "Tells whether a hash has the field.",
     "key field",
     Hexists},
    {"hdel",
     -3,
     kWrite | kFast | kElementAt2,
     {KeyAt(1, kKeyRW | kKeyDelete)},
     kCatHash,
     Group::kHash,
     "2.0.0",
     "O(N) where N is the number of fields named",
     "Deletes fields of a hash, and the hash with its last one.",
     "key field [field ...]",
     Hdel},
    {"hincrby",
     4,
     kSet | kElementAt2,
     {kAdd},
     kCatHash,
     Group::kHash,
     "2.0.0",
     "O(1)",
     "Adds a whole number to a field; absent counts as 0.",
     "key field increment",
     Hincrby},
    {"hincrbyfloat",
     4,
     kSet | kElementAt2,
     {kAdd},
     kCatHash,
     Group::kHash,
     "2.6.0",
     "O(1)",
     "Adds a floating-point number to a field; absent counts as 0.",
     "key field increment",
     Hincrbyfloat},
    {"hrandfield",
     -2,
     kReadonly,
     {kGet},
     kCatHash,
     Group::kHash,
     "6.2.0",
     "O(N) where N is the number of fields answered",
     "Answers random fields of a hash.",
     "key [count [WITHVALUES]]",
     Hrandfield,
     nullptr,
     kAnyOutput},
    {"hscan",
     -3,
     kReadonly,
     {kGet},
     kCatHash,
     Group::kHash,
     "2.8.0",
     "O(1) per call, O(N) for the whole hash",
     "Walks over the fields of a hash in steps.",
     "key cursor [MATCH pattern] [COUNT count]",
     Hscan,
     nullptr,
     kAnyOutput},
};

}  // namespace

const CommandTable kHashCommands = kRows;

}  // namespace brim
