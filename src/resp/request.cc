#include "resp/request.h"

#include <cstring>

#include "base/numbers.h"

namespace brim {

namespace {

constexpr size_t kShortBytes = 256;
constexpr size_t kLengthBytes = 24;  // what WriteLength writes at most

size_t Digits(size_t n) { return n < 10 ? 1 : static_cast<size_t>(CountDigits(n)); }

// "$3\r\n"
char* WriteLength(char* at, char mark, size_t length) {
  *at++ = mark;
  if (length < 10) {
    *at++ = static_cast<char>('0' + length);
  } else {
    at += FormatUint64(length, at);
  }
  memcpy(at, "\r\n", 2);
  return at + 2;
}

// Most words are short, and a call of memcpy costs more than they do: both ends, which may overlap.
char* WriteBytes(char* at, std::string_view word) {
  const char* from = word.data();
  size_t size = word.size();
  if (size > 16) {
    memcpy(at, from, size);
  } else if (size >= 8) {
    memcpy(at, from, 8);
    memcpy(at + size - 8, from + size - 8, 8);
  } else if (size >= 4) {
    memcpy(at, from, 4);
    memcpy(at + size - 4, from + size - 4, 4);
  } else if (size > 0) {
    at[0] = from[0];
    at[size / 2] = from[size / 2];
    at[size - 1] = from[size - 1];
  }
  return at + size;
}

char* WriteWord(char* at, std::string_view word) {
  at = WriteBytes(WriteLength(at, '$', word.size()), word);
  memcpy(at, "\r\n", 2);
  return at + 2;
}

}  // namespace

void BeginRequest(std::string* out, size_t words) {
  char text[2 * kLengthBytes];
  out->append(text, static_cast<size_t>(WriteLength(text, '*', words) - text));
}

void AppendWordHead(std::string* out, size_t size) {
  char text[2 * kLengthBytes];
  out->append(text, static_cast<size_t>(WriteLength(text, '$', size) - text));
}

void AppendWord(std::string* out, std::string_view word) {
  AppendWordHead(out, word.size());
  out->append(word);
  out->append("\r\n", 2);
}

void AppendRequest(std::string* out, std::span<const std::string_view> words) {
  size_t bytes = 3 + Digits(words.size());
  for (std::string_view word : words) bytes += 5 + Digits(word.size()) + word.size();
  auto write = [words](char* at) {
    at = WriteLength(at, '*', words.size());
    for (std::string_view word : words) at = WriteWord(at, word);
  };
  // A string that is made longer is filled with zeros first: short requests are cheaper written elsewhere.
  char text[kShortBytes];
  if (bytes <= sizeof text) {
    write(text);
    out->append(text, bytes);
    return;
  }
  size_t before = out->size();
  out->resize(before + bytes);
  write(out->data() + before);
}

}  // namespace brim
