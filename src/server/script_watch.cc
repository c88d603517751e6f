#include "server/script_watch.h"

#include "base/ticks.h"
#include "resp/errors.h"

namespace brim {

void ScriptWatch::SetThreshold(int64_t ms) {
  threshold_ticks_.store(ms <= 0 ? 0 : UsToTicks(static_cast<double>(ms) * 1000), std::memory_order_relaxed);
}

RunningScript* ScriptWatch::Busy() { return BusyWith(0); }

// No shards: any script.
RunningScript* ScriptWatch::BusyWith(uint64_t shards) {
  for (int i = 0; i < threads_; i++) {
    RunningScript& script = running_[i];
    if (!PastThreshold(script)) continue;
    if (shards == 0 || (script.held.load(std::memory_order_relaxed) & shards) != 0) return &script;
  }
  return nullptr;
}

std::string_view ScriptWatch::BusyText() {
  RunningScript* script = Busy();
  bool function = script != nullptr && script->function.load(std::memory_order_relaxed);
  return function ? errors::kBusyFunction : errors::kBusyScript;
}

}  // namespace brim
