#pragma once
// A shard's lock, held for the length of one command. docs/threads.md says in which order shards are locked.
#include "base/spin_lock.h"

namespace brim {

using ShardLock = SpinLock;

}  // namespace brim
