#pragma once
// The end of the process: SHUTDOWN and the signals, what is saved before it, what stands in its way.
// docs/durability.md.
//
//   asked --(replicas lag, and it may wait)--> waiting --(they caught up, or the time is over)--> saving --> the end
//                                                |  SHUTDOWN ABORT                                  |  it failed
//                                                +--> goes on serving <-----------------------------+
#include <atomic>
#include <cstdint>
#include <vector>

#include "server/config.h"

namespace brim {

class Worker;

// Whether a replica has not got all there is (replication sets it); null: there are none.
inline bool (*replicas_lag)() = nullptr;

class Shutdown {
 public:
  enum class Answer : uint8_t { kEnds, kWaits, kRefused };

  // SHUTDOWN, or a signal. Refused: something could not be saved, and the log says what. Every thread paused.
  Answer Begin(const ShutdownFlags& flags);
  // SHUTDOWN NOSAVE while a script runs that takes too long: nothing can be paused, and nothing is waited for. What the
  // script did goes with the process.
  void EndNow();
  // Scripts are to end, whatever they have done. Any thread.
  bool ended_now() const { return ended_now_.load(std::memory_order_relaxed); }
  // SHUTDOWN ABORT; false when none was going on. Every thread paused.
  bool Abort();
  // A client whose SHUTDOWN waits: it is answered when that fails or is called off. Every thread paused.
  void AddClient(Worker* worker, uint64_t connection_id) { clients_.push_back({worker, connection_id}); }

  // The first worker, each turn: signals, and a wait that is over.
  void Look(Worker& worker);

  // Every thread paused, or the first worker.
  bool waiting() const { return deadline_ms_ != 0; }
  int64_t deadline_ms() const { return deadline_ms_; }

 private:
  struct Client {
    Worker* worker;
    uint64_t connection_id;
  };
  bool Finish();
  bool EndBackgroundWork();
  bool WriteLog();
  bool SaveSnapshot();
  void GoOn();

  ShutdownFlags flags_;
  std::atomic<bool> ended_now_{false};
  int64_t deadline_ms_ = 0;  // 0: nothing is waited for
  int64_t pause_before_ms_ = 0;
  bool pause_before_writes_only_ = false;
  std::vector<Client> clients_;
};

extern Shutdown ending;

}  // namespace brim
