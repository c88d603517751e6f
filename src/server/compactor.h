#pragma once
// Compaction while serving: which shards, how much of the time, how many gaps are tolerated. The moving itself is
// store/compaction.cc. docs/pressure.md.
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace brim {

struct Config;
class Worker;

struct CompactionFigures {
  std::atomic<uint64_t> time_us{0};
  std::atomic<uint64_t> slices{0};
  std::atomic<int> running_percent{0};  // of one thread's time; 0: not running
};
inline CompactionFigures compaction_figures;

class Compactor {
 public:
  static void Configure(const Config& config);
  // One slice of at most `slice_us` over the shards first, first + step, ...; `pressing`: every page that can be gained
  // counts. Adds the bytes of the pages given back to *freed. True when there is nothing to be done at present.
  static bool Slice(Worker& worker, int first, int step, int64_t slice_us, bool pressing, size_t* freed);
  // From a worker's turn: a slice, if there is a reason and the worker's share of time allows it. `busy`: commands were
  // served in this turn; `now_us`: monotonic. Returns true when more is to be done soon.
  static bool Turn(Worker& worker, bool busy, int64_t now_us);
};

}  // namespace brim
