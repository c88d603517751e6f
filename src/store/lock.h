#pragma once
// A shard's lock, held for the length of one command. docs/threads.md says in which order shards are locked.
#include <cstdint>

#include "base/monotonic.h"
#include "base/spin_lock.h"

namespace brim {

using ShardLock = SpinLock;

// Whether work that can go on later is to let go of its shard's lock: its time (monotonic) is over, or somebody waits.
inline bool SliceOver(const ShardLock& lock, int64_t deadline_us) {
  return lock.contended() || MonotonicUs() >= deadline_us;
}

}  // namespace brim
