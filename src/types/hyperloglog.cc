#include "types/hyperloglog.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "types/limits.h"
#include "types/string.h"

namespace brim {

namespace {

constexpr unsigned kIndexBits = 14;
static_assert(kHllRegisters == 1u << kIndexBits);
constexpr unsigned kRankMax = 64 - kIndexBits + 1;  // of a register, in what honest elements make
constexpr unsigned kRegisterMask = 63;
constexpr uint8_t kDense = 0;
constexpr uint8_t kSparse = 1;
constexpr size_t kEncodingAt = 4;
constexpr size_t kCountAt = 8;
constexpr uint8_t kCountUnknown = 0x80;  // in the last byte of the count
constexpr size_t kDenseRegisterBytes = kHllDenseBytes - kHllHeaderBytes;

constexpr uint32_t kZeroMax = 64;
constexpr uint32_t kWideZeroMax = 16384;
constexpr uint32_t kValueRunMax = 4;
constexpr uint8_t kValueMax = 32;  // of what a sparse run can say

using Histogram = uint32_t[kRegisterMask + 1];

uint8_t* Payload(char* hll) { return reinterpret_cast<uint8_t*>(hll) + kHllHeaderBytes; }
const uint8_t* Payload(std::string_view hll) { return reinterpret_cast<const uint8_t*>(hll.data()) + kHllHeaderBytes; }

std::string_view TextOf(const Value& value) {
  char buffer[24];  // an integer is no HyperLogLog
  return ReadString(value, buffer);
}

// ---- hashing

// MurmurHash64A.
uint64_t Murmur(std::string_view text, uint64_t seed) {
  constexpr uint64_t kFactor = 0xc6a4a7935bd1e995;
  auto mix = [](uint64_t k) {
    k *= kFactor;
    return (k ^ k >> 47) * kFactor;
  };
  uint64_t hash = seed ^ (text.size() * kFactor);
  const char* p = text.data();
  size_t left = text.size();
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    hash = (hash ^ mix(word)) * kFactor;
  }
  if (left > 0) {
    uint64_t rest = 0;
    memcpy(&rest, p, left);
    hash = (hash ^ rest) * kFactor;
  }
  hash = (hash ^ hash >> 47) * kFactor;
  return hash ^ hash >> 47;
}

struct Place {
  uint32_t index;
  uint8_t rank;  // place of the first one among the rest of the hash's bits, from 1
};

Place PlaceOf(std::string_view element) {
  constexpr uint64_t kSeed = 0xadc83b19;
  uint64_t hash = Murmur(element, kSeed);
  uint64_t rest = hash >> kIndexBits | uint64_t{1} << (64 - kIndexBits);
  return {static_cast<uint32_t>(hash & (kHllRegisters - 1)), static_cast<uint8_t>(std::countr_zero(rest) + 1)};
}

// ---- dense

uint8_t DenseGet(const uint8_t* registers, uint32_t index) {
  uint32_t byte = index * 6 / 8;
  unsigned shift = index * 6 % 8;
  unsigned bits = registers[byte];
  if (shift > 2) bits |= registers[byte + 1] << 8;
  return static_cast<uint8_t>(bits >> shift & kRegisterMask);
}

void DenseSet(uint8_t* registers, uint32_t index, unsigned value) {
  uint32_t byte = index * 6 / 8;
  unsigned shift = index * 6 % 8;
  unsigned mask = kRegisterMask << shift;
  value <<= shift;
  registers[byte] = static_cast<uint8_t>((registers[byte] & ~mask) | value);
  if (shift > 2) registers[byte + 1] = static_cast<uint8_t>((registers[byte + 1] & ~(mask >> 8)) | value >> 8);
}

// Six bytes are eight registers.
static_assert(kDenseRegisterBytes % 6 == 0);

void Unpack(const uint8_t* registers, HllRegisters* to) {
  uint8_t* values = to->values;
  for (size_t at = 0; at < kDenseRegisterBytes; at += 6, values += 8) {
    uint64_t bits = 0;
    memcpy(&bits, registers + at, 6);
    // Halves, quarters, and then each into a byte of its own.
    bits = (bits & 0xffffff) | (bits & 0xffffff000000) << 8;
    bits = (bits & 0x00000fff00000fff) | (bits & 0x00fff00000fff000) << 4;
    bits = (bits & 0x003f003f003f003f) | (bits & 0x0fc00fc00fc00fc0) << 2;
    memcpy(values, &bits, 8);
  }
}

void Pack(const HllRegisters& registers, uint8_t* to) {
  const uint8_t* values = registers.values;
  for (size_t at = 0; at < kDenseRegisterBytes; at += 6, values += 8) {
    uint64_t bits;
    memcpy(&bits, values, 8);
    bits = (bits & 0x003f003f003f003f) | (bits & 0x3f003f003f003f00) >> 2;
    bits = (bits & 0x00000fff00000fff) | (bits & 0x0fff00000fff0000) >> 4;
    bits = (bits & 0xffffff) | (bits & 0xffffff00000000) >> 8;
    memcpy(to + at, &bits, 6);
  }
}

// ---- sparse

struct Run {
  uint32_t length = 0;
  uint8_t bytes = 1;
  uint8_t value = 0;
};

bool IsWide(uint8_t head) { return head >> 6 == 1; }

// The run at `at`, which is below `size`. What misses its second byte at the end counts as if that were zero, and is
// one byte long.
Run ReadRun(const uint8_t* runs, size_t size, size_t at) {
  unsigned head = runs[at];
  if (head & 0x80) return {(head & 3) + 1, 1, static_cast<uint8_t>((head >> 2 & 31) + 1)};
  if (!IsWide(runs[at])) return {(head & 63) + 1, 1, 0};
  bool whole = at + 1 < size;
  unsigned low = whole ? runs[at + 1] : 0;
  return {((head & 63) << 8 | low) + 1, static_cast<uint8_t>(whole ? 2 : 1), 0};
}

uint8_t* WriteValueRun(uint8_t* to, uint8_t value, uint32_t length) {
  *to = static_cast<uint8_t>(0x80 | (value - 1) << 2 | (length - 1));
  return to + 1;
}

uint8_t* WriteZeroRun(uint8_t* to, uint32_t length) {
  if (length <= kZeroMax) {
    *to = static_cast<uint8_t>(length - 1);
    return to + 1;
  }
  to[0] = static_cast<uint8_t>(0x40 | (length - 1) >> 8);
  to[1] = static_cast<uint8_t>(length - 1);
  return to + 2;
}

// Calls fn(first register, run) for the runs of a sparse one. False when they do not make up the registers exactly.
template <class Fn>
bool SparseForEach(std::string_view hll, Fn&& fn) {
  const uint8_t* runs = Payload(hll);
  size_t size = hll.size() - kHllHeaderBytes;
  uint32_t index = 0;
  Run run;
  for (size_t at = 0; at < size; at += run.bytes) {
    run = ReadRun(runs, size, at);
    if (run.length > kHllRegisters - index) return false;
    fn(index, run);
    index += run.length;
  }
  return index == kHllRegisters;
}

constexpr uint64_t kEachByte = 0x0101010101010101;

// The registers that `count` runs of one byte each cover, the lowest byte first.
uint32_t LengthOfRuns(uint64_t runs, unsigned count) {
  uint64_t is_value = (runs >> 7 & kEachByte) * 0xff;
  uint64_t lengths = runs & ((kEachByte * 63) ^ (is_value & (kEachByte * 60)));
  if (count < 8) lengths &= (uint64_t{1} << 8 * count) - 1;
  constexpr uint64_t kEven = 0x00ff00ff00ff00ff;
  lengths = (lengths & kEven) + (lengths >> 8 & kEven);
  return static_cast<uint32_t>((lengths * 0x0001000100010001) >> 48) + count;
}

// Where a register's run is.
struct Found {
  static constexpr size_t kNone = SIZE_MAX;
  size_t at = 0;
  size_t before = kNone;  // the run in front of it
  uint32_t first = 0;     // its first register
  Run run;
};

// Finds the register's run; false when there is none. Eight runs at a time: this is where PFADD spends its time.
bool FindRun(const uint8_t* runs, size_t size, uint32_t index, Found* found) {
  size_t at = 0;
  uint32_t first = 0;
  size_t before = Found::kNone;
  while (at + 8 <= size) {
    uint64_t word;
    memcpy(&word, runs + at, 8);
    // The first run of two bytes among them, if any.
    uint64_t wide = word >> 6 & ~(word >> 7) & kEachByte;
    unsigned singles = wide == 0 ? 8 : static_cast<unsigned>(std::countr_zero(wide)) / 8;
    if (singles == 0) {
      uint32_t length = (static_cast<uint32_t>(word & 63) << 8 | static_cast<uint32_t>(word >> 8 & 0xff)) + 1;
      if (index < first + length) break;
      first += length;
      before = at;
      at += 2;
      continue;
    }
    uint32_t length = LengthOfRuns(word, singles);
    if (index < first + length) break;
    first += length;
    at += singles;
    before = at - 1;
  }
  Run run;
  for (; at < size; at += run.bytes) {
    run = ReadRun(runs, size, at);
    if (index < first + run.length) {
      *found = {at, before, first, run};
      return true;
    }
    first += run.length;
    before = at;
  }
  return false;
}

// What stands in a run's place once one of its registers has got another value: three runs at most.
size_t SplitRun(const Found& found, uint32_t index, uint8_t count, uint8_t* to) {
  uint8_t* end = to;
  uint32_t last = found.first + found.run.length - 1;
  auto rest = [&](uint32_t length) {
    if (length > 0) end = found.run.value > 0 ? WriteValueRun(end, found.run.value, length) : WriteZeroRun(end, length);
  };
  rest(index - found.first);
  end = WriteValueRun(end, count, 1);
  rest(last - index);
  return static_cast<size_t>(end - to);
}

// Joins runs of equal value among the five from `at` on; returns the runs' new size.
size_t JoinRuns(uint8_t* runs, size_t size, size_t at) {
  for (int looked = 0; looked < 5 && at < size; looked++) {
    Run one = ReadRun(runs, size, at);
    if (one.value > 0 && at + 1 < size) {
      Run other = ReadRun(runs, size, at + 1);
      if (one.value == other.value && one.length + other.length <= kValueRunMax) {
        WriteValueRun(runs + at + 1, one.value, one.length + other.length);
        memmove(runs + at, runs + at + 1, size - at - 1);
        size--;
        continue;  // the joined run may be joined again
      }
    }
    at += one.bytes;
  }
  return size;
}

HllChange DenseRaise(Value& value, uint32_t index, uint8_t count) {
  uint8_t* registers = Payload(WritableString(value));
  if (DenseGet(registers, index) >= count) return HllChange::kNone;
  DenseSet(registers, index, count);
  return HllChange::kChanged;
}

HllChange PromoteAndRaise(Value& value, uint32_t index, uint8_t count) {
  if (!HllMakeDense(value)) return HllChange::kCorrupt;
  return DenseRaise(value, index, count);
}

// The change of one register among sparse runs.
struct Edit {
  Found found;
  uint8_t split[8];
  size_t bytes = 0;  // of `split`

