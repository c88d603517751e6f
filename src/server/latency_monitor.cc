#include "server/latency_monitor.h"

#include <algorithm>
#include <new>

namespace brim {

namespace {

constexpr std::array<std::string_view, kLatencyEvents> kNames = {
    "command",          "fast-command", "command-unblocking",  "expire-cycle",
    "eviction-cycle",   "eviction-del", "active-defrag-cycle", "aof-write",
    "aof-fsync-always", "save-cut",     "save-slice",
};

}  // namespace

std::string_view EventName(LatencyEvent event) { return kNames[static_cast<size_t>(event)]; }

std::optional<LatencyEvent> FindEvent(std::string_view name) {
  const auto* found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<LatencyEvent>(found - kNames.begin());
}

void LatencyMonitor::SetThreshold(int64_t ms) {
  constexpr int64_t kUsAMs = 1000;
  int64_t us = ms == 0 || ms > INT64_MAX / kUsAMs ? INT64_MAX : ms * kUsAMs;
  threshold_us_.store(us, std::memory_order_relaxed);
}

void LatencyMonitor::AddNow(LatencyEvent event, int64_t us) {
  if (on()) Add(event, {WallUs() / 1'000'000, static_cast<uint64_t>(us / 1000)});
}

void LatencyMonitor::Add(LatencyEvent event, LatencySample sample) {
  std::lock_guard guard(mutex_);
  std::unique_ptr<Ring>& ring = rings_[static_cast<size_t>(event)];
  if (ring == nullptr) {
    ring.reset(new (std::nothrow) Ring());
    if (ring == nullptr) return;
  }
  ring->worst_ms = std::max(ring->worst_ms, sample.ms);
  LatencySample& last = ring->samples[(ring->next + kSamples - 1) % kSamples];
  if (ring->used > 0 && last.at_s == sample.at_s) {
    last.ms = std::max(last.ms, sample.ms);
    return;
  }
  ring->samples[ring->next] = sample;
  ring->next = (ring->next + 1) % kSamples;
  ring->used = std::min(ring->used + 1, kSamples);
}

LatencyHistory LatencyMonitor::HistoryOf(LatencyEvent event) {
  LatencyHistory history;
  std::lock_guard guard(mutex_);
  const std::unique_ptr<Ring>& ring = rings_[static_cast<size_t>(event)];
  if (ring == nullptr) return history;
  history.worst_ms = ring->worst_ms;
  for (size_t i = 0; i < ring->used; i++) {
    history.samples.push_back(ring->samples[(ring->next + kSamples - ring->used + i) % kSamples]);
  }
  return history;
}

bool LatencyMonitor::Reset(LatencyEvent event) {
  std::lock_guard guard(mutex_);
  std::unique_ptr<Ring>& ring = rings_[static_cast<size_t>(event)];
  bool any = ring != nullptr;
  ring.reset();
  return any;
}

}  // namespace brim
