// Expiry of single fields: HEXPIRE, HTTL, HPERSIST and their kin, and HGETEX, HSETEX, HGETDEL.
//
// What is recorded (AOF) is what came of a command: HPEXPIREAT and HPERSIST with the fields that were changed, HDEL
// with those that went because the time given was past, HSETEX with an absolute time.
#include <algorithm>
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "commands/live_fields.h"
#include "commands/tables.h"
#include "store/shard.h"

namespace brim {

namespace {

using Words = std::span<const std::string_view>;

constexpr int64_t kTimeArgMax = kFieldTimeMax >> 2;  // that commands take; files may have later ones
constexpr int64_t kConditionFails = 0;
constexpr int64_t kDone = 1;
constexpr int64_t kDeleted = 2;

enum Condition : uint8_t { kAlways, kNx, kXx, kGt, kLt };

// A time to live or a time, as an argument: absolute ms in *at_ms. False with the error replied.
bool ParseTimeArg(Context& context, size_t i, bool seconds, bool relative, int64_t* at_ms) {
  int64_t number;
  if (!ParseIntArg(context, i, &number)) return false;
  if (number < 0) {
    context.reply().Error("ERR invalid expire time, must be >= 0");
    return false;
  }
  int64_t unit = seconds ? 1000 : 1;
  int64_t base = relative ? context.now_ms() : 0;
  if (number > kTimeArgMax / unit || number * unit > kTimeArgMax - base) {
    context.reply().Error("ERR invalid expire time in '" + std::string(context.spec().name) + "' command");
    return false;
  }
  *at_ms = number * unit + base;
  return true;
}

// FIELDS n field ... from arg(i) to the end; the fields in *fields. False with the error replied.
bool ParseFields(Context& context, size_t i, const char* wrong_number, Words* fields) {
  if (i >= context.argc() || !ArgIs(context, i, "FIELDS")) {
    context.reply().Error("ERR Mandatory argument FIELDS is missing or not at the right position");
    return false;
  }
  int64_t count = 0;
  if (i + 1 < context.argc() && !ParseRangeArg(context, i + 1, 1, INT64_MAX, &count, wrong_number)) return false;
  if (i + 1 >= context.argc() || static_cast<uint64_t>(count) != context.argc() - i - 2) {
    context.reply().Error("ERR The `numfields` parameter must match the number of arguments");
    return false;
  }
  *fields = context.argv().subspan(i + 2);
  return true;
}

constexpr const char* kNotPositive = "ERR Number of fields must be a positive integer";

// Records a command about some fields: its words, FIELDS and how many where it has them, the fields.
void TellFields(Context& context, std::vector<std::string_view> words, bool counted, Words fields) {
  if (effects == nullptr) return;
  std::string count = std::to_string(fields.size());
  if (counted) words.insert(words.end(), {"FIELDS", count});
  words.insert(words.end(), fields.begin(), fields.end());
  Tell(context, words);
}

// What was done to fields of the hash at arg(1).
struct FieldChanges {
  std::vector<std::string_view> timed;    // have another time, or none
  std::vector<std::string_view> deleted;  // are gone, the time given being past
};

// After changes of times: what is recorded, the events, the end of a hash without fields.
void Conclude(Context& context, KeyRef& ref, const FieldChanges& changes, int64_t at_ms) {
  std::string_view key = context.arg(1);
  size_t count = changes.timed.size() + changes.deleted.size();
  if (count == 0) return;
  if (!changes.deleted.empty()) TellFields(context, {"HDEL", key}, false, changes.deleted);
  if (!changes.timed.empty()) {
    if (at_ms == kNoTime) {
      TellFields(context, {"HPERSIST", key}, true, changes.timed);
    } else {
      std::string time = std::to_string(at_ms);
      TellFields(context, {"HPEXPIREAT", key, time}, true, changes.timed);
    }
  }
  bool emptied = HashLength(ref) == 0;
  if (emptied) context.Delete(ref, false);
  context.Changed(key, kNotifyHash, !changes.deleted.empty() ? "hdel" : at_ms == kNoTime ? "hpersist" : "hexpire");
  context.CountChanges(static_cast<int64_t>(count) - 1);
  if (emptied) context.Notify(kNotifyGeneric, "del", key);
}

// Gives a field that is there that time, or deletes it when it is past.
int64_t SetTime(Context& context, KeyRef& ref, std::string_view field, int64_t at_ms, FieldChanges* changes) {
  if (TimeHasCome(context, at_ms - 1)) {
    HashDelete(ref, field);
    ref.keyspace().shard().expired_fields.fetch_add(1, std::memory_order_relaxed);
    changes->deleted.push_back(field);
    return kDeleted;
  }
  HashSetFieldTime(ref, field, std::max<int64_t>(at_ms, 1));
  changes->timed.push_back(field);
  return kDone;
}

// ---- HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT

bool ConditionHolds(Condition condition, int64_t current_ms, int64_t wanted_ms) {
  switch (condition) {
    case kNx:
      return current_ms == kNoTime;
    case kXx:
      return current_ms != kNoTime;
    case kGt:
      return current_ms != kNoTime && wanted_ms > current_ms;
    case kLt:
      return current_ms == kNoTime || wanted_ms < current_ms;
    default:
      return true;
  }
}

Condition ConditionAt(const Context& context, size_t i) {
  constexpr const char* kNames[] = {"NX", "XX", "GT", "LT"};
  for (size_t n = 0; n < 4; n++) {
    if (ArgIs(context, i, kNames[n])) return static_cast<Condition>(n + 1);
  }
  return kAlways;
}

void ExpireFieldsAt(Context& context, bool seconds, bool relative) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, LookupKind::kWrite, &wrong_type);
  int64_t at_ms;
  if (wrong_type || !ParseTimeArg(context, 2, seconds, relative, &at_ms)) return;
  Condition condition = ConditionAt(context, 3);
  Words fields;
  if (!ParseFields(context, condition == kAlways ? 3 : 4, "ERR Parameter `numFields` should be greater than 0",
                   &fields))
    return;
  FieldChanges changes;
  context.reply().ArrayHeader(fields.size());
  for (std::string_view field : fields) {
    int64_t current_ms = LiveFieldTime(context, ref, field);
    int64_t result = current_ms;
    if (current_ms != kNoField) {
      result = ConditionHolds(condition, current_ms, at_ms) ? SetTime(context, ref, field, at_ms, &changes)
                                                            : kConditionFails;
    }
    context.reply().Integer(result);
  }
  Conclude(context, ref, changes, at_ms);
}

