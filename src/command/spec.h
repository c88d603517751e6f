#pragma once
// One row per command, beside its handler; everything else that is known about a command is derived from the row:
// COMMAND and its subcommands, lock sets, admission, ACL categories, HELP, the test grammar.
#include <cstdint>
#include <span>
#include <string_view>

namespace brim {

class Context;
using Handler = void (*)(Context&);
// Several requests of a command that name the same key, as one: they are carried out and answered as if one had come
// after the other. Returns how many of the first ones are; the others are run one by one. Does not throw while one of
// them is done and not answered.
using SeriesHandler = size_t (*)(Context&, std::span<const std::span<const std::string_view>> requests);

// Command flags, as COMMAND INFO prints them (names in FlagName order).
enum CommandFlag : uint32_t {
  kWrite = 1u << 0,
  kReadonly = 1u << 1,
  kDenyOom = 1u << 2,
  kAdmin = 1u << 3,
  kPubSub = 1u << 4,
  kNoScript = 1u << 5,
  kBlocking = 1u << 6,
  kLoading = 1u << 7,
  kStale = 1u << 8,
  kSkipMonitor = 1u << 9,
  kSkipSlowlog = 1u << 10,
  kAsking = 1u << 11,
  kFast = 1u << 12,
  kNoAuth = 1u << 13,
  kMayReplicate = 1u << 14,
  kSentinel = 1u << 15,
  kOnlySentinel = 1u << 16,
  kNoAsyncLoading = 1u << 17,
  kNoMulti = 1u << 18,
  kAllowBusy = 1u << 19,
  kMovableKeys = 1u << 20,  // derived: keys that first/last/step cannot tell
  kProtected = 1u << 21,
  kTouchesArbitraryKeys = 1u << 22,
  kNoMandatoryKeys = 1u << 23,
  kSysCommand = 1u << 24,  // for servers among themselves or for developers: COMMAND DOCS says so
  // Ours, never printed:
  kElementAt2 = 1u << 25,       // argv[2] names an element of the key's collection (member, field)
  kAllShards = 1u << 26,        // runs with every shard of the server locked (KEYS, FLUSHALL, SCAN's simple cousins)
  kExclusive = 1u << 27,        // runs while every other thread is paused (CONFIG SET, CLIENT KILL, SWAPDB, DEBUG)
  kWhileSubscribed = 1u << 29,  // may be used by a RESP2 client that is subscribed to something
  kNoTouchKeys = 1u << 28,  // looking at keys neither refreshes their access nor counts hits (OBJECT, TTL, TYPE ...)
  kElementAt3 = 1u << 31,   // argv[3] does
  kRunsScript = 1u << 30,   // runs others as one: their shards are found out as it goes (server/script_run.cc)
};
static_assert((uint64_t{kWrite} + kReadonly + kDenyOom + kAdmin + kPubSub + kNoScript + kBlocking + kLoading + kStale +
               kSkipMonitor + kSkipSlowlog + kAsking + kFast + kNoAuth + kMayReplicate + kSentinel + kOnlySentinel +
               kNoAsyncLoading + kNoMulti + kAllowBusy + kMovableKeys + kProtected + kTouchesArbitraryKeys +
               kNoMandatoryKeys + kSysCommand + kElementAt2 + kElementAt3 + kAllShards + kExclusive + kWhileSubscribed +
               kNoTouchKeys + kRunsScript) ==
                  (kWrite | kReadonly | kDenyOom | kAdmin | kPubSub | kNoScript | kBlocking | kLoading | kStale |
                   kSkipMonitor | kSkipSlowlog | kAsking | kFast | kNoAuth | kMayReplicate | kSentinel | kOnlySentinel |
                   kNoAsyncLoading | kNoMulti | kAllowBusy | kMovableKeys | kProtected | kTouchesArbitraryKeys |
                   kNoMandatoryKeys | kSysCommand | kElementAt2 | kElementAt3 | kAllShards | kExclusive |
                   kWhileSubscribed | kNoTouchKeys | kRunsScript),
              "each flag is a bit of its own");

// ACL categories that the flags do not imply (those are derived by CategoriesOf in acl-free code: read, write, fast,
// slow, admin, dangerous, blocking, pubsub, keyspace by group).
enum AclCategory : uint32_t {
  kCatKeyspace = 1u << 0,
  kCatRead = 1u << 1,
  kCatWrite = 1u << 2,
  kCatSet = 1u << 3,
  kCatSortedSet = 1u << 4,
  kCatList = 1u << 5,
  kCatHash = 1u << 6,
  kCatString = 1u << 7,
  kCatBitmap = 1u << 8,
  kCatHyperLogLog = 1u << 9,
  kCatGeo = 1u << 10,
  kCatStream = 1u << 11,
  kCatPubSub = 1u << 12,
  kCatAdmin = 1u << 13,
  kCatFast = 1u << 14,
  kCatSlow = 1u << 15,
  kCatBlocking = 1u << 16,
  kCatDangerous = 1u << 17,
  kCatConnection = 1u << 18,
  kCatTransaction = 1u << 19,
  kCatScripting = 1u << 20,
};

enum class Group : uint8_t {
  kGeneric,
  kString,
  kList,
  kSet,
  kSortedSet,
  kHash,
  kPubSub,
  kTransactions,
  kConnection,
  kServer,
  kScripting,
  kHyperLogLog,
  kCluster,
  kSentinel,
  kGeo,
  kStream,
  kBitmap,
  kModule,
};

enum KeySpecFlag : uint16_t {
  kKeyRO = 1,
  kKeyRW = 2,
  kKeyOW = 4,
  kKeyRM = 8,
  kKeyAccess = 16,
  kKeyUpdate = 32,
  kKeyInsert = 64,
  kKeyDelete = 128,
  kKeyNotKey = 256,
  kKeyIncomplete = 512,
  kKeyVariableFlags = 1024,
};

struct KeySpec {
  enum Begin : uint8_t { kNone, kIndex, kKeyword, kUnknownBegin };
  enum Find : uint8_t { kRange, kKeyNum, kUnknownFind };
  Begin begin = kNone;
  int16_t index = 0;              // kIndex: argument; kKeyword: where the search starts (negative: from the end)
  const char* keyword = nullptr;  // kKeyword
  Find find = kRange;
  int16_t last =
      0;  // kRange: last key relative to begin, negative from the end of the arguments; kKeyNum: index of numkeys
  int16_t step = 1;   // both
  int16_t limit = 0;  // kRange: 0 or 1 none, 2: half of the rest ...; kKeyNum: first key, relative to begin
  uint16_t flags = 0;
};

// The usual forms.
constexpr KeySpec KeyAt(int16_t index, int flags) {
  return {KeySpec::kIndex, index, nullptr, KeySpec::kRange, 0, 1, 0, static_cast<uint16_t>(flags)};
}
constexpr KeySpec KeyRange(int16_t index, int16_t last, int16_t step, int flags) {
  return {KeySpec::kIndex, index, nullptr, KeySpec::kRange, last, step, 0, static_cast<uint16_t>(flags)};
}
constexpr KeySpec KeyNum(int16_t index, int16_t number, int16_t first, int16_t step, int flags) {
  return {KeySpec::kIndex, index, nullptr, KeySpec::kKeyNum, number, step, first, static_cast<uint16_t>(flags)};
}
constexpr KeySpec KeyUnknown(int flags) {
  return {KeySpec::kUnknownBegin, 0, nullptr, KeySpec::kUnknownFind, 0, 1, 0, static_cast<uint16_t>(flags)};
}

struct CommandSpec;
// Positions of the keys in argv for rows whose specs cannot tell (SORT's STORE, EVAL ...). Appends to *keys.
struct KeyPosition {
  uint32_t index;
  uint16_t flags;
};
using KeysFn = bool (*)(std::span<const std::string_view> argv, KeyPosition* keys, size_t max, size_t* count);

struct CommandSpec {
  const char* name;  // lower case; a subcommand is "container|sub" and follows its container's row
  int arity;         // arguments with the name (and subcommand name); negative: at least that many
  uint32_t flags;
  KeySpec keys[3];
  uint32_t categories;  // AclCategory bits beyond those the flags imply
  Group group;
  const char* since;
  const char* complexity;  // our own words: "O(1)", "O(N) where N is ..."
  const char* summary;
  const char* syntax;  // after the name: "key field value [field value ...]"
  Handler handler;     // null: a container that only has subcommands
  KeysFn find_keys = nullptr;
  const char* tips = "";              // COMMAND's tips, comma separated: "nondeterministic_output"
  const char* replaced_by = nullptr;  // deprecated commands: what to use now
  const char* deprecated_since = nullptr;
  SeriesHandler series = nullptr;  // of a command with one key that only writes; null: each is run for itself
};

using CommandTable = std::span<const CommandSpec>;

}  // namespace brim
