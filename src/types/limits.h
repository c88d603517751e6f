#pragma once
// Thresholds at which a collection leaves its compact encoding. Filled from the configuration while every thread is
// paused, read by handlers without a lock.
#include <cstddef>
#include <cstdint>

namespace brim {

struct EncodingLimits {
  size_t hash_max_listpack_entries = 128;
  size_t hash_max_listpack_value = 64;
  size_t set_max_intset_entries = 512;
  size_t set_max_listpack_entries = 0;  // 0: small sets of strings are hash tables, as in Redis 7.0
  size_t set_max_listpack_value = 64;
  size_t zset_max_listpack_entries = 128;
  size_t zset_max_listpack_value = 64;
  int64_t list_max_listpack_size = -2;  // negative: bytes per node by level (-1 4 KB .. -5 64 KB); positive: elements
  int64_t list_compress_depth = 0;
  size_t list_packed_threshold =
      1 << 30;  // an element this large gets a node of its own (DEBUG QUICKLIST-PACKED-THRESHOLD)
  int64_t max_bulk_bytes = 512LL << 20;  // proto-max-bulk-len: the largest string
};

inline EncodingLimits encoding_limits;

}  // namespace brim
