#pragma once
// Giving free memory back to the system.
#include <cstddef>

namespace brim {

// Everything at once (MEMORY PURGE, DEBUG QUICKLIST-FORCE-FREE): what is condemned is freed, then the free pages of
// every heap and of the general allocator go. Returns the bytes the heaps gave. Every thread paused.
size_t PurgeEverything();

// Under pressure: the free pages of every heap, and the general allocator's when it was not asked in the last
// milliseconds. Returns the bytes by which resident memory fell. Takes the shards' locks in turn.
size_t GiveBackFreePages();

}  // namespace brim
