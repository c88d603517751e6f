// XINFO.
#include <algorithm>

#include "command/help.h"
#include "commands/arguments.h"
#include "commands/streams.h"
#include "commands/tables.h"
#include "types/stream_producers.h"

namespace brim {

namespace {

void Field(Reply& reply, std::string_view name, int64_t number) {
  reply.Bulk(name);
  reply.Integer(number);
}

void Field(Reply& reply, std::string_view name, StreamId id) {
  reply.Bulk(name);
  ReplyId(reply, id);
}

void Field(Reply& reply, std::string_view name, std::string_view text) {
  reply.Bulk(name);
  reply.Bulk(text);
}

int64_t Size(const IdTree& tree) { return static_cast<int64_t>(tree.size()); }

// How far the group is: both null where that is not known.
void Progress(Reply& reply, const Stream& stream, const StreamGroup& group) {
  reply.Bulk("entries-read");
  group.entries_read != kEntriesReadUnknown ? reply.Integer(group.entries_read) : reply.Null();
  reply.Bulk("lag");
  int64_t lag;
  GroupLag(stream, group, &lag) ? reply.Integer(lag) : reply.Null();
}

// Argument 2's stream; null with the error replied.
Stream* RequireStream(Context& context) {
  bool wrong_type;
  Stream* stream = LookupStream(context, context.arg(2), LookupKind::kRead, &wrong_type);
  if (stream == nullptr && !wrong_type) context.reply().Error(errors::kNoSuchKey);
  return stream;
}

void XinfoGroups(Context& context) {
  const Stream* stream = RequireStream(context);
  if (stream == nullptr) return;
  Reply& reply = context.reply();
  reply.ArrayHeader(stream->group_count);
  for (uint32_t i = 0; i < stream->group_count; i++) {
    const StreamGroup& group = *stream->groups[i];
    reply.MapHeader(6);
    Field(reply, "name", group.name());
    Field(reply, "consumers", int64_t{group.consumer_count});
    Field(reply, "pending", Size(group.pending));
    Field(reply, "last-delivered-id", group.last_id);
    Progress(reply, *stream, group);
  }
}

void XinfoConsumers(Context& context) {
  const Stream* stream = RequireStream(context);
  if (stream == nullptr) return;
  Reply& reply = context.reply();
  const StreamGroup* group = FindGroup(*stream, context.arg(3));
  if (group == nullptr) {
    ReplyNoSuchGroup(context);
    return;
  }
  reply.ArrayHeader(group->consumer_count);
  for (size_t i = 0; i < group->consumer_count; i++) {
    const StreamConsumer& consumer = *ConsumerAt(*group, i);
    reply.MapHeader(3);
    Field(reply, "name", consumer.name());
    Field(reply, "pending", Size(consumer.pending));
    Field(reply, "idle", std::max<int64_t>(context.now_ms() - consumer.seen_ms, 0));
  }
}

// ---- XINFO STREAM

// One entry, or null.
void Edge(Reply& reply, const Stream& stream, bool last) {
  StreamEntry entry;
  StreamRange range(stream, StreamId(), StreamId::Max(), last);
  range.Next(&entry) ? ReplyEntry(reply, entry) : reply.Null();
}

// The pending deliveries, `most` at most; their consumer's name too where no consumer is given.
void Pending(Reply& reply, const StreamGroup& group, const StreamConsumer* consumer, size_t most) {
  const IdTree& pending = consumer != nullptr ? consumer->pending : group.pending;
  reply.Bulk("pending");
  reply.ArrayHeader(std::min(most, pending.size()));
  size_t count = 0;
  for (IdTree::Cursor at = pending.First(); at && count < most; at.Next(), count++) {
    StreamNack nack;
    GetNack(group, at.id(), &nack);
    reply.ArrayHeader(consumer != nullptr ? 3 : 4);
    ReplyId(reply, at.id());
    if (consumer == nullptr) reply.Bulk(group.consumers[nack.consumer]->name());
    reply.Integer(nack.delivered_ms);
    reply.Integer(static_cast<int64_t>(nack.deliveries));
  }
}

void FullGroup(Reply& reply, const Stream& stream, const StreamGroup& group, size_t most) {
  reply.MapHeader(7);
  Field(reply, "name", group.name());
  Field(reply, "last-delivered-id", group.last_id);
  Progress(reply, stream, group);
  Field(reply, "pel-count", Size(group.pending));
  Pending(reply, group, nullptr, most);
  reply.Bulk("consumers");
  reply.ArrayHeader(group.consumer_count);
  for (size_t i = 0; i < group.consumer_count; i++) {
    const StreamConsumer& consumer = *ConsumerAt(group, i);
    reply.MapHeader(4);
    Field(reply, "name", consumer.name());
    Field(reply, "seen-time", consumer.seen_ms);
    Field(reply, "pel-count", Size(consumer.pending));
    Pending(reply, group, &consumer, most);
  }
}

void Full(Reply& reply, const Stream& stream, size_t most) {
  reply.Bulk("entries");
  reply.ArrayHeader(std::min(most, stream.length));
  StreamEntry entry;
  StreamRange range(stream, StreamId(), StreamId::Max());
  for (size_t i = 0; i < most && range.Next(&entry); i++) ReplyEntry(reply, entry);
  reply.Bulk("groups");
  reply.ArrayHeader(stream.group_count);
  for (uint32_t i = 0; i < stream.group_count; i++) FullGroup(reply, stream, *stream.groups[i], most);
}

// FULL and COUNT. False with the error replied.
bool ParseFull(Context& context, bool* full, size_t* most) {
  size_t words = context.argc() - 3;
  *full = words > 0;
  if (words == 0) return true;
  if ((words != 1 && words != 3) || !ArgIs(context, 3, "FULL") || (words == 3 && !ArgIs(context, 4, "COUNT"))) {
    ReplySubcommandSyntax(context);
    return false;
  }
  int64_t count = 10;
  if (words == 3 && !ParseIntArg(context, 5, &count)) return false;
  *most = count < 0 ? 10 : count == 0 ? SIZE_MAX : static_cast<size_t>(count);
  return true;
}

// Of streams to which something was added idempotently, or that have limits for that: Redis 7.0 has no such fields.
void Idempotency(Context& context, const Stream& stream) {
  Reply& reply = context.reply();
  ProducerCounts counts = CountProducers(stream, context.now_ms());
  Field(reply, "idmp-duration", int64_t{stream.producers->duration_s});
  Field(reply, "idmp-maxsize", int64_t{stream.producers->maxsize});
  Field(reply, "pids-tracked", static_cast<int64_t>(counts.producers));
  Field(reply, "iids-tracked", static_cast<int64_t>(counts.records));
  Field(reply, "iids-added", static_cast<int64_t>(stream.producers->added));
  Field(reply, "iids-duplicates", static_cast<int64_t>(stream.producers->duplicates));
}

void XinfoStream(Context& context) {
  bool full;
  size_t most = 0;
  const Stream* stream = RequireStream(context);
  if (stream == nullptr || !ParseFull(context, &full, &most)) return;
  Reply& reply = context.reply();
  bool idempotent = stream->producers != nullptr;
  reply.MapHeader((full ? 9 : 10) + (idempotent ? 6 : 0));
  Field(reply, "length", static_cast<int64_t>(stream->length));
  Field(reply, "radix-tree-keys", Size(stream->nodes));
  Field(reply, "radix-tree-nodes", static_cast<int64_t>(StreamRadixNodes(*stream)));
  Field(reply, "last-generated-id", stream->last_id);
  Field(reply, "max-deleted-entry-id", stream->max_deleted_id);
  Field(reply, "entries-added", static_cast<int64_t>(stream->entries_added));
  Field(reply, "recorded-first-entry-id", stream->first_id);
  if (idempotent) Idempotency(context, *stream);
  if (full) {
    Full(reply, *stream, most);
    return;
  }
  Field(reply, "groups", int64_t{stream->group_count});
  reply.Bulk("first-entry");
  Edge(reply, *stream, false);
  reply.Bulk("last-entry");
  Edge(reply, *stream, true);
}

constexpr KeySpec kKey = KeyAt(2, kKeyRO | kKeyAccess);

constexpr CommandSpec kRows[] = {
    {"xinfo", -2, 0, {}, 0, Group::kStream, "5.0.0", "Depends on the subcommand", "Tells about streams.", "", nullptr},
    {"xinfo|consumers",
     4,
     kReadonly,
     {kKey},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(N) where N is the number of consumers",
     "Lists a group's consumers.",
     "key group",
     XinfoConsumers,
     nullptr,
     "nondeterministic_output"},
    {"xinfo|groups",
     3,
     kReadonly,
     {kKey},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(N) where N is the number of groups",
     "Lists a stream's groups.",
     "key",
     XinfoGroups},
    {"xinfo|stream",
     -3,
     kReadonly,
     {kKey},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(N) where N is the number of nodes, and what FULL answers",
     "Tells about a stream, with FULL also about its groups and what they have pending.",
     "key [FULL [COUNT count]]",
     XinfoStream},
    {"xinfo|help",
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
};

}  // namespace

const CommandTable kStreamInfoCommands = kRows;

}  // namespace brim
