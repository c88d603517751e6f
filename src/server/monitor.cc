#include "server/monitor.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "base/monotonic.h"
#include "base/numbers.h"
#include "base/quoting.h"
#include "base/spin_lock.h"
#include "memory/pressure.h"
#include "server/client_line.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/memory_guard.h"
#include "server/push.h"
#include "server/redaction.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/watching.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr size_t kWorkersMost = 64;
constexpr size_t kBytesADelivery = 256;  // of a line that cost a worker as much time as a delivery does
// Deliveries that may wait at a worker whose monitors are to stay. Commands wait for it long before (PushQueue); only
// one that goes on and on, a script or a transaction, comes so far.
constexpr size_t kBehindMost = 128 << 10;
constexpr size_t kBehindLeast = 24 << 10;

struct alignas(64) Local {
  std::vector<Connection*> monitors;  // the worker's thread
  std::atomic<uint32_t> count{0};     // of them
  std::atomic<bool> overrun{false};   // they are to be cut: they get no more
};
Local locals[kWorkersMost];
SpinLock count_lock;
size_t monitor_count = 0;  // its lock

// What this thread has shown of the script that runs, and how much of that the run before has shown already.
thread_local size_t lines_shown = 0;
thread_local size_t lines_to_skip = 0;

Local& LocalOf(const Worker& worker) { return locals[worker.index()]; }

size_t BehindMost() {
  int64_t limit = MemoryGuard::used_limit();
  if (limit == 0) return kBehindMost;
  return std::clamp(static_cast<size_t>(limit) / 16 / kBytesADelivery, kBehindLeast, kBehindMost);
}

void CutMonitors(Worker& worker) {
  for (Connection* monitor : LocalOf(worker).monitors) {
    if (monitor->close_soon) continue;
    LogWarning("Closing monitor: a command brings more than it can be sent: " + DescribeConnection(*monitor));
    worker.figures.output_limit_cuts++;
    monitor->CloseSoon();
  }
}

// One line, as each monitor gets it.
class Line final : public Push {
 public:
  static Line* Make(size_t bytes) { return new (bytes) Line(bytes); }
  char* text() { return reinterpret_cast<char*>(this + 1); }
  size_t bytes() const { return bytes_; }

  void Deliver(Worker& worker) override {
    if (LocalOf(worker).overrun.load(std::memory_order_relaxed)) {
      CutMonitors(worker);
      return;
    }
    for (Connection* monitor : LocalOf(worker).monitors) {
      if (monitor->reply_mode == ReplyMode::kOff) continue;
      worker.pushes.Send(*monitor, {}, {text(), bytes_}, this, PushQueue::Place::kBehindReply);
    }
  }

 private:
  explicit Line(size_t bytes) : bytes_(bytes) {}
  size_t bytes_;
};

// "+1700000000.000123 [0 127.0.0.1:5000]"
std::string HeadOf(ServerContext& context) {
  int64_t now_us = WallUs();
  std::string micros = std::to_string(now_us % 1'000'000);
  std::string head = "+" + std::to_string(now_us / 1'000'000) + "." + std::string(6 - micros.size(), '0') + micros;
  head += " [" + std::to_string(context.db()) + " ";
  const Connection& connection = context.connection();
  if (context.in_script()) {
    head += "lua";
  } else if (connection.is_unix) {
    head += "unix:" + server.config().unixsocket;
  } else {
    head += connection.address;
  }
  return head + "]";
}

Line* MakeLine(ServerContext& context) {
  std::vector<size_t> secrets;
  auto argv = context.argv();
  FindSecrets(context.command(), argv, &secrets);
  auto word = [&](size_t i) {
    return std::find(secrets.begin(), secrets.end(), i) == secrets.end() ? argv[i] : kRedacted;
  };
  std::string head = HeadOf(context);
  size_t bytes = head.size() + 2;
  for (size_t i = 0; i < argv.size(); i++) bytes += 1 + QuotedBytes(word(i));
  Line* line = Line::Make(bytes);
  char* to = line->text();
  memcpy(to, head.data(), head.size());
  to += head.size();
  for (size_t i = 0; i < argv.size(); i++) {
    *to++ = ' ';
    to = PutQuoted(to, word(i));
  }
  memcpy(to, "\r\n", 2);
  return line;
}

