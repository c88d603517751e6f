#include "server/memory_guard.h"

#include <algorithm>

#include "base/monotonic.h"
#include "memory/container.h"
#include "memory/resident.h"
#include "server/config.h"

namespace brim {

namespace {

constexpr int64_t kMegabyte = 1 << 20;
constexpr int64_t kSampleUs = 50'000;
constexpr int64_t kSampleNearUs = 1'000;  // when the limit is near
constexpr int64_t kContainerUs = 1'000'000;
constexpr int64_t kContainerNearUs = 20'000;
constexpr int64_t kContainerShare = 50;            // of the time: a look may be slow where there are many groups
constexpr int64_t kClientsLeast = 64 * kMegabyte;  // of maxmemory-clients, when it is a percentage

std::atomic<bool> limit_is_near{false};  // by the last sample
int guard_percent = 0;
int64_t configured_maxmemory = 0;  // negative: percent
int64_t configured_clients = 0;

const ContainerWatch& Container() {
  static const ContainerWatch watch;
  return watch;
}

int64_t Percent(int64_t bytes, int64_t percent) { return bytes / 100 * percent; }

}  // namespace

int64_t ClientMemory() {
  auto used = UsedByCategory();
  int64_t sum = 0;
  for (MemoryCategory category : {MemoryCategory::kClientsIn, MemoryCategory::kClientsOut, MemoryCategory::kPubSub,
                                  MemoryCategory::kTracking, MemoryCategory::kTransactions}) {
    sum += used[static_cast<size_t>(category)];
  }
  return sum;
}

void MemoryGuard::ReadContainer() {
  ContainerMemory memory = Container().Read();
  auto limit = static_cast<int64_t>(memory.limit_bytes);
  if (configured_maxmemory < 0) {
    maxmemory_.store(Percent(limit, -configured_maxmemory), std::memory_order_relaxed);
  }
  int64_t guard = guard_percent > 0 ? Percent(limit, guard_percent) : 0;
  int64_t others = 0;
  int64_t left = guard;
  if (memory.group_limit_bytes > 0) {
    size_t of_files = 0;
    auto own = static_cast<int64_t>(ResidentBytes(&of_files));
    auto group = static_cast<int64_t>(memory.group_used_bytes);
    int64_t group_guard = Percent(static_cast<int64_t>(memory.group_limit_bytes), guard_percent);
    // Pages of files are the group's page cache, which is left out there.
    others = std::max<int64_t>(group - own + static_cast<int64_t>(of_files), 0);
    left = std::min(guard, std::max<int64_t>(group_guard - group + own, 1));
  }
  others_.store(others, std::memory_order_relaxed);
  guard_.store(left, std::memory_order_relaxed);
}

void MemoryGuard::PlanContainer(int64_t now_us, int64_t took_us) {
  bool near = limit_is_near.load(std::memory_order_relaxed);
  int64_t wait = near ? std::max(kContainerNearUs, took_us * kContainerShare) : kContainerUs;
  next_container_us_.store(now_us + std::min(wait, kContainerUs), std::memory_order_relaxed);
}

void MemoryGuard::SetLimits() {
  int64_t guard = container_limit();
  int64_t limit = maxmemory() == 0 ? guard : guard == 0 ? maxmemory() : std::min(maxmemory(), guard);
  int64_t clients = configured_clients;
  if (clients < 0) clients = limit == 0 ? 0 : std::max(Percent(limit, -clients), kClientsLeast);
  int64_t allowance = clients > 0 ? std::min(limit / 40, clients) : limit / 40;
  used_limit_.store(limit, std::memory_order_relaxed);
  client_limit_.store(clients, std::memory_order_relaxed);
  client_allowance_.store(allowance, std::memory_order_relaxed);
  admit_limit_.store(limit == 0 ? INT64_MAX : limit, std::memory_order_relaxed);
  used_ceiling.store(limit == 0 ? INT64_MAX : limit + std::max(limit / 100, kMegabyte / 4), std::memory_order_relaxed);
}

void MemoryGuard::Configure(const Config& config) {
  configured_maxmemory = config.maxmemory;
  maxmemory_.store(config.maxmemory, std::memory_order_relaxed);
  configured_clients = config.maxmemory_clients;
  watch_resident_ = config.maxmemory_resident;
  guard_percent = config.maxmemory_guard;
  ReadContainer();
  SetLimits();
  next_sample_us_.store(0, std::memory_order_relaxed);
}

void MemoryGuard::MarkFootprint() {
  KeepReserve();
  footprint_ = static_cast<int64_t>(ResidentBytes());
}

int64_t MemoryGuard::Slack() { return std::max(Percent(used_limit(), 2), 6 * kMegabyte); }

int64_t MemoryGuard::ClientRoom(bool before_keys) {
  if (used_limit() == 0) return client_limit() > 0 ? client_limit() : INT64_MAX;
  if (client_limit() == 0) return INT64_MAX;
  int64_t clients = ClientMemory();
  // Half of what the keys leave: buffers that come and go leave free pages behind, which are resident for a while.
  int64_t room = (used_limit() - (UsedMemoryFast() - clients)) / 2;
  int64_t least = before_keys ? 0 : client_allowance();
  room = std::max(room, client_allowance());
  if (int64_t over = ResidentOver(); over > 0) room = std::min(room, clients - over);
  return std::min(std::max({room, least, kClientsFloor}), client_limit());
}

int64_t MemoryGuard::UsedOver() {
  if (used_limit() == 0) return INT64_MIN / 2;
  int64_t over = UsedMemoryFast() - used_limit();
  return over <= 0 ? over : over - std::min(ClientMemory(), client_allowance());
}

int MemoryGuard::PressurePercent() {
  int64_t soft = ResidentOverSoft();
  int64_t hard = ResidentOver();
  if (soft <= 0) return 0;
  if (hard >= 0) return 100;
  return static_cast<int>(soft * 100 / (soft - hard));
}

void MemoryGuard::WatchNow(int64_t now_us) {
  // One worker a time: the others see a later date at once.
  int64_t due = next_sample_us_.load(std::memory_order_relaxed);
  if (now_us < due || !next_sample_us_.compare_exchange_strong(due, now_us + kSampleNearUs)) return;
  if (now_us >= next_container_us_.load(std::memory_order_relaxed)) {
    next_container_us_.store(now_us + kContainerUs, std::memory_order_relaxed);  // nobody else looks meanwhile
    int64_t before = maxmemory();
    int64_t guard_before = container_limit();
    ReadContainer();
    PlanContainer(now_us, MonotonicUs() - now_us);
    if (maxmemory() != before || container_limit() != guard_before) SetLimits();
  }
  Sample(now_us);
}

void MemoryGuard::Sample(int64_t now_us) {
  bool is_short = MemoryIsShort() && !KeepReserve();
  if (used_limit() == 0 && !is_short) {
    next_sample_us_.store(now_us + kSampleUs, std::memory_order_relaxed);
    over_.store(INT64_MIN, std::memory_order_relaxed);
    over_soft_.store(INT64_MIN, std::memory_order_relaxed);
    over_since_us_.store(0, std::memory_order_relaxed);
    admit_limit_.store(INT64_MAX, std::memory_order_relaxed);
    return;
  }
  auto resident = static_cast<int64_t>(ResidentBytes());
  int64_t over = INT64_MIN;
  int64_t soft = INT64_MIN;
  if (maxmemory() > 0 && watch_resident_) {
    int64_t slack = Slack();
    over = std::max(over, resident - footprint_ - maxmemory() - slack);
    soft = std::max(soft, resident - footprint_ - maxmemory() - slack / 2);
  }
  if (int64_t guard = container_limit(); guard > 0) {
    over = std::max(over, resident - guard);
    soft = std::max(soft, resident - Percent(guard, 98));
  }
  if (is_short) over = soft = std::max<int64_t>(over, kMegabyte);  // the system has no more, whatever the limits say
  over_.store(over, std::memory_order_relaxed);
  if ((over > 0) != (over_since_us_.load(std::memory_order_relaxed) != 0)) {
    over_since_us_.store(over > 0 ? now_us : 0, std::memory_order_relaxed);
  }
  over_soft_.store(soft, std::memory_order_relaxed);
  admit_limit_.store(over > 0 ? 0 : used_limit() == 0 ? INT64_MAX : used_limit(), std::memory_order_relaxed);
  bool near = soft > -(used_limit() / 4) || UsedMemoryFast() > used_limit() / 4 * 3;
  // What others take matters from now on, and may be a second old.
  bool was_near = limit_is_near.exchange(near, std::memory_order_relaxed);
  if (near && !was_near) next_container_us_.store(now_us, std::memory_order_relaxed);
  next_sample_us_.store(now_us + (near ? kSampleNearUs : kSampleUs), std::memory_order_relaxed);
}

}  // namespace brim
