#include "script/slow_run.h"

#include <time.h>

#include <map>
#include <mutex>

#include "base/monotonic.h"
#include "base/ticks.h"
#include "server/busy_turn.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/script_watch.h"
#include "server/server.h"
#include "server/server_context.h"
#include "server/shutdown.h"
#include "server/worker.h"

namespace brim {

namespace {

std::mutex mutex;
std::map<int, SlowRun> slow_runs;  // by worker

void TellSlow(Worker& worker, ScriptRun& run, const RunningScript& running) {
  auto ms = static_cast<int64_t>(TicksToUs(__rdtsc() - running.began.load(std::memory_order_relaxed)) / 1000);
  bool function = running.function.load(std::memory_order_relaxed);
  LogWarning("Slow script detected: still in execution after " + std::to_string(ms) +
             " milliseconds. You can try killing the script using the " + (function ? "FUNCTION KILL" : "SCRIPT KILL") +
             " command. Script name is: " + std::string(run.name) + ".");
  SlowRun told;
  told.name = run.name;
  for (std::string_view word : run.context->argv()) told.command.emplace_back(word);
  told.began_us = MonotonicUs() - ms * 1000;
  told.function = function;
  std::lock_guard guard(mutex);
  slow_runs[worker.index()] = std::move(told);
}

const char* Watch(ScriptRun& run) {
  if (!run.context->has_connection()) return nullptr;  // a record is replayed
  Worker& worker = run.context->worker();
  RunningScript& running = ScriptWatch::Of(worker.index());
  if (ending.ended_now()) {
    worker.effects.Clear();  // what it did is not to come into a file in part
    run.silent = true;
    run.context->connection().CloseSoon();
    return "the server is shutting down";
  }
  if (!ScriptWatch::PastThreshold(running)) return nullptr;
  // A signal has asked for the end, and would wait for it for ever.
  if (server.stop_signal.load(std::memory_order_relaxed) != 0 && !run.wrote) return "the server is shutting down";
  if (!run.slow) {
    run.slow = true;
    TellSlow(worker, run, running);
  }
  AnswerWhileBusy(worker);
  if (!running.kill.load(std::memory_order_relaxed)) return nullptr;
  LogNotice("Lua script killed by user with SCRIPT KILL.");
  return "Script killed by user with SCRIPT KILL...";
}

}  // namespace

const char* WatchRun(Interpreter& interpreter) noexcept {
  try {
    return Watch(*interpreter.run);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void ForgetSlowRun(int worker) {
  std::lock_guard guard(mutex);
  slow_runs.erase(worker);
}

std::optional<SlowRun> AnySlowRun() {
  constexpr int kNaps = 200;
  constexpr timespec kNap{0, 1'000'000};
  for (int nap = 0;; nap++) {
    {
      std::lock_guard guard(mutex);
      const SlowRun* found = nullptr;
      for (const auto& [worker, slow] : slow_runs) {
        if (found == nullptr || slow.function) found = &slow;
      }
      if (found != nullptr) return *found;
    }
    // Others see by the clock that a script is slow; it says so itself when it looks the next time.
    if (nap == kNaps || ScriptWatch::Busy() == nullptr) return std::nullopt;
    nanosleep(&kNap, nullptr);
  }
}

}  // namespace brim
