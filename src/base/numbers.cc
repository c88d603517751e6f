#include "base/numbers.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/ascii.h"

namespace brim {

bool ParseUint64(std::string_view text, uint64_t* value) {
  if (text.empty() || text.size() > 20) return false;
  if (text[0] == '0') {
    *value = 0;
    return text.size() == 1;
  }
  uint64_t n = 0;
  for (char c : text) {
    auto digit = static_cast<unsigned>(c - '0');
    if (digit > 9) return false;
    if (n > std::numeric_limits<uint64_t>::max() / 10) return false;
    n *= 10;
    if (n + digit < n) return false;
    n += digit;
  }
  *value = n;
  return true;
}

bool ParseInt64Digits(std::string_view text, int64_t* value) {
  bool negative = text[0] == '-';
  if (negative) text.remove_prefix(1);
  uint64_t n;
  if (!ParseUint64(text, &n)) return false;
  if (negative) {
    if (n == 0 || n > uint64_t{1} << 63) return false;
    *value = static_cast<int64_t>(0 - n);
    return true;
  }
  if (n > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
  *value = static_cast<int64_t>(n);
  return true;
}

// log10 from log2: of two powers of ten at most one lies between powers of two.
int CountDigits(uint64_t value) {
  if (value < 10) return 1;
  static constexpr uint64_t kPowers[] = {0,
                                         10,
                                         100,
                                         1'000,
                                         10'000,
                                         100'000,
                                         1'000'000,
                                         10'000'000,
                                         100'000'000,
                                         1'000'000'000,
                                         10'000'000'000,
                                         100'000'000'000,
                                         1'000'000'000'000,
                                         10'000'000'000'000,
                                         100'000'000'000'000,
                                         1'000'000'000'000'000,
                                         10'000'000'000'000'000,
                                         100'000'000'000'000'000,
                                         1'000'000'000'000'000'000,
                                         10'000'000'000'000'000'000u};
  int below = std::bit_width(value) * 1233 >> 12;
  return below + (value >= kPowers[below] ? 1 : 0);
}

int FormatUint64(uint64_t value, char* to) {
  static constexpr char kPairs[] =
      "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
      "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
  if (value < 10) {
    *to = static_cast<char>('0' + value);
    return 1;
  }
  int size = CountDigits(value);
  char* p = to + size;
  while (value >= 100) {
    p -= 2;
    memcpy(p, kPairs + value % 100 * 2, 2);
    value /= 100;
  }
  if (value >= 10) {
    memcpy(to, kPairs + value * 2, 2);
  } else {
    *to = static_cast<char>('0' + value);
  }
  return size;
}

int FormatInt64(int64_t value, char* to) {
  if (value >= 0) return FormatUint64(static_cast<uint64_t>(value), to);
  *to = '-';
  return 1 + FormatUint64(0 - static_cast<uint64_t>(value), to + 1);
}

namespace {

// strtod and its kin want a terminated text. Long ones are read up to what can matter, as redis-server does.
template <class T, class Read>
bool ReadFloat(std::string_view text, T* value, Read read) {
  char copy[5120];
  if (text.empty() || text.size() >= sizeof(copy) || IsBlank(text[0])) return false;
  memcpy(copy, text.data(), text.size());
  copy[text.size()] = 0;
  char* end;
  errno = 0;
  T n = read(copy, &end);
  if (end != copy + text.size() || std::isnan(n)) return false;
  if (errno == ERANGE && (std::isinf(n) || n == 0)) return false;
  *value = n;
  return true;
}

}  // namespace

bool ParseDouble(std::string_view text, double* value) {
  // Short plain numbers, which is nearly all of them, without strtod.
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (!text.empty() && text.size() < 40 && (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'))) {
    auto [stop, error] = std::from_chars(begin, end, *value);
    if (error == std::errc() && stop == end && std::isfinite(*value)) return true;
  }
  return ReadFloat(text, value, [](const char* s, char** e) { return strtod(s, e); });
}

bool ParseLongDouble(std::string_view text, long double* value) {
  return ReadFloat(text, value, [](const char* s, char** e) { return strtold(s, e); });
}

int FormatDouble17(double value, char* to) {
  if (std::isinf(value)) {
    memcpy(to, value > 0 ? "inf" : "-inf", 4);
    return value > 0 ? 3 : 4;
  }
  if (std::isnan(value)) {
    memcpy(to, "nan", 3);
    return 3;
  }
  if (value > -4503599627370496.0 && value < 4503599627370496.0) {
    auto whole = static_cast<int64_t>(value);
    if (static_cast<double>(whole) == value && !(whole == 0 && std::signbit(value))) return FormatInt64(whole, to);
  }
  return snprintf(to, 40, "%.17g", value);
}

int FormatLongDoubleHuman(long double value, char* to) {
  if (std::isinf(value)) {
    memcpy(to, value > 0 ? "inf" : "-inf", 4);
    return value > 0 ? 3 : 4;
  }
  int size = snprintf(to, 5120, "%.17Lf", value);
  if (size <= 0 || size >= 5120) return 0;
  if (memchr(to, '.', static_cast<size_t>(size)) != nullptr) {
    while (to[size - 1] == '0') size--;
    if (to[size - 1] == '.') size--;
  }
  if (size == 2 && to[0] == '-' && to[1] == '0') {
    to[0] = '0';
    size = 1;
  }
  return size;
}

std::string ShortDecimal(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

bool ParseMemorySize(std::string_view text, int64_t* bytes, bool* too_large) {
  if (too_large != nullptr) *too_large = false;
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') digits++;
  std::string_view unit = text.substr(digits);
  static constexpr struct {
    const char* name;
    int64_t factor;
  } kUnits[] = {{"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1 << 10},
                {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30}};
  std::string_view number = text.substr(0, digits);
  if (number.empty()) number = "0";  // as redis-server: a unit alone is none of it
  while (number.size() > 1 && number[0] == '0') number.remove_prefix(1);
  for (auto& known : kUnits) {
    if (!EqualsNoCase(unit, known.name)) continue;
    uint64_t n;
    if (!ParseUint64(number, &n) || n > static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / known.factor)) {
      if (too_large != nullptr) *too_large = true;
      return false;
    }
    *bytes = static_cast<int64_t>(n) * known.factor;
    return true;
  }
  return false;
}

}  // namespace brim
