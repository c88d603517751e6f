// XADD, XTRIM, XDEL, XDELEX, XLEN, XSETID, XRANGE, XREVRANGE.
#include "commands/streams.h"

#include <algorithm>
#include <string>

#include "commands/arguments.h"
#include "commands/streams_idempotency.h"
#include "commands/streams_trim.h"
#include "commands/tables.h"

namespace brim {

namespace {

// ---- XADD

constexpr std::string_view kTooLarge = "ERR Elements are too large to be stored";

// The new entry's id; false with the error replied.
bool NewId(Context& context, const Stream& stream, const StreamTrimOptions& options, StreamId* id) {
  constexpr std::string_view kTooSmall =
      "ERR The ID specified in XADD is equal or smaller than the target stream top item";
  if (stream.last_id == StreamId::Max()) {
    context.reply().Error("ERR The stream has exhausted the last possible ID, unable to add more items");
    return false;
  }
  if (!options.id_given) return StreamNextId(stream, static_cast<uint64_t>(context.now_ms()), id);
  *id = options.id;
  if (!options.seq_given && stream.last_id.ms == id->ms) {
    *id = stream.last_id;
    if (id->seq == UINT64_MAX) {
      context.reply().Error(kTooLarge);  // redis-server's words for this
      return false;
    }
    id->seq++;
  }
  if (*id > stream.last_id) return true;
  context.reply().Error(kTooSmall);
  return false;
}

// Adds the entry to the key's stream, trims it, and records both.
void AddEntry(Context& context, Stream& stream, const StreamTrimOptions& options, const IdempotentAdd& once,
              StreamId id) {
  std::string_view key = context.arg(1);
  auto pairs = context.argv().subspan(options.id_arg + 1);
  bool first = stream.producers == nullptr;
  if (once) {
    once.Append(context, stream, id, pairs);
  } else {
    StreamAppend(stream, id, pairs.data(), pairs.size() / 2);
  }
  StreamIdText text(id);
  context.reply().Bulk(text.view());
  context.Changed(key, kNotifyStream, "xadd");
  std::vector<std::string_view> words;
  std::string threshold;
  if (options.trim.by != StreamTrim::kNothing) TrimAndDescribe(context, stream, options, &words, &threshold);
  bool drawn = !options.id_given || !options.seq_given;
  if (effects != nullptr && (drawn || !words.empty())) {
    if (words.empty()) words.assign(context.argv().begin(), context.argv().end());
    words[options.id_arg] = text.view();
    once.Strip(&words);
    Tell(context, words);
    if (once) once.Tell(context, stream, text.view(), first);
  }
  context.SignalReady(context.db(), key);
}

void Xadd(Context& context) {
  StreamTrimOptions options;
  if (!ParseTrimOptions(context, true, &options)) return;
  size_t words = options.id_arg == 0 ? 0 : context.argc() - options.id_arg - 1;
  if (words < 2 || words % 2 != 0) {
    ReplyWrongArity(context);
    return;
  }
  if (options.id_given && options.seq_given && options.id.is_zero()) {
    context.reply().Error("ERR The ID specified in XADD must be greater than 0-0");
    return;
  }
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kStream, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref && options.no_stream) {
    context.reply().Null();
    return;
  }
  IdempotentAdd once(context, options);
  if (once && ref && !options.id_given && once.ReplyFirst(context, *ref.As<Stream>())) return;
  StreamId id;
  static const Stream kNone(nullptr);
  if (!NewId(context, ref ? *ref.As<Stream>() : kNone, options, &id)) return;
  size_t bytes = once.bytes();
  for (std::string_view text : context.argv().subspan(options.id_arg + 1)) bytes += text.size();
  if (bytes > stream_node::kTextBytesMax) {
    context.reply().Error(kTooLarge);
    return;
  }
  if (!ref) {
    ref = context.Create(key, Type::kStream, Encoding::kStream, EmptyStreamBytes());
    InitStream(ref);
  }
  AddEntry(context, *ref.As<Stream>(), options, once, id);
}

// ---- removing

void Xtrim(Context& context) {
  StreamTrimOptions options;
  if (!ParseTrimOptions(context, false, &options)) return;
  bool wrong_type;
  Stream* stream = LookupStream(context, context.arg(1), LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (stream == nullptr) {
    context.reply().Integer(0);
    return;
  }
  std::vector<std::string_view> words;
  std::string threshold;
  auto gone = static_cast<int64_t>(TrimAndDescribe(context, *stream, options, &words, &threshold));
  if (gone > 0) {
    context.Changed(context.arg(1), kNotifyStream, nullptr);
    context.CountChanges(gone - 1);
    if (!words.empty()) Tell(context, words);
  }
  context.reply().Integer(gone);
}

void CountDeleted(Context& context, int64_t deleted) {
  if (deleted == 0) return;
  context.Changed(context.arg(1), kNotifyStream, "xdel");
  context.CountChanges(deleted - 1);
}

void Xdel(Context& context) {
  bool wrong_type;
  Stream* stream = LookupStream(context, context.arg(1), LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (stream == nullptr) {
    context.reply().Integer(0);
    return;
  }
  std::vector<StreamId> ids;
  if (!ParseIdArgs(context, 2, &ids)) return;
  auto deleted = std::count_if(ids.begin(), ids.end(), [&](StreamId id) { return DeleteEntry(*stream, id); });
  CountDeleted(context, deleted);
  context.reply().Integer(deleted);
}

constexpr int64_t kNotThere = -1;
constexpr int64_t kGone = 1;
constexpr int64_t kReferenced = 2;

void Xdelex(Context& context) {
  References references;
  std::vector<StreamId> ids;
  bool wrong_type;
  Stream* stream = LookupStream(context, context.arg(1), LookupKind::kWrite, &wrong_type);
  if (wrong_type || !ParseNumberedIds(context, 2, &references, &ids)) return;
  int64_t deleted = 0;
  int64_t unlinked = 0;
  context.reply().ArrayHeader(ids.size());
  for (StreamId id : ids) {
    int64_t answer = kNotThere;
    if (stream != nullptr) {
      bool there = StreamContains(*stream, id);
      if (there && references == References::kAcked && IsReferenced(*stream, id)) {
        answer = kReferenced;
      } else {
        if (references == References::kRemove && RemoveReferences(*stream, id)) unlinked++;
        if (there && DeleteEntry(*stream, id)) {
          answer = kGone;
          deleted++;
        }
      }
    }
    context.reply().Integer(answer);
  }
  CountDeleted(context, deleted);
  if (deleted == 0) context.CountChanges(unlinked);
}

// ---- the rest

void Xlen(Context& context) {
  bool wrong_type;
  Stream* stream = LookupStream(context, context.arg(1), LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  context.reply().Integer(stream == nullptr ? 0 : static_cast<int64_t>(stream->length));
}

struct SetIdOptions {
  StreamId id;
  StreamId max_deleted;
  int64_t entries_added = -1;
};

bool ParseSetIdOptions(Context& context, SetIdOptions* options) {
  if (!ParseIdArg(context, 2, &options->id)) return false;
  for (size_t i = 3; i < context.argc(); i += 2) {
    bool more = i + 1 < context.argc();
    if (more && ArgIs(context, i, "ENTRIESADDED")) {
      if (!ParseIntArg(context, i + 1, &options->entries_added)) return false;
      if (options->entries_added >= 0) continue;
      context.reply().Error("ERR entries_added must be positive");
      return false;
    }
    if (more && ArgIs(context, i, "MAXDELETEDID")) {
      if (!ParseIdArg(context, i + 1, &options->max_deleted)) return false;
      if (options->id >= options->max_deleted) continue;
      context.reply().Error("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
      return false;
    }
    context.reply().Error(errors::kSyntax);
    return false;
  }
  return true;
}

void Xsetid(Context& context) {
  SetIdOptions options;
  if (!ParseSetIdOptions(context, &options)) return;
  bool wrong_type;
  Stream* stream = LookupStream(context, context.arg(1), LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (stream == nullptr) {
    context.reply().Error(errors::kNoSuchKey);
    return;
  }
  if (stream->length > 0) {
    if (options.id < StreamLastLive(*stream)) {
      context.reply().Error("ERR The ID specified in XSETID is smaller than the target stream top item");
      return;
    }
    if (options.entries_added != -1 && stream->length > static_cast<uint64_t>(options.entries_added)) {
      context.reply().Error("ERR The entries_added specified in XSETID is smaller than the target stream length");
      return;
    }
  }
  stream->last_id = options.id;
  if (options.entries_added != -1) stream->entries_added = static_cast<uint64_t>(options.entries_added);
  if (!options.max_deleted.is_zero()) stream->max_deleted_id = options.max_deleted;
  context.reply().Ok();
  context.CountChanges(1);
  context.Notify(kNotifyStream, "xsetid", context.arg(1));
}

void RangeGeneric(Context& context, bool backward) {
  StreamId from;
  StreamId to;
  if (!ParseRangeStart(context, backward ? 3 : 2, &from) || !ParseRangeEnd(context, backward ? 2 : 3, &to)) return;
  int64_t count = -1;
  for (size_t i = 4; i < context.argc(); i += 2) {
    if (i + 1 >= context.argc() || !ArgIs(context, i, "COUNT")) {
      context.reply().Error(errors::kSyntax);
      return;
    }
    if (!ParseIntArg(context, i + 1, &count)) return;
    count = std::max<int64_t>(count, 0);
  }
  bool wrong_type;
  Stream* stream = LookupStream(context, context.arg(1), LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  Reply& reply = context.reply();
  if (stream == nullptr) {
    reply.ArrayHeader(0);
    return;
  }
  if (count == 0) {
    reply.NullArray();
    return;
  }
  size_t token = reply.BeginDeferred();
  size_t entries = 0;
  StreamEntry entry;
  StreamRange range(*stream, from, to, backward);
  for (; (count < 0 || entries < static_cast<size_t>(count)) && range.Next(&entry); entries++) ReplyEntry(reply, entry);
  reply.EndDeferredArray(token, entries);
}

void Xrange(Context& context) { RangeGeneric(context, false); }
void Xrevrange(Context& context) { RangeGeneric(context, true); }

// ---- the table

constexpr const char* kRandom = "nondeterministic_output";

constexpr CommandSpec kRows[] = {
    {"xadd",
     -5,
     kWrite | kDenyOom | kFast,
     {KeyAt(1, kKeyRW | kKeyUpdate)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(1), and O(N) where N is the number of entries trimmed",
     "Adds an entry to a stream, which is made if the key is absent; can trim it as well.",
     "key [NOMKSTREAM] [KEEPREF|DELREF|ACKED] [IDMPAUTO pid|IDMP pid iid] [MAXLEN|MINID [=|~] threshold "
     "[LIMIT count]] *|id field value [field value ...]",
     Xadd,
     nullptr,
     kRandom},
    {"xtrim",
     -4,
     kWrite,
     {KeyAt(1, kKeyRW | kKeyDelete)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(N) where N is the number of entries removed",
     "Removes a stream's oldest entries.",
     "key MAXLEN|MINID [=|~] threshold [LIMIT count] [KEEPREF|DELREF|ACKED]",
     Xtrim,
     nullptr,
     kRandom},
    {"xdel",
     -3,
     kWrite | kFast,
     {KeyAt(1, kKeyRW | kKeyDelete)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(N) where N is the number of ids",
     "Removes entries from a stream.",
     "key id [id ...]",
     Xdel},
    {"xdelex",
     -5,
     kWrite | kFast,
     {KeyAt(1, kKeyRW | kKeyDelete)},
     kCatStream,
     Group::kStream,
     "8.2.0",
     "O(N*G) where N is the number of ids and G that of the groups",
     "Removes entries from a stream, with a say in what groups have of them.",
     "key [KEEPREF|DELREF|ACKED] IDS numids id [id ...]",
     Xdelex},
    {"xlen",
     2,
     kReadonly | kFast,
     {KeyAt(1, kKeyRO)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(1)",
     "Answers the number of entries in a stream.",
     "key",
     Xlen},
    {"xsetid",
     -3,
     kWrite | kDenyOom | kFast,
     {KeyAt(1, kKeyRW | kKeyUpdate)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(1)",
     "Sets a stream's last id, and what it remembers of added and deleted entries.",
     "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
     Xsetid},
    {"xrange",
     -4,
     kReadonly,
     {KeyAt(1, kKeyRO | kKeyAccess)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(log(N)+M) where N is the length of the stream and M the number of entries answered",
     "Answers entries of a range of ids.",
     "key start end [COUNT count]",
     Xrange},
    {"xrevrange",
     -4,
     kReadonly,
     {KeyAt(1, kKeyRO | kKeyAccess)},
     kCatStream,
     Group::kStream,
     "5.0.0",
     "O(log(N)+M) where N is the length of the stream and M the number of entries answered",
     "Answers entries of a range of ids, the latest first.",
     "key end start [COUNT count]",
     Xrevrange},
};

}  // namespace

const CommandTable kStreamCommands = kRows;

}  // namespace brim
