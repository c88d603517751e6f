#pragma once
// Which scripts run, since when, and what they keep locked: what other threads go by when they wait for one, and what
// SCRIPT KILL writes to. docs/scripts.md.
#include <x86intrin.h>

#include <atomic>
#include <cstdint>
#include <string_view>

#include "server/pause.h"

namespace brim {

// A worker's running script. Written by the worker, but for `kill`; read by all.
struct alignas(64) RunningScript {
  std::atomic<uint64_t> began{0};  // time-stamp ticks; 0: none runs
  std::atomic<uint64_t> held{0};   // shards, a bit each
  std::atomic<bool> function{false};
  std::atomic<bool> wrote{false};
  std::atomic<bool> kill{false};
};

class ScriptWatch {
 public:
  static RunningScript& Of(int worker) { return running_[worker]; }
  static void SetThreads(int threads) { threads_ = threads; }
  // busy-reply-threshold; 0: a script may take for ever and others wait for it.
  static void SetThreshold(int64_t ms);
  static bool PastThreshold(const RunningScript& script) {
    uint64_t began = script.began.load(std::memory_order_relaxed);
    uint64_t threshold = threshold_ticks_.load(std::memory_order_relaxed);
    return began != 0 && threshold != 0 && __rdtsc() - began > threshold;
  }
  // A script past its threshold; null: there is none. O(threads).
  static RunningScript* Busy();
  // One that keeps one of these shards (a bit each).
  static RunningScript* BusyWith(uint64_t shards);
  // The error for who would have to wait for it.
  static std::string_view BusyText();

 private:
  static inline RunningScript running_[ThreadPause::kMaxThreads];
  static inline int threads_ = 1;
  static inline std::atomic<uint64_t> threshold_ticks_{0};
};

}  // namespace brim
