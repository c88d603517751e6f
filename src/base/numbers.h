#pragma once
// Numbers from text and back, as Redis reads and prints them. No locks, no allocation.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace brim {

// A whole number in its one canonical form (no blanks, no plus sign, no leading zeros). False when it is not, or does
// not fit.
bool ParseInt64Digits(std::string_view text, int64_t* value);  // what ParseInt64 has not refused at sight
inline bool ParseInt64(std::string_view text, int64_t* value) {
  if (text.empty() || text.size() > 20 || (static_cast<unsigned>(text[0] - '0') > 9 && text[0] != '-')) return false;
  return ParseInt64Digits(text, value);
}
bool ParseUint64(std::string_view text, uint64_t* value);
// Digits of the number in decimal: 1 for 0.
int CountDigits(uint64_t value);
// Writes the number without terminator; returns its length, at most 20. `to` has 24 bytes.
int FormatInt64(int64_t value, char* to);
int FormatUint64(uint64_t value, char* to);

// A double as strtod reads it, hex and "inf" included; no blank in front, nothing behind, no NaN, no overflow.
bool ParseDouble(std::string_view text, double* value);
// As ParseDouble for the wider type (INCRBYFLOAT). NaN is refused.
bool ParseLongDouble(std::string_view text, long double* value);
// "%.17g", with whole numbers in plain digits where they fit; "inf", "-inf", "nan". Returns the length; `to` has 40
// bytes. Redis 7.0's form of scores.
int FormatDouble17(double value, char* to);
// "%.17Lf" without trailing zeros: INCRBYFLOAT's form. Returns the length; `to` has 5120 bytes.
int FormatLongDoubleHuman(long double value, char* to);

// "%f" without trailing zeros: "99.9", "50".
std::string ShortDecimal(double value);

// "100", "1k" (1000), "1kb" (1024), m mb g gb, b; any letter case; no digits count as 0. False when it is none of
// these, or too large, of which *too_large tells when it is asked for.
bool ParseMemorySize(std::string_view text, int64_t* bytes, bool* too_large = nullptr);

}  // namespace brim
