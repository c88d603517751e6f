// OBJECT: how a key's value is kept.
#include "command/context.h"
#include "command/help.h"
#include "commands/arguments.h"
#include "commands/tables.h"
#include "store/access.h"

namespace brim {

namespace {

// The key, or an empty handle with the null replied. Looking refreshes nothing.
KeyRef LookAt(Context& context) {
  KeyRef ref = context.Lookup(context.arg(2), LookupKind::kInspect);
  if (!ref) context.reply().Null();
  return ref;
}

void ObjectEncoding(Context& context) {
  if (KeyRef ref = LookAt(context)) context.reply().Bulk(EncodingName(ref.encoding()));
}

void ObjectRefcount(Context& context) {
  KeyRef ref = LookAt(context);
  if (!ref) return;
  // redis-server keeps one object for each of the numbers 0 to 9999 and says so; clients see no difference otherwise.
  constexpr int64_t kSharedNumbers = 10000;
  bool shared = ref.encoding() == Encoding::kInt && ref.GetInt() >= 0 && ref.GetInt() < kSharedNumbers;
  context.reply().Integer(shared ? INT32_MAX : 1);
}

void ObjectIdletime(Context& context) {
  KeyRef ref = LookAt(context);
  if (!ref) return;
  if (eviction.IsLfu()) {
    context.reply().Error(
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between "
        "policies at "
        "runtime LRU and LFU data will take some time to adjust.");
    return;
  }
  context.reply().Integer(IdleSeconds(ref.entry()));
}

void ObjectFreq(Context& context) {
  KeyRef ref = LookAt(context);
  if (!ref) return;
  if (!eviction.IsLfu()) {
    context.reply().Error(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching "
        "between "
        "policies at runtime LRU and LFU data will take some time to adjust.");
    return;
  }
  context.reply().Integer(LfuCounterNow(ref.entry().access(), coarse_clock.lfu_minutes));
}

constexpr KeySpec kKey = KeyAt(2, kKeyRO);

constexpr CommandSpec kRows[] = {
    {"object",
     -2,
     0,
     {},
     0,
     Group::kGeneric,
     "2.2.3",
     "Depends on the subcommand",
     "Tells how a key's value is kept.",
     "",
     nullptr},
    {"object|encoding",
     3,
     kReadonly,
     {kKey},
     kCatKeyspace,
     Group::kGeneric,
     "2.2.3",
     "O(1)",
     "Answers the encoding of the value.",
     "key",
     ObjectEncoding,
     nullptr,
     "nondeterministic_output"},
    {"object|freq",
     3,
     kReadonly,
     {kKey},
     kCatKeyspace,
     Group::kGeneric,
     "4.0.0",
     "O(1)",
     "Answers the logarithmic counter of uses (LFU policies).",
     "key",
     ObjectFreq,
     nullptr,
     "nondeterministic_output"},
    {"object|help",
     2,
     kLoading | kStale,
     {},
     kCatKeyspace,
     Group::kGeneric,
     "6.2.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"object|idletime",
     3,
     kReadonly,
     {kKey},
     kCatKeyspace,
     Group::kGeneric,
     "2.2.3",
     "O(1)",
     "Answers the seconds since the key was used.",
     "key",
     ObjectIdletime,
     nullptr,
     "nondeterministic_output"},
    {"object|refcount",
     3,
     kReadonly,
     {kKey},
     kCatKeyspace,
     Group::kGeneric,
     "2.2.3",
     "O(1)",
     "Answers the number of references to the value.",
     "key",
     ObjectRefcount,
     nullptr,
     "nondeterministic_output"},
};

}  // namespace

const CommandTable kObjectCommands = kRows;

}  // namespace brim
