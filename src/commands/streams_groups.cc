// XGROUP, XACK, XACKDEL, XPENDING.
#include <algorithm>
#include <string>

#include "command/help.h"
#include "commands/arguments.h"
#include "commands/streams.h"
#include "commands/tables.h"

namespace brim {

namespace {

// ---- XGROUP: argument 2 is the key, 3 the group

void CountAndNotify(Context& context, const char* event) {
  context.CountChanges(1);
  context.Notify(kNotifyStream, event, context.arg(2));
}

// The key's stream; null with the error replied.
Stream* RequireStream(Context& context) {
  bool wrong_type;
  Stream* stream = LookupStream(context, context.arg(2), LookupKind::kWrite, &wrong_type);
  if (stream == nullptr && !wrong_type) {
    context.reply().Error(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM "
        "option to create an empty stream automatically.");
  }
  return stream;
}

StreamGroup* RequireGroup(Context& context, Stream** stream) {
  *stream = RequireStream(context);
  if (*stream == nullptr) return nullptr;
  StreamGroup* group = FindGroup(**stream, context.arg(3));
  if (group == nullptr) ReplyNoSuchGroup(context);
  return group;
}

struct GroupOptions {
  bool make_stream = false;
  int64_t entries_read = kEntriesReadUnknown;
};

bool ParseGroupOptions(Context& context, bool creating, GroupOptions* options) {
  for (size_t i = 5; i < context.argc(); i++) {
    if (creating && ArgIs(context, i, "MKSTREAM")) {
      options->make_stream = true;
    } else if (i + 1 < context.argc() && ArgIs(context, i, "ENTRIESREAD")) {
      if (!ParseIntArg(context, ++i, &options->entries_read)) return false;
      if (options->entries_read < 0 && options->entries_read != kEntriesReadUnknown) {
        context.reply().Error("ERR value for ENTRIESREAD must be positive or -1");
        return false;
      }
    } else {
      ReplySubcommandSyntax(context);
      return false;
    }
  }
  return true;
}

void XgroupCreate(Context& context) {
  constexpr size_t kArgsMost = 8;
  GroupOptions options;
  if (!ParseGroupOptions(context, true, &options)) return;
  bool wrong_type = false;
  Stream* stream = options.make_stream ? LookupStream(context, context.arg(2), LookupKind::kWrite, &wrong_type)
                                       : RequireStream(context);
  if (wrong_type || (stream == nullptr && !options.make_stream)) return;
  if (context.argc() > kArgsMost) {
    ReplySubcommandSyntax(context);
    return;
  }
  StreamId id = stream != nullptr ? stream->last_id : StreamId();
  if (context.arg(4) != "$" && !ParseIdArg(context, 4, &id)) return;
  bool made = stream == nullptr;
  if (made) {
    KeyRef ref = context.Create(context.arg(2), Type::kStream, Encoding::kStream, EmptyStreamBytes());
    InitStream(ref);
    stream = ref.As<Stream>();
  }
  if (CreateGroup(*stream, context.arg(3), id, options.entries_read) == nullptr) {
    context.reply().Error(errors::kBusyGroup);
    return;
  }
  context.reply().Ok();
  if (made) {
    context.Changed(context.arg(2), kNotifyStream, "xgroup-create");
  } else {
    CountAndNotify(context, "xgroup-create");
  }
}

void XgroupSetid(Context& context) {
  GroupOptions options;
  if (!ParseGroupOptions(context, false, &options)) return;
  Stream* stream;
  StreamGroup* group = RequireGroup(context, &stream);
  if (group == nullptr) return;
  if (context.argc() != 5 && context.argc() != 7) {
    ReplySubcommandSyntax(context);
    return;
  }
  StreamId id = stream->last_id;
  if (context.arg(4) != "$" && !ParseStreamIdOrEdge(context.arg(4), 0, &id)) {
    context.reply().Error(errors::kInvalidStreamId);
    return;
  }
  group->last_id = id;
  group->entries_read = options.entries_read;
  context.reply().Ok();
  CountAndNotify(context, "xgroup-setid");
}

void XgroupDestroy(Context& context) {
  Stream* stream = RequireStream(context);
  if (stream == nullptr) return;
  StreamGroup* group = FindGroup(*stream, context.arg(3));
  context.reply().Integer(group != nullptr ? 1 : 0);
  if (group == nullptr) return;
  DestroyGroup(*stream, group);
  CountAndNotify(context, "xgroup-destroy");
  // Who waits for it has to hear.
  context.SignalReady(context.db(), context.arg(2));
}

void XgroupCreateconsumer(Context& context) {
  Stream* stream;
  StreamGroup* group = RequireGroup(context, &stream);
  if (group == nullptr) return;
  bool made = CreateConsumer(*stream, *group, context.arg(4), context.now_ms()) != nullptr;
  if (made) CountAndNotify(context, "xgroup-createconsumer");
  context.reply().Integer(made ? 1 : 0);
}

void XgroupDelconsumer(Context& context) {
  Stream* stream;
  StreamGroup* group = RequireGroup(context, &stream);
  if (group == nullptr) return;
  StreamConsumer* consumer = FindConsumer(*group, context.arg(4));
  size_t pending = 0;
  if (consumer != nullptr) {
    pending = consumer->pending.size();
    DeleteConsumer(*stream, *group, consumer);
    CountAndNotify(context, "xgroup-delconsumer");
  }
  context.reply().Integer(static_cast<int64_t>(pending));
}

// ---- acknowledging

// Null when there is no such stream or group, which is no error; *wrong_type is, and is replied.
StreamGroup* GroupIfAny(Context& context, Stream** stream, bool* wrong_type) {
  *stream = LookupStream(context, context.arg(1), LookupKind::kRead, wrong_type);
  return *stream != nullptr ? FindGroup(**stream, context.arg(2)) : nullptr;
}

void Xack(Context& context) {
  bool wrong_type;
  Stream* stream;
  StreamGroup* group = GroupIfAny(context, &stream, &wrong_type);
  if (wrong_type) return;
  if (group == nullptr) {
    context.reply().Integer(0);
    return;
  }
  // All ids are read before any is acted upon.
  StreamId id;
  for (size_t i = 3; i < context.argc(); i++) {
    if (!ParseIdArg(context, i, &id)) return;
  }
  int64_t acknowledged = 0;
  for (size_t i = 3; i < context.argc(); i++) {
    ParseStreamId(context.arg(i), 0, &id);
    if (RemoveNack(*stream, *group, id)) acknowledged++;
  }
  context.CountChanges(acknowledged);
  context.reply().Integer(acknowledged);
}

// One id of XACKDEL: -1 not pending, 1 acknowledged and deleted, 2 acknowledged, but others have to do with it.
int64_t AcknowledgeAndDelete(Stream& stream, StreamGroup& group, StreamId id, References references, bool* deleted) {
  if (!RemoveNack(stream, group, id)) return -1;
  if (references == References::kAcked && IsReferenced(stream, id)) return 2;
  if (references == References::kRemove) RemoveReferences(stream, id);
  *deleted = DeleteEntry(stream, id);
  return 1;
}

void Xackdel(Context& context) {
  bool wrong_type;
  Stream* stream;
  StreamGroup* group = GroupIfAny(context, &stream, &wrong_type);
  References references;
  std::vector<StreamId> ids;
  if (wrong_type || !ParseNumberedIds(context, 3, &references, &ids)) return;
  int64_t acknowledged = 0;
  bool any_deleted = false;
  context.reply().ArrayHeader(ids.size());
  for (StreamId id : ids) {
    bool deleted = false;
    int64_t answer = group == nullptr ? -1 : AcknowledgeAndDelete(*stream, *group, id, references, &deleted);
    context.reply().Integer(answer);
    if (answer >= 0) acknowledged++;
    any_deleted = any_deleted || deleted;
  }
  if (any_deleted) {
    context.Changed(context.arg(1), kNotifyStream, "xdel");
    acknowledged--;
  }
  context.CountChanges(acknowledged);
}

// ---- XPENDING

void PendingSummary(Context& context, const StreamGroup& group) {
  Reply& reply = context.reply();
  reply.ArrayHeader(4);
  reply.Integer(static_cast<int64_t>(group.pending.size()));
  if (group.pending.empty()) {
    reply.Null();
    reply.Null();
    reply.NullArray();
    return;
  }
  ReplyId(reply, group.pending.First().id());
  ReplyId(reply, group.pending.Last().id());
  size_t token = reply.BeginDeferred();
  size_t consumers = 0;
  for (size_t i = 0; i < group.consumer_count; i++) {
    const StreamConsumer& consumer = *ConsumerAt(group, i);
    if (consumer.pending.empty()) continue;
    reply.ArrayHeader(2);
    reply.Bulk(consumer.name());
    reply.BulkInt(static_cast<int64_t>(consumer.pending.size()));
    consumers++;
  }
  reply.EndDeferredArray(token, consumers);
}

struct PendingOptions {
  int64_t min_idle_ms = 0;
  StreamId from;
  StreamId to;
  int64_t count = 0;
  bool of_consumer = false;
  std::string_view consumer;
};

bool ParsePendingOptions(Context& context, PendingOptions* options) {
  size_t at = 3;
  if (ArgIs(context, at, "IDLE")) {
    if (!ParseIntArg(context, at + 1, &options->min_idle_ms)) return false;
    if (context.argc() < 8) {
      context.reply().Error(errors::kSyntax);
      return false;
    }
    at += 2;
  }
  if (!ParseIntArg(context, at + 2, &options->count)) return false;
  if (!ParseRangeStart(context, at, &options->from) || !ParseRangeEnd(context, at + 1, &options->to)) return false;
  options->of_consumer = at + 3 < context.argc();
  if (options->of_consumer) options->consumer = context.arg(at + 3);
  return true;
}

void PendingRange(Context& context, const StreamGroup& group, const PendingOptions& options) {
  Reply& reply = context.reply();
  const StreamConsumer* consumer = options.of_consumer ? FindConsumer(group, options.consumer) : nullptr;
  if (options.of_consumer && consumer == nullptr) {
    reply.ArrayHeader(0);
    return;
  }
  const IdTree& pending = consumer != nullptr ? consumer->pending : group.pending;
  size_t token = reply.BeginDeferred();
  int64_t entries = 0;
  for (IdTree::Cursor at = pending.From(options.from); at && entries < options.count; at.Next()) {
    StreamId id = at.id();
    if (id > options.to) break;
    StreamNack nack;
    if (consumer != nullptr) {
      GetNack(group, id, &nack);
    } else {
      nack = NackAt(at.payload());
    }
    int64_t idle = context.now_ms() - nack.delivered_ms;
    if (options.min_idle_ms != 0 && idle < options.min_idle_ms) continue;
    reply.ArrayHeader(4);
    ReplyId(reply, id);
    reply.Bulk(group.consumers[nack.consumer]->name());
    reply.Integer(std::max<int64_t>(idle, 0));
    reply.Integer(static_cast<int64_t>(nack.deliveries));
    entries++;
  }
  reply.EndDeferredArray(token, static_cast<size_t>(entries));
}

void Xpending(Context& context) {
  bool summary = context.argc() == 3;
  if (!summary && (context.argc() < 6 || context.argc() > 9)) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  PendingOptions options;
  if (!summary && !ParsePendingOptions(context, &options)) return;
  Stream* stream;
  StreamGroup* group = LookupGroup(context, context.arg(1), context.arg(2), &stream);
  if (group == nullptr) return;
  summary ? PendingSummary(context, *group) : PendingRange(context, *group, options);
}

// ---- the table

constexpr KeySpec Key(int flags) { return KeyAt(2, kKeyRW | flags); }

constexpr CommandSpec kRows[] = {
    {"xgroup",
     -2,
     0,
     {},
     0,
     Group::kStream,
     "5.0.0",
     "Depends on the subcommand",
     "Handles a stream's consumer groups.",
     "",
     nullptr},
    {"xgroup|create",
     -5,
     kWrite | kDenyOom,
     {Key(kKeyInsert)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(1)",
     "Makes a consumer group.",
     "key group id|$ [MKSTREAM] [ENTRIESREAD entries-read]",
     XgroupCreate},
    {"xgroup|createconsumer",
     5,
     kWrite | kDenyOom,
     {Key(kKeyInsert)},
     kCatStream,
     Group::kStream,
     "6.2.0",
     "O(1)",
     "Makes a consumer in a group.",
     "key group consumer",
     XgroupCreateconsumer},
    {"xgroup|delconsumer",
     5,
     kWrite,
     {Key(kKeyDelete)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(N) where N is what the consumer has pending",
     "Removes a consumer from a group, with what it has pending.",
     "key group consumer",
     XgroupDelconsumer},
    {"xgroup|destroy",
     4,
     kWrite,
     {Key(kKeyDelete)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(N) where N is what the group has pending",
     "Removes a consumer group.",
     "key group",
     XgroupDestroy},
    {"xgroup|setid",
     -5,
     kWrite,
     {Key(kKeyUpdate)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(1)",
     "Sets the id behind which a group reads on.",
     "key group id|$ [ENTRIESREAD entries-read]",
     XgroupSetid},
    {"xgroup|help",
     2,
     kLoading | kStale,
     {},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"xack",
     -4,
     kWrite | kFast,
     {KeyAt(1, kKeyRW | kKeyUpdate)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(N) where N is the number of ids",
     "Says that entries of a group are done with.",
     "key group id [id ...]",
     Xack},
    {"xackdel",
     -6,
     kWrite | kFast,
     {KeyAt(1, kKeyRW | kKeyDelete)},
     kCatStream,
     Group::kStream,
     "8.2.0",
     "O(N*G) where N is the number of ids and G that of the groups",
     "Says that entries of a group are done with, and removes them from the stream.",
     "key group [KEEPREF|DELREF|ACKED] IDS numids id [id ...]",
     Xackdel},
    {"xpending",
     -3,
     kReadonly,
     {KeyAt(1, kKeyRO | kKeyAccess)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(log(N)+M) where N is what is pending and M what is answered, and those passed over for their idle time",
     "Tells what a group has delivered and nobody has acknowledged.",
     "key group [[IDLE min-idle-time] start end count [consumer]]",
     Xpending,
     nullptr,
     "nondeterministic_output"},
};

}  // namespace

const CommandTable kStreamGroupCommands = kRows;

}  // namespace brim
