#pragma once
// Giving free memory back to the system at once: MEMORY PURGE, DEBUG QUICKLIST-FORCE-FREE.
#include <cstddef>

namespace brim {

// Returns the free pages of every shard's heap and of the general allocator. Returns the bytes the heaps gave. Takes
// each shard's lock in turn, or runs while every thread is paused.
size_t PurgeEverything();

}  // namespace brim
