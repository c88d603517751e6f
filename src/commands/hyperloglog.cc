// PFADD, PFCOUNT, PFMERGE, PFDEBUG, PFSELFTEST.
#include "types/hyperloglog.h"

#include <memory>
#include <string>

#include "commands/arguments.h"
#include "commands/tables.h"
#include "store/cut.h"
#include "types/string.h"

namespace brim {

namespace {

// The key's HyperLogLog; empty when it is absent. *wrong, with the error replied, when the key holds something else.
KeyRef LookupHll(Context& context, std::string_view key, LookupKind kind, bool* wrong) {
  KeyRef ref = context.LookupTyped(key, Type::kString, kind, wrong);
  char buffer[24];
  if (ref && !*wrong && !IsHll(ReadString(ref, buffer))) {
    context.reply().Error(errors::kNotAHyperLogLog);
    *wrong = true;
  }
  return ref;
}

std::string_view TextOf(const KeyRef& ref) {
  char buffer[24];  // it is no integer
  return ReadString(ref, buffer);
}

KeyRef CreateHll(Context& context, std::string_view key) {
  StringForm form = PlanRawString(EmptyHll().size());
  KeyRef ref = context.Create(key, Type::kString, form.encoding, form.bytes);
  WriteString(ref.data(), form, EmptyHll());
  return ref;
}

void Pfadd(Context& context) {
  std::string_view key = context.arg(1);
  bool wrong;
  KeyRef ref = LookupHll(context, key, LookupKind::kWrite, &wrong);
  if (wrong) return;
  int64_t changes = 0;
  if (ref) {
    WritableString(ref);
  } else {
    ref = CreateHll(context, key);
    changes = 1;
  }
  for (size_t i = 2; i < context.argc(); i++) {
    HllChange change = HllAdd(ref, context.arg(i));
    if (change == HllChange::kCorrupt) {
      context.reply().Error(errors::kCorruptHyperLogLog);
      return;
    }
    changes += change == HllChange::kChanged ? 1 : 0;
  }
  if (changes > 0) {
    HllForgetCachedCount(WritableString(ref));
    context.Changed(key, kNotifyString, "pfadd");
    context.CountChanges(changes - 1);
  }
  context.reply().Integer(changes > 0 ? 1 : 0);
}

void CountOne(Context& context) {
  std::string_view key = context.arg(1);
  bool wrong;
  KeyRef ref = LookupHll(context, key, LookupKind::kRead, &wrong);
  if (wrong) return;
  uint64_t count = 0;
  if (ref && !HllCachedCount(TextOf(ref), &count)) {
    if (!HllCount(TextOf(ref), &count)) {
      context.reply().Error(errors::kCorruptHyperLogLog);
      return;
    }
    // The only command that reads and yet changes: what it found is kept in the string, as a write of its own.
    Cut::Before(ref);
    HllSetCachedCount(WritableString(ref), count);
    Tell(context, context.argv());
    context.Changed(key, kNotifyString, nullptr);
  }
  context.reply().Integer(static_cast<int64_t>(count));
}

// Joins the HyperLogLogs of the keys from arg(first) on. False with the error replied. *dense: one of them is.
bool Join(Context& context, size_t first, HllRegisters* registers, bool* dense) {
  for (size_t i = first; i < context.argc(); i++) {
    bool wrong;
    KeyRef ref = LookupHll(context, context.arg(i), LookupKind::kRead, &wrong);
    if (wrong) return false;
    if (!ref) continue;
    *dense |= HllIsDense(TextOf(ref));
    if (HllMerge(TextOf(ref), registers)) continue;
    context.reply().Error(errors::kCorruptHyperLogLog);
    return false;
  }
  return true;
}

void Pfcount(Context& context) {
  if (context.argc() == 2) {
    CountOne(context);
    return;
  }
  HllRegisters registers;
  bool dense = false;
  if (Join(context, 1, &registers, &dense)) context.reply().Integer(static_cast<int64_t>(HllCount(registers)));
}

void Pfmerge(Context& context) {
  HllRegisters registers;
  bool dense = false;
  // The target is one of the sources.
  if (!Join(context, 1, &registers, &dense)) return;
  std::string_view key = context.arg(1);
  KeyRef ref = context.Lookup(key, LookupKind::kWrite);
  if (!ref) ref = CreateHll(context, key);
  WritableString(ref);
  if ((dense && !HllMakeDense(ref)) || !HllRaiseAll(ref, registers)) {
    context.reply().Error(errors::kCorruptHyperLogLog);
    return;
  }
  HllForgetCachedCount(WritableString(ref));
  context.Changed(key, kNotifyString, "pfadd");
  context.reply().Ok();
}

// PFDEBUG TODENSE, and what GETREG does first. False, with the error replied, when it is corrupt.
bool MakeDense(Context& context, KeyRef& ref, bool* converted) {
  *converted = !HllIsDense(TextOf(ref));
  if (!*converted) return true;
  if (!HllMakeDense(ref)) {
    context.reply().Error(errors::kCorruptHyperLogLog);
    return false;
  }
  context.Changed(context.arg(2), kNotifyString, nullptr);
  return true;
}

void ReplyRegisters(Context& context, const KeyRef& ref) {
  HllRegisters registers;
  HllMerge(TextOf(ref), &registers);
  context.reply().ArrayHeader(kHllRegisters);
  for (uint8_t value : registers.values) context.reply().Integer(value);
}

void Pfdebug(Context& context) {
  std::string_view key = context.arg(2);
  bool wrong;
  if (!context.Lookup(key, LookupKind::kPeek)) {
    context.reply().Error("ERR The specified key does not exist");
    return;
  }
  KeyRef ref = LookupHll(context, key, LookupKind::kWrite, &wrong);
  if (wrong) return;
  WritableString(ref);
  bool converted;
  if (ArgIs(context, 1, "GETREG")) {
    if (MakeDense(context, ref, &converted)) ReplyRegisters(context, ref);
  } else if (ArgIs(context, 1, "DECODE")) {
    if (HllIsDense(TextOf(ref))) {
      context.reply().Error("ERR HLL encoding is not sparse");
    } else {
      context.reply().Bulk(HllDescribe(TextOf(ref)));
    }
  } else if (ArgIs(context, 1, "ENCODING")) {
    context.reply().Simple(HllIsDense(TextOf(ref)) ? "dense" : "sparse");
  } else if (ArgIs(context, 1, "TODENSE")) {
    if (MakeDense(context, ref, &converted)) context.reply().Integer(converted ? 1 : 0);
  } else {
    std::string_view sub = context.arg(1).substr(0, context.arg(1).find('\0'));
    context.reply().Error("ERR Unknown PFDEBUG subcommand '" + std::string(sub) + "'");
  }
}

void Pfselftest(Context& context) {
  std::string mistake = HllSelfTest();
  if (mistake.empty()) {
    context.reply().Ok();
  } else {
    context.reply().Error("ERR TESTFAILED " + mistake);
  }
}

constexpr CommandSpec kRows[] = {
    {"pfadd",
     -2,
     kWrite | kDenyOom | kFast,
     {KeyAt(1, kKeyRW | kKeyInsert)},
     kCatHyperLogLog,
     Group::kHyperLogLog,
     "2.8.9",
     "O(1) for each element",
     "Adds elements to a HyperLogLog; creates it when absent.",
     "key [element [element ...]]",
     Pfadd},
    {"pfcount",
     -2,
     kReadonly | kMayReplicate,
     {KeyRange(1, -1, 1, kKeyRW | kKeyAccess)},
     kCatHyperLogLog,
     Group::kHyperLogLog,
     "2.8.9",
     "O(1) with a large constant, O(N) for N keys",
     "Estimates how many different elements the HyperLogLogs have seen together.",
     "key [key ...]",
     Pfcount},
    {"pfmerge",
     -2,
     kWrite | kDenyOom,
     {KeyAt(1, kKeyRW | kKeyAccess | kKeyInsert), KeyRange(2, -1, 1, kKeyRO | kKeyAccess)},
     kCatHyperLogLog,
     Group::kHyperLogLog,
     "2.8.9",
     "O(N) for N keys, with a large constant",
     "Joins HyperLogLogs into one.",
     "destination [key [key ...]]",
     Pfmerge},
    {"pfdebug",
     3,
     kWrite | kDenyOom | kAdmin | kSysCommand,
     {KeyAt(2, kKeyRW | kKeyAccess)},
     kCatHyperLogLog,
     Group::kHyperLogLog,
     "2.8.9",
     "O(N) where N is the number of registers",
     "Shows or changes how a HyperLogLog is stored.",
     "GETREG|DECODE|ENCODING|TODENSE key",
     Pfdebug},
    {"pfselftest",
     1,
     kAdmin | kSysCommand,
     {},
     kCatHyperLogLog,
     Group::kHyperLogLog,
     "2.8.9",
     "O(1) with a large constant",
     "Tests the HyperLogLog functions.",
     "",
     Pfselftest},
};

}  // namespace

const CommandTable kHyperLogLogCommands = kRows;

}  // namespace brim
