#include "commands/timeout.h"

#include <cctype>
#include <cerrno>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <string>

#include "command/context.h"

namespace brim {

namespace {

// Seconds as redis-server reads them: strtold's syntax, but no blank in front and nothing behind.
bool ReadSeconds(std::string_view text, long double* seconds) {
  if (text.empty() || isspace(static_cast<unsigned char>(text[0]))) return false;
  std::string copy(text);
  errno = 0;
  char* end;
  *seconds = strtold(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || std::isnan(*seconds)) return false;
  return errno != ERANGE || (!std::isinf(*seconds) && *seconds != 0);
}

}  // namespace

bool ParseTimeout(Context& context, size_t arg, int64_t* timeout_ms) {
  long double seconds;
  if (!ReadSeconds(context.arg(arg), &seconds)) {
    context.reply().Error("ERR timeout is not a float or out of range");
    return false;
  }
  long double ms = std::ceil(seconds * 1000);
  // What no 64-bit number holds is taken for the smallest one, hence the text.
  if (ms < 0 || ms >= 9223372036854775808.0L) {
    context.reply().Error("ERR timeout is negative");
    return false;
  }
  // The end of the wait has to be a 64-bit time as well.
  *timeout_ms = std::min(static_cast<int64_t>(ms), INT64_MAX - context.now_ms());
  return true;
}

}  // namespace brim