  bool grows() const { return bytes > found.run.bytes; }
  size_t growth() const { return bytes - found.run.bytes; }  // negative ones wrap
};

Edit PlanEdit(const Found& found, uint32_t index, uint8_t count) {
  Edit edit;
  edit.found = found;
  edit.bytes = SplitRun(found, index, count, edit.split);
  return edit;
}

// Does it to runs that have room for it; returns their new size.
size_t ApplyEdit(uint8_t* runs, size_t size, const Edit& edit) {
  uint8_t* at = runs + edit.found.at;
  size_t old_bytes = edit.found.run.bytes;
  memmove(at + edit.bytes, at + old_bytes, size - edit.found.at - old_bytes);
  memcpy(at, edit.split, edit.bytes);
  return JoinRuns(runs, size + edit.growth(), edit.found.before == Found::kNone ? 0 : edit.found.before);
}

HllChange SparseRaise(Value& value, uint32_t index, uint8_t count) {
  if (count > kValueMax) return PromoteAndRaise(value, index, count);
  std::string_view hll = TextOf(value);
  size_t size = hll.size();
  Found found;
  if (!FindRun(Payload(hll), size - kHllHeaderBytes, index, &found)) return HllChange::kCorrupt;
  if (found.run.value >= count) return HllChange::kNone;
  Edit edit = PlanEdit(found, index, count);
  if (edit.grows() && size + edit.growth() > encoding_limits.hll_sparse_max_bytes) {
    return PromoteAndRaise(value, index, count);
  }
  size_t room = edit.grows() ? size + edit.growth() : size;
  char* bytes = room > size ? ResizeString(value, room) : WritableString(value);
  size = kHllHeaderBytes + ApplyEdit(Payload(bytes), size - kHllHeaderBytes, edit);
  if (size < room) bytes = ResizeString(value, size);
  HllForgetCachedCount(bytes);
  return HllChange::kChanged;
}

// ---- counting: Otmar Ertl, New cardinality estimation algorithms for HyperLogLog sketches, 2017

double Sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double y = 1;
  double z = x;
  double before;
  do {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  } while (before != z);
  return z;
}

double Tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1;
  double z = 1 - x;
  double before;
  do {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  } while (before != z);
  return z / 3;
}

uint64_t Estimate(const Histogram& histogram) {
  constexpr double kAlpha = 0.721347520444481703680;  // 1 / (2 ln 2)
  constexpr double kCount = kHllRegisters;
  double z = kCount * Tau((kCount - histogram[kRankMax]) / kCount);
  for (unsigned rank = kRankMax - 1; rank >= 1; rank--) {
    z += histogram[rank];
    z *= 0.5;
  }
  z += kCount * Sigma(histogram[0] / kCount);
  return static_cast<uint64_t>(llroundl(kAlpha * kCount * kCount / z));
}

}  // namespace

std::string_view EmptyHll() {
  static constexpr char kBytes[] = "HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff";
  static_assert(sizeof(kBytes) - 1 == kHllHeaderBytes + 2);
  static_assert((0x40 | (kWideZeroMax - 1) >> 8) == 0x7f);
  return {kBytes, sizeof(kBytes) - 1};
}

bool IsHll(std::string_view text) {
  if (text.size() < kHllHeaderBytes || !text.starts_with("HYLL")) return false;
  auto encoding = static_cast<uint8_t>(text[kEncodingAt]);
  return encoding == kSparse || (encoding == kDense && text.size() == kHllDenseBytes);
}

