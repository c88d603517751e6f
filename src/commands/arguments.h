#pragma once
// Reading numbers and keywords from a command's arguments, with redis-server's error texts.
#include <climits>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ascii.h"
#include "base/numbers.h"
#include "command/context.h"

namespace brim {

// True when the argument is that keyword, in any letter case.
inline bool ArgIs(const Context& context, size_t i, std::string_view keyword) {
  return EqualsNoCase(context.arg(i), keyword);
}

// Reads a 64-bit integer. False with the error replied: `message`, or the usual "not an integer".
inline bool ParseIntArg(Context& context, size_t i, int64_t* value, const char* message = nullptr) {
  if (ParseInt64(context.arg(i), value)) return true;
  context.reply().Error(message != nullptr ? std::string_view(message) : errors::kNotAnInteger);
  return false;
}

// Reads an integer of [min, max]. False with the error replied: `message` for both mistakes, or the usual ones.
inline bool ParseRangeArg(Context& context, size_t i, int64_t min, int64_t max, int64_t* value,
                          const char* message = nullptr) {
  if (!ParseIntArg(context, i, value, message)) return false;
  if (*value >= min && *value <= max) return true;
  if (message != nullptr) {
    context.reply().Error(message);
  } else {
    context.reply().Error("ERR value is out of range, value must between " + std::to_string(min) + " and " +
                          std::to_string(max));
  }
  return false;
}

// Reads an integer that is not negative.
inline bool ParsePositiveArg(Context& context, size_t i, int64_t* value, const char* message = nullptr) {
  return ParseRangeArg(context, i, 0, INT64_MAX, value,
                       message != nullptr ? message : "ERR value is out of range, must be positive");
}

// "wrong number of arguments", for handlers whose arity the table cannot tell (odd field-value lists).
inline void ReplyWrongArity(Context& context) {
  context.reply().Error("ERR wrong number of arguments for '" + std::string(context.spec().name) + "' command");
}

}  // namespace brim
