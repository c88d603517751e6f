#pragma once
// Who does what no client asked for: the walk of a snapshot, compaction. Each worker has its shards for that, but where
// some serve clients and others do not, those who do not do it for all.
#include <cstdint>

namespace brim {

class Worker;

// Shards first, first + step, first + 2 * step, ...: this worker's for now. None with step 0.
struct ChoreShare {
  int first = 0;
  int step = 0;
  int workers = 1;        // how many do chores
  bool relieves = false;  // this one has no commands, and does the shards of some that have
};

// Any worker, of itself; O(workers). Two workers may hold a shard theirs for a moment: its lock is taken in any case.
ChoreShare ChoresOf(const Worker& worker, int64_t now_us);

}  // namespace brim
