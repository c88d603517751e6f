#pragma once
// HOTKEYS: which keys the commands of a while spent most time and most bytes on. docs/watching.md.
//
// Each worker keeps a table of its own, of fixed size: rows of a few slots, a key belongs into one row. A key that has
// no slot takes its row's lightest, with what that had added to its own (so a heavy key is never missed; a light one
// may be taken for heavier than it is). HOTKEYS GET adds the workers' tables up.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

struct Command;
class ServerContext;

// The heaviest of what was added.
class HeavyKeys {
 public:
  struct Slot {
    std::string key;
    uint64_t hash = 0;
    uint64_t weight = 0;  // 0: free
  };
  HeavyKeys() : slots_(kRows * kSlotsARow) {}
  void Add(std::string_view key, uint64_t hash, uint64_t weight);
  std::span<const Slot> slots() const { return slots_; }

 private:
  static constexpr size_t kRows = 256;
  static constexpr size_t kSlotsARow = 8;
  std::vector<Slot> slots_;
};

struct HotKeyOptions {
  bool cpu = false;
  bool net = false;
  int64_t count = 10;
  int64_t duration_s = 0;  // 0: until HOTKEYS STOP
  int64_t sample_ratio = 1;
};

class HotKeys {
 public:
  // --- every thread paused
  void Start(const HotKeyOptions& options, int64_t now_ms);
  void Stop(int64_t now_ms);
  void Reset();
  bool started() const { return started_; }
  bool running() const { return running_; }
  const HotKeyOptions& options() const { return options_; }
  int64_t started_ms() const { return started_ms_; }
  int64_t ended_ms() const { return ended_ms_; }

  struct Totals {
    uint64_t ticks = 0;  // of all commands, sampled or not
    uint64_t bytes = 0;
    int64_t user_us = 0;  // of the process
    int64_t system_us = 0;
    uint64_t net_bytes = 0;  // of all connections
  };
  Totals Sum() const;
  struct Figure {
    std::string key;
    uint64_t weight;
  };
  // The heaviest, at most options().count; by ticks or by bytes.
  std::vector<Figure> Heaviest(bool by_bytes) const;

  // --- a worker: its command has run, took that long and brought that long a reply
  void Note(ServerContext& context, uint64_t ticks, size_t reply_bytes);
  // --- the first worker, some times a second: ends the session when its time is over
  void Cron(int64_t now_ms);

 private:
  struct alignas(64) Local {
    std::unique_ptr<HeavyKeys> ticks;
    std::unique_ptr<HeavyKeys> bytes;
    uint64_t all_ticks = 0;
    uint64_t all_bytes = 0;
    uint64_t seen = 0;  // commands, for sampling
  };
  static Totals ProcessTotals(bool paused);
  void End(int64_t at_ms, bool paused);

  bool started_ = false;
  bool running_ = false;
  HotKeyOptions options_;
  int64_t started_ms_ = 0;
  int64_t ended_ms_ = 0;
  Totals before_;
  Totals after_;
  std::array<Local, 64> locals_;
};

extern HotKeys hot_keys;

}  // namespace brim
