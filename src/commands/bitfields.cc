// BITFIELD and BITFIELD_RO: a string as an array of integers of any width.
#include <algorithm>
#include <string>
#include <vector>

#include "base/bits.h"
#include "commands/arguments.h"
#include "commands/bitmaps.h"
#include "commands/tables.h"
#include "types/string.h"

namespace brim {

namespace {

enum class Overflow : uint8_t { kWrap, kSaturate, kFail };

struct FieldType {
  bool is_signed = false;
  unsigned bits = 0;  // 1 to 64, unsigned 63 at most

  // Wide enough for every sum of a field and an increment.
  __int128 max() const { return (static_cast<__int128>(1) << (is_signed ? bits - 1 : bits)) - 1; }
  __int128 min() const { return is_signed ? -max() - 1 : 0; }
  // The number that the field's bits stand for.
  __int128 Decode(uint64_t raw) const {
    if (!is_signed) return raw;
    unsigned unused = 64 - bits;
    return static_cast<int64_t>(raw << unused) >> unused;
  }
  uint64_t Mask() const { return ~uint64_t{0} >> (64 - bits); }
};

struct FieldOperation {
  enum Kind : uint8_t { kGet, kSet, kIncrement } kind = kGet;
  FieldType type;
  Overflow overflow = Overflow::kWrap;
  uint64_t offset = 0;
  int64_t operand = 0;
};

bool ParseFieldType(Context& context, size_t i, FieldType* type) {
  std::string_view text = context.arg(i);
  int64_t bits = 0;
  type->is_signed = text.starts_with('i');
  bool sound = (type->is_signed || text.starts_with('u')) && ParseInt64(text.substr(1), &bits) && bits >= 1 &&
               bits <= (type->is_signed ? 64 : 63);
  if (!sound) {
    context.reply().Error(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.");
    return false;
  }
  type->bits = static_cast<unsigned>(bits);
  return true;
}

// A bit's number, or behind '#' a field's.
bool ParseFieldOffset(Context& context, size_t i, unsigned bits, uint64_t* offset) {
  std::string_view text = context.arg(i);
  bool counts_fields = text.starts_with('#');
  int64_t number;
  if (!ParseInt64(text.substr(counts_fields ? 1 : 0), &number) ||
      (counts_fields && __builtin_mul_overflow(number, int64_t{bits}, &number))) {
    context.reply().Error(kNotABitOffset);
    return false;
  }
  *offset = static_cast<uint64_t>(number);
  return CheckBitOffset(context, number);
}

bool ParseOverflow(Context& context, size_t i, Overflow* overflow) {
  if (ArgIs(context, i, "WRAP")) {
    *overflow = Overflow::kWrap;
  } else if (ArgIs(context, i, "SAT")) {
    *overflow = Overflow::kSaturate;
  } else if (ArgIs(context, i, "FAIL")) {
    *overflow = Overflow::kFail;
  } else {
    context.reply().Error("ERR Invalid OVERFLOW type specified");
    return false;
  }
  return true;
}

struct FieldPlan {
  std::vector<FieldOperation> operations;
  bool writes = false;
  uint64_t last_written = 0;  // the last bit
};

// Reads the operations. False with the error replied.
bool ParseFieldPlan(Context& context, FieldPlan* plan) {
  Overflow overflow = Overflow::kWrap;
  for (size_t i = 2; i < context.argc(); i++) {
    size_t left = context.argc() - i - 1;
    FieldOperation operation;
    if (left >= 2 && ArgIs(context, i, "GET")) {
      operation.kind = FieldOperation::kGet;
    } else if (left >= 3 && ArgIs(context, i, "SET")) {
      operation.kind = FieldOperation::kSet;
    } else if (left >= 3 && ArgIs(context, i, "INCRBY")) {
      operation.kind = FieldOperation::kIncrement;
    } else if (left >= 1 && ArgIs(context, i, "OVERFLOW")) {
      if (!ParseOverflow(context, ++i, &overflow)) return false;
      continue;
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
    operation.overflow = overflow;
    if (!ParseFieldType(context, i + 1, &operation.type)) return false;
    if (!ParseFieldOffset(context, i + 2, operation.type.bits, &operation.offset)) return false;
    i += 2;
    if (operation.kind != FieldOperation::kGet) {
      if (!ParseIntArg(context, ++i, &operation.operand)) return false;
      plan->writes = true;
      plan->last_written = std::max(plan->last_written, operation.offset + operation.type.bits - 1);
    }
    plan->operations.push_back(operation);
  }
  return true;
}

// What a field is to hold. False when it does not fit and the operation is to fail then.
bool NewValue(const FieldOperation& operation, __int128 before, __int128* value) {
  const FieldType& type = operation.type;
  if (operation.kind == FieldOperation::kIncrement) {
    *value = before + operation.operand;
  } else {
    // A negative number for an unsigned field is a very large one.
    *value = type.is_signed ? static_cast<__int128>(operation.operand)
                            : static_cast<__int128>(static_cast<uint64_t>(operation.operand));
  }
  if (*value >= type.min() && *value <= type.max()) return true;
  switch (operation.overflow) {
    case Overflow::kFail:
      return false;
    case Overflow::kSaturate:
      *value = *value > type.max() ? type.max() : type.min();
      return true;
    default:
      *value = type.Decode(static_cast<uint64_t>(*value) & type.Mask());
      return true;
  }
}

// Does it to the bytes and replies; true when that counts as a change: the field's, or that there is a field at all.
bool Write(Context& context, const FieldOperation& operation, char* bytes, size_t size, bool grown) {
  const FieldType& type = operation.type;
  __int128 before = type.Decode(ReadBits({bytes, size}, operation.offset, type.bits));
  __int128 value;
  if (!NewValue(operation, before, &value)) {
    context.reply().Null();
    return false;
  }
  context.reply().Integer(static_cast<int64_t>(operation.kind == FieldOperation::kIncrement ? value : before));
  WriteBits(bytes, operation.offset, type.bits, static_cast<uint64_t>(value) & type.Mask());
  return grown || value != before;
}

void Get(Context& context, const FieldOperation& operation, std::string_view text) {
  __int128 value = operation.type.Decode(ReadBits(text, operation.offset, operation.type.bits));
  context.reply().Integer(static_cast<int64_t>(value));
}

void OnlyGets(Context& context, const FieldPlan& plan) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kString, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  char buffer[24];
  std::string_view text = ref ? ReadString(ref, buffer) : std::string_view();
  context.reply().ArrayHeader(plan.operations.size());
  for (const FieldOperation& operation : plan.operations) Get(context, operation, text);
}

void Bitfield(Context& context) {
  FieldPlan plan;
  if (!ParseFieldPlan(context, &plan)) return;
  if (!plan.writes) {
    OnlyGets(context, plan);
    return;
  }
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kString, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  bool grown;
  char* bytes = StringForBits(context, key, ref, plan.last_written, &grown);
  size_t size = StringLength(ref);
  int64_t changes = 0;
  context.reply().ArrayHeader(plan.operations.size());
  for (const FieldOperation& operation : plan.operations) {
    if (operation.kind == FieldOperation::kGet) {
      Get(context, operation, {bytes, size});
    } else {
      changes += Write(context, operation, bytes, size, grown) ? 1 : 0;
    }
  }
  if (changes == 0) return;
  context.Changed(key, kNotifyString, "setbit");
  context.CountChanges(changes - 1);
}

void BitfieldRo(Context& context) {
  FieldPlan plan;
  if (!ParseFieldPlan(context, &plan)) return;
  if (plan.writes) {
    context.reply().Error("ERR BITFIELD_RO only supports the GET subcommand");
    return;
  }
  OnlyGets(context, plan);
}

constexpr CommandSpec kRows[] = {
    {"bitfield",
     -2,
     kWrite | kDenyOom,
     {KeyAt(1, kKeyRW | kKeyAccess | kKeyUpdate | kKeyVariableFlags)},
     kCatBitmap,
     Group::kBitmap,
     "3.2.0",
     "O(1) for each operation",
     "Reads and changes integers of any width in the key's string.",
     "key [<GET encoding offset|[OVERFLOW <WRAP|SAT|FAIL>] <SET encoding offset value|INCRBY encoding offset "
     "increment>> "
     "...]",
     Bitfield},
    {"bitfield_ro",
     -2,
     kReadonly | kFast,
     {KeyAt(1, kKeyRO | kKeyAccess)},
     kCatBitmap,
     Group::kBitmap,
     "6.0.0",
     "O(1) for each operation",
     "Reads integers of any width in the key's string.",
     "key [<GET encoding offset> ...]",
     BitfieldRo},
};

}  // namespace

const CommandTable kBitfieldCommands = kRows;

}  // namespace brim
