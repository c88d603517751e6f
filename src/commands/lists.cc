// List commands that do not block.
#include "commands/lists.h"

#include <algorithm>
#include <string>

#include "base/numbers.h"
#include "base/raw_array.h"
#include "commands/arguments.h"
#include "commands/tables.h"
#include "store/shard.h"
#include "types/list.h"

namespace brim {

namespace {

KeyRef LookupList(Context& context, std::string_view key, LookupKind kind, bool* wrong_type) {
  return context.LookupTyped(key, Type::kList, kind, wrong_type);
}

List& ListOf(KeyRef& ref) { return *ref.As<List>(); }

KeyRef CreateList(Context& context, std::string_view key) {
  KeyRef ref = context.Create(key, Type::kList, Encoding::kQuicklist, EmptyListBytes());
  InitList(ref);
  return ref;
}

void DeleteIfEmpty(Context& context, KeyRef& ref, std::string_view key) {
  if (ListLength(ref) != 0) return;
  context.Delete(ref, lazyfree.server_del);
  context.Notify(kNotifyGeneric, "del", key);
}

void ReplyItem(Reply& reply, const listpack::Item& item) {
  if (item.is_number) {
    reply.BulkInt(item.number);
  } else {
    reply.Bulk(item.text);
  }
}

void PushGeneric(Context& context, bool left, bool only_existing) {
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = LookupList(context, key, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    if (only_existing) {
      context.reply().Integer(0);
      return;
    }
    ref = CreateList(context, key);
  }
  List& list = ListOf(ref);
  try {
    ListPushMany(list, context.argv().subspan(2), left);
  } catch (const std::bad_alloc&) {
    if (list.length == 0) context.Delete(ref, false);  // nobody has heard of it
    throw;
  }
  context.reply().Integer(static_cast<int64_t>(list.length));
  context.Changed(key, kNotifyList, left ? "lpush" : "rpush");
  context.CountChanges(static_cast<int64_t>(context.argc()) - 3);
}

void Lpush(Context& context) { PushGeneric(context, true, false); }
void Rpush(Context& context) { PushGeneric(context, false, false); }
void Lpushx(Context& context) { PushGeneric(context, true, true); }
void Rpushx(Context& context) { PushGeneric(context, false, true); }

// One reply each: the lengths that the pushes have led to.
void ReplyLengths(OutputBuffer& output, uint64_t first, size_t count) {
  char text[24];
  size_t size = 0;
  char digit = '9';  // the last one
  for (size_t i = 0; i < count; i++) {
    if (digit != '9') {
      digit++;
    } else {
      text[0] = ':';
      size = static_cast<size_t>(FormatUint64(first + i, text + 1)) + 3;
      text[size - 2] = '\r';
      text[size - 1] = '\n';
      digit = text[size - 3];
    }
    char* to = output.Reserve(sizeof(text));
    memcpy(to, text, sizeof(text));
    to[size - 3] = digit;
    output.Commit(size);
  }
}

using Requests = std::span<const std::span<const std::string_view>>;

// Requests with one element each for a list that is there. What finds no room is left, to be refused for itself.
size_t PushSeries(Context& context, Requests requests, bool left) {
  constexpr size_t kReplyBytes = 24;
  constexpr size_t kMost = OutputBuffer::kReserveMax / kReplyBytes;
  RawArray<std::string_view, kMost> texts;
  size_t count = 0;
  while (count < std::min(requests.size(), kMost) && requests[count].size() == 3) {
    texts[count] = requests[count][2];
    count++;
  }
  if (count < 2) return 0;
  std::string_view key = requests[0][1];
  KeyRef ref = context.Lookup(key, LookupKind::kWrite);
  if (!ref || ref.type() != Type::kList) return 0;
  List& list = ListOf(ref);
  size_t before = list.length;
  try {
    context.reply().output().Reserve(count * kReplyBytes);
    ListPushMany(list, {texts.at, count}, left);
  } catch (const std::bad_alloc&) {
    if (list.length == before) return 0;  // some may have been pushed
  }
  size_t pushed = list.length - before;
  ReplyLengths(context.reply().output(), before + 1, pushed);
  if (pushed > 0) context.Changed(key, kNotifyList, left ? "lpush" : "rpush", pushed);
  return pushed;
}

size_t LpushSeries(Context& context, Requests requests) { return PushSeries(context, requests, true); }
size_t RpushSeries(Context& context, Requests requests) { return PushSeries(context, requests, false); }

void Linsert(Context& context) {
  bool behind = ArgIs(context, 2, "AFTER");
  if (!behind && !ArgIs(context, 2, "BEFORE")) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = LookupList(context, key, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Integer(0);
    return;
  }
  List& list = ListOf(ref);
  ListNeedle pivot(context.arg(3));
  for (ListPlace place = ListSeek(list, 0); place; place = ListNext(place)) {
    if (!pivot.Equals(place)) continue;
    ListInsert(list, place, context.arg(4), behind);
    context.Changed(key, kNotifyList, "linsert");
    context.reply().Integer(static_cast<int64_t>(list.length));
    return;
  }
  context.reply().Integer(-1);
}

void Llen(Context& context) {
  bool wrong_type;
  KeyRef ref = LookupList(context, context.arg(1), LookupKind::kRead, &wrong_type);
  if (!wrong_type) context.reply().Integer(ref ? static_cast<int64_t>(ListLength(ref)) : 0);
}

void Lindex(Context& context) {
  bool wrong_type;
  KeyRef ref = LookupList(context, context.arg(1), LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Null();
    return;
  }
  int64_t index;
  if (!ParseIntArg(context, 2, &index)) return;
  ListPlace place = ListSeek(ListOf(ref), index);
  if (place) {
    ReplyItem(context.reply(), place.Get());
  } else {
    context.reply().Null();
  }
}

void Lset(Context& context) {
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = LookupList(context, key, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Error(errors::kNoSuchKey);
    return;
  }
  int64_t index;
  if (!ParseIntArg(context, 2, &index)) return;
  ListPlace place = ListSeek(ListOf(ref), index);
  if (!place) {
    context.reply().Error("ERR index out of range");
    return;
  }
  ListReplace(ListOf(ref), place, context.arg(3));
  context.reply().Ok();
  context.Changed(key, kNotifyList, "lset");
}

void PopGeneric(Context& context, bool left) {
  if (context.argc() > 3) {
    ReplyWrongArity(context);
    return;
  }
  bool counted = context.argc() == 3;
  ListPopRequest request{left, 1};
  if (counted && !ParsePositiveArg(context, 2, &request.count)) return;
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = LookupList(context, key, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  Reply& reply = context.reply();
  if (!ref) {
    counted ? reply.NullArray() : reply.Null();
    return;
  }
  if (counted) {
    auto length = static_cast<int64_t>(ListLength(ref));
    reply.ArrayHeader(static_cast<size_t>(std::min(request.count, length)));
    if (request.count == 0) return;
  }
  PopAndReply(context, ref, key, request);
}

void Lpop(Context& context) { PopGeneric(context, true); }
void Rpop(Context& context) { PopGeneric(context, false); }

// Redis's reading of start and stop: [*first, *first + count). Count 0 when nothing is left of it.
size_t ClampRange(int64_t start, int64_t stop, size_t size, size_t* first) {
  auto length = static_cast<int64_t>(size);
  if (start < 0) start = std::max<int64_t>(start + length, 0);
  if (stop < 0) stop += length;
  stop = std::min(stop, length - 1);
  if (start > stop || start >= length) return 0;
  *first = static_cast<size_t>(start);
  return static_cast<size_t>(stop - start + 1);
}

void Lrange(Context& context) {
  int64_t start;
  int64_t stop;
  if (!ParseIntArg(context, 2, &start) || !ParseIntArg(context, 3, &stop)) return;
  bool wrong_type;
  KeyRef ref = LookupList(context, context.arg(1), LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  size_t first = 0;
  size_t count = ref ? ClampRange(start, stop, ListLength(ref), &first) : 0;
  Reply& reply = context.reply();
  reply.ArrayHeader(count);
  if (count == 0) return;
  ListPlace place = ListSeek(ListOf(ref), static_cast<int64_t>(first));
  for (; count > 0; count--) {
    ReplyItem(reply, place.Get());
    if (count > 1) place = ListNext(place);
  }
}

void Ltrim(Context& context) {
  int64_t start;
  int64_t stop;
  if (!ParseIntArg(context, 2, &start) || !ParseIntArg(context, 3, &stop)) return;
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = LookupList(context, key, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Ok();
    return;
  }
  List& list = ListOf(ref);
  size_t length = list.length;
  size_t first = 0;
  size_t count = ClampRange(start, stop, length, &first);
  if (count == 0) {
    ListEraseRange(list, 0, length);
  } else {
    ListEraseRange(list, first + count, length - first - count);
    ListEraseRange(list, 0, first);
  }
  context.Changed(key, kNotifyList, "ltrim", length - list.length);
  DeleteIfEmpty(context, ref, key);
  context.reply().Ok();
}

void Lrem(Context& context) {
  int64_t count;
  if (!ParseIntArg(context, 2, &count)) return;
  std::string_view key = context.arg(1);
  bool wrong_type;
  KeyRef ref = LookupList(context, key, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Integer(0);
    return;
  }
  List& list = ListOf(ref);
  bool backward = count < 0;
  uint64_t most = count == 0 ? UINT64_MAX : backward ? 0 - static_cast<uint64_t>(count) : static_cast<uint64_t>(count);
  uint64_t removed = 0;
  ListNeedle needle(context.arg(3));
  ListPlace place = ListSeek(list, backward ? -1 : 0);
  while (place && removed < most) {
    if (needle.Equals(place)) {
      place = ListErase(list, place, backward);
      removed++;
    } else {
      place = backward ? ListPrevious(place) : ListNext(place);
    }
  }
  if (removed > 0) {
    context.Changed(key, kNotifyList, "lrem");
    context.CountChanges(static_cast<int64_t>(removed) - 1);
    DeleteIfEmpty(context, ref, key);
  }
  context.reply().Integer(static_cast<int64_t>(removed));
}

struct LposOptions {
  int64_t rank = 1;
  int64_t count = -1;  // -1: one position, not an array
  int64_t max_compared = 0;
  bool rank_overflows = false;  // then COUNT limits nothing
};

bool ParseLposOptions(Context& context, LposOptions* options) {
  for (size_t i = 3; i < context.argc(); i += 2) {
    if (i + 1 == context.argc()) {
      context.reply().Error(errors::kSyntax);
      return false;
    }
    if (ArgIs(context, i, "RANK")) {
      if (!ParseIntArg(context, i + 1, &options->rank)) return false;
      // As it comes out of redis-server's arithmetic.
      options->rank_overflows = options->rank == INT64_MIN;
      if (options->rank_overflows) options->rank = -1;
      if (options->rank != 0) continue;
      context.reply().Error(
          "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start "
          "from the end of the list");
      return false;
    }
    if (ArgIs(context, i, "COUNT")) {
      if (!ParsePositiveArg(context, i + 1, &options->count, "ERR COUNT can't be negative")) return false;
    } else if (ArgIs(context, i, "MAXLEN")) {
      if (!ParsePositiveArg(context, i + 1, &options->max_compared, "ERR MAXLEN can't be negative")) return false;
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

void Lpos(Context& context) {
  LposOptions options;
  if (!ParseLposOptions(context, &options)) return;
  bool wrong_type;
  KeyRef ref = LookupList(context, context.arg(1), LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  Reply& reply = context.reply();
  bool many = options.count >= 0;
  bool limited = options.count > 0 && !options.rank_overflows;
  if (!ref) {
    many ? reply.ArrayHeader(0) : reply.Null();
    return;
  }
  List& list = ListOf(ref);
  bool backward = options.rank < 0;
  int64_t to_skip = (backward ? -options.rank : options.rank) - 1;
  int64_t compared = 0;
  size_t found = 0;
  ListNeedle needle(context.arg(2));
  size_t token = many ? reply.BeginDeferred() : 0;
  ListPlace place = ListSeek(list, backward ? -1 : 0);
  for (; place && (options.max_compared == 0 || compared < options.max_compared); compared++) {
    if (needle.Equals(place) && to_skip-- <= 0) {
      auto length = static_cast<int64_t>(list.length);
      reply.Integer(backward ? length - 1 - compared : compared);
      found++;
      if (!many || (limited && found == static_cast<size_t>(options.count))) break;
    }
    place = backward ? ListPrevious(place) : ListNext(place);
  }
  if (many) {
    reply.EndDeferredArray(token, found);
  } else if (found == 0) {
    reply.Null();
  }
}

void MoveGeneric(Context& context, bool from_left, bool to_left) {
  bool wrong_type;
  KeyRef ref = LookupList(context, context.arg(1), LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Null();
    return;
  }
  MoveElement(context, ref, context.arg(1), context.arg(2), from_left, to_left);
}

void Rpoplpush(Context& context) { MoveGeneric(context, false, true); }

void Lmove(Context& context) {
  bool from_left;
  bool to_left;
  if (!ParseSide(context, 3, &from_left) || !ParseSide(context, 4, &to_left)) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  MoveGeneric(context, from_left, to_left);
}

void Lmpop(Context& context) {
  std::span<const std::string_view> keys;
  ListPopRequest request;
  if (!ParseListMultiPop(context, 1, &keys, &request)) return;
  std::string_view key;
  bool wrong_type;
  KeyRef ref = FirstList(context, keys, &key, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().NullArray();
    return;
  }
  context.reply().ArrayHeader(2);
  context.reply().Bulk(key);
  context.reply().ArrayHeader(static_cast<size_t>(std::min(request.count, static_cast<int64_t>(ListLength(ref)))));
  PopAndReply(context, ref, key, request);
}

}  // namespace

bool ParseSide(const Context& context, size_t at, bool* left) {
  *left = ArgIs(context, at, "LEFT");
  return *left || ArgIs(context, at, "RIGHT");
}

bool ParseListMultiPop(Context& context, size_t at, std::span<const std::string_view>* keys, ListPopRequest* request) {
  int64_t number;
  if (!ParseRangeArg(context, at, 1, INT64_MAX, &number, "ERR numkeys should be greater than 0")) return false;
  if (static_cast<uint64_t>(number) >= context.argc() - at - 1) {
    context.reply().Error(errors::kSyntax);
    return false;
  }
  *keys = context.argv().subspan(at + 1, static_cast<size_t>(number));
  size_t where = at + 1 + keys->size();
  bool sound = ParseSide(context, where, &request->left);
  bool counted = false;
  for (size_t i = where + 1; sound && i < context.argc(); i += 2) {
    sound = !counted && i + 1 < context.argc() && ArgIs(context, i, "COUNT");
    if (!sound) break;
    if (!ParseRangeArg(context, i + 1, 1, INT64_MAX, &request->count, "ERR count should be greater than 0"))
      return false;
    counted = true;
  }
  if (!sound) context.reply().Error(errors::kSyntax);
  return sound;
}

KeyRef FirstList(Context& context, std::span<const std::string_view> keys, std::string_view* found, bool* wrong_type) {
  *wrong_type = false;
  for (std::string_view key : keys) {
    KeyRef ref = LookupList(context, key, LookupKind::kWrite, wrong_type);
    if (*wrong_type) return {};
    *found = key;
    if (ref) return ref;
  }
  return {};
}

void PopAndReply(Context& context, KeyRef& ref, std::string_view key, const ListPopRequest& request) {
  List& list = ListOf(ref);
  size_t count = std::min(static_cast<size_t>(request.count), list.length);
  ListPlace place = ListSeek(list, request.left ? 0 : -1);
  {
    OutputBuffer::Bounded bounded;
    for (size_t i = 0; i < count; i++) {
      ReplyItem(context.reply(), place.Get());
      if (i + 1 < count) place = request.left ? ListNext(place) : ListPrevious(place);
    }
  }
  if (count == 1) {
    ListPop(list, request.left);
  } else {
    ListEraseRange(list, request.left ? 0 : list.length - count, count);
  }
  if (!(context.spec().flags & kFast)) {
    // Which of the keys it was, and no waiting.
    std::string number = std::to_string(count);
    Tell(context, {request.left ? "LPOP" : "RPOP", key, number});
  }
  context.Changed(key, kNotifyList, request.left ? "lpop" : "rpop");
  context.CountChanges(static_cast<int64_t>(count) - 1);
  DeleteIfEmpty(context, ref, key);
}

void MoveElement(Context& context, KeyRef& ref, std::string_view from_key, std::string_view to_key, bool from_left,
                 bool to_left) {
  bool wrong_type;
  KeyRef target = LookupList(context, to_key, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  List& list = ListOf(ref);
  char buffer[24];
  std::string_view text = ListSeek(list, from_left ? 0 : -1).Get().Text(buffer);
  context.reply().Bulk(text);
  if (target && &ListOf(target) == &list) {
    // The same list: what is pushed may not lie in it.
    if (list.length > 1 && from_left != to_left) {
      std::string copy(text);
      ListPop(list, from_left);
      ListPush(list, copy, to_left);
    }
  } else {
    if (!target) target = CreateList(context, to_key);
    ListPush(ListOf(target), text, to_left);
    ListPop(list, from_left);
  }
  if (context.spec().flags & kBlocking) {
    Tell(context, {"LMOVE", from_key, to_key, from_left ? "LEFT" : "RIGHT", to_left ? "LEFT" : "RIGHT"});
  }
  context.Changed(to_key, kNotifyList, to_left ? "lpush" : "rpush");
  context.Changed(from_key, kNotifyList, from_left ? "lpop" : "rpop", 0);
  if (list.length == 0) {
    // Creating the target may have moved nothing of the source, but its handle is looked up anew to be safe.
    KeyRef source = context.Lookup(from_key, LookupKind::kPeek);
    DeleteIfEmpty(context, source, from_key);
  }
}

namespace {

constexpr uint32_t kPush = kWrite | kDenyOom | kFast;
constexpr KeySpec kPushKey = KeyAt(1, kKeyRW | kKeyInsert);
constexpr KeySpec kPopKey = KeyAt(1, kKeyRW | kKeyAccess | kKeyDelete);
constexpr KeySpec kReadKey = KeyAt(1, kKeyRO | kKeyAccess);
constexpr const char* kPushCost = "O(N) where N is the number of elements given";
constexpr const char* kMoveCost = "O(1)";

constexpr CommandSpec kRows[] = {
    {"lpush",
     -3,
     kPush,
     {kPushKey},
     kCatList,
     Group::kList,
     "1.0.0",
     kPushCost,
     "Puts elements at the head of a list; creates it when absent.",
     "key element [element ...]",
     Lpush,
     nullptr,
     "",
     nullptr,
     nullptr,
     LpushSeries},
    {"rpush",
     -3,
     kPush,
     {kPushKey},
     kCatList,
     Group::kList,
     "1.0.0",
     kPushCost,
     "Puts elements at the tail of a list; creates it when absent.",
     "key element [element ...]",
     Rpush,
     nullptr,
     "",
     nullptr,
     nullptr,
     RpushSeries},
    {"lpushx",
     -3,
     kPush,
     {kPushKey},
     kCatList,
     Group::kList,
     "2.2.0",
     kPushCost,
     "Puts elements at the head of a list that exists.",
     "key element [element ...]",
     Lpushx},
    {"rpushx",
     -3,
     kPush,
     {kPushKey},
     kCatList,
     Group::kList,
     "2.2.0",
     kPushCost,
     "Puts elements at the tail of a list that exists.",
     "key element [element ...]",
     Rpushx},
    {"linsert",
     5,
     kWrite | kDenyOom,
     {kPushKey},
     kCatList,
     Group::kList,
     "2.2.0",
     "O(N) where N is the number of elements before the pivot",
     "Puts an element before or after another one.",
     "key BEFORE|AFTER pivot element",
     Linsert},
    {"llen",
     2,
     kReadonly | kFast,
     {KeyAt(1, kKeyRO)},
     kCatList,
     Group::kList,
     "1.0.0",
     "O(1)",
     "Counts the elements of a list.",
     "key",
     Llen},
    {"lindex",
     3,
     kReadonly,
     {kReadKey},
     kCatList,
     Group::kList,
     "1.0.0",
     "O(N) where N is the number of elements passed",
     "Answers the element of an index.",
     "key index",
     Lindex},
    {"lset",
     4,
     kWrite | kDenyOom,
     {KeyAt(1, kKeyRW | kKeyUpdate)},
     kCatList,
     Group::kList,
     "1.0.0",
     "O(N) where N is the number of elements passed",
     "Replaces the element of an index.",
     "key index element",
     Lset},
    {"lpop",
     -2,
     kWrite | kFast,
     {kPopKey},
     kCatList,
     Group::kList,
     "1.0.0",
     "O(N) where N is the number of elements taken",
     "Takes elements from the head of a list and answers them.",
     "key [count]",
     Lpop},
    {"rpop",
     -2,
     kWrite | kFast,
     {kPopKey},
     kCatList,
     Group::kList,
     "1.0.0",
     "O(N) where N is the number of elements taken",
     "Takes elements from the tail of a list and answers them.",
     "key [count]",
     Rpop},
    {"lrange",
     4,
     kReadonly,
     {kReadKey},
     kCatList,
     Group::kList,
     "1.0.0",
     "O(S+N) where S is the distance to the start and N the number of elements",
     "Answers a range of elements.",
     "key start stop",
     Lrange},
    {"ltrim",
     4,
     kWrite,
     {KeyAt(1, kKeyRW | kKeyDelete)},
     kCatList,
     Group::kList,
     "1.0.0",
     "O(N) where N is the number of elements removed",
     "Keeps a range of elements and removes the others.",
     "key start stop",
     Ltrim},
    {"lrem",
     4,
     kWrite,
     {KeyAt(1, kKeyRW | kKeyDelete)},
     kCatList,
     Group::kList,
     "1.0.0",
     "O(N) where N is the length of the list",
     "Removes elements equal to the one given.",
     "key count element",
     Lrem},
    {"lpos",
     -3,
     kReadonly,
     {kReadKey},
     kCatList,
     Group::kList,
     "6.0.6",
     "O(N) where N is the number of elements looked at",
     "Answers the index of elements equal to the one given.",
     "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
     Lpos},
    {"rpoplpush",
     3,
     kWrite | kDenyOom,
     {kPopKey, KeyAt(2, kKeyRW | kKeyInsert)},
     kCatList,
     Group::kList,
     "1.2.0",
     kMoveCost,
     "Moves a list's last element to the head of another list.",
     "source destination",
     Rpoplpush,
     nullptr,
     "",
     "`LMOVE` with the `RIGHT` and `LEFT` arguments",
     "6.2.0"},
    {"lmove",
     5,
     kWrite | kDenyOom,
     {kPopKey, KeyAt(2, kKeyRW | kKeyInsert)},
     kCatList,
     Group::kList,
     "6.2.0",
     kMoveCost,
     "Moves an element from an end of a list to an end of another.",
     "source destination LEFT|RIGHT LEFT|RIGHT",
     Lmove},
    {"lmpop",
     -4,
     kWrite,
     {KeyNum(1, 0, 1, 1, kKeyRW | kKeyAccess | kKeyDelete)},
     kCatList,
     Group::kList,
     "7.0.0",
     "O(N+M) where N is the number of keys and M the number of elements taken",
     "Takes elements from the first list that is not empty and answers them.",
     "numkeys key [key ...] LEFT|RIGHT [COUNT count]",
     Lmpop},
};

}  // namespace

const CommandTable kListCommands = kRows;

}  // namespace brim
