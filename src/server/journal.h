#pragma once
// The one ordered record of what changes the data. Commands append to it under the locks of the shards they changed, so
// two effects on one key stand in the order in which they happened, and a transaction stands as one piece. Whoever
// keeps it (server/aof) takes what has gathered. docs/durability.md.
#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/spin_lock.h"
#include "command/effects.h"
#include "memory/account.h"
#include "resp/request_buffer.h"

namespace brim {

class Journal {
 public:
  // Whether anything is recorded. Changed while every thread is paused.
  bool on() const { return on_.load(std::memory_order_relaxed); }
  void Switch(bool on);
  // With lines that tell the time (aof-timestamp-enabled).
  void SetTimestamps(bool on) { timestamps_ = on; }

  // A command's effects, as MULTI ... EXEC when it is a transaction of more than one. Clears the log. False: memory was
  // refused, and the record is lost.
  bool Append(EffectLog* log, bool transaction, int64_t now_ms) noexcept;
  // One command. Big words that `lasting` names too are not copied: whoever appends them lets everything be written
  // before they go (Aof::Commit).
  bool AppendOne(int db, std::span<const std::string_view> words, int64_t now_ms,
                 std::span<const std::string_view> lasting = {}) noexcept;
  // One command, as the bytes of its request.
  bool AppendRequest(int db, std::string_view request, int64_t now_ms) noexcept;
  // Moves what has gathered to the end of *out. False: memory for that is refused, and it stays. *upto: the offset
  // where what was ever taken ends.
  bool Take(RequestBuffer* out, uint64_t* upto) noexcept;
  // The reader begins anew (another file): the next record tells its database.
  void ForgetDatabase();

  // Bytes appended so far. Any thread.
  uint64_t offset() const { return offset_.load(std::memory_order_acquire); }
  // Records that could not be kept: what stands here is no longer all that happened. Any thread.
  uint64_t lost() const { return lost_.load(std::memory_order_acquire); }
  void Lose() { lost_.fetch_add(1, std::memory_order_acq_rel); }

 private:
  template <class Fn>
  bool Record(int first_db, int last_db, int64_t now_ms, Fn&& add) noexcept;

  std::atomic<bool> on_{false};
  bool timestamps_ = false;
  ThreadSpinLock lock_;  // workers append, the AOF's threads take
  RequestBuffer buffer_;
  Recharge<MemoryCategory::kAof> charge_;  // as of the last Take
  int db_ = -1;
  int64_t stamped_s_ = 0;
  std::atomic<uint64_t> offset_{0};
  std::atomic<uint64_t> lost_{0};
};

extern Journal journal;

}  // namespace brim
