// SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP: strings as bits. BITFIELD is in bitfields.cc.
#include "commands/bitmaps.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/bits.h"
#include "commands/arguments.h"
#include "commands/string_store.h"
#include "commands/tables.h"
#include "store/shard.h"
#include "types/string.h"

namespace brim {

bool CheckBitOffset(Context& context, int64_t offset) {
  if (offset >= 0 && offset / 8 < encoding_limits.max_bulk_bytes) return true;
  context.reply().Error(kNotABitOffset);
  return false;
}

char* StringForBits(Context& context, std::string_view key, KeyRef& ref, uint64_t last_bit, bool* grown) {
  size_t size = ref ? StringLength(ref) : 0;
  size_t wanted = last_bit / 8 + 1;
  *grown = !ref || wanted > size;
  if (!*grown) return WritableString(ref);
  RequireRoom(wanted - size);
  if (!ref) {
    StringForm form = PlanRawString(0);
    ref = context.Create(key, Type::kString, form.encoding, form.bytes);
    WriteString(ref.data(), form, "");
  }
  return ResizeString(ref, wanted);
}

namespace {

bool ParseBitOffset(Context& context, size_t i, int64_t* offset) {
  return ParseIntArg(context, i, offset, kNotABitOffset) && CheckBitOffset(context, *offset);
}

void Setbit(Context& context) {
  constexpr const char* kNotABit = "ERR bit is not an integer or out of range";
  int64_t offset;
  int64_t bit;
  if (!ParseBitOffset(context, 2, &offset) || !ParseRangeArg(context, 3, 0, 1, &bit, kNotABit)) return;
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kString, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  bool grown;
  auto at = static_cast<uint64_t>(offset);
  char* byte = StringForBits(context, key, ref, at, &grown) + at / 8;
  unsigned mask = 0x80u >> at % 8;
  bool before = (static_cast<uint8_t>(*byte) & mask) != 0;
  if (grown || before != (bit != 0)) {
    *byte = static_cast<char>(bit != 0 ? *byte | mask : *byte & ~mask);
    context.Changed(key, kNotifyString, "setbit");
  }
  context.reply().Integer(before ? 1 : 0);
}

void Getbit(Context& context) {
  int64_t offset;
  if (!ParseBitOffset(context, 2, &offset)) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kString, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  char buffer[24];
  bool bit = ref && BitAt(ReadString(ref, buffer), static_cast<uint64_t>(offset));
  context.reply().Integer(bit ? 1 : 0);
}

// A range as BITCOUNT and BITPOS take it, in bits: empty when first > last.
struct BitRange {
  int64_t first = 0;
  int64_t last = -1;
  bool empty() const { return first > last; }
};

// Turns a start and an end, inclusive, negative from the end, into bits of a text.
BitRange RangeOf(int64_t start, int64_t end, bool in_bits, size_t text_bytes) {
  auto length = static_cast<int64_t>(in_bits ? text_bytes * 8 : text_bytes);
  auto from_end = [length](int64_t i) { return i < 0 ? std::max<int64_t>(i + length, 0) : i; };
  start = from_end(start);
  end = std::min(from_end(end), length - 1);
  if (start > end) return {};
  return in_bits ? BitRange{start, end} : BitRange{start * 8, end * 8 + 7};
}

// Reads BYTE or BIT. False with the error replied.
bool ParseUnit(Context& context, size_t i, bool* in_bits) {
  *in_bits = ArgIs(context, i, "BIT");
  if (*in_bits || ArgIs(context, i, "BYTE")) return true;
  context.reply().Error(errors::kSyntax);
  return false;
}

void Bitcount(Context& context) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kString, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Integer(0);
    return;
  }
  char buffer[24];
  std::string_view text = ReadString(ref, buffer);
  if (context.argc() == 2) {
    context.reply().Integer(static_cast<int64_t>(CountBits(text)));
    return;
  }
  if (context.argc() == 3 || context.argc() > 5) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  int64_t start;
  int64_t end;
  bool in_bits = false;
  if (!ParseIntArg(context, 2, &start) || !ParseIntArg(context, 3, &end)) return;
  if (start < 0 && end < 0 && start > end) {
    context.reply().Integer(0);
    return;
  }
  if (context.argc() == 5 && !ParseUnit(context, 4, &in_bits)) return;
  BitRange range = RangeOf(start, end, in_bits, text.size());
  uint64_t count =
      range.empty() ? 0 : CountBits(text, static_cast<uint64_t>(range.first), static_cast<uint64_t>(range.last));
  context.reply().Integer(static_cast<int64_t>(count));
}

