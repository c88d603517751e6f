#include "server/hot_keys.h"

#include <sys/resource.h>

#include <algorithm>
#include <unordered_map>

#include "base/hash.h"
#include "command/keys.h"
#include "server/command_watch.h"
#include "server/server.h"
#include "server/server_context.h"
#include "server/watching.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr size_t kLongKey = 4 << 10;  // longer ones are left out: a table of them would take much memory

int64_t Microseconds(const timeval& time) { return time.tv_sec * int64_t{1'000'000} + time.tv_usec; }

}  // namespace

HotKeys hot_keys;

void HeavyKeys::Add(std::string_view key, uint64_t hash, uint64_t weight) {
  if (weight == 0) return;
  Slot* row = &slots_[hash % kRows * kSlotsARow];
  Slot* lightest = row;
  for (Slot* slot = row; slot < row + kSlotsARow; slot++) {
    if (slot->weight > 0 && slot->hash == hash && slot->key == key) {
      slot->weight += weight;
      return;
    }
    if (slot->weight < lightest->weight) lightest = slot;
  }
  std::string(key).swap(lightest->key);  // an assignment would keep the longest one's room
  lightest->hash = hash;
  lightest->weight += weight;
}

HotKeys::Totals HotKeys::ProcessTotals(bool paused) {
  Totals totals;
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  totals.user_us = Microseconds(usage.ru_utime);
  totals.system_us = Microseconds(usage.ru_stime);
  for (auto& worker : server.workers()) {
    totals.net_bytes += paused ? worker->figures.bytes_in + worker->figures.bytes_out
                               : worker->published.bytes_in.load(std::memory_order_relaxed) +
                                     worker->published.bytes_out.load(std::memory_order_relaxed);
  }
  return totals;
}

void HotKeys::Start(const HotKeyOptions& options, int64_t now_ms) {
  Reset();
  for (size_t i = 0; i < server.workers().size(); i++) {
    if (options.cpu) locals_[i].ticks = std::make_unique<HeavyKeys>();
    if (options.net) locals_[i].bytes = std::make_unique<HeavyKeys>();
  }
  options_ = options;
  started_ms_ = now_ms;
  before_ = ProcessTotals(true);
  started_ = running_ = true;
  watching.fetch_or(kWatchedForKeys, std::memory_order_relaxed);
}

void HotKeys::Stop(int64_t now_ms) {
  if (running_) End(now_ms, true);
}

void HotKeys::End(int64_t at_ms, bool paused) {
  running_ = false;
  ended_ms_ = at_ms;
  after_ = ProcessTotals(paused);
  watching.fetch_and(~uint32_t{kWatchedForKeys}, std::memory_order_relaxed);
}

void HotKeys::Reset() {
  started_ = false;
  for (Local& local : locals_) local = Local();
}

void HotKeys::Cron(int64_t now_ms) {
  if (!(watching.load(std::memory_order_relaxed) & kWatchedForKeys)) return;
  if (options_.duration_s == 0 || now_ms < started_ms_ + options_.duration_s * 1000) return;
  End(started_ms_ + options_.duration_s * 1000, false);
}

void HotKeys::Note(ServerContext& context, uint64_t ticks, size_t reply_bytes) {
  Worker& worker = context.worker();
  Local& local = locals_[static_cast<size_t>(worker.index())];
  auto argv = context.argv();
  size_t bytes = RequestBytes(argv) + reply_bytes;
  local.all_ticks += ticks;
  local.all_bytes += bytes;
  if (local.seen++ % static_cast<uint64_t>(options_.sample_ratio) != 0) return;
  worker.key_positions.clear();
  FindKeys(context.command(), argv, &worker.key_positions);
  size_t keys = worker.key_positions.size();
  for (const KeyPosition& position : worker.key_positions) {
    std::string_view key = argv[position.index];
    if (key.size() > kLongKey) continue;
    uint64_t hash = HashBytes(key);
    if (local.ticks != nullptr) local.ticks->Add(key, hash, std::max<uint64_t>(ticks / keys, 1));
    if (local.bytes != nullptr) local.bytes->Add(key, hash, std::max<uint64_t>(bytes / keys, 1));
  }
}

HotKeys::Totals HotKeys::Sum() const {
  Totals totals = running_ ? ProcessTotals(true) : after_;
  totals.user_us -= before_.user_us;
  totals.system_us -= before_.system_us;
  totals.net_bytes -= before_.net_bytes;
  for (const Local& local : locals_) {
    totals.ticks += local.all_ticks;
    totals.bytes += local.all_bytes;
  }
  return totals;
}

std::vector<HotKeys::Figure> HotKeys::Heaviest(bool by_bytes) const {
  std::unordered_map<std::string_view, uint64_t> sums;
  for (const Local& local : locals_) {
    const auto& table = by_bytes ? local.bytes : local.ticks;
    if (table == nullptr) continue;
    for (const HeavyKeys::Slot& slot : table->slots()) {
      if (slot.weight > 0) sums[slot.key] += slot.weight;
    }
  }
  std::vector<Figure> figures;
  figures.reserve(sums.size());
  for (const auto& [key, weight] : sums) figures.push_back({std::string(key), weight});
  std::sort(figures.begin(), figures.end(), [](const Figure& a, const Figure& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.key < b.key;
  });
  if (figures.size() > static_cast<size_t>(options_.count)) figures.resize(static_cast<size_t>(options_.count));
  return figures;
}

}  // namespace brim
