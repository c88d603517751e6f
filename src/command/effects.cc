#include "command/effects.h"

#include "base/numbers.h"

namespace brim {

namespace {

constexpr size_t kKeptBytes = 64 << 10;  // a log that one big command has made larger gives it back

void AppendLength(std::string* out, char mark, size_t length) {
  char text[28];
  text[0] = mark;
  auto size = 1 + static_cast<size_t>(FormatInt64(static_cast<int64_t>(length), text + 1));
  text[size++] = '\r';
  text[size++] = '\n';
  out->append(text, size);
}

}  // namespace

void AppendRequest(std::string* out, std::span<const std::string_view> words) {
  AppendLength(out, '*', words.size());
  for (std::string_view word : words) {
    AppendLength(out, '$', word.size());
    out->append(word);
    out->append("\r\n", 2);
  }
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