void Hexpire(Context& context) { ExpireFieldsAt(context, true, true); }
void Hpexpire(Context& context) { ExpireFieldsAt(context, false, true); }
void Hexpireat(Context& context) { ExpireFieldsAt(context, true, false); }
void Hpexpireat(Context& context) { ExpireFieldsAt(context, false, false); }

// ---- HTTL, HPTTL, HEXPIRETIME, HPEXPIRETIME, HPERSIST

void ReplyTimes(Context& context, bool seconds, bool relative) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, LookupKind::kRead, &wrong_type);
  Words fields;
  if (wrong_type || !ParseFields(context, 2, kNotPositive, &fields)) return;
  int64_t base = relative ? context.now_ms() : 0;
  context.reply().ArrayHeader(fields.size());
  for (std::string_view field : fields) {
    int64_t at_ms = LiveFieldTime(context, ref, field);
    if (at_ms >= 0) {
      at_ms = std::max<int64_t>(at_ms - base, 0);
      if (seconds) at_ms = (at_ms + 999) / 1000;
    }
    context.reply().Integer(at_ms);
  }
}

void Httl(Context& context) { ReplyTimes(context, true, true); }
void Hpttl(Context& context) { ReplyTimes(context, false, true); }
void Hexpiretime(Context& context) { ReplyTimes(context, true, false); }
void Hpexpiretime(Context& context) { ReplyTimes(context, false, false); }

