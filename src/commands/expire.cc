// EXPIRE, TTL and their kin.
#include <string>

#include "base/numbers.h"
#include "command/context.h"
#include "commands/arguments.h"
#include "commands/expiry_options.h"
#include "commands/tables.h"
#include "store/shard.h"

namespace brim {

namespace {

enum ExpireFlags { kNx = 1, kXx = 2, kGt = 4, kLt = 8 };

bool ParseFlags(Context& context, int* flags) {
  *flags = 0;
  for (size_t i = 3; i < context.argc(); i++) {
    if (ArgIs(context, i, "NX")) {
      *flags |= kNx;
    } else if (ArgIs(context, i, "XX")) {
      *flags |= kXx;
    } else if (ArgIs(context, i, "GT")) {
      *flags |= kGt;
    } else if (ArgIs(context, i, "LT")) {
      *flags |= kLt;
    } else {
      context.reply().Error("ERR Unsupported option " + std::string(context.arg(i)));
      return false;
    }
  }
  if ((*flags & kNx) && (*flags & (kXx | kGt | kLt))) {
    context.reply().Error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if ((*flags & kGt) && (*flags & kLt)) {
    context.reply().Error("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

bool FlagsForbid(int flags, int64_t current_ms, int64_t wanted_ms) {
  if ((flags & kNx) && current_ms != -1) return true;
  if ((flags & kXx) && current_ms == -1) return true;
  // No expiry counts as never: nothing is greater.
  if ((flags & kGt) && (current_ms == -1 || wanted_ms <= current_ms)) return true;
  return (flags & kLt) && current_ms != -1 && wanted_ms >= current_ms;
}

void ExpireKey(Context& context, bool seconds, bool relative) {
  int flags;
  int64_t when;
  if (!ParseFlags(context, &flags) || !ParseIntArg(context, 2, &when)) return;
  int64_t base = relative ? context.now_ms() : 0;
  bool fits = !seconds || (when <= INT64_MAX / 1000 && when >= INT64_MIN / 1000);
  if (fits && seconds) when *= 1000;
  if (!fits || when > INT64_MAX - base) {
    context.reply().Error("ERR invalid expire time in '" + std::string(context.spec().name) + "' command");
    return;
  }
  when += base;
  std::string_view key = context.arg(1);
  KeyRef ref = context.Lookup(key, LookupKind::kWrite);
  if (!ref || FlagsForbid(flags, ref.expiry_ms(), when)) {
    context.reply().Integer(0);
    return;
  }
  if (TimeHasCome(context, when - 1)) {
    context.Delete(ref, lazyfree.expire);
    Tell(context, {lazyfree.expire ? "UNLINK" : "DEL", key});
    context.Changed(key, kNotifyGeneric, "del");
  } else {
    ref.SetExpiry(when);
    TellExpiry(context, key, when);
    context.Changed(key, kNotifyGeneric, "expire");
  }
  context.reply().Integer(1);
}

void Expire(Context& context) { ExpireKey(context, true, true); }
void Pexpire(Context& context) { ExpireKey(context, false, true); }
void Expireat(Context& context) { ExpireKey(context, true, false); }
void Pexpireat(Context& context) { ExpireKey(context, false, false); }

void ReplyTime(Context& context, bool seconds, bool relative) {
  KeyRef ref = context.Lookup(context.arg(1), LookupKind::kLook);
  if (!ref || ref.expiry_ms() == -1) {
    context.reply().Integer(ref ? -1 : -2);
    return;
  }
  int64_t at_ms = ref.expiry_ms();
  if (relative) at_ms = at_ms > context.now_ms() ? at_ms - context.now_ms() : 0;
  context.reply().Integer(seconds ? (at_ms + 500) / 1000 : at_ms);
}

void Ttl(Context& context) { ReplyTime(context, true, true); }
void Pttl(Context& context) { ReplyTime(context, false, true); }
void Expiretime(Context& context) { ReplyTime(context, true, false); }
void Pexpiretime(Context& context) { ReplyTime(context, false, false); }

void Persist(Context& context) {
  std::string_view key = context.arg(1);
  KeyRef ref = context.Lookup(key, LookupKind::kWrite);
  if (!ref || ref.expiry_ms() == -1) {
    context.reply().Integer(0);
    return;
  }
  ref.SetExpiry(-1);
  context.Changed(key, kNotifyGeneric, "persist");
  context.reply().Integer(1);
}

constexpr KeySpec kChange = KeyAt(1, kKeyRW | kKeyUpdate);
constexpr KeySpec kLook = KeyAt(1, kKeyRO | kKeyAccess);
constexpr uint32_t kWriteFast = kWrite | kFast;
constexpr uint32_t kReadFast = kReadonly | kFast;

constexpr CommandSpec kRows[] = {
    {"expire",
     -3,
     kWriteFast,
     {kChange},
     kCatKeyspace,
     Group::kGeneric,
     "1.0.0",
     "O(1)",
     "Sets the key's time to live in seconds.",
     "key seconds [NX|XX|GT|LT]",
     Expire},
    {"pexpire",
     -3,
     kWriteFast,
     {kChange},
     kCatKeyspace,
     Group::kGeneric,
     "2.6.0",
     "O(1)",
     "Sets the key's time to live in milliseconds.",
     "key milliseconds [NX|XX|GT|LT]",
     Pexpire},
    {"expireat",
     -3,
     kWriteFast,
     {kChange},
     kCatKeyspace,
     Group::kGeneric,
     "1.2.0",
     "O(1)",
     "Sets the time, in seconds since 1970, at which the key goes.",
     "key unix-time-seconds [NX|XX|GT|LT]",
     Expireat},
    {"pexpireat",
     -3,
     kWriteFast,
     {kChange},
     kCatKeyspace,
     Group::kGeneric,
     "2.6.0",
     "O(1)",
     "Sets the time, in milliseconds since 1970, at which the key goes.",
     "key unix-time-milliseconds [NX|XX|GT|LT]",
     Pexpireat},
    {"ttl",
     2,
     kReadFast,
     {kLook},
     kCatKeyspace,
     Group::kGeneric,
     "1.0.0",
     "O(1)",
     "Answers the key's time to live in seconds.",
     "key",
     Ttl,
     nullptr,
     "nondeterministic_output"},
    {"pttl",
     2,
     kReadFast,
     {kLook},
     kCatKeyspace,
     Group::kGeneric,
     "2.6.0",
     "O(1)",
     "Answers the key's time to live in milliseconds.",
     "key",
     Pttl,
     nullptr,
     "nondeterministic_output"},
    {"expiretime",
     2,
     kReadFast,
     {kLook},
     kCatKeyspace,
     Group::kGeneric,
     "7.0.0",
     "O(1)",
     "Answers the time, in seconds since 1970, at which the key goes.",
     "key",
     Expiretime},
    {"pexpiretime",
     2,
     kReadFast,
     {kLook},
     kCatKeyspace,
     Group::kGeneric,
     "7.0.0",
     "O(1)",
     "Answers the time, in milliseconds since 1970, at which the key goes.",
     "key",
     Pexpiretime},
    {"persist",
     2,
     kWriteFast,
     {kChange},
     kCatKeyspace,
     Group::kGeneric,
     "2.2.0",
     "O(1)",
     "Removes the key's time to live.",
     "key",
     Persist},
};

}  // namespace

const CommandTable kExpireCommands = kRows;

}  // namespace brim
