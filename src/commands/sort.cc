// SORT and SORT_RO.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "commands/live_fields.h"
#include "commands/tables.h"
#include "store/shard.h"
#include "types/list.h"
#include "types/set.h"
#include "types/string.h"
#include "types/zset.h"

namespace brim {

namespace {

struct SortOptions {
  bool descending = false;
  bool alpha = false;
  bool sorts = true;  // false: BY a pattern without a star
  bool has_by = false;
  std::string_view by;
  std::vector<std::string_view> gets;
  int64_t offset = 0;
  int64_t count = -1;
  bool stores = false;
  std::string_view target;
};

// The keys that a pattern reaches cannot be told before. False with the error replied.
bool MayReach(Context& context, const char* option) {
  if (may_read_every_key == nullptr || may_read_every_key(context)) return true;
  context.reply().Error(std::string("ERR ") + option + " option of SORT denied due to insufficient ACL permissions.");
  return false;
}

bool ParseSortOptions(Context& context, bool may_store, SortOptions* options) {
  size_t argc = context.argc();
  for (size_t i = 2; i < argc; i++) {
    size_t left = argc - i - 1;
    if (ArgIs(context, i, "ASC")) {
      options->descending = false;
    } else if (ArgIs(context, i, "DESC")) {
      options->descending = true;
    } else if (ArgIs(context, i, "ALPHA")) {
      options->alpha = true;
    } else if (ArgIs(context, i, "LIMIT") && left >= 2) {
      if (!ParseIntArg(context, i + 1, &options->offset) || !ParseIntArg(context, i + 2, &options->count)) return false;
      i += 2;
    } else if (may_store && ArgIs(context, i, "STORE") && left >= 1) {
      options->stores = true;
      options->target = context.arg(++i);
    } else if (ArgIs(context, i, "BY") && left >= 1) {
      options->by = context.arg(++i);
      options->has_by = true;
      options->sorts = options->by.find('*') != std::string_view::npos;
      if (options->sorts && !MayReach(context, "BY")) return false;
    } else if (ArgIs(context, i, "GET") && left >= 1) {
      options->gets.push_back(context.arg(++i));
      if (!MayReach(context, "GET")) return false;
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

// What a BY or GET pattern names for an element: the element, a string's value or a hash field's.
class PatternReader {
 public:
  explicit PatternReader(Context& context) : context_(context) {}

  // False when there is none. The text is valid until the next call.
  bool Find(std::string_view pattern, std::string_view element, std::string_view* value) {
    if (pattern == "#") {
      *value = element;
      return true;
    }
    size_t star = pattern.find('*');
    if (star == std::string_view::npos) return false;
    std::string_view rest = pattern.substr(star + 1);
    std::string_view field;
    size_t arrow = rest.find("->");
    if (arrow != std::string_view::npos && arrow + 2 < rest.size()) {
      field = rest.substr(arrow + 2);
      rest = rest.substr(0, arrow);
    }
    key_.assign(pattern.substr(0, star)).append(element).append(rest);
    ref_ = context_.Lookup(key_, LookupKind::kRead);
    if (!ref_) return false;
    if (!field.empty()) {
      if (ref_.type() != Type::kHash) return false;
      if (HashIsTimed(ref_)) ExpireNamed(context_, &ref_, {&field, 1}, 1);
      return LiveGet(context_, ref_, field, buffer_, value);
    }
    if (ref_.type() != Type::kString) return false;
    *value = ReadString(ref_, buffer_);
    return true;
  }

 private:
  Context& context_;
  std::string key_;
  KeyRef ref_;
  char buffer_[24];
};

struct SortItem {
  std::string text;
  std::string by;  // what ALPHA compares with BY
  bool has_by = false;
};

// What the sorting moves about.
struct SortRow {
  double number;
  const SortItem* item;
};

// All elements in the order in which "nosort" gives them.
void CollectItems(KeyRef& ref, const SortOptions& options, std::vector<SortItem>* items) {
  size_t bytes = 0;
  size_t asked = 0;
  auto add = [&](std::string_view text) {
    items->emplace_back().text = text;
    bytes += 2 * sizeof(SortItem) + sizeof(SortRow) + text.size();  // growing takes twice its size at times
    if (bytes - asked < OutputBuffer::kAskedBytes) return;
    asked = bytes;
    RequireReplyRoom(bytes);
  };
  bool reversed = !options.sorts && options.descending;
  char buffer[24];
  switch (ref.type()) {
    case Type::kList: {
      const List& list = *ref.As<List>();
      for (ListPlace place = ListSeek(list, 0); place; place = ListNext(place)) add(place.Get().Text(buffer));
      if (reversed) std::reverse(items->begin(), items->end());
      break;
    }
    case Type::kSet:
      SetForEach(ref, [&](const SetMember& member) {
        add(member.text);
        return true;
      });
      break;
    case Type::kZset:
      ZsetForRanks(ref, {0, ZsetLength(ref)}, reversed, [&](std::string_view member, double) {
        add(member);
        return true;
      });
      break;
    default:
      break;
  }
}

// A score as strtod reads it, blanks in front included; not a number, and neither too large nor too small a one.
bool ReadScore(std::string_view text, double* score) {
  auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), *score);
  if (error == std::errc() && stop == text.data() + text.size() && (*score == 0 || std::isnormal(*score))) return true;
  std::string copy(text);
  char* end;
  errno = 0;
  *score = strtod(copy.c_str(), &end);
  return *end == 0 && errno != ERANGE && !std::isnan(*score);
}

// Finds what each item is compared by. False with the error replied.
bool WeighItems(Context& context, const SortOptions& options, std::vector<SortItem>* items,
                std::vector<SortRow>* rows) {
  PatternReader reader(context);
  rows->reserve(items->size());
  bool sound = true;
  for (SortItem& item : *items) {
    SortRow& row = rows->emplace_back(0.0, &item);
    std::string_view by = item.text;
    if (options.has_by) {
      item.has_by = reader.Find(options.by, item.text, &by);
      if (!item.has_by) continue;
      if (options.alpha) item.by = by;
    }
    if (!options.alpha && !ReadScore(by, &row.number)) sound = false;
  }
  if (!sound) context.reply().Error("ERR One or more scores can't be converted into double");
  return sound;
}

// In the order of the locale (LC_COLLATE), but by bytes for what is stored.
int CompareTexts(const std::string& a, const std::string& b, const SortOptions& options) {
  return options.stores ? a.compare(b) : strcoll(a.c_str(), b.c_str());
}

int CompareRows(const SortRow& a, const SortRow& b, const SortOptions& options) {
  if (!options.alpha) {
    if (a.number != b.number) return a.number < b.number ? -1 : 1;
    return a.item->text.compare(b.item->text);
  }
  if (!options.has_by) return CompareTexts(a.item->text, b.item->text, options);
  if (!a.item->has_by || !b.item->has_by) return a.item->has_by - b.item->has_by;
  return CompareTexts(a.item->by, b.item->by, options);
}

// Sorts so far that the rows of [first, first + count) are right. Equal ones stay in their order.
void SortRows(const SortOptions& options, std::vector<SortRow>* rows, size_t first, size_t count) {
  auto before = [&options](const SortRow& a, const SortRow& b) {
    int order = CompareRows(a, b, options);
    if (order == 0) return a.item < b.item;
    return options.descending ? order > 0 : order < 0;
  };
  auto stop = rows->begin() + static_cast<std::ptrdiff_t>(first + count);
  if (first + count < rows->size() / 8) {
    std::partial_sort(rows->begin(), stop, rows->end(), before);
  } else {
    std::sort(rows->begin(), rows->end(), before);
  }
}

// The part of the items that LIMIT leaves.
std::pair<size_t, size_t> Window(const SortOptions& options, size_t size) {
  size_t first = options.offset < 0 ? 0 : std::min(static_cast<size_t>(options.offset), size);
  size_t count = size - first;
  if (options.count >= 0) count = std::min(count, static_cast<size_t>(options.count));
  return {first, count};
}

// Calls fn(found, text) for each text of the result.
template <class Fn>
void ForEachResult(Context& context, const SortOptions& options, std::span<const SortRow> rows, Fn&& fn) {
  PatternReader reader(context);
  for (const SortRow& row : rows) {
    if (options.gets.empty()) fn(true, std::string_view(row.item->text));
    for (std::string_view pattern : options.gets) {
      std::string_view value;
      bool found = reader.Find(pattern, row.item->text, &value);
      fn(found, value);
    }
  }
}

void StoreRows(Context& context, const SortOptions& options, std::span<const SortRow> rows) {
  // Read in full first: a pattern may name the target.
  std::vector<std::string> results;
  results.reserve(rows.size() * std::max<size_t>(options.gets.size(), 1));
  ForEachResult(context, options, rows,
                [&](bool found, std::string_view text) { results.emplace_back(found ? text : ""); });
  bool was = context.Delete(options.target, lazyfree.server_del);
  if (results.empty()) {
    if (was) context.Changed(options.target, kNotifyGeneric, "del");
  } else {
    KeyRef ref =
        context.CreateIn(context.db(), options.target, Type::kList, Encoding::kQuicklist, EmptyListBytes(), -1, was);
    InitList(ref);
    for (const std::string& text : results) ListPush(*ref.As<List>(), text, false);
    context.Changed(options.target, kNotifyList, "sortstore");
    context.CountChanges(static_cast<int64_t>(results.size()) - 1);
  }
  context.reply().Integer(static_cast<int64_t>(results.size()));
}

void ReplyRows(Context& context, const SortOptions& options, std::span<const SortRow> rows) {
  Reply& reply = context.reply();
  reply.ArrayHeader(rows.size() * std::max<size_t>(options.gets.size(), 1));
  ForEachResult(context, options, rows,
                [&](bool found, std::string_view text) { found ? reply.Bulk(text) : reply.Null(); });
}

void SortGeneric(Context& context, bool may_store) {
  SortOptions options;
  if (!ParseSortOptions(context, may_store, &options)) return;
  KeyRef ref = context.Lookup(context.arg(1), LookupKind::kRead);
  if (ref && ref.type() != Type::kList && ref.type() != Type::kSet && ref.type() != Type::kZset) {
    context.reply().Error(errors::kWrongType);
    return;
  }
  // What is stored, or what a script goes on with, must not depend on the order in which a set happens to lie.
  if (ref && ref.type() == Type::kSet && !options.sorts && (options.stores || IsInScript(context))) {
    options.sorts = true;
    options.alpha = true;
    options.has_by = false;
  }
  // redis-server turns a sorted set that it sorts into its large form; OBJECT ENCODING tells.
  if (ref && ref.type() == Type::kZset) ZsetConvertToTree(ref);
  std::vector<SortItem> items;
  if (ref) CollectItems(ref, options, &items);
  auto [first, count] = Window(options, items.size());
  std::vector<SortRow> rows;
  if (options.sorts) {
    if (!WeighItems(context, options, &items, &rows)) return;
    SortRows(options, &rows, first, count);
  } else {
    rows.reserve(items.size());
    for (const SortItem& item : items) rows.emplace_back(0.0, &item);
  }
  std::span<const SortRow> window(rows.data() + first, count);
  options.stores ? StoreRows(context, options, window) : ReplyRows(context, options, window);
}

void Sort(Context& context) { SortGeneric(context, true); }
void SortRo(Context& context) { SortGeneric(context, false); }

// The key and, last given, STORE's.
bool FindSortKeys(std::span<const std::string_view> argv, KeyPosition* keys, size_t max, size_t* count) {
  size_t store = 0;
  for (size_t i = 2; i < argv.size(); i++) {
    if (EqualsNoCase(argv[i], "LIMIT")) {
      i += 2;
    } else if (EqualsNoCase(argv[i], "GET") || EqualsNoCase(argv[i], "BY")) {
      i++;
    } else if (EqualsNoCase(argv[i], "STORE") && i + 1 < argv.size()) {
      store = ++i;
    }
  }
  *count = 0;
  if (max > 0) keys[(*count)++] = {1, kKeyRO | kKeyAccess};
  if (store != 0 && *count < max) keys[(*count)++] = {static_cast<uint32_t>(store), kKeyOW | kKeyUpdate};
  return true;
}

constexpr uint32_t kSortCategories = kCatSet | kCatSortedSet | kCatList | kCatDangerous;
constexpr const char* kSortCost = "O(N+M*log(M)) where N is the number of elements and M the number of those answered";
constexpr int kUnknownRead = kKeyRO | kKeyAccess;
constexpr int kUnknownWrite = kKeyOW | kKeyUpdate;

// Patterns may name any key: every shard is locked.
constexpr CommandSpec kRows[] = {
    {"sort",
     -2,
     kWrite | kDenyOom | kMovableKeys | kAllShards,
     {KeyAt(1, kKeyRO | kKeyAccess), KeyUnknown(kUnknownRead), KeyUnknown(kUnknownWrite)},
     kSortCategories,
     Group::kGeneric,
     "1.0.0",
     kSortCost,
     "Sorts a list, set or sorted set, and answers or stores the result.",
     "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA] [STORE destination]",
     Sort,
     FindSortKeys},
    {"sort_ro",
     -2,
     kReadonly | kMovableKeys | kAllShards,
     {KeyAt(1, kKeyRO | kKeyAccess), KeyUnknown(kUnknownRead)},
     kSortCategories,
     Group::kGeneric,
     "7.0.0",
     kSortCost,
     "Sorts a list, set or sorted set and answers the result.",
     "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA]",
     SortRo},
};

}  // namespace

const CommandTable kSortCommands = kRows;

}  // namespace brim
