#include "command/effects.h"

namespace brim {

namespace {

constexpr size_t kKeptBytes = 64 << 10;  // a log that one big command has made larger gives it back

}  // namespace

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
