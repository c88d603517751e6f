#pragma once
// MONITOR: connections that are shown every command as it runs, on whichever thread. docs/watching.md.
//
// A line is made once, by the thread that ran the command and before its locks go, and posted to the workers that have
// monitors. So lines about one client, and about one key, come in the order of what happened.
namespace brim {

class Connection;
class ServerContext;
class Worker;

class Monitors {
 public:
  // Both: the connection's thread. From here on (up to here) it gets what runs.
  static void Begin(Connection& connection);
  static void End(Connection& connection);

  // Shows the context's command. Its shards are locked.
  static void Show(ServerContext& context) noexcept;
};

// A script's run (server/script_run.cc). One that begins anew has its commands shown once: those that the run before
// has shown are left out.
class ShownRun {
 public:
  ShownRun();
  ~ShownRun();
  ShownRun(const ShownRun&) = delete;
  ShownRun& operator=(const ShownRun&) = delete;
  void BeginAnew();
};

}  // namespace brim
