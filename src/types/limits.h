#pragma once
// Thresholds at which a collection leaves its compact encoding. Filled from the configuration while every thread is
// paused, read by handlers without a lock.
#include <cstddef>
#include <cstdint>

namespace brim {

// Limits of what is remembered of idempotent adding to a stream.
inline constexpr int64_t kIdmpDurationMax = 86400;  // seconds
inline constexpr int64_t kIdmpMaxSizeMax = 10000;

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
  size_t hll_sparse_max_bytes = 3000;   // a sparse HyperLogLog that would be longer becomes dense
  size_t stream_node_max_bytes = 4096;  // of a stream's node, before another begins; 0: as many as a listpack may have
  int64_t stream_node_max_entries = 100;  // deleted ones too; 0: no limit
  uint32_t stream_idmp_duration_s = 100;  // of streams that have no limits of their own yet: how long, and how many
  uint32_t stream_idmp_maxsize = 100;     // of one producer's idempotent ids are remembered
  int64_t max_bulk_bytes = 512LL << 20;   // proto-max-bulk-len: the largest string
};

inline EncodingLimits encoding_limits;

}  // namespace brim