void Bitpos(Context& context) {
  int64_t bit;
  if (!ParseIntArg(context, 2, &bit)) return;
  if (bit != 0 && bit != 1) {
    context.reply().Error("ERR The bit argument must be 1 or 0.");
    return;
  }
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kString, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Integer(bit != 0 ? -1 : 0);
    return;
  }
  if (context.argc() > 6) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  int64_t start = 0;
  int64_t end = -1;
  bool in_bits = false;
  if (context.argc() > 3 && !ParseIntArg(context, 3, &start)) return;
  if (context.argc() > 5 && !ParseUnit(context, 5, &in_bits)) return;
  if (context.argc() > 4 && !ParseIntArg(context, 4, &end)) return;
  char buffer[24];
  std::string_view text = ReadString(ref, buffer);
  BitRange range = RangeOf(start, end, in_bits, text.size());
  int64_t found = -1;
  if (!range.empty()) {
    found = FindBit(text, static_cast<uint64_t>(range.first), static_cast<uint64_t>(range.last), bit != 0);
    // Without an end the text counts as followed by zeros.
    if (found < 0 && bit == 0 && context.argc() < 5) found = range.last + 1;
  }
  context.reply().Integer(found);
}

struct NamedOperation {
  std::string_view name;
  BitOperation operation;
};
constexpr NamedOperation kOperations[] = {
    {"AND", BitOperation::kAnd},     {"OR", BitOperation::kOr},     {"XOR", BitOperation::kXor},
    {"NOT", BitOperation::kNot},     {"DIFF", BitOperation::kDiff}, {"DIFF1", BitOperation::kDiff1},
    {"ANDOR", BitOperation::kAndOr}, {"ONE", BitOperation::kOne},
};

// Null with the error replied when there is no such operation, or not for so many sources.
const NamedOperation* ParseOperation(Context& context) {
  const auto* found = std::find_if(std::begin(kOperations), std::end(kOperations),
                                   [&](const NamedOperation& each) { return ArgIs(context, 1, each.name); });
  if (found == std::end(kOperations)) {
    context.reply().Error(errors::kSyntax);
    return nullptr;
  }
  size_t sources = context.argc() - 3;
  BitOperation operation = found->operation;
  if (operation == BitOperation::kNot && sources != 1) {
    context.reply().Error("ERR BITOP NOT must be called with a single source key.");
    return nullptr;
  }
  bool needs_two =
      operation == BitOperation::kDiff || operation == BitOperation::kDiff1 || operation == BitOperation::kAndOr;
  if (needs_two && sources < 2) {
    context.reply().Error("ERR BITOP " + std::string(found->name) + " must be called with at least two source keys.");
    return nullptr;
  }
  return found;
}

// The strings that are combined; they lie where they are stored, integers in buffers.
class BitSources {
 public:
  explicit BitSources(size_t count) : numbers_(count) { texts_.reserve(count); }
  void Add(const KeyRef& ref) {
    texts_.push_back(ref ? ReadString(ref, numbers_[texts_.size()].digits) : std::string_view());
    longest_ = std::max(longest_, texts_.back().size());
  }
  size_t longest() const { return longest_; }
  void Combine(BitOperation operation, char* to) const {
    CombineBits(operation, texts_.data(), texts_.size(), to, longest_);
  }

 private:
  struct Number {
    char digits[24];
  };
  std::vector<Number> numbers_;
  std::vector<std::string_view> texts_;
  size_t longest_ = 0;
};

