#pragma once
// Fast random numbers for sampling, one generator a thread. Not for secrets.
#include <cstdint>

namespace brim {

uint64_t RandomBits();
// In [0, bound); bound is at least 1.
uint64_t RandomBelow(uint64_t bound);
// In [0, 1).
double RandomUnit();

}  // namespace brim
