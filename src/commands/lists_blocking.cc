// BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.
#include <algorithm>

#include "commands/arguments.h"
#include "commands/lists.h"
#include "commands/tables.h"
#include "commands/timeout.h"
#include "types/list.h"

namespace brim {

namespace {

using Keys = std::span<const std::string_view>;

void BlockOn(Context& context, Keys keys, int64_t timeout_ms) {
  BlockRequest request;
  request.type = Type::kList;
  request.keys = keys;
  request.timeout_ms = timeout_ms;
  context.Block(request);
}

void BlockingPop(Context& context, bool left) {
  int64_t timeout_ms;
  if (!ParseTimeout(context, context.argc() - 1, &timeout_ms)) return;
  Keys keys = context.argv().subspan(1, context.argc() - 2);
  std::string_view key;
  bool wrong_type;
  KeyRef ref = FirstList(context, keys, &key, &wrong_type);
  if (wrong_type) return;
  if (ref) {
    context.reply().ArrayHeader(2);
    context.reply().Bulk(key);
    PopAndReply(context, ref, key, {left, 1});
  } else if (context.may_block()) {
    BlockOn(context, keys, timeout_ms);
  } else {
    context.reply().NullArray();
  }
}

void Blpop(Context& context) { BlockingPop(context, true); }
void Brpop(Context& context) { BlockingPop(context, false); }

void Blmpop(Context& context) {
  int64_t timeout_ms;
  Keys keys;
  ListPopRequest request;
  if (!ParseListMultiPop(context, 2, &keys, &request) || !ParseTimeout(context, 1, &timeout_ms)) return;
  std::string_view key;
  bool wrong_type;
  KeyRef ref = FirstList(context, keys, &key, &wrong_type);
  if (wrong_type) return;
  if (ref) {
    context.reply().ArrayHeader(2);
    context.reply().Bulk(key);
    context.reply().ArrayHeader(static_cast<size_t>(std::min(request.count, static_cast<int64_t>(ListLength(ref)))));
    PopAndReply(context, ref, key, request);
  } else if (context.may_block()) {
    BlockOn(context, keys, timeout_ms);
  } else {
    context.reply().NullArray();
  }
}

void BlockingMove(Context& context, bool from_left, bool to_left, size_t timeout_arg) {
  int64_t timeout_ms;
  if (!ParseTimeout(context, timeout_arg, &timeout_ms)) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kList, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  if (ref) {
    MoveElement(context, ref, context.arg(1), context.arg(2), from_left, to_left);
  } else if (context.may_block()) {
    BlockOn(context, context.argv().subspan(1, 1), timeout_ms);
  } else {
    context.reply().Null();
  }
}

void Brpoplpush(Context& context) { BlockingMove(context, false, true, 3); }

void Blmove(Context& context) {
  bool from_left;
  bool to_left;
  if (!ParseSide(context, 3, &from_left) || !ParseSide(context, 4, &to_left)) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  BlockingMove(context, from_left, to_left, 5);
}

constexpr uint32_t kBlockingPop = kWrite | kNoScript | kBlocking;
constexpr int kPopFlags = kKeyRW | kKeyAccess | kKeyDelete;
constexpr const char* kPopCost = "O(N) where N is the number of keys";

constexpr CommandSpec kRows[] = {
    {"blpop",
     -3,
     kBlockingPop,
     {KeyRange(1, -2, 1, kPopFlags)},
     kCatList,
     Group::kList,
     "2.0.0",
     kPopCost,
     "Takes the first element of the first list that has one; waits for it.",
     "key [key ...] timeout",
     Blpop},
    {"brpop",
     -3,
     kBlockingPop,
     {KeyRange(1, -2, 1, kPopFlags)},
     kCatList,
     Group::kList,
     "2.0.0",
     kPopCost,
     "Takes the last element of the first list that has one; waits for it.",
     "key [key ...] timeout",
     Brpop},
    {"blmpop",
     -5,
     kWrite | kBlocking,
     {KeyNum(2, 0, 1, 1, kPopFlags)},
     kCatList,
     Group::kList,
     "7.0.0",
     "O(N+M) where N is the number of keys and M the number of elements taken",
     "Takes elements from the first list that has some; waits for it.",
     "timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]",
     Blmpop},
    {"blmove",
     6,
     kBlockingPop | kDenyOom,
     {KeyAt(1, kPopFlags), KeyAt(2, kKeyRW | kKeyInsert)},
     kCatList,
     Group::kList,
     "6.2.0",
     "O(1)",
     "Moves an element from an end of a list to an end of another; waits for it.",
     "source destination LEFT|RIGHT LEFT|RIGHT timeout",
     Blmove},
    {"brpoplpush",
     4,
     kBlockingPop | kDenyOom,
     {KeyAt(1, kPopFlags), KeyAt(2, kKeyRW | kKeyInsert)},
     kCatList,
     Group::kList,
     "2.2.0",
     "O(1)",
     "Moves a list's last element to the head of another; waits for it.",
     "source destination timeout",
     Brpoplpush,
     nullptr,
     "",
     "`BLMOVE` with the `RIGHT` and `LEFT` arguments",
     "6.2.0"},
};

}  // namespace

const CommandTable kListBlockingCommands = kRows;

}  // namespace brim
