// XREAD and XREADGROUP.
#include <algorithm>
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "commands/streams.h"
#include "commands/tables.h"

namespace brim {

namespace {

// A client that waited gets no more than this at once, unless it said how much it wants.
constexpr size_t kWokenCount = 1000;
// Deliveries from which on their memory is asked for beforehand, and what one takes.
constexpr size_t kManyDeliveries = 1024;
constexpr size_t kDeliveryBytes = 64;

struct ReadOptions {
  bool group_given = false;
  bool no_ack = false;
  bool blocks = false;
  int64_t timeout_ms = 0;
  size_t count = 0;  // 0: all
  std::string_view group;
  std::string_view consumer;
  int64_t claim_idle_ms = -1;  // CLAIM; -1: not given
  size_t first_key = 0;
  size_t keys = 0;
};

// One of the streams that are read.
struct ReadSource {
  std::string_view key;
  Stream* stream = nullptr;
  StreamGroup* group = nullptr;
  StreamId after;
  bool history = false;  // XREADGROUP with an id: what the consumer has not acknowledged
};
using Sources = std::vector<ReadSource>;

// XREADGROUP is the one of the two that writes.
bool IsGroupRead(const Context& context) { return context.spec().flags & kWrite; }

bool Refuse(Context& context, std::string_view error) {
  context.reply().Error(error);
  return false;
}

bool ParseBlock(Context& context, size_t arg, ReadOptions* options) {
  constexpr const char* kBad = "ERR timeout is not an integer or out of range";
  if (!ParseIntArg(context, arg, &options->timeout_ms, kBad)) return false;
  if (options->timeout_ms < 0) return Refuse(context, "ERR timeout is negative");
  // The end of the wait has to be a time as well.
  if (options->timeout_ms > INT64_MAX - context.now_ms()) return Refuse(context, "ERR timeout is out of range");
  options->blocks = true;
  return true;
}

bool ParseClaim(Context& context, size_t arg, ReadOptions* options) {
  constexpr const char* kBad = "ERR min-idle-time is not an integer or out of range";
  if (!ParseRangeArg(context, arg, INT64_MIN, INT64_MAX, &options->claim_idle_ms, kBad)) return false;
  return options->claim_idle_ms >= 0 || Refuse(context, "ERR min-idle-time must be a positive integer");
}

// One option at *at, which is left at its last word. STREAMS sets first_key.
bool ParseReadOption(Context& context, size_t* at, ReadOptions* options) {
  size_t i = *at;
  size_t more = context.argc() - i - 1;
  bool in_group = IsGroupRead(context);
  if (more >= 1 && ArgIs(context, i, "BLOCK")) {
    if (IsInScript(context)) {
      return Refuse(context,
                    "ERR " + std::string(context.arg(0)) + " command is not allowed with BLOCK option from scripts");
    }
    *at = i + 1;
    return ParseBlock(context, i + 1, options);
  }
  if (more >= 1 && ArgIs(context, i, "COUNT")) {
    int64_t count;
    *at = i + 1;
    if (!ParseIntArg(context, i + 1, &count)) return false;
    options->count = count > 0 ? static_cast<size_t>(count) : 0;
    return true;
  }
  if (more >= 1 && ArgIs(context, i, "STREAMS")) {
    options->first_key = i + 1;
    options->keys = more / 2;
    return more % 2 == 0 || Refuse(context,
                                   "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be "
                                   "specified.");
  }
  if (more >= 2 && ArgIs(context, i, "GROUP")) {
    if (!in_group) {
      return Refuse(context, "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
    }
    options->group_given = true;
    options->group = context.arg(i + 1);
    options->consumer = context.arg(i + 2);
    *at = i + 2;
    return true;
  }
  if (ArgIs(context, i, "NOACK")) {
    options->no_ack = true;
    return in_group ||
           Refuse(context, "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
  }
  if (in_group && more >= 1 && ArgIs(context, i, "CLAIM")) {
    *at = i + 1;
    return ParseClaim(context, i + 1, options);
  }
  return Refuse(context, errors::kSyntax);
}

bool ParseReadOptions(Context& context, ReadOptions* options) {
  for (size_t i = 1; i < context.argc() && options->first_key == 0; i++) {
    if (!ParseReadOption(context, &i, options)) return false;
  }
  if (options->first_key == 0) return Refuse(context, errors::kSyntax);
  if (IsGroupRead(context) && !options->group_given) {
    return Refuse(context, "ERR Missing GROUP option for XREADGROUP");
  }
  if (options->claim_idle_ms >= 0 && options->no_ack) options->claim_idle_ms = -1;
  return true;
}

// ---- from where each stream is read

bool FindGroupFor(Context& context, const ReadOptions& options, ReadSource* source) {
  source->group = source->stream != nullptr ? FindGroup(*source->stream, options.group) : nullptr;
  if (source->group != nullptr) return true;
  if (IsWaking(context)) {
    context.reply().Error(errors::kNoGroupAnyMore);
  } else {
    ReplyNoKeyOrGroup(context.reply(), source->key, options.group, " in XREADGROUP with GROUP option");
  }
  return false;
}

// The ids that stand for places. *special tells whether it was one.
bool SpecialId(Context& context, std::string_view text, ReadSource* source, bool* special) {
  bool in_group = IsGroupRead(context);
  *special = text == "$" || text == ">" || (text == "+" && !in_group);
  if (text == "$") {
    if (in_group) {
      return Refuse(context,
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this "
                    "consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just "
                    "return an empty result set.");
    }
    source->after = source->stream != nullptr ? source->stream->last_id : StreamId();
  } else if (text == ">") {
    if (!in_group) {
      return Refuse(context,
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> "
                    "option.");
    }
    source->after = StreamId::Max();
  } else if (*special && source->stream != nullptr) {
    // "+": the last entry, or what comes when there is none.
    source->after = source->stream->last_id;
    if (source->stream->length > 0) {
      source->after = StreamLastLive(*source->stream);
      source->after.Decrement();
    }
  }
  return true;
}

bool FindSource(Context& context, const ReadOptions& options, size_t i, ReadSource* source) {
  source->key = context.arg(options.first_key + i);
  size_t id_arg = options.first_key + options.keys + i;
  bool wrong_type;
  source->stream = LookupStream(context, source->key, LookupKind::kRead, &wrong_type);
  if (wrong_type) return false;
  if (options.group_given && !FindGroupFor(context, options, source)) return false;
  bool special;
  if (!SpecialId(context, context.arg(id_arg), source, &special)) return false;
  if (!special && !ParseIdArg(context, id_arg, &source->after)) return false;
  source->history = options.group_given && source->after != StreamId::Max();
  return true;
}

bool FindSources(Context& context, const ReadOptions& options, Sources* sources) {
  sources->reserve(options.keys);
  for (size_t i = 0; i < options.keys; i++) {
    // A client that waits is served by the one key that got something.
    if (IsWaking(context) && context.arg(options.first_key + i) != WakingKey(context)) continue;
    sources->emplace_back();
    if (!FindSource(context, options, i, &sources->back())) return false;
  }
  return true;
}

// ---- serving

class Reader {
 public:
  Reader(Context& context, const ReadOptions& options) : context_(context), options_(options) {
    count_ = options.count != 0 ? options.count : IsWaking(context) ? kWokenCount : SIZE_MAX;
  }

  // Whether there is something to read at once.
  bool HasNews(const ReadSource& source) const {
    if (source.stream == nullptr) return false;
    if (source.history) return true;
    if (HasIdle(source)) return true;
    StreamId after = source.group != nullptr ? source.group->last_id : source.after;
    return source.stream->length > 0 && after < source.stream->last_id && after < StreamLastLive(*source.stream);
  }
  // CLAIM: when a pending entry will have been idle for long enough; INT64_MAX: none of those there are now.
  // O(pending).
  int64_t NextIdle(const ReadSource& source) const;
  // Asks for what the deliveries will take, and for the reply, before any is made. O(nodes).
  void RequireMemory(const Sources& sources) const;
  void Serve(const ReadSource& source);

 private:
  bool claims() const { return options_.claim_idle_ms >= 0; }
  bool HasIdle(const ReadSource& source) const { return NextIdle(source) <= context_.now_ms(); }
  bool IsIdle(const StreamNack& nack) const { return context_.now_ms() - nack.delivered_ms >= options_.claim_idle_ms; }
  size_t Plain(const ReadSource& source);
  size_t History(const ReadSource& source);
  size_t Idle(const ReadSource& source);
  size_t Deliver(const ReadSource& source, size_t most);

  Context& context_;
  const ReadOptions& options_;
  size_t count_;
  StreamConsumer* consumer_ = nullptr;
};

void Reader::RequireMemory(const Sources& sources) const {
  if (!options_.group_given) return;
  size_t pending_bytes = 0;
  size_t reply_bytes = 0;
  for (const ReadSource& source : sources) {
    if (source.stream == nullptr) continue;
    const Stream& stream = *source.stream;
    const StreamGroup& group = *source.group;
    size_t most = std::min(count_, stream.length);
    if (!source.history && (most >= kManyDeliveries || EntriesReplyBytes(stream, group.last_id, most) > 0)) {
      size_t deliveries = StreamCountAfter(stream, group.last_id, most);
      if (!options_.no_ack && deliveries >= kManyDeliveries) pending_bytes += deliveries * kDeliveryBytes;
      reply_bytes += EntriesReplyBytes(stream, group.last_id, deliveries);
    }
    if (!source.history && !claims()) continue;
    StreamId from = source.history ? source.after : StreamId();
    reply_bytes += EntriesReplyBytes(stream, from, std::min(count_, group.pending.size()));
  }
  RequireReplyRoom(reply_bytes);
  RequireRoom(pending_bytes);
}

int64_t Reader::NextIdle(const ReadSource& source) const {
  int64_t next = INT64_MAX;
  if (!claims() || source.group == nullptr || source.history) return next;
  for (IdTree::Cursor at = source.group->pending.First(); at && next > context_.now_ms(); at.Next()) {
    int64_t delivered_ms = NackAt(at.payload()).delivered_ms;
    int64_t due_ms =
        delivered_ms > INT64_MAX - options_.claim_idle_ms ? INT64_MAX : delivered_ms + options_.claim_idle_ms;
    if (due_ms < next && StreamContains(*source.stream, at.id())) next = due_ms;
  }
  return next;
}

size_t Reader::Plain(const ReadSource& source) {
  StreamId from = source.after;
  from.Increment();
  StreamEntry entry;
  StreamRange range(*source.stream, from, StreamId::Max());
  size_t entries = 0;
  for (; entries < count_ && range.Next(&entry); entries++) ReplyEntry(context_.reply(), entry);
  return entries;
}

// What the consumer has pending, delivered again.
size_t Reader::History(const ReadSource& source) {
  StreamId from = source.after;
  from.Increment();
  StreamEntry entry;
  size_t entries = 0;
  for (IdTree::Cursor at = consumer_->pending.From(from); at && entries < count_; at.Next(), entries++) {
    StreamId id = at.id();
    if (!StreamGet(*source.stream, id, &entry)) {
      context_.reply().ArrayHeader(2);
      ReplyId(context_.reply(), id);
      context_.reply().NullArray();
      continue;
    }
    ReplyEntry(context_.reply(), entry);
    StreamNack nack;
    GetNack(*source.group, id, &nack);
    nack.delivered_ms = context_.now_ms();
    nack.deliveries++;
    SetNack(*source.stream, *source.group, id, nack);
    TellClaim(context_, source.key, *source.group, id, nack);
  }
  return entries;
}

// Entries that others have left pending for long, made the consumer's own: with idle time and deliveries so far.
size_t Reader::Idle(const ReadSource& source) {
  std::vector<std::pair<StreamId, StreamNack>> idle;
  StreamEntry entry;
  for (IdTree::Cursor at = source.group->pending.First(); at && idle.size() < count_; at.Next()) {
    StreamNack nack = NackAt(at.payload());
    if (IsIdle(nack) && StreamContains(*source.stream, at.id())) idle.emplace_back(at.id(), nack);
  }
  Reply& reply = context_.reply();
  for (auto& [id, nack] : idle) {
    StreamGet(*source.stream, id, &entry);
    reply.ArrayHeader(4);
    ReplyEntryParts(reply, entry);
    reply.Integer(context_.now_ms() - nack.delivered_ms);
    reply.Integer(static_cast<int64_t>(nack.deliveries));
    nack = {context_.now_ms(), nack.deliveries + 1, consumer_->number};
    SetNack(*source.stream, *source.group, id, nack);
    TellClaim(context_, source.key, *source.group, id, nack);
  }
  return idle.size();
}

// New entries.
size_t Reader::Deliver(const ReadSource& source, size_t most) {
  StreamGroup& group = *source.group;
  StreamId from = group.last_id;
  StreamId before = group.last_id;
  if (!from.Increment()) return 0;
  Reply& reply = context_.reply();
  StreamEntry entry;
  StreamRange range(*source.stream, from, StreamId::Max());
  size_t entries = 0;
  for (; entries < most && range.Next(&entry); entries++) {
    AdvanceGroup(*source.stream, group, entry.id);
    if (claims()) {
      reply.ArrayHeader(4);
      ReplyEntryParts(reply, entry);
      reply.Integer(0);
      reply.Integer(0);
    } else {
      ReplyEntry(reply, entry);
    }
    if (options_.no_ack) continue;
    StreamNack nack{context_.now_ms(), 1, consumer_->number};
    SetNack(*source.stream, group, entry.id, nack);
    TellClaim(context_, source.key, group, entry.id, nack);
  }
  if (group.last_id != before) TellGroupId(context_, source.key, group);
  return entries;
}

void Reader::Serve(const ReadSource& source) {
  Reply& reply = context_.reply();
  if (reply.version() < 3) reply.ArrayHeader(2);
  reply.Bulk(source.key);
  size_t token = reply.BeginDeferred();
  size_t entries;
  if (source.group == nullptr) {
    entries = Plain(source);
  } else {
    consumer_ = ConsumerOrNew(context_, source.key, *source.stream, *source.group, options_.consumer);
    if (source.history) {
      entries = History(source);
    } else {
      entries = claims() ? Idle(source) : 0;
      entries += Deliver(source, count_ - entries);
      consumer_->active_ms = context_.now_ms();
    }
    context_.CountChanges(1);
  }
  reply.EndDeferredArray(token, entries);
}

// Waits for any of the streams. Ids that stand for places are what they are now.
void BlockOnStreams(Context& context, const ReadOptions& options, const Sources& sources, const Reader& reader) {
  constexpr int64_t kLookAgainMs = 1000;  // for what was delivered meanwhile
  BlockRequest request;
  if (options.claim_idle_ms >= 0) {
    request.look_again_ms = context.now_ms() + kLookAgainMs;
    for (const ReadSource& source : sources) {
      request.look_again_ms = std::min(request.look_again_ms, reader.NextIdle(source));
    }
  }
  request.type = Type::kStream;
  request.keys = context.argv().subspan(options.first_key, options.keys);
  request.timeout_ms = options.timeout_ms;
  request.ends_without_key = options.group_given;
  std::vector<std::string_view> words(context.argv().begin(), context.argv().end());
  std::vector<std::string> ids;
  if (!options.group_given && !IsWaking(context)) {
    for (const ReadSource& source : sources) ids.emplace_back(StreamIdText(source.after).view());
    std::copy(ids.begin(), ids.end(), words.begin() + static_cast<ptrdiff_t>(options.first_key + options.keys));
  }
  request.words = words;
  context.Block(request);
}

void ReadGeneric(Context& context) {
  ReadOptions options;
  Sources sources;
  if (!ParseReadOptions(context, &options) || !FindSources(context, options, &sources)) return;
  Reader reader(context, options);
  auto has_news = [&](const ReadSource& source) { return reader.HasNews(source); };
  // A stream may be named twice, and what the first reading of it takes the second does not find.
  size_t ready = static_cast<size_t>(std::count_if(sources.begin(), sources.end(), has_news));
  if (ready > 0) {
    reader.RequireMemory(sources);
    size_t token = context.reply().BeginDeferred();
    size_t served = 0;
    for (const ReadSource& source : sources) {
      if (!has_news(source)) continue;
      reader.Serve(source);
      served++;
    }
    context.reply().version() < 3 ? context.reply().EndDeferredArray(token, served)
                                  : context.reply().EndDeferredMap(token, served);
  } else if (options.blocks && context.may_block()) {
    BlockOnStreams(context, options, sources, reader);
  } else {
    context.reply().NullArray();
  }
}

void Xread(Context& context) { ReadGeneric(context); }
void Xreadgroup(Context& context) { ReadGeneric(context); }

// The keys are behind the word STREAMS that is an option, not behind a group or consumer of that name.
bool FindReadKeys(std::span<const std::string_view> argv, KeyPosition* keys, size_t max, size_t* count) {
  size_t i = 1;
  for (; i < argv.size() && !EqualsNoCase(argv[i], "STREAMS"); i++) {
    if (EqualsNoCase(argv[i], "BLOCK") || EqualsNoCase(argv[i], "COUNT") || EqualsNoCase(argv[i], "CLAIM")) {
      i++;
    } else if (EqualsNoCase(argv[i], "GROUP")) {
      i += 2;
    } else if (!EqualsNoCase(argv[i], "NOACK")) {
      return false;
    }
  }
  size_t words = i < argv.size() ? argv.size() - i - 1 : 0;
  *count = 0;
  if (words == 0 || words % 2 != 0 || words / 2 > max) return false;
  for (; *count < words / 2; ++*count) keys[*count] = {static_cast<uint32_t>(i + 1 + *count), kKeyRO | kKeyAccess};
  return true;
}

constexpr KeySpec KeysBehindStreams(int16_t from) {
  return {KeySpec::kKeyword, from, "STREAMS", KeySpec::kRange, -1, 1, 2, kKeyRO | kKeyAccess};
}

constexpr CommandSpec kRows[] = {
    {"xread",
     -4,
     kReadonly | kBlocking,
     {KeysBehindStreams(1)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(log(N)+M) a stream, where N is its length and M the number of entries answered",
     "Answers the entries of several streams behind given ids; can wait for them.",
     "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
     Xread,
     FindReadKeys},
    {"xreadgroup",
     -7,
     kWrite | kBlocking,
     {KeysBehindStreams(4)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(log(N)+M) a stream, where N is its length and M the number of entries delivered",
     "Delivers new entries of streams to a consumer of a group, or again what it has not acknowledged; can wait.",
     "GROUP group consumer [COUNT count] [BLOCK milliseconds] [CLAIM min-idle-time] [NOACK] STREAMS key [key ...] id "
     "[id ...]",
     Xreadgroup,
     FindReadKeys},
};

}  // namespace

const CommandTable kStreamReadCommands = kRows;

}  // namespace brim
