// HRANDFIELD and HSCAN.
#include "commands/hash_fields.h"

#include <algorithm>

#include "commands/arguments.h"
#include "commands/scan_options.h"
#include "types/hash.h"

namespace brim {

namespace {

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
  if (distinct) picks = std::min(picks, HashLength(ref));
  bool nested = with_values && reply.version() >= 3;
  reply.ArrayHeader(with_values && !nested ? picks * 2 : picks);
  auto answer = [&](std::string_view field, std::string_view value) {
    if (nested) reply.ArrayHeader(2);
    reply.Bulk(field);
    if (with_values) reply.Bulk(value);
  };
  if (!distinct) {
    HashDraw(ref, picks, answer);
  } else if (picks == HashLength(ref)) {
    HashForEach(ref, answer);
  } else {
    HashSample(ref, picks, answer);
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
  if (ref) {
    HashRandom(ref, [&](std::string_view field, std::string_view) { context.reply().Bulk(field); });
  } else {
    context.reply().Null();
  }
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
    cursor = HashScan(ref, cursor, [&](std::string_view field, std::string_view value) {
      visited++;
      if (!options.Wants(field)) return;
      found.Add(field);
      found.Add(value);
    });
    if (cursor == 0) break;
  }
  found.Send(context, cursor);
}

}  // namespace brim