void Hpersist(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, LookupKind::kWrite, &wrong_type);
  Words fields;
  if (wrong_type || !ParseFields(context, 2, kNotPositive, &fields)) return;
  FieldChanges changes;
  context.reply().ArrayHeader(fields.size());
  for (std::string_view field : fields) {
    int64_t at_ms = LiveFieldTime(context, ref, field);
    if (at_ms >= 0) {
      HashSetFieldTime(ref, field, kNoTime);
      changes.timed.push_back(field);
      at_ms = kDone;
    }
    context.reply().Integer(at_ms);
  }
  Conclude(context, ref, changes, kNoTime);
}

// ---- HGETEX, HGETDEL

void ReplyLive(Context& context, const KeyRef& ref, std::string_view field) {
  char buffer[24];
  std::string_view text;
  if (LiveGet(context, ref, field, buffer, &text)) {
    context.reply().Bulk(text);
  } else {
    context.reply().Null();
  }
}

struct TimeOption {
  const char* name;
  bool seconds;
  bool relative;
};
constexpr TimeOption kTimeOptions[] = {
    {"EX", true, true}, {"PX", false, true}, {"EXAT", true, false}, {"PXAT", false, false}};

const TimeOption* TimeOptionAt(const Context& context, size_t i) {
  for (const TimeOption& option : kTimeOptions) {
    if (ArgIs(context, i, option.name)) return &option;
  }
  return nullptr;
}

void Hgetex(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  const TimeOption* option = TimeOptionAt(context, 2);
  bool persist = ArgIs(context, 2, "PERSIST");
  int64_t at_ms = kNoTime;
  if (option != nullptr && !ParseTimeArg(context, 3, option->seconds, option->relative, &at_ms)) return;
  Words fields;
  if (!ParseFields(context, option != nullptr ? 4 : persist ? 3 : 2, kNotPositive, &fields)) return;
  if (ref && HashIsTimed(ref)) ExpireNamed(context, &ref, fields, 1);
  FieldChanges changes;
  context.reply().ArrayHeader(fields.size());
  for (std::string_view field : fields) {
    ReplyLive(context, ref, field);
    int64_t current_ms = LiveFieldTime(context, ref, field);
    if (current_ms == kNoField) continue;
    if (option != nullptr) {
      SetTime(context, ref, field, at_ms, &changes);
    } else if (persist && current_ms != kNoTime) {
      HashSetFieldTime(ref, field, kNoTime);
      changes.timed.push_back(field);
    }
  }
  if (ref) Conclude(context, ref, changes, at_ms);
}

void Hgetdel(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, LookupKind::kWrite, &wrong_type);
  Words fields;
  if (wrong_type || !ParseFields(context, 2, kNotPositive, &fields)) return;
  if (ref && HashIsTimed(ref)) ExpireNamed(context, &ref, fields, 1);
  FieldChanges changes;
  context.reply().ArrayHeader(fields.size());
  for (std::string_view field : fields) {
    ReplyLive(context, ref, field);
    if (!LiveContains(context, ref, field)) continue;
    HashDelete(ref, field);
    changes.deleted.push_back(field);
  }
  if (ref) Conclude(context, ref, changes, kNoTime);
}

// ---- HSETEX

struct HsetexOptions {
  enum : uint8_t { kAnyway, kFnx, kFxx } condition = kAnyway;
  bool keep = false;
  const TimeOption* time = nullptr;
  int64_t at_ms = kNoTime;
  Words pairs;  // field, value ...
};

bool ParseHsetexPairs(Context& context, size_t i, HsetexOptions* options) {
  int64_t count;
  if (i + 3 >= context.argc()) {
    ReplyWrongArity(context);
    return false;
  }
  if (!ParseRangeArg(context, i + 1, 1, INT32_MAX, &count, "ERR invalid number of fields")) return false;
  options->pairs = context.argv().subspan(i + 2);
  if (options->pairs.size() == static_cast<size_t>(count) * 2) return true;
  ReplyWrongArity(context);
  return false;
}

