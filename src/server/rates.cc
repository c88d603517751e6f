#include "server/rates.h"

#include "server/server.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr size_t kSamples = 16;
struct Sample {
  int64_t at_ms = 0;
  Rates total;
};
Sample samples[kSamples];
size_t newest = 0;

}  // namespace

void SampleRates(int64_t now_ms) {
  Sample sample;
  sample.at_ms = now_ms;
  for (auto& worker : server.workers()) {
    sample.total.commands += worker->published.commands.load(std::memory_order_relaxed);
    sample.total.bytes_in += worker->published.bytes_in.load(std::memory_order_relaxed);
    sample.total.bytes_out += worker->published.bytes_out.load(std::memory_order_relaxed);
  }
  newest = (newest + 1) % kSamples;
  samples[newest] = sample;
}

Rates CurrentRates() {
  const Sample& last = samples[newest];
  const Sample* first = &samples[(newest + 1) % kSamples];
  if (first->at_ms == 0) first = &samples[1];  // not yet a full round
  int64_t passed_ms = last.at_ms - first->at_ms;
  if (first->at_ms == 0 || passed_ms <= 0) return {};
  auto rate = [&](uint64_t now, uint64_t then) {
    return now > then ? (now - then) * 1000 / static_cast<uint64_t>(passed_ms) : 0;
  };
  return {rate(last.total.commands, first->total.commands), rate(last.total.bytes_in, first->total.bytes_in),
          rate(last.total.bytes_out, first->total.bytes_out)};
}

void ResetRates() {
  for (Sample& sample : samples) sample = {};
  newest = 0;
}

}  // namespace brim
