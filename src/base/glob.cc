#include "base/glob.h"

#include "base/ascii.h"

namespace brim {

namespace {

char Fold(char c, bool ignore_case) { return ignore_case ? LowerChar(c) : c; }

// The class that begins behind '[' at `p`: whether it holds c. *p is left behind its ']' (or at the pattern's end).
bool MatchClass(std::string_view pattern, size_t* p, char c, bool ignore_case) {
  size_t i = *p;
  bool negated = i < pattern.size() && pattern[i] == '^';
  if (negated) i++;
  bool found = false;
  auto folded = static_cast<unsigned char>(Fold(c, ignore_case));
  for (; i < pattern.size() && pattern[i] != ']'; i++) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      i++;
      found |= Fold(pattern[i], ignore_case) == Fold(c, ignore_case);
    } else if (i + 2 < pattern.size() && pattern[i + 1] == '-') {
      auto low = static_cast<unsigned char>(Fold(pattern[i], ignore_case));
      auto high = static_cast<unsigned char>(Fold(pattern[i + 2], ignore_case));
      if (low > high) std::swap(low, high);
      found |= low <= folded && folded <= high;
      i += 2;
    } else {
      found |= Fold(pattern[i], ignore_case) == Fold(c, ignore_case);
    }
  }
  *p = i < pattern.size() ? i + 1 : i;
  return found != negated;
}

}  // namespace

// One star is remembered at a time: the last one seen can take up whatever an earlier one could.
bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case) {
  // Redis has it that no pattern but the empty one matches the empty text.
  if (text.empty()) return pattern.empty();
  size_t p = 0;
  size_t t = 0;
  size_t star_p = std::string_view::npos;
  size_t star_t = 0;
  while (true) {
    if (p < pattern.size() && pattern[p] == '*') {
      star_p = ++p;
      star_t = t;
      if (p == pattern.size()) return true;
      continue;
    }
    if (t == text.size()) return p == pattern.size();
    bool matched = false;
    if (p < pattern.size()) {
      char c = pattern[p];
      if (c == '?') {
        matched = true;
        p++;
      } else if (c == '[') {
        p++;
        matched = MatchClass(pattern, &p, text[t], ignore_case);
      } else {
        if (c == '\\' && p + 1 < pattern.size()) c = pattern[++p];
        matched = Fold(c, ignore_case) == Fold(text[t], ignore_case);
        p++;
      }
    }
    if (matched) {
      t++;
      continue;
    }
    if (star_p == std::string_view::npos) return false;
    p = star_p;
    t = ++star_t;
  }
}

}  // namespace brim
