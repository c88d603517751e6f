// APPEND, GETRANGE, SETRANGE, SUBSTR, LCS: parts of strings.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/numbers.h"
#include "command/context.h"
#include "commands/arguments.h"
#include "commands/string_store.h"
#include "commands/tables.h"
#include "types/string.h"

namespace brim {

namespace {

void Append(Context& context) {
  std::string_view key = context.arg(1);
  std::string_view more = context.arg(2);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kString, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  size_t size = more.size();
  if (!ref) {
    StoreString(context, ref, key, more, -1);
  } else {
    size_t before = StringLength(ref);
    size += before;
    if (StringTooLong(context, size)) return;
    char* bytes = ResizeString(ref, size);
    memcpy(bytes + before, more.data(), more.size());
  }
  context.Changed(key, kNotifyString, "append");
  context.reply().Integer(static_cast<int64_t>(size));
}

void Getrange(Context& context) {
  int64_t start;
  int64_t end;
  if (!ParseIntArg(context, 2, &start) || !ParseIntArg(context, 3, &end)) return;
  bool wrong_type;
  KeyRef ref = context.LookupTyped(context.arg(1), Type::kString, LookupKind::kRead, &wrong_type);
  if (wrong_type) return;
  if (!ref) {
    context.reply().Bulk("");
    return;
  }
  char buffer[24];
  std::string_view text = ReadString(ref, buffer);
  auto size = static_cast<int64_t>(text.size());
  if (start < 0 && end < 0 && start > end) {
    context.reply().Bulk("");
    return;
  }
  if (start < 0) start = std::max<int64_t>(size + start, 0);
  if (end < 0) end = std::max<int64_t>(size + end, 0);
  end = std::min(end, size - 1);
  if (start > end || size == 0) {
    context.reply().Bulk("");
    return;
  }
  std::string_view part = text.substr(static_cast<size_t>(start), static_cast<size_t>(end - start + 1));
  Blob* blob = BlobOf(ref);
  if (blob != nullptr && part.size() >= kBlobBytes) {
    blob->Retain();
    context.reply().BulkShared(
        part.data(), part.size(), [](void* b) { static_cast<Blob*>(b)->Release(); }, blob);
  } else {
    context.reply().Bulk(part);
  }
}

void Setrange(Context& context) {
  int64_t offset;
  if (!ParseIntArg(context, 2, &offset)) return;
  if (offset < 0) {
    context.reply().Error("ERR offset is out of range");
    return;
  }
  std::string_view key = context.arg(1);
  std::string_view text = context.arg(3);
  bool wrong_type;
  KeyRef ref = context.LookupTyped(key, Type::kString, LookupKind::kWrite, &wrong_type);
  if (wrong_type) return;
  size_t before = ref ? StringLength(ref) : 0;
  if (text.empty()) {
    context.reply().Integer(static_cast<int64_t>(before));
    return;
  }
  uint64_t end = static_cast<uint64_t>(offset) + text.size();
  if (StringTooLong(context, end)) return;
  if (end > before) RequireRoom(end - before);
  if (!ref) {
    StringForm form = PlanRawString(0);
    ref = context.Create(key, Type::kString, form.encoding, form.bytes);
    WriteString(ref.data(), form, "");
  }
  char* bytes = ResizeString(ref, std::max<size_t>(before, end));
  memcpy(bytes + offset, text.data(), text.size());
  context.Changed(key, kNotifyString, "setrange");
  context.reply().Integer(static_cast<int64_t>(std::max<size_t>(before, end)));
}

struct LcsOptions {
  bool length = false;
  bool index = false;
  bool match_length = false;
  int64_t min_match = 0;
};

bool ParseLcsOptions(Context& context, LcsOptions* options) {
  for (size_t i = 3; i < context.argc(); i++) {
    if (ArgIs(context, i, "IDX")) {
      options->index = true;
    } else if (ArgIs(context, i, "LEN")) {
      options->length = true;
    } else if (ArgIs(context, i, "WITHMATCHLEN")) {
      options->match_length = true;
    } else if (ArgIs(context, i, "MINMATCHLEN") && i + 1 < context.argc()) {
      if (!ParseIntArg(context, ++i, &options->min_match)) return false;
      options->min_match = std::max<int64_t>(options->min_match, 0);
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  if (options->length && options->index) {
    context.reply().Error("ERR If you want both the length and indexes, please just use IDX.");
    return false;
  }
  return true;
}

// The classic table: cell (i, j) is the length for the first i of a and the first j of b.
class LcsTable {
 public:
  LcsTable(std::string_view a, std::string_view b) : a_(a), b_(b), width_(b.size() + 1) {
    cells_.resize((a.size() + 1) * width_);
    for (size_t i = 1; i <= a.size(); i++) {
      for (size_t j = 1; j <= b.size(); j++) {
        At(i, j) = a[i - 1] == b[j - 1] ? At(i - 1, j - 1) + 1 : std::max(At(i - 1, j), At(i, j - 1));
      }
    }
  }
  uint32_t& At(size_t i, size_t j) { return cells_[i * width_ + j]; }
  uint32_t length() { return At(a_.size(), b_.size()); }

  struct Match {
    size_t a_first, a_last, b_first, b_last;
  };
  // Walks back from the end; fills the common string, and calls fn for each stretch, last stretch first.
  template <class Fn>
  void WalkBack(std::string* common, Fn&& fn) {
    size_t i = a_.size();
    size_t j = b_.size();
    size_t left = length();
    common->resize(left);
    Match match{};
    bool open = false;
    while (i > 0 && j > 0) {
      bool close = false;
      if (a_[i - 1] == b_[j - 1]) {
        (*common)[--left] = a_[i - 1];
        if (!open) {
          match = {i - 1, i - 1, j - 1, j - 1};
          open = true;
        } else if (match.a_first == i && match.b_first == j) {
          match.a_first--;
          match.b_first--;
        } else {
          fn(match);
          match = {i - 1, i - 1, j - 1, j - 1};
        }
        i--;
        j--;
      } else {
        close = open;
        if (At(i - 1, j) > At(i, j - 1)) {
          i--;
        } else {
          j--;
        }
      }
      if (close) {
        fn(match);
        open = false;
      }
    }
    if (open) fn(match);
  }

 private:
  std::string_view a_;
  std::string_view b_;
  size_t width_;
  std::vector<uint32_t> cells_;
};

void ReplyMatches(Context& context, LcsTable& table, const LcsOptions& options) {
  Reply& reply = context.reply();
  std::string common;
  std::vector<LcsTable::Match> matches;
  table.WalkBack(&common, [&](const LcsTable::Match& m) {
    if (static_cast<int64_t>(m.a_last - m.a_first + 1) >= options.min_match) matches.push_back(m);
  });
  reply.MapHeader(2);
  reply.Bulk("matches");
  reply.ArrayHeader(matches.size());
  for (const auto& m : matches) {
    reply.ArrayHeader(options.match_length ? 3 : 2);
    reply.ArrayHeader(2);
    reply.Integer(static_cast<int64_t>(m.a_first));
    reply.Integer(static_cast<int64_t>(m.a_last));
    reply.ArrayHeader(2);
    reply.Integer(static_cast<int64_t>(m.b_first));
    reply.Integer(static_cast<int64_t>(m.b_last));
    if (options.match_length) reply.Integer(static_cast<int64_t>(m.a_last - m.a_first + 1));
  }
  reply.Bulk("len");
  reply.Integer(table.length());
}

void Lcs(Context& context) {
  std::string texts[2];
  bool strings = true;
  for (size_t k = 0; k < 2; k++) {
    KeyRef ref = context.Lookup(context.arg(k + 1), LookupKind::kRead);
    strings = strings && (!ref || ref.type() == Type::kString);
    char buffer[24];
    if (ref && strings) texts[k] = ReadString(ref, buffer);
  }
  if (!strings) {
    context.reply().Error("ERR The specified keys must contain string values");
    return;
  }
  LcsOptions options;
  if (!ParseLcsOptions(context, &options)) return;
  if (texts[0].size() >= UINT32_MAX - 1 || texts[1].size() >= UINT32_MAX - 1) {
    context.reply().Error("ERR String too long for LCS");
    return;
  }
  unsigned __int128 cells = static_cast<unsigned __int128>(texts[0].size() + 1) * (texts[1].size() + 1);
  if (cells * sizeof(uint32_t) > static_cast<unsigned __int128>(encoding_limits.max_bulk_bytes)) {
    context.reply().Error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    return;
  }
  LcsTable table(texts[0], texts[1]);
  if (options.index) {
    ReplyMatches(context, table, options);
  } else if (options.length) {
    context.reply().Integer(table.length());
  } else {
    std::string common;
    table.WalkBack(&common, [](const LcsTable::Match&) {});
    context.reply().Bulk(common);
  }
}

constexpr KeySpec kReadKey = KeyAt(1, kKeyRO | kKeyAccess);

constexpr CommandSpec kRows[] = {
    {"append",
     3,
     kWrite | kDenyOom | kFast,
     {KeyAt(1, kKeyRW | kKeyInsert)},
     kCatString,
     Group::kString,
     "2.0.0",
     "O(1) amortized for a small string",
     "Adds text to the end of the key's string.",
     "key value",
     Append},
    {"getrange",
     4,
     kReadonly,
     {kReadKey},
     kCatString,
     Group::kString,
     "2.4.0",
     "O(N) where N is the length of the answer",
     "Answers a part of the key's string.",
     "key start end",
     Getrange},
    {"substr",
     4,
     kReadonly,
     {kReadKey},
     kCatString,
     Group::kString,
     "1.0.0",
     "O(N) where N is the length of the answer",
     "Answers a part of the key's string.",
     "key start end",
     Getrange,
     nullptr,
     "",
     "`GETRANGE`",
     "2.0.0"},
    {"setrange",
     4,
     kWrite | kDenyOom,
     {KeyAt(1, kKeyRW | kKeyUpdate)},
     kCatString,
     Group::kString,
     "2.2.0",
     "O(M) where M is the length of the value",
     "Overwrites a part of the key's string, padded with zero bytes.",
     "key offset value",
     Setrange},
    {"lcs",
     -3,
     kReadonly,
     {KeyRange(1, 1, 1, kKeyRO | kKeyAccess)},
     kCatString,
     Group::kString,
     "7.0.0",
     "O(N*M) where N and M are the lengths of the strings",
     "Finds the longest common subsequence of two strings.",
     "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
     Lcs},
};

}  // namespace

const CommandTable kStringRangeCommands = kRows;

}  // namespace brim
