#pragma once
// Which worker serves a connection: by its number, each in turn. But while a sync of the append-only file is what
// clients wait for (appendfsync always) all are gathered on the first one, since those who share a turn share its sync.
// docs/threads.md.
#include <cstdint>
#include <vector>

#include "server/transport.h"

namespace brim {

class Connection;
class Worker;

class Placement {
 public:
  // The worker for a new connection of that id. The first worker's thread.
  Worker& ForNew(uint64_t id, Transport transport) const;
  // From each worker's cron, some times a second: the first decides what is to be, and each gives away those of its
  // connections that are elsewhere's, some at a time (a pause of all threads, O(those)). No lock held.
  void Cron(Worker& worker);

 private:
  static constexpr int kThreads = 64;
  // Publishes how busy the worker has been.
  void Measure(Worker& worker, int64_t now_us);
  void Decide(int64_t now_us);
  // Whether it has connections that are elsewhere's.
  bool GivesAway(const Worker& worker) const;
  // The index of the worker where the connection is to be.
  int HomeOf(uint64_t id) const;
  static bool IsTied(const Connection& connection);
  static bool CanMove(const Worker& worker, const Connection& connection);
  struct Own;
  std::vector<uint64_t> SomeToMove(const Worker& worker, Own* own) const;
  void GiveAway(Worker& worker, const std::vector<uint64_t>& ids) const;

  // The first worker's. Others read `gathered_`, which changes while every thread is paused.
  bool gathered_ = false;
  bool spreading_ = false;  // what was gathered has not all been given back
  int64_t decided_us_ = 0;

  // Of each worker, used by its thread alone.
  struct Own {
    std::vector<uint64_t> to_look;
    bool left = false;  // since they were listed some were seen that are to go
    int64_t filled_us = 0;
    int64_t measured_us = 0;
    int64_t cpu_us = 0;  // at that time
  };
  Own own_[kThreads];
};

inline Placement placement;

}  // namespace brim
