// What the stream commands share.
#include <string>

#include "commands/arguments.h"
#include "commands/streams.h"

namespace brim {

bool ParseIdArg(Context& context, size_t arg, StreamId* id, uint64_t missing_seq) {
  if (ParseStreamId(context.arg(arg), missing_seq, id)) return true;
  context.reply().Error(errors::kInvalidStreamId);
  return false;
}

bool ParseIdArgs(Context& context, size_t first, std::vector<StreamId>* ids) {
  ids->resize(context.argc() - first);
  for (size_t i = 0; i < ids->size(); i++) {
    if (!ParseIdArg(context, first + i, &(*ids)[i])) return false;
  }
  return true;
}

namespace {

// *without: the id itself is not in the range.
bool ParseRangeId(Context& context, size_t arg, uint64_t missing_seq, StreamId* id, bool* without) {
  std::string_view text = context.arg(arg);
  *without = text.size() > 1 && text[0] == '(';
  bool sound = *without ? ParseStreamId(text.substr(1), missing_seq, id) : ParseStreamIdOrEdge(text, missing_seq, id);
  if (!sound) context.reply().Error(errors::kInvalidStreamId);
  return sound;
}

}  // namespace

bool ParseRangeStart(Context& context, size_t arg, StreamId* id) {
  bool without;
  if (!ParseRangeId(context, arg, 0, id, &without)) return false;
  if (!without || id->Increment()) return true;
  context.reply().Error("ERR invalid start ID for the interval");
  return false;
}

bool ParseRangeEnd(Context& context, size_t arg, StreamId* id) {
  bool without;
  if (!ParseRangeId(context, arg, UINT64_MAX, id, &without)) return false;
  if (!without || id->Decrement()) return true;
  context.reply().Error("ERR invalid end ID for the interval");
  return false;
}

bool ParseReferences(const Context& context, size_t arg, References* references) {
  if (ArgIs(context, arg, "KEEPREF")) {
    *references = References::kKeep;
  } else if (ArgIs(context, arg, "DELREF")) {
    *references = References::kRemove;
  } else if (ArgIs(context, arg, "ACKED")) {
    *references = References::kAcked;
  } else {
    return false;
  }
  return true;
}

bool ParseNumberedIds(Context& context, size_t at, References* references, std::vector<StreamId>* ids) {
  *references = References::kKeep;
  if (at < context.argc() && ParseReferences(context, at, references)) at++;
  if (at + 1 >= context.argc() || !ArgIs(context, at, "IDS")) {
    context.reply().Error(errors::kSyntax);
    return false;
  }
  int64_t count;
  if (!ParseRangeArg(context, at + 1, 1, INT64_MAX, &count, "ERR Number of IDs must be a positive integer"))
    return false;
  if (static_cast<uint64_t>(count) != context.argc() - at - 2) {
    context.reply().Error("ERR The `numids` parameter must match the number of arguments");
    return false;
  }
  return ParseIdArgs(context, at + 2, ids);
}

// ---- replies

void ReplyId(Reply& reply, StreamId id) { reply.Bulk(StreamIdText(id).view()); }

void ReplyEntryParts(Reply& reply, const StreamEntry& entry) {
  ReplyId(reply, entry.id);
  reply.ArrayHeader(entry.pairs * 2);
  char buffer[24];
  entry.ForEachPair([&](const listpack::Item& field, const listpack::Item& value) {
    reply.Bulk(field.Text(buffer));
    reply.Bulk(value.Text(buffer));
  });
}

void ReplyEntry(Reply& reply, const StreamEntry& entry) {
  reply.ArrayHeader(2);
  ReplyEntryParts(reply, entry);
}

size_t EntriesReplyBytes(const Stream& stream, StreamId from, size_t entries) {
  constexpr size_t kSample = 64;
  constexpr size_t kFraming = 16;
  constexpr size_t kNamesPart = 16;  // a reply is that much larger than what is stored at most, mostly
  if (stream.length == 0 || stream.heap.bytes / stream.length * entries * kNamesPart < OutputBuffer::kAskedBytes) {
    return 0;
  }
  StreamRange range(stream, from, StreamId::Max());
  StreamEntry entry;
  size_t bytes = 0;
  size_t seen = 0;
  char buffer[24];
  for (; seen < std::min(entries, kSample) && range.Next(&entry); seen++) {
    bytes += 3 * kFraming;
    entry.ForEachPair([&](const listpack::Item& field, const listpack::Item& value) {
      bytes += field.Text(buffer).size() + value.Text(buffer).size() + 2 * kFraming;
    });
  }
  return seen == 0 ? 0 : bytes * entries / seen;
}

namespace {

std::string Quoted(std::string_view name) { return "'" + std::string(name.substr(0, name.find('\0'))) + "'"; }

}  // namespace

void ReplyNoKeyOrGroup(Reply& reply, std::string_view key, std::string_view group, std::string_view more) {
  reply.Error(std::string(errors::kNoGroupOrKey) + Quoted(key) + " or consumer group " + Quoted(group) +
              std::string(more));
}

void ReplyNoSuchGroup(Context& context) {
  context.reply().Error(std::string(errors::kNoGroup) + Quoted(context.arg(3)) + " for key name " +
                        Quoted(context.arg(2)));
}

void ReplySubcommandSyntax(Context& context) {
  std::string_view name = context.spec().name;
  std::string container(name.substr(0, name.find('|')));
  for (char& c : container) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  std::string_view sub = context.arg(1);
  context.reply().Error("ERR unknown subcommand or wrong number of arguments for " + Quoted(sub.substr(0, 128)) +
                        ". Try " + container + " HELP.");
}

// ---- looking up

Stream* LookupStream(Context& context, std::string_view key, LookupKind kind, bool* wrong_type) {
  KeyRef ref = context.LookupTyped(key, Type::kStream, kind, wrong_type);
  return ref && !*wrong_type ? ref.As<Stream>() : nullptr;
}

StreamGroup* LookupGroup(Context& context, std::string_view key, std::string_view name, Stream** stream) {
  bool wrong_type;
  *stream = LookupStream(context, key, LookupKind::kRead, &wrong_type);
  if (wrong_type) return nullptr;
  StreamGroup* group = *stream != nullptr ? FindGroup(**stream, name) : nullptr;
  if (group == nullptr) ReplyNoKeyOrGroup(context.reply(), key, name);
  return group;
}

StreamConsumer* ConsumerOrNew(Context& context, std::string_view key, Stream& stream, StreamGroup& group,
                              std::string_view name) {
  StreamConsumer* consumer = FindConsumer(group, name);
  if (consumer != nullptr) {
    consumer->seen_ms = context.now_ms();
    return consumer;
  }
  consumer = CreateConsumer(stream, group, name, context.now_ms());
  context.CountChanges(1);
  context.Notify(kNotifyStream, "xgroup-createconsumer", key);
  // Nothing else may be told of it: what it reads can be nothing, or not to be acknowledged.
  Tell(context, {"XGROUP", "CREATECONSUMER", key, group.name(), name});
  return consumer;
}

// ---- effects

void TellClaim(Context& context, std::string_view key, const StreamGroup& group, StreamId id, const StreamNack& nack) {
  if (effects == nullptr) return;
  char time[24];
  char count[24];
  std::string_view time_text(time, static_cast<size_t>(FormatInt64(nack.delivered_ms, time)));
  std::string_view count_text(count, static_cast<size_t>(FormatInt64(static_cast<int64_t>(nack.deliveries), count)));
  Tell(context,
       {"XCLAIM", key, group.name(), group.consumers[nack.consumer]->name(), "0", StreamIdText(id).view(), "TIME",
        time_text, "RETRYCOUNT", count_text, "FORCE", "JUSTID", "LASTID", StreamIdText(group.last_id).view()});
}

void TellGroupId(Context& context, std::string_view key, const StreamGroup& group) {
  if (effects == nullptr) return;
  char read[24];
  Tell(context, {"XGROUP", "SETID", key, group.name(), StreamIdText(group.last_id).view(), "ENTRIESREAD",
                 std::string_view(read, static_cast<size_t>(FormatInt64(group.entries_read, read)))});
}

}  // namespace brim
