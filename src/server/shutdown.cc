#include "server/shutdown.h"

#include <signal.h>

#include "base/monotonic.h"
#include "server/aof.h"
#include "server/blocking.h"
#include "server/log.h"
#include "server/pause.h"
#include "server/persistence.h"
#include "server/server.h"
#include "server/worker.h"

namespace brim {

Shutdown ending;

Shutdown::Answer Shutdown::Begin(const ShutdownFlags& flags) {
  if (waiting()) return Answer::kWaits;
  flags_ = flags;
  LogWarning("User requested shutdown...");
  if (server.loading.running) {
    // Nothing is changed, and what is there so far must not take the place of what is being loaded.
    server.RequestStop();
    return Answer::kEnds;
  }
  int64_t timeout_s = server.config().shutdown_timeout;
  if (!flags.now && timeout_s != 0 && replicas_lag != nullptr && replicas_lag()) {
    // They get all there is, if nothing is added to it.
    LogNotice("Waiting for replicas before shutting down.");
    pause_before_ms_ = server.pausing() ? server.pause_until_ms() : 0;
    pause_before_writes_only_ = server.pause_writes_only();
    server.PauseClients(INT64_MAX, true);
    deadline_ms_ = WallUs() / 1000 + timeout_s * 1000;
    return Answer::kWaits;
  }
  return Finish() ? Answer::kEnds : Answer::kRefused;
}

void Shutdown::EndNow() {
  LogWarning("User requested shutdown while a script runs...");
  if (aof.enabled()) aof.CommitAndSync();
  ended_now_.store(true, std::memory_order_relaxed);
  server.RequestStop();
}

bool Shutdown::Abort() {
  bool asked = server.stop_signal.exchange(0, std::memory_order_relaxed) != 0;
  if (!asked && !waiting()) return false;
  if (waiting()) GoOn();
  LogNotice("Shutdown manually aborted.");
  return true;
}

bool Shutdown::EndBackgroundWork() {
  if (persistence.saving()) {
    LogWarning("There is a child saving an .rdb. Killing it!");
    persistence.CancelSave();
  }
  if (WaitsForBase(aof)) {
    LogWarning(flags_.force ? "Writing initial AOF. Exit anyway." : "Writing initial AOF, can't exit.");
    if (!flags_.force) return false;
  }
  CancelRewrite(aof);
  return true;
}

bool Shutdown::WriteLog() {
  if (!aof.enabled()) return true;
  LogNotice("Calling fsync() on the AOF file.");
  if (aof.CommitAndSync()) return true;
  LogWarning("Fail to fsync the AOF file: " + aof.why_failing());
  // What clients have been told is written is not: only somebody who says so lets it go.
  return flags_.force || flags_.nosave;
}

bool Shutdown::SaveSnapshot() {
  if (!flags_.save && (flags_.nosave || !persistence.has_save_points())) return true;
  LogNotice("Saving the final RDB snapshot before exiting.");
  std::string error;
  if (persistence.SaveNow(&error)) return true;
  LogWarning(flags_.force ? "Error trying to save the DB. Exit anyway." : "Error trying to save the DB, can't exit.");
  return flags_.force;
}

bool Shutdown::Finish() {
  if (EndBackgroundWork() && WriteLog() && SaveSnapshot()) {
    // Connections end with the process: who waited for that can start another one on the same port.
    server.RequestStop();
    return true;
  }
  LogWarning("Errors trying to shut down the server. Check the logs for more information.");
  server.stop_signal.store(0, std::memory_order_relaxed);
  if (waiting()) GoOn();
  return false;
}

void Shutdown::GoOn() {
  deadline_ms_ = 0;
  server.UnpauseClients();
  if (pause_before_ms_ > WallUs() / 1000) server.PauseClients(pause_before_ms_, pause_before_writes_only_);
  for (const Client& client : clients_) {
    Connection* connection = client.worker->FindConnection(client.connection_id);
    if (connection != nullptr) Blocking::Unblock(*connection, false);
  }
  clients_.clear();
}

void Shutdown::Look(Worker& worker) {
  int signal_number = server.stop_signal.load(std::memory_order_relaxed);
  if (signal_number == 0 && !waiting()) return;
  bool over = waiting() && (worker.now_ms >= deadline_ms_ || replicas_lag == nullptr || !replicas_lag());
  if (server.stopping() || (waiting() && !over)) return;
  if (!thread_pause.Begin(worker.index())) return;
  if (over && waiting()) {
    Finish();
  } else if (!waiting() && !server.stopping() && server.stop_signal.load(std::memory_order_relaxed) != 0) {
    LogWarning(std::string("Received ") + (signal_number == SIGINT ? "SIGINT" : "SIGTERM") + " scheduling shutdown...");
    const Config& config = server.config();
    Begin(signal_number == SIGINT ? config.shutdown_on_sigint : config.shutdown_on_sigterm);
  }
  thread_pause.End();
}

}  // namespace brim
