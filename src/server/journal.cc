#include "server/journal.h"

#include <mutex>
#include <new>
#include <string>

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

// One record, all of it or nothing.
template <class Fn>
bool Journal::Record(int first_db, int last_db, int64_t now_ms, Fn&& add) noexcept {
  std::lock_guard guard(lock_);
  RequestBuffer::Mark before = buffer_.End();
  size_t bytes_before = buffer_.size();
  try {
    int64_t now_s = now_ms / 1000;
    if (timestamps_ && now_s != stamped_s_) buffer_.AddText("#TS:" + std::to_string(now_s) + "\r\n");
    if (first_db != db_) {
      std::string number = std::to_string(first_db);
      std::string_view select[] = {"SELECT", number};
      buffer_.Add(select);
    }
    add(&buffer_);
    stamped_s_ = now_s;
  } catch (const std::bad_alloc&) {
    buffer_.RollBack(before);
    Lose();
    return false;
  }
  db_ = last_db;
  offset_.store(offset_.load(std::memory_order_relaxed) + buffer_.size() - bytes_before, std::memory_order_release);
  return true;
}

bool Journal::Append(EffectLog* log, bool transaction, int64_t now_ms) noexcept {
  static constexpr std::string_view kMulti[] = {"MULTI"};
  static constexpr std::string_view kExec[] = {"EXEC"};
  bool wrapped = transaction && log->count() > 1;
  bool good = !log->broken();
  if (!good) {
    Lose();
  } else {
    good = Record(log->first_db(), log->last_db(), now_ms, [&](RequestBuffer* buffer) {
      if (wrapped) buffer->Add(kMulti);
      buffer->Add(log->requests());
      if (wrapped) buffer->Add(kExec);
    });
  }
  log->Clear();
  return good;
}

bool Journal::AppendOne(int db, std::span<const std::string_view> words, int64_t now_ms,
                        std::span<const std::string_view> lasting) noexcept {
  return Record(db, db, now_ms, [&](RequestBuffer* buffer) { buffer->Add(words, lasting); });
}

bool Journal::AppendRequest(int db, std::string_view request, int64_t now_ms) noexcept {
  return Record(db, db, now_ms, [&](RequestBuffer* buffer) { buffer->AddText(request); });
}

bool Journal::Take(RequestBuffer* out, uint64_t* upto) noexcept {
  std::lock_guard guard(lock_);
  if (out->empty()) {
    out->Swap(buffer_);
  } else {
    RequestBuffer::Mark before = out->End();
    try {
      out->Add(buffer_);
    } catch (const std::bad_alloc&) {
      out->RollBack(before);
      return false;
    }
  }
  buffer_.Clear(kKeptBytes);
  charge_.Set(buffer_.capacity());
  *upto = offset_.load(std::memory_order_relaxed);
  return true;
}

}  // namespace brim
