#pragma once
// What a command did, in words that do the same again wherever and whenever they are replayed: what the AOF (and
// replicas) get. Most commands are their own effect. Those that depend on chance, on the clock or on who waits say
// what came of it: SPOP is an SREM, EXPIRE a PEXPIREAT, BLPOP an LPOP.
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "resp/request_buffer.h"

namespace brim {

// The effects of one command or transaction, in order. One thread's; no locks.
class EffectLog {
 public:
  // One command in that database; a SELECT goes before it when the one before it was in another. Where memory is
  // refused the log is broken: what was done is not known any more.
  void Add(int db, std::span<const std::string_view> words) noexcept;
  void Add(int db, std::initializer_list<std::string_view> words) { Add(db, std::span(words.begin(), words.size())); }
  void Clear();

  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }
  // The database of the first command, which has no SELECT before it here, and of the last.
  int first_db() const { return first_db_; }
  int last_db() const { return last_db_; }
  const RequestBuffer& requests() const { return requests_; }
  bool broken() const { return broken_; }

  // The command that runs has told its effect itself: its words are not recorded.
  bool told = false;
  // The effects stand and fall together: they are recorded as a transaction. Until the log is cleared.
  bool together = false;
  // Words of the command that runs which stay where they are until its effects are written: they need not be copied.
  std::span<const std::string_view> lasting;

 private:
  RequestBuffer requests_;
  bool broken_ = false;
  size_t count_ = 0;
  int first_db_ = 0;
  int last_db_ = 0;
};

// The log of the command that this thread executes; null: none runs, or nothing is recorded.
inline thread_local EffectLog* effects = nullptr;

// A record is being replayed; every thread is paused, or none has started.
inline bool replaying = false;

}  // namespace brim
