#pragma once
// The pressure ladder: what is done, in which order, when memory is over its limit. docs/pressure.md.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace brim {

enum class Rung : uint8_t {
  kGiveBack,    // free what is condemned already; give free pages back to the system
  kCompact,     // move blocks out of sparse pages, give those back
  kCutClients,  // close clients whose buffers are over their limits, the biggest first
  kEvict,       // remove keys as maxmemory-policy says
  kRefuse,      // the OOM error
  kCount
};
inline constexpr size_t kRungs = static_cast<size_t>(Rung::kCount);
// As INFO memory names it.
const char* RungName(Rung rung);

// How often a rung was climbed with success, and what that gave.
struct RungFigures {
  std::atomic<uint64_t> times{0};
  std::atomic<uint64_t> bytes{0};
};
inline std::array<RungFigures, kRungs> rung_figures;
void CountRung(Rung rung, size_t bytes);

// What the ladder looks at and acts through.
class PressureSource {
 public:
  virtual ~PressureSource() = default;
  // Bytes over the limit, 0 or less when it fits: of used memory, and of the process's resident memory.
  virtual int64_t UsedOver() = 0;
  virtual int64_t ResidentOver() = 0;
  // One step of a rung that should free `wanted` bytes. Returns the bytes freed; 0: this rung has nothing to give.
  virtual size_t Step(Rung rung, int64_t wanted) = 0;
  virtual bool TimeIsOver() = 0;
  // What was freed a moment ago is still resident, and on its way back to the system, or somebody has been asked to
  // free something: no key has to go for it yet.
  virtual bool IsGivingBack() { return false; }
};

enum class Relief : uint8_t { kFits, kRunning, kStuck };

// Climbs from the lowest rung until memory fits (kFits) or the time is over (kRunning); a rung is stepped on only when
// all below it have nothing to give. kStuck: none has; the caller refuses. Compaction is of no use to used memory and
// is left out when only that is over; keys are, when only resident memory is over and it is being given back
// (kRunning).
Relief ClimbLadder(PressureSource& source);

}  // namespace brim
