#include "commands/scan_options.h"

#include "base/ascii.h"
#include "base/glob.h"
#include "commands/arguments.h"
#include "types/packed_text.h"

namespace brim {

bool ScanOptions::Wants(std::string_view text) const { return !has_pattern || GlobMatch(pattern, text, false); }

// As redis-server reads it, by strtoul: a sign is taken, a blank in front is not, "" is 0, too big is refused.
bool ParseCursorArg(Context& context, size_t i, uint64_t* cursor) {
  std::string_view text = context.arg(i).substr(0, context.arg(i).find('\0'));
  size_t at = 0;
  bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) at = 1;
  bool valid = text.empty() || at < text.size();
  uint64_t value = 0;
  for (; valid && at < text.size(); at++) {
    auto digit = static_cast<unsigned char>(text[at] - '0');
    valid = digit <= 9 && !__builtin_mul_overflow(value, uint64_t{10}, &value) &&
            !__builtin_add_overflow(value, uint64_t{digit}, &value);
  }
  if (!valid) {
    context.reply().Error("ERR invalid cursor");
    return false;
  }
  *cursor = negative ? 0 - value : value;
  return true;
}

bool ParseScanWords(Context& context, size_t first, bool with_type, ScanOptions* options) {
  for (size_t i = first; i < context.argc(); i += 2) {
    bool has_value = i + 1 < context.argc();
    if (has_value && ArgIs(context, i, "COUNT")) {
      int64_t count;
      if (!ParseIntArg(context, i + 1, &count)) return false;
      if (count < 1) {
        context.reply().Error(errors::kSyntax);
        return false;
      }
      options->count = static_cast<size_t>(count);
    } else if (has_value && ArgIs(context, i, "MATCH")) {
      options->has_pattern = context.arg(i + 1) != "*";
      options->pattern = options->has_pattern ? context.arg(i + 1) : std::string_view();
    } else if (has_value && with_type && ArgIs(context, i, "TYPE")) {
      options->unknown_type = true;
      for (Type type : {Type::kString, Type::kList, Type::kSet, Type::kZset, Type::kHash, Type::kStream}) {
        if (!ArgIs(context, i + 1, TypeName(type))) continue;
        options->type = type;
        options->unknown_type = false;
      }
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

bool ParseScanOptions(Context& context, size_t i, bool with_type, ScanOptions* options) {
  return ParseCursorArg(context, i, &options->cursor) && ParseScanWords(context, i + 1, with_type, options);
}

void ScanReply::Add(std::string_view text) {
  size_t at = packed_.size();
  packed_.resize(at + PackedTextBytes(text.size()));
  PackText(reinterpret_cast<uint8_t*>(packed_.data()) + at, text);
  count_++;
}

void ScanReply::Send(Context& context, uint64_t cursor) const {
  Reply& reply = context.reply();
  reply.ArrayHeader(2);
  reply.BulkInt(static_cast<int64_t>(cursor));
  reply.ArrayHeader(count_);
  const char* at = packed_.data();
  for (size_t i = 0; i < count_; i++) {
    std::string_view text = UnpackText(at);
    reply.Bulk(text);
    at = text.data() + text.size();
  }
}

}  // namespace brim
