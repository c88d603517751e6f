#include "commands/expiry_options.h"

#include <string>

#include "base/numbers.h"
#include "commands/arguments.h"

namespace brim {

namespace {

bool ReadExpiryOption(Context& context, size_t* i, int allowed, ExpiryOption* option) {
  if ((allowed & kAllowKeepTtl) && ArgIs(context, *i, "KEEPTTL")) {
    option->kind = ExpiryOption::kKeep;
    return true;
  }
  if ((allowed & kAllowPersist) && ArgIs(context, *i, "PERSIST")) {
    option->kind = ExpiryOption::kPersist;
    return true;
  }
  if (*i + 1 >= context.argc()) return false;
  if (ArgIs(context, *i, "EX")) {
    option->kind = ExpiryOption::kEx;
  } else if (ArgIs(context, *i, "PX")) {
    option->kind = ExpiryOption::kPx;
  } else if (ArgIs(context, *i, "EXAT")) {
    option->kind = ExpiryOption::kExat;
  } else if (ArgIs(context, *i, "PXAT")) {
    option->kind = ExpiryOption::kPxat;
  } else {
    return false;
  }
  option->text = context.arg(++*i);
  return true;
}

}  // namespace

bool ParseExpiryOption(Context& context, size_t* i, int allowed, ExpiryOption* option) {
  // The same option may come again (the last counts), another may not.
  ExpiryOption::Kind before = option->kind;
  if (!ReadExpiryOption(context, i, allowed, option)) return false;
  return before == ExpiryOption::kNone || before == option->kind;
}

void TellExpiry(Context& context, std::string_view key, int64_t at_ms) {
  if (effects == nullptr) return;
  char text[24];
  Tell(context, {"PEXPIREAT", key, {text, static_cast<size_t>(FormatInt64(at_ms, text))}});
}

bool ResolveExpiry(Context& context, ExpiryOption* option) {
  if (option->kind == ExpiryOption::kNone || option->kind >= ExpiryOption::kKeep) return true;
  int64_t number;
  if (!ParseInt64(option->text, &number)) {
    context.reply().Error(errors::kNotAnInteger);
    return false;
  }
  bool seconds = option->kind == ExpiryOption::kEx || option->kind == ExpiryOption::kExat;
  bool relative = option->kind == ExpiryOption::kEx || option->kind == ExpiryOption::kPx;
  bool fits = number > 0 && (!seconds || number <= INT64_MAX / 1000);
  if (fits && seconds) number *= 1000;
  if (fits && relative) fits = number <= INT64_MAX - context.now_ms();
  if (!fits) {
    context.reply().Error("ERR invalid expire time in '" + std::string(context.spec().name) + "' command");
    return false;
  }
  option->at_ms = relative ? number + context.now_ms() : number;
  return true;
}

}  // namespace brim