bool HllIsDense(std::string_view hll) { return static_cast<uint8_t>(hll[kEncodingAt]) == kDense; }

HllChange HllAdd(Value& value, std::string_view element) {
  Place place = PlaceOf(element);
  return HllRaise(value, place.index, place.rank);
}

HllChange HllRaise(Value& value, uint32_t index, uint8_t count) {
  return HllIsDense(TextOf(value)) ? DenseRaise(value, index, count) : SparseRaise(value, index, count);
}

bool HllMakeDense(Value& value) {
  std::string_view hll = TextOf(value);
  if (HllIsDense(hll)) return true;
  char dense[kHllDenseBytes] = {};
  memcpy(dense, hll.data(), kHllHeaderBytes);
  dense[kEncodingAt] = kDense;
  bool sound = SparseForEach(hll, [&](uint32_t first, const Run& run) {
    if (run.value == 0) return;
    for (uint32_t i = 0; i < run.length; i++) DenseSet(Payload(dense), first + i, run.value);
  });
  if (sound) memcpy(ResizeString(value, kHllDenseBytes), dense, kHllDenseBytes);
  return sound;
}

bool HllRaiseAll(Value& value, const HllRegisters& registers) {
  std::string_view hll = TextOf(value);
  if (HllIsDense(hll)) {
    HllRegisters merged = registers;
    HllMerge(hll, &merged);
    Pack(merged, Payload(WritableString(value)));
    return true;
  }
  for (uint32_t i = 0; i < kHllRegisters; i++) {
    if (registers.values[i] > 0 && HllRaise(value, i, registers.values[i]) == HllChange::kCorrupt) return false;
  }
  return true;
}

bool HllMerge(std::string_view hll, HllRegisters* registers) {
  uint8_t* values = registers->values;
  if (HllIsDense(hll)) {
    HllRegisters others;
    Unpack(Payload(hll), &others);
    for (uint32_t i = 0; i < kHllRegisters; i++) values[i] = std::max(values[i], others.values[i]);
    return true;
  }
  return SparseForEach(hll, [values](uint32_t first, const Run& run) {
    if (run.value == 0) return;
    for (uint32_t i = first; i < first + run.length; i++) values[i] = std::max(values[i], run.value);
  });
}

bool HllCount(std::string_view hll, uint64_t* count) {
  if (HllIsDense(hll)) {
    HllRegisters registers;
    Unpack(Payload(hll), &registers);
    *count = HllCount(registers);
    return true;
  }
  Histogram histogram = {};
  if (!SparseForEach(hll, [&](uint32_t, const Run& run) { histogram[run.value] += run.length; })) return false;
  *count = Estimate(histogram);
  return true;
}

