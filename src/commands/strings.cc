// GET, SET and their kin. Counters and ranges are in string_numbers.cc and string_ranges.cc.
#include <string>

#include "base/numbers.h"
#include "command/context.h"
#include "commands/arguments.h"
#include "commands/expiry_options.h"
#include "commands/string_store.h"
#include "commands/tables.h"
#include "store/shard.h"
#include "types/string.h"

namespace brim {

void StoreString(Context& context, KeyRef ref, std::string_view key, std::string_view text, int64_t expiry_ms) {
  StringForm form = PlanString(text);
  Blob* blob = form.blob ? NewBlob(text) : nullptr;
  uint8_t* area;
  if (ref) {
    area = ref.Retype(Type::kString, form.encoding, form.bytes, expiry_ms, form.blob, lazyfree.server_del);
  } else {
    ref = context.Create(key, Type::kString, form.encoding, form.bytes, expiry_ms);
    if (form.blob) ref.entry().SetExternal(true);
    area = ref.data();
  }
  if (form.blob) {
    ref.SetPointer(blob);
  } else {
    WriteString(area, form, text);
  }
}

void ReplyString(Context& context, const KeyRef& ref) {
  if (ref.encoding() == Encoding::kInt) {
    context.reply().BulkInt(ref.GetInt());
  } else if (Blob* blob = BlobOf(ref)) {
    blob->Retain();
    context.reply().BulkShared(
        blob->bytes, blob->size, [](void* b) { static_cast<Blob*>(b)->Release(); }, blob);
  } else {
    char buffer[24];
    context.reply().Bulk(ReadString(ref, buffer));
  }
}

bool StringTooLong(Context& context, uint64_t size) {
  if (size <= static_cast<uint64_t>(encoding_limits.max_bulk_bytes)) return false;
  context.reply().Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  return true;
}

namespace {

void Get(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kString, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (ref) {
    ReplyString(context, ref);
  } else {
    context.reply().Null();
  }
}

struct SetOptions {
  bool nx = false;
  bool xx = false;
  bool get = false;
  ValueCondition condition;
  ExpiryOption expiry;
};

bool ParseSetOptions(Context& context, SetOptions* options) {
  for (size_t i = 3; i < context.argc(); i++) {
    if (ArgIs(context, i, "NX") && !options->xx) {
      options->nx = true;
    } else if (ArgIs(context, i, "XX") && !options->nx) {
      options->xx = true;
    } else if (ArgIs(context, i, "GET")) {
      options->get = true;
    } else if (!ParseValueCondition(context, &i, &options->condition) &&
               !ParseExpiryOption(context, &i, kAllowKeepTtl, &options->expiry)) {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  if (options->condition.kind != ValueCondition::kNone && (options->nx || options->xx)) {
    context.reply().Error(errors::kSyntax);
    return false;
  }
  return ResolveExpiry(context, &options->expiry);
}

// Whether SET may set, by NX, XX and the conditions on the value. False with the error replied when that cannot be
// told.
bool CheckSetConditions(Context& context, const SetOptions& options, const KeyRef& ref, bool* met) {
  *met = !(options.nx && ref) && !(options.xx && !ref);
  bool conditional = options.condition.kind != ValueCondition::kNone;
  if (ref && ref.type() != Type::kString && (conditional || options.get)) {
    context.reply().Error(errors::kWrongType);
    return false;
  }
  return !conditional || CheckValueCondition(context, options.condition, ref, met);
}

void TellSet(Context& context, std::string_view key, std::string_view value, int64_t expiry_ms) {
  if (effects == nullptr) return;
  char text[24];
  Tell(context, {"SET", key, value, "PXAT", {text, static_cast<size_t>(FormatInt64(expiry_ms, text))}});
}

void Set(Context& context) {
  SetOptions options;
  if (context.argc() > 3 && !ParseSetOptions(context, &options)) return;
  std::string_view key = context.arg(1);
  KeyRef ref = context.Lookup(key, options.get ? LookupKind::kRead : LookupKind::kWrite);
  bool met;
  if (!CheckSetConditions(context, options, ref, &met)) return;
  if (options.get && ref) ReplyString(context, ref);
  if (options.get && !ref) context.reply().Null();
  if (!met) {
    if (!options.get) context.reply().Null();
    return;
  }
  int64_t expiry_ms = options.expiry.kind == ExpiryOption::kKeep ? (ref ? ref.expiry_ms() : -1) : options.expiry.at_ms;
  StoreString(context, ref, key, context.arg(2), expiry_ms);
  context.Changed(key, kNotifyString, "set");
  if (options.expiry.at_ms >= 0) {
    TellSet(context, key, context.arg(2), options.expiry.at_ms);
    context.Notify(kNotifyGeneric, "expire", key);
  } else if (options.get || options.nx || options.xx || options.condition.kind != ValueCondition::kNone) {
    // The condition was met; it need not be again.
    if (options.expiry.kind == ExpiryOption::kKeep) {
      Tell(context, {"SET", key, context.arg(2), "KEEPTTL"});
    } else {
      Tell(context, {"SET", key, context.arg(2)});
    }
  }
  if (!options.get) context.reply().Ok();
}

void Setnx(Context& context) {
  std::string_view key = context.arg(1);
  if (context.Lookup(key, LookupKind::kWrite)) {
    context.reply().Integer(0);
    return;
  }
  StoreString(context, KeyRef(), key, context.arg(2), -1);
  context.Changed(key, kNotifyString, "set");
  context.reply().Integer(1);
}

void SetWithTime(Context& context, ExpiryOption::Kind kind) {
  ExpiryOption expiry{kind, context.arg(2), -1};
  if (!ResolveExpiry(context, &expiry)) return;
  std::string_view key = context.arg(1);
  StoreString(context, context.Lookup(key, LookupKind::kWrite), key, context.arg(3), expiry.at_ms);
  TellSet(context, key, context.arg(3), expiry.at_ms);
  context.Changed(key, kNotifyString, "set");
  context.Notify(kNotifyGeneric, "expire", key);
  context.reply().Ok();
}

void Setex(Context& context) { SetWithTime(context, ExpiryOption::kEx); }
void Psetex(Context& context) { SetWithTime(context, ExpiryOption::kPx); }

void Getset(Context& context) {
  bool wrong_type;
  std::string_view key = context.arg(1);
  KeyRef ref = context.LookupTyped(key, Type::kString, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (ref) {
    ReplyString(context, ref);
  } else {
    context.reply().Null();
  }
  StoreString(context, ref, key, context.arg(2), -1);
  Tell(context, {"SET", key, context.arg(2)});
  context.Changed(key, kNotifyString, "set");
}

void Getdel(Context& context) {
  bool wrong_type;
  std::string_view key = context.arg(1);
  KeyRef ref = context.LookupTyped(key, Type::kString, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Null();
    return;
  }
  ReplyString(context, ref);
  context.Delete(ref, lazyfree.user_del);
  Tell(context, {lazyfree.user_del ? "UNLINK" : "DEL", key});
  context.Changed(key, kNotifyGeneric, "del");
}

void Getex(Context& context) {
  ExpiryOption expiry;
  for (size_t i = 2; i < context.argc(); i++) {
    if (!ParseExpiryOption(context, &i, kAllowPersist, &expiry)) {
      context.reply().Error(errors::kSyntax);
      return;
    }
  }
  bool wrong_type;
  std::string_view key = context.arg(1);
  KeyRef ref = context.LookupTyped(key, Type::kString, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Null();
    return;
  }
  if (!ResolveExpiry(context, &expiry)) return;
  ReplyString(context, ref);
  if (expiry.kind == ExpiryOption::kPersist) {
    if (ref.expiry_ms() < 0) return;
    ref.SetExpiry(-1);
    Tell(context, {"PERSIST", key});
    context.Changed(key, kNotifyGeneric, "persist");
  } else if (expiry.kind != ExpiryOption::kNone) {
    if (TimeHasCome(context, expiry.at_ms)) {
      context.Delete(ref, lazyfree.user_del);
      Tell(context, {lazyfree.user_del ? "UNLINK" : "DEL", key});
      context.Changed(key, kNotifyGeneric, "del");
    } else {
      ref.SetExpiry(expiry.at_ms);
      TellExpiry(context, key, expiry.at_ms);
      context.Changed(key, kNotifyGeneric, "expire");
    }
  }
}

void Mget(Context& context) {
  context.reply().ArrayHeader(context.argc() - 1);
  for (size_t i = 1; i < context.argc(); i++) {
    KeyRef ref = context.Lookup(context.arg(i), LookupKind::kRead);
    if (ref && ref.type() == Type::kString) {
      ReplyString(context, ref);
    } else {
      context.reply().Null();
    }
  }
}

bool PairsComplete(Context& context) {
  if (context.argc() % 2 == 1) return true;
  context.reply().Error("ERR wrong number of arguments for '" + std::string(context.spec().name) + "' command");
  return false;
}

void SetPairs(Context& context) {
  for (size_t i = 1; i < context.argc(); i += 2) {
    std::string_view key = context.arg(i);
    StoreString(context, context.Lookup(key, LookupKind::kWrite), key, context.arg(i + 1), -1);
    context.Changed(key, kNotifyString, "set");
  }
}

void Mset(Context& context) {
  if (!PairsComplete(context)) return;
  SetPairs(context);
  context.reply().Ok();
}

void Msetnx(Context& context) {
  if (!PairsComplete(context)) return;
  for (size_t i = 1; i < context.argc(); i += 2) {
    if (context.Lookup(context.arg(i), LookupKind::kWrite)) {
      context.reply().Integer(0);
      return;
    }
  }
  SetPairs(context);
  context.reply().Integer(1);
}

void Strlen(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kString, LookupKind::kRead, &wrong_type);
  if (!wrong_type) context.reply().Integer(ref ? static_cast<int64_t>(StringLength(ref)) : 0);
}

constexpr KeySpec kGetKey = KeyAt(1, kKeyRO | kKeyAccess);
constexpr KeySpec kSetKey = KeyAt(1, kKeyOW | kKeyUpdate);

constexpr CommandSpec kRows[] = {
    {"get",
     2,
     kReadonly | kFast,
     {kGetKey},
     kCatString,
     Group::kString,
     "1.0.0",
     "O(1)",
     "Answers the key's string.",
     "key",
     Get},
    {"set",
     -3,
     kWrite | kDenyOom,
     {KeyAt(1, kKeyRW | kKeyAccess | kKeyUpdate | kKeyVariableFlags)},
     kCatString,
     Group::kString,
     "1.0.0",
     "O(1)",
     "Sets the key to a string, whatever it held before.",
     "key value [NX|XX|IFEQ ifeq-value|IFNE ifne-value|IFDEQ ifdeq-digest|IFDNE ifdne-digest] [GET] [EX seconds|PX "
     "milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]",
     Set},
    {"setnx",
     3,
     kWrite | kDenyOom | kFast,
     {KeyAt(1, kKeyOW | kKeyInsert)},
     kCatString,
     Group::kString,
     "1.0.0",
     "O(1)",
     "Sets the key to a string if it does not exist.",
     "key value",
     Setnx},
    {"setex",
     4,
     kWrite | kDenyOom,
     {kSetKey},
     kCatString,
     Group::kString,
     "2.0.0",
     "O(1)",
     "Sets the key to a string with a time to live in seconds.",
     "key seconds value",
     Setex},
    {"psetex",
     4,
     kWrite | kDenyOom,
     {kSetKey},
     kCatString,
     Group::kString,
     "2.6.0",
     "O(1)",
     "Sets the key to a string with a time to live in milliseconds.",
     "key milliseconds value",
     Psetex},
    {"getset",
     3,
     kWrite | kDenyOom | kFast,
     {KeyAt(1, kKeyRW | kKeyAccess | kKeyUpdate)},
     kCatString,
     Group::kString,
     "1.0.0",
     "O(1)",
     "Sets the key to a string and answers the one before.",
     "key value",
     Getset,
     nullptr,
     "",
     "`SET` with the `!GET` argument",
     "6.2.0"},
    {"getdel",
     2,
     kWrite | kFast,
     {KeyAt(1, kKeyRW | kKeyAccess | kKeyDelete)},
     kCatString,
     Group::kString,
     "6.2.0",
     "O(1)",
     "Answers the key's string and deletes the key.",
     "key",
     Getdel},
    {"getex",
     -2,
     kWrite | kFast,
     {KeyAt(1, kKeyRW | kKeyAccess | kKeyUpdate)},
     kCatString,
     Group::kString,
     "6.2.0",
     "O(1)",
     "Answers the key's string and changes its time to live.",
     "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]",
     Getex},
    {"mget",
     -2,
     kReadonly | kFast,
     {KeyRange(1, -1, 1, kKeyRO | kKeyAccess)},
     kCatString,
     Group::kString,
     "1.0.0",
     "O(N) where N is the number of keys",
     "Answers the strings of several keys.",
     "key [key ...]",
     Mget,
     nullptr,
     "request_policy:multi_shard"},
    {"mset",
     -3,
     kWrite | kDenyOom,
     {KeyRange(1, -1, 2, kKeyOW | kKeyUpdate)},
     kCatString,
     Group::kString,
     "1.0.1",
     "O(N) where N is the number of keys",
     "Sets several keys to strings.",
     "key value [key value ...]",
     Mset,
     nullptr,
     "request_policy:multi_shard,response_policy:all_succeeded"},
    {"msetnx",
     -3,
     kWrite | kDenyOom,
     {KeyRange(1, -1, 2, kKeyOW | kKeyInsert)},
     kCatString,
     Group::kString,
     "1.0.1",
     "O(N) where N is the number of keys",
     "Sets several keys to strings if none of them exists.",
     "key value [key value ...]",
     Msetnx,
     nullptr,
     "request_policy:multi_shard,response_policy:agg_min"},
    {"strlen",
     2,
     kReadonly | kFast,
     {KeyAt(1, kKeyRO)},
     kCatString,
     Group::kString,
     "2.2.0",
     "O(1)",
     "Answers the length of the key's string.",
     "key",
     Strlen},
};

}  // namespace

const CommandTable kStringCommands = kRows;

}  // namespace brim