// Stores the combination, always as `raw`, whatever the key held before.
void StoreCombined(Context& context, std::string_view key, BitOperation operation, const BitSources& sources) {
  size_t size = sources.longest();
  StringForm form = PlanRawString(size);
  RequireRoom(size);
  char small[kBlobBytes];
  Blob* blob = nullptr;
  if (form.blob) {
    blob = Blob::New(size, size);
    if (blob == nullptr) throw std::bad_alloc();
  }
  sources.Combine(operation, blob != nullptr ? blob->bytes : small);
  // The sources may be the target: they are not looked at any more.
  KeyRef ref = context.Lookup(key, LookupKind::kPeek);
  uint8_t* area;
  if (ref) {
    area = ref.Retype(Type::kString, form.encoding, form.bytes, -1, form.blob, lazyfree.server_del);
  } else {
    ref = context.Create(key, Type::kString, form.encoding, form.bytes);
    if (form.blob) ref.entry().SetExternal(true);
    area = ref.data();
  }
  if (form.blob) {
    ref.SetPointer(blob);
  } else {
    WriteString(area, form, {small, size});
  }
}

void Bitop(Context& context) {
  const NamedOperation* named = ParseOperation(context);
  if (named == nullptr) return;
  BitSources sources(context.argc() - 3);
  for (size_t i = 3; i < context.argc(); i++) {
    bool wrong_type;
    KeyRef ref = context.LookupTyped(context.arg(i), Type::kString, LookupKind::kRead, &wrong_type);
    if (wrong_type) return;
    sources.Add(ref);
  }
  std::string_view key = context.arg(2);
  if (sources.longest() > 0) {
    StoreCombined(context, key, named->operation, sources);
    context.Changed(key, kNotifyString, "set");
  } else if (context.Delete(key, lazyfree.server_del)) {
    context.Changed(key, kNotifyGeneric, "del");
  }
  context.reply().Integer(static_cast<int64_t>(sources.longest()));
}

constexpr KeySpec kRead = KeyAt(1, kKeyRO | kKeyAccess);

constexpr CommandSpec kRows[] = {
    {"setbit",
     4,
     kWrite | kDenyOom,
     {KeyAt(1, kKeyRW | kKeyAccess | kKeyUpdate)},
     kCatBitmap,
     Group::kBitmap,
     "2.2.0",
     "O(1)",
     "Sets or clears a bit of the key's string, which grows as needed.",
     "key offset value",
     Setbit},
    {"getbit",
     3,
     kReadonly | kFast,
     {kRead},
     kCatBitmap,
     Group::kBitmap,
     "2.2.0",
     "O(1)",
     "Answers a bit of the key's string.",
     "key offset",
     Getbit},
    {"bitcount",
     -2,
     kReadonly,
     {kRead},
     kCatBitmap,
     Group::kBitmap,
     "2.6.0",
     "O(N) where N is the length of the range",
     "Counts the bits of the key's string that are set.",
     "key [start end [BYTE|BIT]]",
     Bitcount},
    {"bitpos",
     -3,
     kReadonly,
     {kRead},
     kCatBitmap,
     Group::kBitmap,
     "2.8.7",
     "O(N) where N is the length of the range",
     "Finds the first bit of the key's string that is set, or clear.",
     "key bit [start [end [BYTE|BIT]]]",
     Bitpos},
    {"bitop",
     -4,
     kWrite | kDenyOom,
     {KeyAt(2, kKeyOW | kKeyUpdate), KeyRange(3, -1, 1, kKeyRO | kKeyAccess)},
     kCatBitmap,
     Group::kBitmap,
     "2.6.0",
     "O(N) where N is the length of all the strings together",
     "Stores what strings give when their bits are combined.",
     "AND|OR|XOR|NOT|DIFF|DIFF1|ANDOR|ONE destination key [key ...]",
     Bitop},
};

}  // namespace

const CommandTable kBitmapCommands = kRows;

}  // namespace brim
