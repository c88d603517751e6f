// XCLAIM and XAUTOCLAIM: entries that one consumer has pending become another's.
#include <algorithm>
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "commands/streams.h"
#include "commands/tables.h"

namespace brim {

namespace {

// What both do to one pending entry.
class Claimer {
 public:
  Claimer(Context& context, Stream& stream, StreamGroup& group)
      : context_(context), stream_(stream), group_(group), key_(context.arg(1)) {}

  bool just_id = false;
  int64_t min_idle_ms = 0;
  int64_t delivered_ms = 0;
  int64_t deliveries = -1;  // -1: one more, unless just_id

  // The entry was deleted from the stream: it is no longer pending. Replayed, the same claim does the same.
  void Forget(StreamId id, const StreamNack& nack) {
    TellClaim(context_, key_, group_, id, nack);
    context_.CountChanges(1);
    RemoveNack(stream_, group_, id);
  }
  bool IsIdle(const StreamNack& nack) const {
    return min_idle_ms == 0 || context_.now_ms() - nack.delivered_ms >= min_idle_ms;
  }
  // Makes it the claiming consumer's, and replies it.
  void Take(const StreamEntry& entry, StreamNack nack) {
    if (consumer_ == nullptr) consumer_ = ConsumerOrNew(context_, key_, stream_, group_, context_.arg(3));
    nack.consumer = consumer_->number;
    nack.delivered_ms = delivered_ms;
    if (deliveries >= 0) {
      nack.deliveries = static_cast<uint64_t>(deliveries);
    } else if (!just_id) {
      nack.deliveries++;
    }
    SetNack(stream_, group_, entry.id, nack);
    consumer_->active_ms = context_.now_ms();
    just_id ? ReplyId(context_.reply(), entry.id) : ReplyEntry(context_.reply(), entry);
    TellClaim(context_, key_, group_, entry.id, nack);
    context_.CountChanges(1);
  }

