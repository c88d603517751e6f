#pragma once
// Stopping every thread at a command boundary, for commands that speak of everything (CONFIG SET, SWAPDB, CLIENT KILL,
// INFO). docs/threads.md.
//
// A worker is "inside" while it may touch shared state: always, but for its wait in epoll and while parked here. With
// one thread all of this costs nothing.
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

namespace brim {

class ThreadPause {
 public:
  static constexpr int kMaxThreads = 64;

  void SetThreads(int threads) { threads_ = threads; }
  // Around the wait for events.
  void Enter(int thread);
  void Leave(int thread) {
    if (threads_ > 1) inside_[thread].value.store(false, std::memory_order_seq_cst);
  }
  // At a command boundary: parks while somebody holds the pause.
  void CheckPoint(int thread) {
    if (threads_ > 1 && requested_.load(std::memory_order_relaxed)) Park(thread);
  }
  // Returns when every other thread is outside. The caller is inside and holds no shard; while it waits for another
  // pauser it counts as parked, so the world may have changed when this returns. False, and nothing is paused: a script
  // keeps a thread for longer than busy-reply-threshold.
  [[nodiscard]] bool Begin(int thread);
  // For a script in the middle of its work, which may hold shards and does not count as parked: whoever else wants to
  // pause steps back. `waiting` is called now and then. One thread at a time (ScriptClaim).
  void BeginFirst(int thread, const std::function<void()>& waiting);
  void End();

 private:
  void Park(int thread);
  bool OthersInside(int thread) const;
  struct alignas(64) Flag {
    std::atomic<bool> value{false};
  };
  int threads_ = 1;
  std::atomic<bool> requested_{false};
  std::atomic<bool> first_{false};  // somebody is in BeginFirst
  std::mutex mutex_;
  Flag inside_[kMaxThreads];
};

inline ThreadPause thread_pause;

}  // namespace brim
