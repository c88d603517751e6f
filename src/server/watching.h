#pragma once
// Whether anybody wants to see each command that runs: one relaxed load is all that it costs while nobody does.
#include <atomic>
#include <cstdint>

namespace brim {

enum Watching : uint32_t {
  kWatchedByMonitors = 1,  // server/monitor.h
  kWatchedForKeys = 2,     // server/hot_keys.h
};

inline std::atomic<uint32_t> watching{0};

}  // namespace brim
