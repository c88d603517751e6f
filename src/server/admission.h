#pragma once
// May this command use memory? Over the limit, eviction tries to make room first; what it cannot is refused with the
// OOM error. docs/memory.md; semantics: "Memory limits" in Redis's documentation.
#include <cstdint>

#include "command/registry.h"
#include "memory/account.h"

namespace brim {

class Connection;

class Admission {
 public:
  // maxmemory, and how long one command may spend on evicting. Set while every thread is paused.
  static void Configure(int64_t limit_bytes, int tenacity);
  static int64_t limit_bytes() { return limit_; }
  // True when the command must go through Admit: over the limit. A few instructions.
  static bool NeedsRelief() { return limit_ != 0 && UsedMemoryFast() > limit_; }
  // Over the limit: makes room as the policy allows; false when the command is to be refused with the OOM error.
  static bool Admit(Connection& connection, const Command& command);
  // From the cron: goes on evicting after the limit was lowered. True when it fits.
  static bool RelieveInBackground(int64_t now_ms);

 private:
  enum class Outcome { kFits, kRunning, kStuck };
  static Outcome Relieve(int64_t now_ms, int64_t budget_us);
  static inline int64_t limit_ = 0;
  static inline int64_t budget_us_ = 500;
};

}  // namespace brim
