#pragma once
// INFO's instantaneous_* fields: a second's commands and bytes, averaged over the last 16 samples of 100 ms.
#include <cstdint>

namespace brim {

struct Rates {
  uint64_t commands = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
};

// The first worker's cron, every 100 ms: sums what the workers published.
void SampleRates(int64_t now_ms);
// Every thread paused.
Rates CurrentRates();
void ResetRates();

}  // namespace brim
