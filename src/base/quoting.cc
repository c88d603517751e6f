#include "base/quoting.h"

#include "base/ascii.h"

namespace brim {

namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = LowerChar(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char Unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// Stands for itself between double quotes.
bool IsPrintable(char c) { return c >= 32 && c < 127 && c != '"' && c != '\\'; }

// What follows the backslash for it; 0: its two hexadecimal digits do.
char EscapeLetter(char c) {
  switch (c) {
    case '\\':
    case '"':
      return c;
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case '\a':
      return 'a';
    case '\b':
      return 'b';
    default:
      return 0;
  }
}

// Reads what the quote at line[*at] opens; *at goes behind the closing one. False when there is none.
bool ReadQuoted(std::string_view line, size_t* at, std::string* word) {
  char quote = line[*at];
  size_t i = *at + 1;
  for (; i < line.size() && line[i] != quote; i++) {
    char c = line[i];
    if (c != '\\' || i + 1 == line.size() || (quote == '\'' && line[i + 1] != '\'')) {
      *word += c;
    } else if (quote == '"' && i + 3 < line.size() && line[i + 1] == 'x' && HexDigit(line[i + 2]) >= 0 &&
               HexDigit(line[i + 3]) >= 0) {
      *word += static_cast<char>(HexDigit(line[i + 2]) * 16 + HexDigit(line[i + 3]));
      i += 3;
    } else {
      i++;
      *word += quote == '"' ? Unescape(line[i]) : line[i];
    }
  }
  *at = i + 1;
  return i < line.size();
}

}  // namespace

bool ReadWord(std::string_view line, size_t* at, std::string* word) {
  while (*at < line.size() && !EndsWord(line[*at])) {
    if (IsQuote(line[*at])) return ReadQuoted(line, at, word) && (*at >= line.size() || IsBlank(line[*at]));
    *word += line[(*at)++];
  }
  return true;
}

bool SplitWords(std::string_view line, std::vector<std::string>* words) {
  size_t at = 0;
  while (true) {
    while (at < line.size() && IsBlank(line[at])) at++;
    if (at == line.size()) return true;
    std::string word;
    if (!ReadWord(line, &at, &word)) return false;
    words->push_back(std::move(word));
  }
}

size_t QuotedBytes(std::string_view text) {
  size_t bytes = 2;
  for (char c : text) bytes += IsPrintable(c) ? 1 : EscapeLetter(c) != 0 ? 2 : 4;
  return bytes;
}

char* PutQuoted(char* to, std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  *to++ = '"';
  for (char c : text) {
    if (IsPrintable(c)) {
      *to++ = c;
      continue;
    }
    *to++ = '\\';
    if (char letter = EscapeLetter(c); letter != 0) {
      *to++ = letter;
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    *to++ = 'x';
    *to++ = kDigits[byte >> 4];
    *to++ = kDigits[byte & 15];
  }
  *to++ = '"';
  return to;
}

std::string QuoteWord(std::string_view text) {
  std::string quoted(QuotedBytes(text), '\0');
  PutQuoted(quoted.data(), text);
  return quoted;
}

}  // namespace brim
