#include "server/memory_doctor.h"

#include <fmt/format.h>

#include <algorithm>

#include "memory/account.h"
#include "memory/pressure.h"
#include "server/memory_guard.h"
#include "server/memory_policy.h"
#include "server/server.h"
#include "server/worker.h"
#include "store/shard.h"

namespace brim {

namespace {

constexpr int64_t kSmallInstance = 5 << 20;
constexpr int64_t kWorthSaying = 10 << 20;
constexpr int64_t kBigClient = 200 << 10;

double Divide(int64_t a, int64_t b) { return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : 0; }

uint64_t Times(Rung rung) { return rung_figures[static_cast<size_t>(rung)].times.load(); }
std::string Bytes(Rung rung) {
  return HumanBytes(static_cast<int64_t>(rung_figures[static_cast<size_t>(rung)].bytes.load()));
}

class Findings {
 public:
  template <class... Args>
  void Add(fmt::format_string<Args...> text, Args&&... args) {
    found_ += " * " + fmt::format(text, std::forward<Args>(args)...) + "\n\n";
  }
  std::string Text() const {
    return found_.empty() ? "No memory issue found in this instance."
                          : "Memory issues found in this instance:\n\n" + found_;
  }

 private:
  std::string found_;
};

bool EvictsNothing() {
  if (eviction.policy == EvictionPolicy::kNoEviction) return true;
  if (!eviction.IsVolatile()) return false;
  for (int i = 0; i < shards.count(); i++) {
    for (int db = 0; db < shards[i].databases(); db++) {
      if (shards[i].db(db).expires() > 0) return false;
    }
  }
  return true;
}

void LookAtLimit(const MemoryFigures& f, Findings& say) {
  int64_t limit = MemoryGuard::used_limit();
  if (limit > 0 && f.used > limit) {
    say.Add(
        "Over the limit: {} used, {} allowed. Writes that need memory are {}. Raise it with CONFIG SET maxmemory, "
        "delete keys, or choose an allkeys policy with CONFIG SET maxmemory-policy.",
        HumanBytes(f.used), HumanBytes(limit),
        EvictsNothing() ? "refused" : "refused when the policy finds nothing to evict");
  } else if (limit > 0 && f.used > limit / 100 * 90) {
    say.Add("Nearly full: {} of {} used ({:.0f} %), policy {}: {}", HumanBytes(f.used), HumanBytes(limit),
            Divide(f.used, limit) * 100, PolicyName(eviction.policy),
            EvictsNothing()
                ? "the next writes are going to be refused. CONFIG SET maxmemory raises the limit, CONFIG SET "
                  "maxmemory-policy allkeys-lru makes it a cache."
                : "keys are evicted to make room, which is what a cache does.");
  }
  if (eviction.IsVolatile() && f.keys > 0 && EvictsNothing()) {
    say.Add(
        "Policy {} evicts keys with an expiry, and no key has one: it acts as noeviction. Set expiries, or CONFIG SET "
        "maxmemory-policy allkeys-lru.",
        PolicyName(eviction.policy));
  }
  if (uint64_t times = Times(Rung::kRefuse); times > 0) {
    say.Add("{} commands were refused with the OOM error since start (INFO memory: brim_pressure_refuse_count).",
            times);
  }
  int64_t container = MemoryGuard::container_limit();
  if (container > 0 && MemoryGuard::maxmemory() > container) {
    say.Add(
        "maxmemory is {}, but the container or host leaves {} (maxmemory-guard {} %): the smaller holds. CONFIG SET "
        "maxmemory 75% follows the container.",
        HumanBytes(MemoryGuard::maxmemory()), HumanBytes(container), server.config().maxmemory_guard);
  }
  if (int64_t others = MemoryGuard::container_others(); others > std::max(kWorthSaying, container / 10)) {
    say.Add(
        "Others in this container take {} (its other processes, socket buffers, page tables, files in memory), which "
        "leaves {} of its memory to this process (maxmemory-guard {} %). Raise the container's limit, or move them "
        "out.",
        HumanBytes(others), HumanBytes(container), server.config().maxmemory_guard);
  }
  if (limit == 0) {
    say.Add(
        "There is no limit: maxmemory is 0 and maxmemory-guard off. Too much data ends in the kernel killing the "
        "process. CONFIG SET maxmemory 75%, or CONFIG SET maxmemory-guard 95.");
  }
  if (MemoryIsShort()) {
    say.Add(
        "The system refuses memory (a ulimit, or overcommit is off): {} are resident. Raise the ulimit, or lower "
        "maxmemory below it.",
        HumanBytes(f.rss));
  }
}

void LookAtPages(const MemoryFigures& f, Findings& say) {
  if (f.peak > f.used / 2 * 3) {
    say.Add("Peak: the instance once used {}, now {}. What is still kept of that is given back by MEMORY PURGE.",
            HumanBytes(f.peak), HumanBytes(f.used));
  }
  if (f.fragmentation() > 1.4 && f.rss - f.used > kWorthSaying) {
    say.Add(
        "Fragmentation: {} resident for {} used, a ratio of {:.2f}. CONFIG SET activedefrag yes closes gaps while "
        "serving; MEMORY PURGE gives free pages back now.",
        HumanBytes(f.rss), HumanBytes(f.used), f.fragmentation());
  }
  if (Divide(f.allocator_active, f.allocator_allocated) > 1.1 &&
      f.allocator_active - f.allocator_allocated > kWorthSaying) {
    say.Add(
        "Sparse pages: {} of pages for {} of blocks ({:.2f}). CONFIG SET activedefrag yes, and CONFIG SET "
        "active-defrag-ignore-bytes below the difference.",
        HumanBytes(f.allocator_active), HumanBytes(f.allocator_allocated),
        Divide(f.allocator_active, f.allocator_allocated));
  }
  if (Divide(f.allocator_resident, f.allocator_active) > 1.1 &&
      f.allocator_resident - f.allocator_active > kWorthSaying) {
    say.Add("Free pages not given back yet: {}. MEMORY PURGE returns them now; else they go within moments.",
            HumanBytes(f.allocator_resident - f.allocator_active));
  }
  if (Divide(f.rss, f.allocator_resident) > 1.1 && f.rss - f.allocator_resident > kWorthSaying) {
    say.Add("Memory outside the allocator: {} (code, stacks, libraries).", HumanBytes(f.rss - f.allocator_resident));
  }
  if (MemoryGuard::ResidentOver() > 0) {
    say.Add(
        "Resident memory is {} over its bound now: {} resident, maxmemory {}. The ladder is being climbed; CONFIG SET "
        "maxmemory-resident no would let it be.",
        HumanBytes(MemoryGuard::ResidentOver()), HumanBytes(f.rss), HumanBytes(MemoryGuard::maxmemory()));
  }
  if (uint64_t times = Times(Rung::kCompact); times > 0 && MemoryGuard::used_limit() > 0) {
    say.Add(
        "Compaction worked {} times and gave {} back: the sizes of values shift. That costs CPU "
        "(total_active_defrag_time), not keys; a smaller spread of value sizes avoids it.",
        times, Bytes(Rung::kCompact));
  }
}

void LookAtClients(const MemoryFigures& f, Findings& say) {
  int clients = server.connected_clients();
  if (clients > 0 && f.clients / clients > kBigClient) {
    say.Add(
        "Big client buffers: {} clients hold {}, {} each. CLIENT LIST shows qbuf and omem; CONFIG SET "
        "client-output-buffer-limit bounds each, CONFIG SET maxmemory-clients all of them.",
        clients, HumanBytes(f.clients), HumanBytes(f.clients / clients));
  }
  uint64_t cuts = 0;
  for (auto& worker : server.workers()) cuts += worker->figures.memory_cuts;
  if (cuts > 0) {
    say.Add(
        "{} clients were closed because their buffers took too much, {} in all; the log has their addresses. CONFIG "
        "SET maxmemory-clients sets the limit (now {}), CLIENT NO-EVICT on spares a client.",
        cuts, Bytes(Rung::kCutClients),
        MemoryGuard::client_limit() == 0 ? "none" : HumanBytes(MemoryGuard::client_limit()));
  }
}

}  // namespace

std::string Diagnose(const MemoryFigures& figures) {
  if (figures.used < kSmallInstance) {
    return fmt::format("This instance uses {}: too little to judge. Ask again when it holds data.",
                       HumanBytes(figures.used));
  }
  Findings say;
  LookAtLimit(figures, say);
  LookAtPages(figures, say);
  LookAtClients(figures, say);
  return say.Text();
}

}  // namespace brim