void PostTo(Worker& worker, Line* line) {
  Local& local = LocalOf(worker);
  uint32_t monitors = local.count.load(std::memory_order_relaxed);
  if (monitors == 0 || local.overrun.load(std::memory_order_relaxed)) return;
  if (&worker == current_worker) {
    // Nobody else sends them anything: what was posted before goes first. A script may show more than can be kept.
    worker.pushes.DeliverMail(true);
    line->Deliver(worker);
    worker.pushes.KeepInBounds();
    return;
  }
  if (worker.pushes.backlog() > BehindMost()) local.overrun.store(true, std::memory_order_relaxed);
  worker.pushes.Post(line, monitors * (1 + line->bytes() / kBytesADelivery));
}

}  // namespace

void Monitors::Begin(Connection& connection) {
  Worker& worker = *connection.worker;
  Local& local = LocalOf(worker);
  // What ran before is for those who looked before.
  worker.pushes.TakeMail();
  worker.pushes.DeliverTaken();
  local.monitors.push_back(&connection);
  connection.monitor = true;
  local.count.fetch_add(1, std::memory_order_relaxed);
  std::lock_guard guard(count_lock);
  if (monitor_count++ == 0) watching.fetch_or(kWatchedByMonitors, std::memory_order_relaxed);
}

void Monitors::End(Connection& connection) {
  if (!connection.monitor) return;
  Worker& worker = *connection.worker;
  Local& local = LocalOf(worker);
  {
    std::lock_guard guard(count_lock);
    if (--monitor_count == 0) watching.fetch_and(~uint32_t{kWatchedByMonitors}, std::memory_order_relaxed);
  }
  local.count.fetch_sub(1, std::memory_order_relaxed);
  worker.pushes.TakeMail();
  worker.pushes.DeliverTaken();
  connection.monitor = false;
  std::erase(local.monitors, &connection);
  if (local.monitors.empty()) local.overrun.store(false, std::memory_order_relaxed);
}

void Monitors::Show(ServerContext& context) noexcept {
  if (!context.has_connection() || (context.command().flags & kAdmin)) return;
  if (!context.worker().in_busy_turn) {
    lines_shown++;
    if (lines_to_skip > 0) {
      lines_to_skip--;
      return;
    }
  }
  try {
    PushReference line(MakeLine(context));
    for (auto& worker : server.workers()) PostTo(*worker, static_cast<Line*>(line.get()));
  } catch (const std::bad_alloc&) {
    NoteShortage();
  }
}

ShownRun::ShownRun() { lines_shown = lines_to_skip = 0; }
ShownRun::~ShownRun() { lines_shown = lines_to_skip = 0; }
void ShownRun::BeginAnew() {
  lines_to_skip = lines_shown;
  lines_shown = 0;
}

namespace {

void Monitor(Context& context) {
  if (!context.may_block()) {
    context.reply().Error("ERR MONITOR isn't allowed for DENY BLOCKING client");
    return;
  }
  Connection& connection = AsServer(context).connection();
  if (connection.monitor) return;  // it is one: not even a reply
  Monitors::Begin(connection);
  context.reply().Ok();
}

constexpr CommandSpec kRows[] = {
    {"monitor",
     1,
     kAdmin | kNoScript | kLoading | kStale,
     {},
     0,
     Group::kServer,
     "1.0.0",
     "O(1); each command then costs O(N) where N is the number of monitors",
     "Shows the connection every command that the server runs.",
     "",
     Monitor},
};

}  // namespace

const CommandTable kMonitorCommands = kRows;

}  // namespace brim
