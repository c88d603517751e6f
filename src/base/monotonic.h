#pragma once
// Clocks.
#include <time.h>

#include <cstdint>

namespace brim {

// Microseconds of a clock that never jumps.
inline int64_t MonotonicUs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000 + t.tv_nsec / 1000;
}
// Microseconds of processor time that the calling thread has used.
inline int64_t ThreadCpuUs() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1'000'000 + t.tv_nsec / 1000;
}
// Microseconds since 1970.
inline int64_t WallUs() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1'000'000 + t.tv_nsec / 1000;
}

}  // namespace brim
