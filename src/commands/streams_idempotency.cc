// XADD's IDMP and IDMPAUTO, XCFGSET, XIDMPRECORD.
#include "commands/streams_idempotency.h"

#include <algorithm>
#include <new>
#include <string>

#include "base/hash.h"
#include "commands/arguments.h"
#include "commands/tables.h"
#include "types/stream_producers.h"

namespace brim {

namespace {

// The id of an entry by what it holds, whatever the order of its fields: the sum of its pairs' hashes. It goes into
// files, so it is the same in every process.
void MakeIid(std::span<const std::string_view> pairs, char* iid) {
  unsigned __int128 sum = 0;
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    XXH128_hash_t parts[] = {XXH3_128bits(pairs[i].data(), pairs[i].size()),
                             XXH3_128bits(pairs[i + 1].data(), pairs[i + 1].size())};
    XXH128_hash_t pair = XXH3_128bits(parts, sizeof parts);
    sum += static_cast<unsigned __int128>(pair.high64) << 64 | pair.low64;
  }
  memcpy(iid, &sum, sizeof sum);
}

// What is replayed was not found when it was recorded: what is too old by now was so by the entry's time.
void Remember(const Context& context, Stream& stream, std::string_view pid, std::string_view iid, StreamId id) {
  int64_t now_ms = context.now_ms();
  if (replaying) {
    DropUpTo(stream, pid, iid);
    now_ms = static_cast<int64_t>(std::min(id.ms, static_cast<uint64_t>(now_ms)));
  }
  AddRecord(stream, pid, iid, id, now_ms);
}

// The stream's limits, which those of the settings may not be where this is replayed.
void TellLimits(const Context& context, const StreamProducers& producers) {
  if (effects == nullptr) return;
  Tell(context, {"XCFGSET", context.arg(1), "IDMP-DURATION", std::to_string(producers.duration_s), "IDMP-MAXSIZE",
                 std::to_string(producers.maxsize)});
}

}  // namespace

IdempotentAdd::IdempotentAdd(const Context& context, const StreamTrimOptions& options) : option_arg_(options.idmp_arg) {
  if (option_arg_ == 0) return;
  option_words_ = options.auto_iid ? 2 : 3;
  pid_ = context.arg(option_arg_ + 1);
  if (options.auto_iid) {
    MakeIid(context.argv().subspan(options.id_arg + 1), made_);
    iid_ = {made_, sizeof made_};
  } else {
    iid_ = context.arg(option_arg_ + 2);
  }
}

bool IdempotentAdd::ReplyFirst(Context& context, Stream& stream) const {
  const StreamRecord* record = FindRecord(stream, pid_, iid_, context.now_ms());
  if (record == nullptr) return false;
  stream.producers->duplicates++;
  ReplyId(context.reply(), record->id);
  return true;
}

// Remembered first: with no memory for that the entry could not be told from another when it is sent again.
void IdempotentAdd::Append(const Context& context, Stream& stream, StreamId id,
                           std::span<const std::string_view> pairs) const {
  Remember(context, stream, pid_, iid_, id);
  try {
    StreamAppend(stream, id, pairs.data(), pairs.size() / 2);
  } catch (const std::bad_alloc&) {
    ForgetNewest(stream, pid_);
    throw;
  }
}

void IdempotentAdd::Strip(std::vector<std::string_view>* words) const {
  if (option_arg_ == 0) return;
  auto option = words->begin() + static_cast<ptrdiff_t>(option_arg_);
  words->erase(option, option + static_cast<ptrdiff_t>(option_words_));
}

void IdempotentAdd::Tell(const Context& context, const Stream& stream, std::string_view id, bool first) const {
  if (effects == nullptr) return;
  if (first) TellLimits(context, *stream.producers);
  brim::Tell(context, {"XIDMPRECORD", context.arg(1), pid_, iid_, id});
  effects->together = true;
}

