#pragma once
// The one ordered record of what changes the data. Commands append to it under the locks of the shards they changed, so
// two effects on one key stand in the order in which they happened, and a transaction stands as one piece. Whoever
// keeps it (server/aof) takes what has gathered. docs/durability.md.
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/spin_lock.h"
#include "command/effects.h"

namespace brim {

class Journal {
 public:
  // Whether anything is recorded. Changed while every thread is paused.
  bool on() const { return on_.load(std::memory_order_relaxed); }
  void Switch(bool on);
  // With lines that tell the time (aof-timestamp-enabled).
  void SetTimestamps(bool on) { timestamps_ = on; }

  // A command's effects, as MULTI ... EXEC when it is a transaction of more than one. Clears the log.
  void Append(EffectLog* log, bool transaction, int64_t now_ms);
  // One command.
  void AppendOne(int db, std::span<const std::string_view> words, int64_t now_ms);
  // Moves what has gathered to the end of *out.
  void Take(std::string* out);
  // The reader begins anew (another file): the next record tells its database.
  void ForgetDatabase();

  // Bytes appended so far. Any thread.
  uint64_t offset() const { return offset_.load(std::memory_order_acquire); }

 private:
  void Begin(int db, int64_t now_ms);
  void End(size_t before);

  std::atomic<bool> on_{false};
  bool timestamps_ = false;
  SpinLock lock_;
  std::string buffer_;
  int db_ = -1;
  int64_t stamped_s_ = 0;
  std::atomic<uint64_t> offset_{0};
};

extern Journal journal;

}  // namespace brim