uint64_t HllCount(const HllRegisters& registers) {
  // Neighbours are counted apart, so that equal ones need not wait for each other.
  Histogram parts[4] = {};
  for (uint32_t i = 0; i < kHllRegisters; i += 4) {
    for (uint32_t part = 0; part < 4; part++) parts[part][registers.values[i + part]]++;
  }
  Histogram histogram;
  for (uint32_t rank = 0; rank <= kRegisterMask; rank++) {
    histogram[rank] = parts[0][rank] + parts[1][rank] + parts[2][rank] + parts[3][rank];
  }
  return Estimate(histogram);
}

bool HllCachedCount(std::string_view hll, uint64_t* count) {
  memcpy(count, hll.data() + kCountAt, 8);
  return *count >> 63 == 0;
}

void HllSetCachedCount(char* hll, uint64_t count) { memcpy(hll + kCountAt, &count, 8); }

void HllForgetCachedCount(char* hll) {
  hll[kHllHeaderBytes - 1] = static_cast<char>(static_cast<uint8_t>(hll[kHllHeaderBytes - 1]) | kCountUnknown);
}

std::string HllDescribe(std::string_view hll) {
  const uint8_t* runs = Payload(hll);
  size_t size = hll.size() - kHllHeaderBytes;
  std::string text;
  Run run;
  constexpr size_t kRunsMost = 1 << 20;  // a sound one has no more runs than registers
  for (size_t at = 0, n = 0; at < size && n < kRunsMost; at += run.bytes, n++) {
    run = ReadRun(runs, size, at);
    if (n > 0) text += ' ';
    if (run.value > 0) {
      text += "v:" + std::to_string(run.value) + "," + std::to_string(run.length);
    } else {
      text += (IsWide(runs[at]) ? "Z:" : "z:") + std::to_string(run.length);
    }
  }
  return text;
}

namespace {

std::string TestDenseRegisters() {
  uint8_t registers[kDenseRegisterBytes] = {};
  HllRegisters model;
  uint64_t state = 1;
  for (int round = 0; round < 8; round++) {
    for (uint32_t i = 0; i < kHllRegisters; i++) {
      state = state * 6364136223846793005 + 1442695040888963407;
      model.values[i] = static_cast<uint8_t>(state >> 58);
      DenseSet(registers, i, model.values[i]);
    }
    HllRegisters unpacked;
    Unpack(registers, &unpacked);
    uint8_t packed[kDenseRegisterBytes];
    Pack(model, packed);
    bool same = memcmp(packed, registers, sizeof(packed)) == 0;
    for (uint32_t i = 0; i < kHllRegisters; i++) {
      same = same && unpacked.values[i] == model.values[i] && DenseGet(registers, i) == model.values[i];
    }
    if (!same) return "a dense register does not keep its value";
  }
  return {};
}

// Counts up to a million elements, and keeps the first ones' registers in sparse runs too.
std::string TestCounting() {
  constexpr uint64_t kElements = 1000000;
  constexpr uint64_t kSparseElements = 1000;
  constexpr double kErrorMost = 5 * 1.04 / 128;  // five standard deviations
  HllRegisters registers;
  std::vector<uint8_t> runs(kHllRegisters);
  size_t size = 2;
  WriteZeroRun(runs.data(), kWideZeroMax);
  for (uint64_t n = 1, checked = 10; n <= kElements; n++) {
    uint64_t element = n * 0x9e3779b97f4a7c15;
    Place place = PlaceOf({reinterpret_cast<const char*>(&element), sizeof(element)});
    registers.values[place.index] = std::max(registers.values[place.index], place.rank);
    Found found;
    if (n <= kSparseElements && !FindRun(runs.data(), size, place.index, &found)) return "a sparse register is lost";
    if (n <= kSparseElements && found.run.value < place.rank) {
      size = ApplyEdit(runs.data(), size, PlanEdit(found, place.index, place.rank));
    }
    if (n != checked) continue;
    checked *= 10;
    auto counted = static_cast<double>(HllCount(registers));
    if (std::abs(counted / static_cast<double>(n) - 1) > kErrorMost) {
      return "counted " + std::to_string(counted) + " of " + std::to_string(n);
    }
    if (n != kSparseElements) continue;
    for (uint32_t i = 0; i < kHllRegisters; i++) {
      if (!FindRun(runs.data(), size, i, &found) || found.run.value != registers.values[i]) {
        return "a sparse register does not keep its value";
      }
    }
  }
  return {};
}

}  // namespace

std::string HllSelfTest() {
  std::string mistake = TestDenseRegisters();
  return mistake.empty() ? TestCounting() : mistake;
}

}  // namespace brim