namespace {

// ---- XCFGSET

// One of the two limits at argument `at`; false with the error replied.
bool ParseLimit(Context& context, size_t at, int64_t* duration_s, int64_t* maxsize) {
  bool is_duration = ArgIs(context, at, "IDMP-DURATION");
  Reply& reply = context.reply();
  if (at + 1 >= context.argc() || (!is_duration && !ArgIs(context, at, "IDMP-MAXSIZE"))) {
    reply.Error(errors::kSyntax);
    return false;
  }
  int64_t* limit = is_duration ? duration_s : maxsize;
  if (*limit != -1) {
    reply.Error(is_duration ? "ERR IDMP-DURATION specified multiple times"
                            : "ERR IDMP-MAXSIZE specified multiple times");
    return false;
  }
  if (!ParseIntArg(context, at + 1, limit)) return false;
  if (*limit >= 1 && *limit <= (is_duration ? kIdmpDurationMax : kIdmpMaxSizeMax)) return true;
  reply.Error(is_duration ? "ERR IDMP-DURATION must be between 1 and 86400 seconds"
                          : "ERR IDMP-MAXSIZE must be between 1 and 10000 entries");
  return false;
}

void Xcfgset(Context& context) {
  if (context.argc() == 2) {
    context.reply().Error("ERR At least one parameter must be specified");
    return;
  }
  int64_t duration_s = -1;
  int64_t maxsize = -1;
  for (size_t i = 2; i < context.argc(); i += 2) {
    if (!ParseLimit(context, i, &duration_s, &maxsize)) return;
  }
  bool wrong_type;
  Stream* stream = LookupStream(context, context.arg(1), LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (stream == nullptr) {
    context.reply().Error(errors::kNoSuchKey);
    return;
  }
  bool first = stream->producers == nullptr;
  StreamProducers& producers = ProducersOf(*stream);
  if (duration_s == -1) duration_s = producers.duration_s;
  if (maxsize == -1) maxsize = producers.maxsize;
  if (first || duration_s != producers.duration_s || maxsize != producers.maxsize) {
    SetProducerLimits(*stream, static_cast<uint32_t>(duration_s), static_cast<uint32_t>(maxsize));
    context.Changed(context.arg(1), kNotifyStream, nullptr);
    TellLimits(context, producers);
  }
  context.reply().Ok();
}

// ---- XIDMPRECORD

void Xidmprecord(Context& context) {
  std::string_view pid = context.arg(2);
  std::string_view iid = context.arg(3);
  Reply& reply = context.reply();
  if (pid.empty() || iid.empty()) {
    reply.Error(pid.empty() ? "ERR XIDMPRECORD requires a non-empty producer ID"
                            : "ERR XIDMPRECORD requires a non-empty idempotent ID");
    return;
  }
  StreamId id;
  if (!ParseIdArg(context, 4, &id)) return;
  bool wrong_type;
  Stream* stream = LookupStream(context, context.arg(1), LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (stream == nullptr) {
    reply.Error(errors::kNoSuchKey);
    return;
  }
  // What is recorded was so; the entry may be gone since.
  if (!replaying && !StreamContains(*stream, id)) {
    reply.Error("ERR The specified stream ID was deleted or doesn't exist");
    return;
  }
  const StreamRecord* record = replaying ? nullptr : FindRecord(*stream, pid, iid, context.now_ms());
  if (record != nullptr && record->id != id) {
    reply.Error("ERR The specified IDMP producer-id/idempotent-id pair maps to a different stream ID");
    return;
  }
  if (record == nullptr) {
    bool first = stream->producers == nullptr;
    Remember(context, *stream, pid, iid, id);
    context.Changed(context.arg(1), kNotifyStream, nullptr);
    if (first && effects != nullptr) {
      TellLimits(context, *stream->producers);
      Tell(context, context.argv());
      effects->together = true;
    }
  }
  reply.Ok();
}

// ---- the table

constexpr CommandSpec kRows[] = {
    {"xcfgset",
     -2,
     kWrite | kFast,
     {KeyAt(1, kKeyRW | kKeyUpdate)},
     kCatStream,
     Group::kStream,
     "8.6.0",
     "O(1), and O(N) where N is the number of ids that are forgotten",
     "Sets how long, and how many of, a stream's idempotent ids are remembered.",
     "key [IDMP-DURATION duration] [IDMP-MAXSIZE maxsize]",
     Xcfgset},
    {"xidmprecord",
     5,
     kWrite | kDenyOom | kFast,
     {KeyAt(1, kKeyRW | kKeyUpdate)},
     kCatStream,
     Group::kStream,
     "8.8.0",
     "O(1)",
     "Remembers under which idempotent id an entry was added; for append-only files.",
     "key pid iid stream-id",
     Xidmprecord},
};

}  // namespace

const CommandTable kStreamIdempotencyCommands = kRows;

}  // namespace brim
