#include "server/journal.h"

#include <mutex>
#include <utility>

namespace brim {

Journal journal;

namespace {

constexpr size_t kKeptBytes = 1 << 20;

}  // namespace

void Journal::Switch(bool on) {
  ForgetDatabase();
  on_.store(on, std::memory_order_relaxed);
}

void Journal::ForgetDatabase() {
  std::lock_guard guard(lock_);
  db_ = -1;
  stamped_s_ = 0;
}

// Before a record of that database, the lock held.
void Journal::Begin(int db, int64_t now_ms) {
  if (timestamps_ && now_ms / 1000 != stamped_s_) {
    stamped_s_ = now_ms / 1000;
    buffer_ += "#TS:" + std::to_string(stamped_s_) + "\r\n";
  }
  if (db == db_) return;
  db_ = db;
  std::string number = std::to_string(db);
  std::string_view select[] = {"SELECT", number};
  AppendRequest(&buffer_, select);
}

void Journal::End(size_t before) {
  offset_.store(offset_.load(std::memory_order_relaxed) + buffer_.size() - before, std::memory_order_release);
}

void Journal::Append(EffectLog* log, bool transaction, int64_t now_ms) {
  static constexpr std::string_view kMulti[] = {"MULTI"};
  static constexpr std::string_view kExec[] = {"EXEC"};
  bool wrapped = transaction && log->count() > 1;
  {
    std::lock_guard guard(lock_);
    size_t before = buffer_.size();
    Begin(log->first_db(), now_ms);
    if (wrapped) AppendRequest(&buffer_, kMulti);
    buffer_ += log->bytes();
    if (wrapped) AppendRequest(&buffer_, kExec);
    db_ = log->last_db();
    End(before);
  }
  log->Clear();
}

void Journal::AppendOne(int db, std::span<const std::string_view> words, int64_t now_ms) {
  std::lock_guard guard(lock_);
  size_t before = buffer_.size();
  Begin(db, now_ms);
  AppendRequest(&buffer_, words);
  End(before);
}

void Journal::Take(std::string* out) {
  std::lock_guard guard(lock_);
  if (out->empty()) {
    std::swap(*out, buffer_);
    if (buffer_.capacity() > kKeptBytes) buffer_ = std::string();
  } else {
    *out += buffer_;
    buffer_.clear();
  }
}

}  // namespace brim
