// HRANDFIELD and HSCAN.
#include "commands/hash_fields.h"

#include <algorithm>

#include "commands/arguments.h"
#include "commands/live_fields.h"
#include "commands/scan_options.h"

namespace brim {

namespace {

constexpr size_t kHiddenAStep = 64;

void ReplyRandomFields(Context& context, int64_t count, bool with_values) {
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  Reply& reply = context.reply();
  if (!ref || count == 0) {
    reply.ArrayHeader(0);
    return;
  }
  bool distinct = count > 0;
  auto picks = static_cast<size_t>(distinct ? count : -count);
  int64_t now_ms = LiveTime(context);
  size_t length = HashLiveLength(ref, now_ms);
  if (distinct || length == 0) picks = std::min(picks, length);
  bool nested = with_values && reply.version() >= 3;
  reply.ArrayHeader(with_values && !nested ? picks * 2 : picks);
  auto answer = [&](std::string_view field, std::string_view value) {
    if (nested) reply.ArrayHeader(2);
    reply.Bulk(field);
    if (with_values) reply.Bulk(value);
  };
  if (distinct && picks == length) {
    HashForEachLive(ref, now_ms, answer);
  } else {
    HashSampleLive(ref, now_ms, picks, distinct, answer);
  }
}

}  // namespace

void Hrandfield(Context& context) {
  if (context.argc() > 2) {
    int64_t count;
    if (!ParseRangeArg(context, 2, -INT64_MAX, INT64_MAX, &count)) return;
    bool with_values = context.argc() == 4 && ArgIs(context, 3, "WITHVALUES");
    if (context.argc() > 3 && !with_values) {
      context.reply().Error(errors::kSyntax);
    } else if (with_values && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2)) {
      context.reply().Error("ERR value is out of range");
    } else {
      ReplyRandomFields(context, count, with_values);
    }
    return;
  }
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  bool any = false;
  if (ref) {
    HashSampleLive(ref, LiveTime(context), 1, false, [&](std::string_view field, std::string_view) {
      context.reply().Bulk(field);
      any = true;
    });
  }
  if (!any) context.reply().Null();
}

void Hscan(Context& context) {
  ScanOptions options;
  if (!ParseCursorArg(context, 2, &options.cursor)) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kHash, LookupKind::kRead, &wrong_type);
  if (wrong_type || (ref && !ParseScanWords(context, 3, false, &options))) return;
  ScanReply found;
  uint64_t cursor = ref ? options.cursor : 0;
  for (size_t visited = 0; ref && visited < options.count;) {
    size_t before = visited;
    cursor = HashScanLive(ref, cursor, LiveTime(context), [&](std::string_view field, std::string_view value) {
      visited++;
      if (!options.Wants(field)) return;
      found.Add(field);
      found.Add(value);
    });
    if (cursor == 0) break;
    if (visited == before) visited += kHiddenAStep;  // nothing to show here: not for ever on
  }
  found.Send(context, cursor);
}

}  // namespace brim
