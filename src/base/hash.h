#pragma once
// The process's hash of keys and members: XXH3 (64 bits), seeded by a secret drawn at start, so that nobody outside can
// choose colliding keys.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace brim {

inline uint64_t hash_secret = 0x9E3779B97F4A7C15;  // replaced by DrawHashSecret before the first table exists

void DrawHashSecret();

inline uint64_t HashBytes(std::string_view bytes) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), hash_secret);
}

// XXH3 without a secret: the same everywhere. What DIGEST answers.
inline uint64_t DigestBytes(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace brim
