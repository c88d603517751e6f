#include "base/random.h"

#include <sys/random.h>
#include <time.h>

namespace brim {

namespace {

// xoshiro256++ (Blackman and Vigna, https://prng.di.unimi.it), seeded from the system.
struct Generator {
  uint64_t s[4];

  Generator() {
    if (getrandom(s, sizeof(s), 0) == sizeof(s)) return;
    auto seed = static_cast<uint64_t>(time(nullptr)) ^ reinterpret_cast<uint64_t>(this);
    for (uint64_t& word : s) word = seed = seed * 6364136223846793005u + 1442695040888963407u;
  }

  uint64_t Next() {
    uint64_t result = Rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = Rotate(s[3], 45);
    return result;
  }

  static uint64_t Rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }
};

thread_local Generator generator;

}  // namespace

uint64_t RandomBits() { return generator.Next(); }

uint64_t RandomBelow(uint64_t bound) {
  // The upper half of a 128-bit product; the bias is below bound / 2^64.
  return static_cast<uint64_t>(static_cast<unsigned __int128>(generator.Next()) * bound >> 64);
}

double RandomUnit() { return static_cast<double>(generator.Next() >> 11) * 0x1.0p-53; }

}  // namespace brim
