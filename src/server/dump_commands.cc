// DUMP and RESTORE: a value as an RDB object, with the version and a checksum behind it.
#include <string>
#include <vector>

#include "command/context.h"
#include "commands/arguments.h"
#include "persist/dump_footer.h"
#include "persist/rdb_reader.h"
#include "persist/rdb_writer.h"
#include "server/server_commands.h"
#include "store/access.h"
#include "store/shard.h"

namespace brim {

namespace {

// A text that grows takes twice its size at times.
void AdmitText(size_t bytes) { RequireReplyRoom(2 * bytes); }

void Dump(Context& context) {
  KeyRef ref = context.Lookup(context.arg(1), LookupKind::kRead);
  if (!ref) {
    context.reply().Null();
    return;
  }
  RdbWriter writer(true);
  writer.Dumped(ref, &AdmitText);
  context.reply().Bulk(writer.bytes());
}

struct RestoreOptions {
  bool replace = false;
  bool absolute = false;
  int64_t idle_s = -1;
  int64_t frequency = -1;
};

bool ReadOptions(Context& context, RestoreOptions* options) {
  for (size_t i = 4; i < context.argc(); i++) {
    bool more = i + 1 < context.argc();
    if (ArgIs(context, i, "REPLACE")) {
      options->replace = true;
    } else if (ArgIs(context, i, "ABSTTL")) {
      options->absolute = true;
    } else if (more && options->frequency < 0 && ArgIs(context, i, "IDLETIME")) {
      if (!ParseIntArg(context, ++i, &options->idle_s)) return false;
      if (options->idle_s < 0) {
        context.reply().Error("ERR Invalid IDLETIME value, must be >= 0");
        return false;
      }
    } else if (more && options->idle_s < 0 && ArgIs(context, i, "FREQ")) {
      if (!ParseIntArg(context, ++i, &options->frequency)) return false;
      if (options->frequency < 0 || options->frequency > 255) {
        context.reply().Error("ERR Invalid FREQ value, must be >= 0 and <= 255");
        return false;
      }
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

// The effect of a relative time: the same words with the absolute one.
void TellAbsolute(Context& context, int64_t expiry_ms) {
  if (effects == nullptr) return;
  std::string number = std::to_string(expiry_ms);
  std::vector<std::string_view> words(context.argv().begin(), context.argv().end());
  words[2] = number;
  words.emplace_back("ABSTTL");
  Tell(context, words);
}

void Restore(Context& context) {
  RestoreOptions options;
  if (!ReadOptions(context, &options)) return;
  std::string_view key = context.arg(1);
  KeyRef there = context.Lookup(key, LookupKind::kWrite);
  if (there && !options.replace) {
    context.reply().Error(errors::kBusyKey);
    return;
  }
  int64_t ttl;
  if (!ParseIntArg(context, 2, &ttl)) return;
  if (ttl < 0) {
    context.reply().Error("ERR Invalid TTL value, must be >= 0");
    return;
  }
  std::string_view payload = context.arg(3);
  uint16_t version;
  if (!DumpFooterIsGood(payload, &version)) {
    context.reply().Error("ERR DUMP payload version or checksum are wrong");
    return;
  }
  uint64_t hash = HashBytes(key);
  Shard& shard = shards.Of(hash);
  MemoryInput input(payload.substr(0, payload.size() - kDumpFooterBytes));
  RdbReader reader(input);
  reader.SetVersion(version);
  LoadedValue loaded;
  uint8_t type;
  if (!reader.Byte(&type) || !reader.Object(type, &shard.heap(), &loaded) || loaded.empty ||
      input.offset() != payload.size() - kDumpFooterBytes) {
    context.reply().Error("ERR Bad data format");
    return;
  }
  if (there) context.Delete(there, false);
  int64_t expiry_ms = ttl == 0 ? -1 : options.absolute ? ttl : context.now_ms() + ttl;
  if (ttl != 0 && TimeHasCome(context, expiry_ms)) {
    // Past its time already: it is not made, and what it would have replaced is gone.
    if (there) {
      Tell(context, {"DEL", key});
      context.Changed(key, kNotifyGeneric, "del");
    }
    context.reply().Ok();
    return;
  }
  KeyRef ref = InstallValue(shard.db(context.db()), key, hash, loaded, expiry_ms);
  SetLoadedAccess(ref.entry(), options.idle_s, options.frequency);
  context.SignalReady(context.db(), key);
  if (ttl != 0 && !options.absolute) TellAbsolute(context, expiry_ms);
  context.Changed(key, kNotifyGeneric, "restore");
  context.reply().Ok();
}

constexpr CommandSpec kRows[] = {
    {"dump",
     2,
     kReadonly,
     {KeyAt(1, kKeyRO | kKeyAccess)},
     kCatKeyspace,
     Group::kGeneric,
     "2.6.0",
     "O(1) to find the key, O(N) in the bytes of its value",
     "Answers a key's value as bytes that RESTORE takes.",
     "key",
     Dump,
     nullptr,
     "nondeterministic_output"},
    {"restore",
     -4,
     kWrite | kDenyOom,
     {KeyAt(1, kKeyOW | kKeyUpdate)},
     kCatKeyspace | kCatDangerous,
     Group::kGeneric,
     "2.6.0",
     "O(1) to make the key, O(N) in the bytes of its value, O(N log N) for sorted sets",
     "Makes a key from the bytes that DUMP answered.",
     "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
     Restore},
    {"restore-asking",
     -4,
     kWrite | kDenyOom | kAsking | kSysCommand,
     {KeyAt(1, kKeyOW | kKeyUpdate)},
     kCatKeyspace | kCatDangerous,
     Group::kServer,
     "3.0.0",
     "O(1) to make the key, O(N) in the bytes of its value, O(N log N) for sorted sets",
     "RESTORE as nodes of a cluster send it while a slot moves.",
     "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
     Restore},
};

}  // namespace

const CommandTable kDumpCommands = kRows;

}  // namespace brim
