#include "memory/pressure.h"

#include <algorithm>

namespace brim {

const char* RungName(Rung rung) {
  constexpr const char* kNames[] = {"give_back", "compact", "cut_clients", "evict", "refuse"};
  return kNames[static_cast<size_t>(rung)];
}

void CountRung(Rung rung, size_t bytes) {
  RungFigures& figures = rung_figures[static_cast<size_t>(rung)];
  figures.times.fetch_add(1, std::memory_order_relaxed);
  figures.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

namespace {

enum class Stepped : uint8_t { kGave, kWaits, kNothing };

// One step of the lowest rung that gives something.
Stepped StepUp(PressureSource& source, int64_t used_over, int64_t resident_over) {
  int64_t wanted = std::max(used_over, resident_over);
  for (Rung rung : {Rung::kGiveBack, Rung::kCompact, Rung::kCutClients, Rung::kEvict}) {
    if (rung == Rung::kCompact && resident_over <= 0) continue;
    if (rung == Rung::kEvict && used_over <= 0 && source.IsGivingBack()) return Stepped::kWaits;
    size_t freed = source.Step(rung, wanted);
    if (freed == 0) continue;
    CountRung(rung, freed);
    return Stepped::kGave;
  }
  return Stepped::kNothing;
}

}  // namespace

Relief ClimbLadder(PressureSource& source) {
  for (;;) {
    int64_t used_over = source.UsedOver();
    int64_t resident_over = source.ResidentOver();
    if (used_over <= 0 && resident_over <= 0) return Relief::kFits;
    Stepped stepped = StepUp(source, used_over, resident_over);
    if (stepped == Stepped::kNothing) return Relief::kStuck;
    if (stepped == Stepped::kWaits || source.TimeIsOver()) return Relief::kRunning;
  }
}

}  // namespace brim
