// DIGEST, DELEX, DELIFEQ, MSETEX, and the conditions on a string's present value that SET takes too.
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/numbers.h"
#include "commands/arguments.h"
#include "commands/expiry_options.h"
#include "commands/string_store.h"
#include "commands/tables.h"
#include "store/shard.h"
#include "types/string.h"

namespace brim {

namespace {

// 64 bits as 16 hexadecimal digits, as DIGEST shows them and conditions take them.
struct DigestText {
  explicit DigestText(const KeyRef& ref) {
    char buffer[24];
    uint64_t digest = DigestBytes(ReadString(ref, buffer));
    for (size_t i = kDigits; i-- > 0; digest >>= 4) digits[i] = "0123456789abcdef"[digest & 15];
  }
  static constexpr size_t kDigits = 16;
  char digits[kDigits];
};

}  // namespace

bool ParseValueCondition(const Context& context, size_t* i, ValueCondition* condition) {
  struct Named {
    const char* name;
    ValueCondition::Kind kind;
  };
  constexpr Named kNames[] = {{"IFEQ", ValueCondition::kEqual},
                              {"IFNE", ValueCondition::kDiffers},
                              {"IFDEQ", ValueCondition::kDigestEqual},
                              {"IFDNE", ValueCondition::kDigestDiffers}};
  if (condition->kind != ValueCondition::kNone || *i + 1 >= context.argc()) return false;
  for (const Named& named : kNames) {
    if (!ArgIs(context, *i, named.name)) continue;
    *condition = {named.kind, context.arg(++*i)};
    return true;
  }
  return false;
}

bool CheckValueCondition(Context& context, const ValueCondition& condition, const KeyRef& ref, bool* met) {
  bool differs = condition.kind == ValueCondition::kDiffers || condition.kind == ValueCondition::kDigestDiffers;
  *met = differs;
  if (!ref) return true;
  if (condition.kind == ValueCondition::kEqual || condition.kind == ValueCondition::kDiffers) {
    char buffer[24];
    *met = (ReadString(ref, buffer) == condition.text) != differs;
    return true;
  }
  if (condition.text.size() != DigestText::kDigits) {
    context.reply().Error("ERR must be exactly 16 hexadecimal characters");
    return false;
  }
  DigestText digest(ref);
  *met = EqualsNoCase(condition.text, {digest.digits, DigestText::kDigits}) != differs;
  return true;
}

namespace {

void Digest(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kString, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Null();
    return;
  }
  DigestText digest(ref);
  context.reply().Bulk({digest.digits, DigestText::kDigits});
}

void DeleteAndReply(Context& context, KeyRef& ref, std::string_view key) {
  context.Delete(ref, lazyfree.user_del);
  Tell(context, {lazyfree.user_del ? "UNLINK" : "DEL", key});
  context.Changed(key, kNotifyGeneric, "del");
  context.reply().Integer(1);
}

void Delex(Context& context) {
  if (context.argc() != 2 && context.argc() != 4) {
    ReplyWrongArity(context);
    return;
  }
  std::string_view key = context.arg(1);
  KeyRef ref = context.Lookup(key, LookupKind::kWrite);
  if (!ref) {
    context.reply().Integer(0);
    return;
  }
  if (context.argc() == 4) {
    ValueCondition condition;
    size_t at = 2;
    bool met;
    if (ref.type() != Type::kString) {
      context.reply().Error("ERR Key should be of string type if conditions are specified");
      return;
    }
    if (!ParseValueCondition(context, &at, &condition)) {
      context.reply().Error("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE");
      return;
    }
    if (!CheckValueCondition(context, condition, ref, &met)) return;
    if (!met) {
      context.reply().Integer(0);
      return;
    }
  }
  DeleteAndReply(context, ref, key);
}

void Delifeq(Context& context) {
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kString, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  char buffer[24];
  if (ref && ReadString(ref, buffer) == context.arg(2)) {
    DeleteAndReply(context, ref, key);
  } else {
    context.reply().Integer(0);
  }
}

struct SetManyOptions {
  size_t end = 0;  // of the pairs, which begin at 2
  bool nx = false;
  bool xx = false;
  ExpiryOption expiry;
};

// False with the error replied.
bool ParseSetManyOptions(Context& context, SetManyOptions* options) {
  int64_t count;
  if (!ParseRangeArg(context, 1, 1, INT32_MAX, &count, "ERR invalid numkeys value")) return false;
  if (static_cast<size_t>(count) > (context.argc() - 2) / 2) {
    context.reply().Error("ERR wrong number of key-value pairs");
    return false;
  }
  options->end = 2 + 2 * static_cast<size_t>(count);
  for (size_t i = options->end; i < context.argc(); i++) {
    if (ArgIs(context, i, "NX") && !options->xx) {
      options->nx = true;
    } else if (ArgIs(context, i, "XX") && !options->nx) {
      options->xx = true;
    } else if (!ParseExpiryOption(context, &i, kAllowKeepTtl, &options->expiry)) {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  return ResolveExpiry(context, &options->expiry);
}

// One record for all, so that they stay together: the same words without conditions, the time counted from 1970.
void TellSetMany(Context& context, const SetManyOptions& options) {
  if (effects == nullptr) return;
  std::vector<std::string_view> words(context.argv().begin(),
                                      context.argv().begin() + static_cast<std::ptrdiff_t>(options.end));
  char text[24];
  if (options.expiry.kind == ExpiryOption::kKeep) {
    words.emplace_back("KEEPTTL");
  } else if (options.expiry.at_ms >= 0) {
    words.emplace_back("PXAT");
    words.emplace_back(text, static_cast<size_t>(FormatInt64(options.expiry.at_ms, text)));
  }
  Tell(context, words);
}

void Msetex(Context& context) {
  SetManyOptions options;
  if (!ParseSetManyOptions(context, &options)) return;
  for (size_t i = 2; (options.nx || options.xx) && i < options.end; i += 2) {
    if (static_cast<bool>(context.Lookup(context.arg(i), LookupKind::kWrite)) == options.xx) continue;
    context.reply().Integer(0);
    return;
  }
  for (size_t i = 2; i < options.end; i += 2) {
    std::string_view key = context.arg(i);
    KeyRef ref = context.Lookup(key, LookupKind::kWrite);
    bool keeps = options.expiry.kind == ExpiryOption::kKeep && ref;
    StoreString(context, ref, key, context.arg(i + 1), keeps ? ref.expiry_ms() : options.expiry.at_ms);
    context.Changed(key, kNotifyString, "set");
    if (options.expiry.at_ms >= 0) context.Notify(kNotifyGeneric, "expire", key);
  }
  TellSetMany(context, options);
  context.reply().Integer(1);
}

constexpr CommandSpec kRows[] = {
    {"digest",
     2,
     kReadonly | kFast,
     {KeyAt(1, kKeyRO | kKeyAccess)},
     kCatString,
     Group::kString,
     "8.4.0",
     "O(N) where N is the length of the string",
     "Answers the XXH3 hash of the key's string.",
     "key",
     Digest},
    {"delex",
     -2,
     kWrite | kFast,
     {KeyAt(1, kKeyRW | kKeyDelete)},
     kCatString,
     Group::kString,
     "8.4.0",
     "O(N) where N is the length of the string",
     "Deletes the key if its string, or the string's hash, is the one given or is not.",
     "key [IFEQ ifeq-value|IFNE ifne-value|IFDEQ ifdeq-digest|IFDNE ifdne-digest]",
     Delex},
    {"delifeq",
     3,
     kWrite,
     {KeyAt(1, kKeyRM | kKeyAccess | kKeyDelete)},
     kCatString,
     Group::kString,
     "9.0.0",
     "O(1)",
     "Deletes the key if it holds that string.",
     "key value",
     Delifeq},
    {"msetex",
     -4,
     kWrite | kDenyOom,
     {KeyNum(1, 0, 1, 2, kKeyOW | kKeyUpdate)},
     kCatString,
     Group::kString,
     "8.4.0",
     "O(N) where N is the number of keys",
     "Sets several keys to strings, on a condition and with a time to live.",
     "numkeys key value [key value ...] [NX|XX] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT "
     "unix-time-milliseconds|KEEPTTL]",
     Msetex,
     nullptr,
     "request_policy:multi_shard,response_policy:all_succeeded"},
};

}  // namespace

const CommandTable kStringConditionalCommands = kRows;

}  // namespace brim
