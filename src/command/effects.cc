#include "command/effects.h"

#include <cstring>

#include "base/numbers.h"

namespace brim {

namespace {

constexpr size_t kKeptBytes = 64 << 10;  // a log that one big command has made larger gives it back

// "$3\r\n"
char* WriteLength(char* at, char mark, size_t length) {
  *at++ = mark;
  at += FormatInt64(static_cast<int64_t>(length), at);
  *at++ = '\r';
  *at++ = '\n';
  return at;
}

}  // namespace

void AppendRequest(std::string* out, std::span<const std::string_view> words) {
  constexpr size_t kLengthBytes = 24;
  size_t most = kLengthBytes;
  for (std::string_view word : words) most += word.size() + kLengthBytes;
  size_t before = out->size();
  out->resize(before + most);
  char* at = WriteLength(out->data() + before, '*', words.size());
  for (std::string_view word : words) {
    at = WriteLength(at, '$', word.size());
    memcpy(at, word.data(), word.size());
    at += word.size();
    *at++ = '\r';
    *at++ = '\n';
  }
  out->resize(static_cast<size_t>(at - out->data()));
}

void EffectLog::Add(int db, std::span<const std::string_view> words) {
  if (count_ == 0) {
    first_db_ = db;
  } else if (db != last_db_) {
    std::string number = std::to_string(db);
    std::string_view select[] = {"SELECT", number};
    AppendRequest(&bytes_, select);
  }
  last_db_ = db;
  count_++;
  AppendRequest(&bytes_, words);
}

void EffectLog::Clear() {
  if (bytes_.capacity() > kKeptBytes) bytes_ = std::string();
  bytes_.clear();
  count_ = 0;
  told = false;
}

}  // namespace brim
