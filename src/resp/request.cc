#include "resp/request.h"

#include <algorithm>

#include "base/numbers.h"

namespace brim {

namespace {

constexpr size_t kLengthBytes = 24;  // what WriteLength writes at most

// "$3\r\n"
char* WriteLength(char* at, char mark, size_t length) {
  *at++ = mark;
  at += FormatInt64(static_cast<int64_t>(length), at);
  *at++ = '\r';
  *at++ = '\n';
  return at;
}

char* WriteWord(char* at, std::string_view word) {
  at = WriteLength(at, '$', word.size());
  at = std::copy(word.begin(), word.end(), at);
  *at++ = '\r';
  *at++ = '\n';
  return at;
}

}  // namespace

void BeginRequest(std::string* out, size_t words) {
  char text[2 * kLengthBytes];
  out->append(text, static_cast<size_t>(WriteLength(text, '*', words) - text));
}

void AppendWord(std::string* out, std::string_view word) {
  char text[2 * kLengthBytes];
  out->append(text, static_cast<size_t>(WriteLength(text, '$', word.size()) - text));
  out->append(word);
  out->append("\r\n", 2);
}

void AppendRequest(std::string* out, std::span<const std::string_view> words) {
  size_t most = kLengthBytes;
  for (std::string_view word : words) most += word.size() + kLengthBytes + 2;
  size_t before = out->size();
  out->resize(before + most);
  char* at = WriteLength(out->data() + before, '*', words.size());
  for (std::string_view word : words) at = WriteWord(at, word);
  out->resize(static_cast<size_t>(at - out->data()));
}

}  // namespace brim
