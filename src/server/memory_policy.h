#pragma once
// Names of the eviction policies, as CONFIG and INFO print them.
#include "store/access.h"

namespace brim {

inline const char* PolicyName(EvictionPolicy policy) {
  constexpr const char* kNames[] = {"noeviction",   "allkeys-lru",  "allkeys-lfu",  "allkeys-random",
                                    "allkeys-lrm",  "volatile-lru", "volatile-lfu", "volatile-random",
                                    "volatile-ttl", "volatile-lrm"};
  return kNames[static_cast<int>(policy)];
}

}  // namespace brim
