#pragma once
// May this command use memory? Over a limit the pressure ladder is climbed first; what it cannot free is refused with
// the OOM error. docs/pressure.md; semantics: "Memory limits" in Redis's documentation.
#include <cstdint>

#include "command/registry.h"
#include "server/memory_guard.h"

namespace brim {

class Connection;
class Worker;

class Admission {
 public:
  // How long one command may spend on freeing. Set while every thread is paused.
  static void Configure(int tenacity);
  // MemoryGuard::NeedsRelief(): makes room as the policy allows; false when the command is to be refused with the OOM
  // error.
  static bool Admit(Connection& connection, const Command& command);
  // Before a big allocation: frees until that many bytes more fit under the limit. False when they cannot. No shard may
  // be locked. Takes as long as evicting them takes.
  static bool MakeRoom(Worker& worker, size_t bytes);
  // From the cron: goes on freeing after the limit was lowered. True when it fits or nothing can be done.
  static bool RelieveInBackground(Worker& worker);

 private:
  static inline int64_t budget_us_ = 500;
};

}  // namespace brim
