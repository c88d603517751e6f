#include "server/purge.h"

#include "memory/account.h"
#include "store/shard.h"

namespace brim {

size_t PurgeEverything() {
  size_t bytes = 0;
  for (int i = 0; i < shards.count(); i++) {
    while (!shards[i].FreeGarbage(1 << 16)) {
    }
    bytes += shards[i].heap().Purge();
  }
  PurgeAllocator();
  return bytes;
}

}  // namespace brim
