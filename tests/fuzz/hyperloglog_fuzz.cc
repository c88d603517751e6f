// Strings that pass for HyperLogLogs, as SET and SETRANGE can make them: nothing is read or written past their end, and
// what counts as sound stays so.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "fuzz_input.h"
#include "types/detached_value.h"
#include "types/hyperloglog.h"
#include "types/limits.h"
#include "types/string.h"

namespace {

using namespace brim;

constexpr size_t kControlBytes = 2;

std::string Text(const Value& value) {
  char buffer[24];
  return std::string(ReadString(value, buffer));
}

void Read(const std::string& hll, bool* sound, HllRegisters* registers) {
  uint64_t count = 0;
  *sound = HllMerge(hll, registers);
  Require(HllCount(hll, &count) == *sound);
  if (*sound) Require(count == HllCount(*registers));
  if (!HllIsDense(hll)) HllDescribe(hll);
}

}  // namespace

// Two bytes that choose, then the string without its magic; a dense one is filled up to its size.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kControlBytes) return 0;
  encoding_limits.hll_sparse_max_bytes = data[0] * size_t{16};
  uint8_t rounds = data[1];
  std::string hll = "HYLL";
  hll.append(reinterpret_cast<const char*>(data) + kControlBytes, size - kControlBytes);
  if (hll.size() > 4 && hll[4] == 0) hll.resize(kHllDenseBytes);
  if (!IsHll(hll)) return 0;

  static Heap heap;
  DetachedValue value(&heap, Type::kString, Encoding::kRaw, 1);
  *value.data() = 0;
  memcpy(ResizeString(value, hll.size()), hll.data(), hll.size());
  bool sound;
  HllRegisters registers;
  Read(Text(value), &sound, &registers);
  for (uint32_t i = 0; i < rounds; i++) {
    // What was sound has to remember what it is told; what was not must only stay within its bytes.
    uint32_t index = i * 2654435761u % kHllRegisters;
    auto count = static_cast<uint8_t>(1 + i * 7 % 34);
    HllChange change = HllRaise(value, index, count);
    if (!sound) continue;
    Require(change == (registers.values[index] < count ? HllChange::kChanged : HllChange::kNone));
    registers.values[index] = std::max(registers.values[index], count);
  }
  Require(IsHll(Text(value)));
  HllRegisters after;
  bool still_sound;
  Read(Text(value), &still_sound, &after);
  Require(!sound || (still_sound && memcmp(after.values, registers.values, kHllRegisters) == 0));
  Require(HllMakeDense(value) == still_sound || !sound);
  return 0;
}