bool ParseHsetex(Context& context, HsetexOptions* options) {
  for (size_t i = 2; i < context.argc(); i++) {
    if (ArgIs(context, i, "FIELDS")) return ParseHsetexPairs(context, i, options);
    const TimeOption* time = TimeOptionAt(context, i);
    if (time != nullptr || ArgIs(context, i, "KEEPTTL")) {
      if (options->time != nullptr || options->keep) {
        context.reply().Error("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
        return false;
      }
      options->keep = time == nullptr;
      options->time = time;
      if (time != nullptr && ++i == context.argc()) {
        context.reply().Error("ERR missing expire time");
        return false;
      }
      if (time != nullptr && !ParseTimeArg(context, i, time->seconds, time->relative, &options->at_ms)) return false;
    } else if (ArgIs(context, i, "FNX") || ArgIs(context, i, "FXX")) {
      if (options->condition != HsetexOptions::kAnyway) {
        context.reply().Error("ERR Only one of FXX or FNX arguments can be specified");
        return false;
      }
      options->condition = ArgIs(context, i, "FNX") ? HsetexOptions::kFnx : HsetexOptions::kFxx;
    } else {
      context.reply().Error("ERR unknown argument: " + std::string(context.arg(i)));
      return false;
    }
  }
  // redis-server relies on its arity here and ends; FIELDS may still be missing.
  ReplyWrongArity(context);
  return false;
}

bool HsetexMay(const Context& context, const KeyRef& ref, const HsetexOptions& options) {
  if (options.condition == HsetexOptions::kAnyway) return true;
  bool wanted = options.condition == HsetexOptions::kFxx;
  for (size_t i = 0; i < options.pairs.size(); i += 2) {
    if (LiveContains(context, ref, options.pairs[i]) != wanted) return false;
  }
  return true;
}

// The effect without conditions and with an absolute time.
void TellHsetex(Context& context, const HsetexOptions& options, const FieldChanges& changes) {
  if (effects == nullptr) return;
  std::string_view key = context.arg(1);
  if (!changes.deleted.empty()) {
    TellFields(context, {"HDEL", key}, false, changes.deleted);
    return;
  }
  std::string time = std::to_string(options.at_ms);
  std::string count = std::to_string(options.pairs.size() / 2);
  std::vector<std::string_view> words = {"HSETEX", key};
  if (options.time != nullptr) words.insert(words.end(), {"PXAT", time});
  if (options.keep) words.emplace_back("KEEPTTL");
  words.insert(words.end(), {"FIELDS", count});
  words.insert(words.end(), options.pairs.begin(), options.pairs.end());
  Tell(context, words);
}

void Hsetex(Context& context) {
  HsetexOptions options;
  if (!ParseHsetex(context, &options)) return;
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = LookupFields(context, LookupKind::kWrite, options.pairs, 2, &wrong_type);
  if (wrong_type) return;
  if (!HsetexMay(context, ref, options)) {
    context.reply().Integer(0);
    return;
  }
  if (!ref) ref = CreateHash(context, key);
  HashMakeRoomFor(ref, options.pairs);
  FieldChanges changes;
  for (size_t i = 0; i < options.pairs.size(); i += 2) {
    HashSetKeepingTime(ref, options.pairs[i], options.pairs[i + 1]);
    if (options.time != nullptr) {
      SetTime(context, ref, options.pairs[i], options.at_ms, &changes);
    } else if (!options.keep) {
      HashSetFieldTime(ref, options.pairs[i], kNoTime);
    }
  }
  TellHsetex(context, options, changes);
  bool emptied = HashLength(ref) == 0;
  if (emptied) context.Delete(ref, false);
  context.Changed(key, kNotifyHash, "hset");
  context.CountChanges(static_cast<int64_t>(options.pairs.size() / 2) - 1);
  if (options.time != nullptr) context.Notify(kNotifyHash, changes.deleted.empty() ? "hexpire" : "hdel", key);
  if (emptied) context.Notify(kNotifyGeneric, "del", key);
  context.reply().Integer(1);
}

constexpr uint32_t kWriteFast = kWrite | kFast;
constexpr uint32_t kReadFast = kReadonly | kFast;
constexpr KeySpec kChange = KeyAt(1, kKeyRW | kKeyUpdate);
constexpr KeySpec kLook = KeyAt(1, kKeyRO | kKeyAccess);
constexpr const char* kEachField = "O(N) where N is the number of fields named";

constexpr CommandSpec kRows[] = {
    {"hexpire",
     -6,
     kWriteFast | kDenyOom,
     {kChange},
     kCatHash,
     Group::kHash,
     "7.4.0",
     kEachField,
     "Sets the time to live of fields of a hash in seconds.",
     "key seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]",
     Hexpire},
    {"hpexpire",
     -6,
     kWriteFast | kDenyOom,
     {kChange},
     kCatHash,
     Group::kHash,
     "7.4.0",
     kEachField,
     "Sets the time to live of fields of a hash in milliseconds.",
     "key milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]",
     Hpexpire},
    {"hexpireat",
     -6,
     kWriteFast | kDenyOom,
     {kChange},
     kCatHash,
     Group::kHash,
     "7.4.0",
     kEachField,
     "Sets the time, in seconds since 1970, at which fields of a hash go.",
     "key unix-time-seconds [NX|XX|GT|LT] FIELDS numfields field [field ...]",
     Hexpireat},
    {"hpexpireat",
     -6,
     kWriteFast | kDenyOom,
     {kChange},
     kCatHash,
     Group::kHash,
     "7.4.0",
     kEachField,
     "Sets the time, in milliseconds since 1970, at which fields of a hash go.",
     "key unix-time-milliseconds [NX|XX|GT|LT] FIELDS numfields field [field ...]",
     Hpexpireat},
    {"httl",
     -5,
     kReadFast,
     {kLook},
     kCatHash,
     Group::kHash,
     "7.4.0",
     kEachField,
     "Answers the times to live of fields of a hash in seconds.",
     "key FIELDS numfields field [field ...]",
     Httl,
     nullptr,
     "nondeterministic_output"},
    {"hpttl",
     -5,
     kReadFast,
     {kLook},
     kCatHash,
     Group::kHash,
     "7.4.0",
     kEachField,
     "Answers the times to live of fields of a hash in milliseconds.",
     "key FIELDS numfields field [field ...]",
     Hpttl,
     nullptr,
     "nondeterministic_output"},
    {"hexpiretime",
     -5,
     kReadFast,
     {kLook},
     kCatHash,
     Group::kHash,
     "7.4.0",
     kEachField,
     "Answers the times, in seconds since 1970, at which fields of a hash go.",
     "key FIELDS numfields field [field ...]",
     Hexpiretime},
    {"hpexpiretime",
     -5,
     kReadFast,
     {kLook},
     kCatHash,
     Group::kHash,
     "7.4.0",
     kEachField,
     "Answers the times, in milliseconds since 1970, at which fields of a hash go.",
     "key FIELDS numfields field [field ...]",
     Hpexpiretime},
    {"hpersist",
     -5,
     kWriteFast,
     {kChange},
     kCatHash,
     Group::kHash,
     "7.4.0",
     kEachField,
     "Removes the times to live of fields of a hash.",
     "key FIELDS numfields field [field ...]",
     Hpersist},
    {"hgetex",
     -5,
     kWriteFast,
     {KeyAt(1, kKeyRW | kKeyAccess | kKeyUpdate)},
     kCatHash,
     Group::kHash,
     "8.0.0",
     kEachField,
     "Answers fields of a hash and sets or removes their time to live.",
     "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST] "
     "FIELDS numfields field [field ...]",
     Hgetex},
    {"hsetex",
     -6,
     kWriteFast | kDenyOom,
     {kChange},
     kCatHash,
     Group::kHash,
     "8.0.0",
     "O(N) where N is the number of fields set",
     "Sets fields of a hash with a time to live.",
     "key [FNX|FXX] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL] "
     "FIELDS numfields field value [field value ...]",
     Hsetex},
    {"hgetdel",
     -5,
     kWriteFast,
     {KeyAt(1, kKeyRW | kKeyAccess | kKeyDelete)},
     kCatHash,
     Group::kHash,
     "8.0.0",
     kEachField,
     "Answers fields of a hash and deletes them.",
     "key FIELDS numfields field [field ...]",
     Hgetdel},
};

}  // namespace

const CommandTable kHashExpiryCommands = kRows;

}  // namespace brim