 private:
  Context& context_;
  Stream& stream_;
  StreamGroup& group_;
  std::string_view key_;
  StreamConsumer* consumer_ = nullptr;
};

struct ClaimOptions {
  size_t ids_end = 0;         // the first argument that is no id
  int64_t delivered_ms = -1;  // IDLE or TIME
  int64_t deliveries = -1;
  bool force = false;
  bool just_id = false;
  StreamId last_id;
};

bool ParseClaimOption(Context& context, size_t* at, ClaimOptions* options) {
  size_t i = *at;
  bool more = i + 1 < context.argc();
  if (ArgIs(context, i, "FORCE")) {
    options->force = true;
    return true;
  }
  if (ArgIs(context, i, "JUSTID")) {
    options->just_id = true;
    return true;
  }
  *at = i + 1;
  if (more && ArgIs(context, i, "IDLE")) {
    if (!ParseIntArg(context, i + 1, &options->delivered_ms, "ERR Invalid IDLE option argument for XCLAIM"))
      return false;
    options->delivered_ms =
        static_cast<int64_t>(static_cast<uint64_t>(context.now_ms()) - static_cast<uint64_t>(options->delivered_ms));
    return true;
  }
  if (more && ArgIs(context, i, "TIME")) {
    return ParseIntArg(context, i + 1, &options->delivered_ms, "ERR Invalid TIME option argument for XCLAIM");
  }
  if (more && ArgIs(context, i, "RETRYCOUNT")) {
    return ParseIntArg(context, i + 1, &options->deliveries, "ERR Invalid RETRYCOUNT option argument for XCLAIM");
  }
  if (more && ArgIs(context, i, "LASTID")) return ParseIdArg(context, i + 1, &options->last_id);
  std::string_view option = context.arg(i);
  context.reply().Error("ERR Unrecognized XCLAIM option '" + std::string(option.substr(0, option.find('\0'))) + "'");
  return false;
}

bool ParseClaimOptions(Context& context, ClaimOptions* options) {
  size_t i = 5;
  for (StreamId id; i < context.argc() && ParseStreamId(context.arg(i), 0, &id);) i++;
  options->ids_end = i;
  for (; i < context.argc(); i++) {
    if (!ParseClaimOption(context, &i, options)) return false;
  }
  // What is no time that has been is now.
  int64_t now_ms = context.now_ms();
  if (options->delivered_ms < 0 || options->delivered_ms > now_ms) options->delivered_ms = now_ms;
  return true;
}

bool ParseMinIdle(Context& context, int64_t* min_idle_ms, const char* error) {
  if (!ParseIntArg(context, 4, min_idle_ms, error)) return false;
  *min_idle_ms = std::max<int64_t>(*min_idle_ms, 0);
  return true;
}

// One id of XCLAIM; true when it was claimed.
bool ClaimOne(Context& context, Claimer& claimer, Stream& stream, StreamGroup& group, StreamId id, bool force,
              bool* told) {
  StreamNack nack;
  bool pending = GetNack(group, id, &nack);
  StreamEntry entry;
  if (!StreamGet(stream, id, &entry)) {
    if (pending) {
      claimer.Forget(id, nack);
      *told = true;
    }
    return false;
  }
  if (pending ? !claimer.IsIdle(nack) : !force) return false;
  if (!pending) nack = {context.now_ms(), 1, 0};
  claimer.Take(entry, nack);
  *told = true;
  return true;
}

void Xclaim(Context& context) {
  Stream* stream;
  StreamGroup* group = LookupGroup(context, context.arg(1), context.arg(2), &stream);
  if (group == nullptr) return;
  Claimer claimer(context, *stream, *group);
  ClaimOptions options;
  if (!ParseMinIdle(context, &claimer.min_idle_ms, "ERR Invalid min-idle-time argument for XCLAIM") ||
      !ParseClaimOptions(context, &options)) {
    return;
  }
  claimer.just_id = options.just_id;
  claimer.delivered_ms = options.delivered_ms;
  claimer.deliveries = options.deliveries;
  if (!options.just_id) RequireReplyRoom(EntriesReplyBytes(*stream, StreamId(), options.ids_end - 5));
  bool moved = options.last_id > group->last_id;
  if (moved) group->last_id = options.last_id;
  size_t token = context.reply().BeginDeferred();
  size_t claimed = 0;
  bool told = false;
  for (size_t i = 5; i < options.ids_end; i++) {
    StreamId id;
    ParseStreamId(context.arg(i), 0, &id);
    if (ClaimOne(context, claimer, *stream, *group, id, options.force, &told)) claimed++;
  }
  if (moved && !told) {
    TellGroupId(context, context.arg(1), *group);
    context.CountChanges(1);
  }
  context.reply().EndDeferredArray(token, claimed);
}

void Xautoclaim(Context& context) {
  constexpr int64_t kTriesEach = 10;
  constexpr int64_t kCountMost = INT64_MAX / 16;
  int64_t min_idle_ms;
  StreamId from;
  if (!ParseMinIdle(context, &min_idle_ms, "ERR Invalid min-idle-time argument for XAUTOCLAIM") ||
      !ParseRangeStart(context, 5, &from)) {
    return;
  }
  int64_t count = 100;
  bool just_id = false;
  for (size_t i = 6; i < context.argc(); i++) {
    if (i + 1 < context.argc() && ArgIs(context, i, "COUNT")) {
      if (!ParseRangeArg(context, ++i, 1, kCountMost, &count, "ERR COUNT must be > 0")) return;
    } else if (ArgIs(context, i, "JUSTID")) {
      just_id = true;
    } else {
      context.reply().Error(errors::kSyntax);
      return;
    }
  }
  Stream* stream;
  StreamGroup* group = LookupGroup(context, context.arg(1), context.arg(2), &stream);
  if (group == nullptr) return;
  Claimer claimer(context, *stream, *group);
  claimer.min_idle_ms = min_idle_ms;
  claimer.just_id = just_id;
  claimer.delivered_ms = context.now_ms();

  // What is looked at is chosen first: claiming changes the trees.
  std::vector<std::pair<StreamId, StreamNack>> chosen;
  std::vector<StreamId> deleted;
  IdTree::Cursor at = group->pending.From(from);
  for (int64_t tries = count * kTriesEach; at && tries > 0 && count > 0; at.Next(), tries--) {
    StreamNack nack = NackAt(at.payload());
    bool there = StreamContains(*stream, at.id());
    if (there && !claimer.IsIdle(nack)) continue;
    chosen.emplace_back(at.id(), nack);
    if (!there) deleted.push_back(at.id());
    count--;
  }
  if (!just_id) RequireReplyRoom(EntriesReplyBytes(*stream, from, chosen.size()));
  Reply& reply = context.reply();
  reply.ArrayHeader(3);
  ReplyId(reply, at ? at.id() : StreamId());
  reply.ArrayHeader(chosen.size() - deleted.size());
  for (const auto& [id, nack] : chosen) {
    StreamEntry entry;
    StreamGet(*stream, id, &entry) ? claimer.Take(entry, nack) : claimer.Forget(id, nack);
  }
  reply.ArrayHeader(deleted.size());
  for (StreamId id : deleted) ReplyId(reply, id);
}

constexpr CommandSpec kRows[] = {
    {"xclaim",
     -6,
     kWrite | kFast,
     {KeyAt(1, kKeyRW | kKeyUpdate)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(N*log(M)) where N is the number of ids and M what is pending",
     "Gives entries that others have pending to a consumer.",
     "key group consumer min-idle-time id [id ...] [IDLE milliseconds] [TIME unix-time-milliseconds] "
     "[RETRYCOUNT count] [FORCE] [JUSTID] [LASTID last-id]",
     Xclaim,
     nullptr,
     "nondeterministic_output"},
    {"xautoclaim",
     -6,
     kWrite | kFast,
     {KeyAt(1, kKeyRW | kKeyDelete)},
     kCatStream,
     Group::kStream,
     "6.2.0",
     "O(N) where N is what is looked at: ten times COUNT at most",
     "Gives entries that others have had pending for long to a consumer, walking over all of them call by call.",
     "key group consumer min-idle-time start [COUNT count] [JUSTID]",
     Xautoclaim,
     nullptr,
     "nondeterministic_output"},
};

}  // namespace

const CommandTable kStreamClaimCommands = kRows;

}  // namespace brim
