#pragma once
// The TLS handshakes of one worker. Each step costs as much CPU as hundreds of requests (a signature, a key exchange),
// so steps wait in a queue of which each turn does a little: at least one, and no more than keep the turn short. A
// flood of handshakes is as slow as it likes; everybody else is served between any two of them.
//
// Memory is taken with the first step, some 48 KB. At most kBegunMax handshakes (all workers together) are begun; new
// ones then wait, their bytes in the socket, until one is done, or has stood still for kStallMs and is given up for it.
// Begun ones go first (three of four steps). None may last longer than kPatienceMs.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

#include "net/tls_session.h"

namespace brim {

class Connection;
class Worker;

class Handshakes {
 public:
  explicit Handshakes(Worker* worker) : worker_(worker) {}

  // A connection has come.
  void Add(const Connection& connection);
  // Its socket can be read or written.
  void Ready(const Connection& connection);
  // A step can be made: the loop must not sleep.
  bool waiting() const { return !begun_ready_.empty() || (!new_ready_.empty() && HasRoom()); }
  // Once a turn.
  void Run() {
    if (!underway_.empty()) RunSome();
  }
  // Where the worker's TLS sessions work, made with the first of them.
  TlsRecords* Room();

 private:
  static constexpr size_t kBegunMax = 1024;
  static constexpr int64_t kStallMs = 3'000;
  static constexpr int64_t kPatienceMs = 10'000;
  using Ids = std::list<uint64_t>;
  struct State {
    bool ready = false;   // listed for a step
    int64_t step_ms = 0;  // of the last step; 0: not begun
    Ids::iterator place;  // in begun_
  };

  void RunSome();
  void GiveUpLate();
  // One more may begin: there are few enough, or the first of begun_ may go for it.
  bool HasRoom() const;
  bool IsFull() const;
  void Step(uint64_t id);
  void Progress(uint64_t id, State* state);
  void Forget(uint64_t id);
  // Closes it, with a line in the log.
  void Fail(uint64_t id, const char* why);

  Worker* worker_;
  std::unique_ptr<TlsRecords> room_;
  std::unordered_map<uint64_t, State> underway_;
  std::deque<std::pair<int64_t, uint64_t>> deadlines_;  // in order; some are done already
  std::deque<uint64_t> begun_ready_;
  std::deque<uint64_t> new_ready_;
  Ids begun_;  // whose last step is the longest ago first
  unsigned steps_ = 0;
};

}  // namespace brim
