// INCR, DECR and their kin.
#include <cmath>

#include "base/numbers.h"
#include "command/context.h"
#include "commands/arguments.h"
#include "commands/string_store.h"
#include "commands/tables.h"
#include "types/string.h"

namespace brim {

namespace {

void AddTo(Context& context, int64_t delta) {
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kString, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  int64_t value = 0;
  if (ref) {
    char buffer[24];
    if (ref.encoding() == Encoding::kInt) {
      value = ref.GetInt();
    } else if (!ParseInt64(ReadString(ref, buffer), &value)) {
      context.reply().Error(errors::kNotAnInteger);
      return;
    }
  }
  int64_t sum;
  if (__builtin_add_overflow(value, delta, &sum)) {
    context.reply().Error("ERR increment or decrement would overflow");
    return;
  }
  if (ref && !ref.external()) {
    ref.MakeInt(sum);
  } else {
    char text[24];
    StoreString(context, ref, key, {text, static_cast<size_t>(FormatInt64(sum, text))}, ref ? ref.expiry_ms() : -1);
  }
  context.Changed(key, kNotifyString, "incrby");
  context.reply().Integer(sum);
}

void Incr(Context& context) { AddTo(context, 1); }
void Decr(Context& context) { AddTo(context, -1); }

void Incrby(Context& context) {
  int64_t delta;
  if (ParseIntArg(context, 2, &delta)) AddTo(context, delta);
}

void Decrby(Context& context) {
  int64_t delta;
  if (!ParseIntArg(context, 2, &delta)) return;
  if (delta == INT64_MIN) {
    context.reply().Error("ERR decrement would overflow");
    return;
  }
  AddTo(context, -delta);
}

void Incrbyfloat(Context& context) {
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kString, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  long double value = 0;
  long double delta;
  char buffer[24];
  if ((ref && !ParseLongDouble(ReadString(ref, buffer), &value)) || !ParseLongDouble(context.arg(2), &delta)) {
    context.reply().Error("ERR value is not a valid float");
    return;
  }
  value += delta;
  if (std::isnan(value) || std::isinf(value)) {
    context.reply().Error("ERR increment would produce NaN or Infinity");
    return;
  }
  char text[5200];
  std::string_view result(text, static_cast<size_t>(FormatLongDoubleHuman(value, text)));
  if (ref) {
    // Kept as text even where it looks like an integer, as redis-server does.
    int64_t expiry_ms = ref.expiry_ms();
    StringForm form = PlanRawString(result.size());
    if (result.size() <= kEmbstrBytes) form.encoding = Encoding::kEmbstr;
    WriteString(ref.Retype(Type::kString, form.encoding, form.bytes, expiry_ms, false, false), form, result);
  } else {
    StringForm form = PlanRawString(result.size());
    if (result.size() <= kEmbstrBytes) form.encoding = Encoding::kEmbstr;
    WriteString(context.Create(key, Type::kString, form.encoding, form.bytes).data(), form, result);
  }
  Tell(context, {"SET", key, result, "KEEPTTL"});
  context.Changed(key, kNotifyString, "incrbyfloat");
  context.reply().Bulk(result);
}

constexpr uint32_t kFlags = kWrite | kDenyOom | kFast;
constexpr KeySpec kKey = KeyAt(1, kKeyRW | kKeyAccess | kKeyUpdate);

constexpr CommandSpec kRows[] = {
    {"incr",
     2,
     kFlags,
     {kKey},
     kCatString,
     Group::kString,
     "1.0.0",
     "O(1)",
     "Adds 1 to the key's integer; absent counts as 0.",
     "key",
     Incr},
    {"decr",
     2,
     kFlags,
     {kKey},
     kCatString,
     Group::kString,
     "1.0.0",
     "O(1)",
     "Takes 1 from the key's integer; absent counts as 0.",
     "key",
     Decr},
    {"incrby",
     3,
     kFlags,
     {kKey},
     kCatString,
     Group::kString,
     "1.0.0",
     "O(1)",
     "Adds a number to the key's integer.",
     "key increment",
     Incrby},
    {"decrby",
     3,
     kFlags,
     {kKey},
     kCatString,
     Group::kString,
     "1.0.0",
     "O(1)",
     "Takes a number from the key's integer.",
     "key decrement",
     Decrby},
    {"incrbyfloat",
     3,
     kFlags,
     {kKey},
     kCatString,
     Group::kString,
     "2.6.0",
     "O(1)",
     "Adds a floating-point number to the key's number.",
     "key increment",
     Incrbyfloat},
};

}  // namespace

const CommandTable kStringNumberCommands = kRows;

}  // namespace brim
