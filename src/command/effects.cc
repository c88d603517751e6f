#include "command/effects.h"

#include <new>
#include <string>

namespace brim {

namespace {

constexpr size_t kKeptBytes = 64 << 10;  // a log that one big command has made larger gives it back

}  // namespace

void EffectLog::Add(int db, std::span<const std::string_view> words) noexcept {
  try {
    if (count_ == 0) {
      first_db_ = db;
    } else if (db != last_db_) {
      std::string number = std::to_string(db);
      std::string_view select[] = {"SELECT", number};
      requests_.Add(select);
    }
    last_db_ = db;
    count_++;
    requests_.Add(words, lasting);
  } catch (const std::bad_alloc&) {
    broken_ = true;
  }
}

void EffectLog::Clear() {
  requests_.Clear(kKeptBytes);
  broken_ = false;
  count_ = 0;
  told = false;
  together = false;
}

}  // namespace brim
