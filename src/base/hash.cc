#include "base/hash.h"

#include <sys/random.h>

#include <chrono>

namespace brim {

void DrawHashSecret() {
  uint64_t secret = 0;
  if (getrandom(&secret, sizeof secret, 0) != sizeof secret) {
    secret = static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) * 0x9E3779B97F4A7C15;
  }
  hash_secret = secret | 1;
}

}  // namespace brim
