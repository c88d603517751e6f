// SORT and SORT_RO.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "commands/arguments.h"
#include "commands/tables.h"
#include "store/shard.h"
#include "types/hash.h"
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
    } else if (ArgIs(context, i, "GET") && left >= 1) {
      options->gets.push_back(context.arg(++i));
    } else {
      context.reply().Error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

struct SortItem {
  std::string text;
  double number = 0;
  std::string by;  // what ALPHA compares with BY
  bool has_by = false;
};

// What a BY or GET pattern names for the element: a string's value, or a hash field's. False when there is none.
bool LookupPattern(Context& context, std::string_view pattern, const std::string& element, std::string* value) {
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
  std::string key = std::string(pattern.substr(0, star)) + element + std::string(rest);
  KeyRef ref = context.Lookup(key, LookupKind::kRead);
  if (!ref) return false;
  char buffer[24];
  std::string_view found;
  if (!field.empty()) {
    if (ref.type() != Type::kHash || !HashGet(ref, field, buffer, &found)) return false;
  } else {
    if (ref.type() != Type::kString) return false;
    found = ReadString(ref, buffer);
  }
  value->assign(found);
  return true;
}

// All elements in the order in which "nosort" gives them.
void CollectItems(KeyRef& ref, const SortOptions& options, std::vector<SortItem>* items) {
  auto add = [items](std::string_view text) { items->emplace_back().text = text; };
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
    default: break;
  }
}

// Finds what each item is compared by. False with the error replied.
bool WeighItems(Context& context, const SortOptions& options, std::vector<SortItem>* items) {
  for (SortItem& item : *items) {
    if (options.has_by) {
      item.has_by = LookupPattern(context, options.by, item.text, &item.by);
      if (options.alpha || !item.has_by) continue;
    }
    if (options.alpha) continue;
    if (ParseDouble(options.has_by ? item.by : item.text, &item.number)) continue;
    // strtod takes the empty text for 0.
    if ((options.has_by ? item.by : item.text).empty()) continue;
    context.reply().Error("ERR One or more scores can't be converted into double");
    return false;
  }
  return true;
}

int CompareItems(const SortItem& a, const SortItem& b, const SortOptions& options) {
  if (!options.alpha) {
    if (a.number != b.number) return a.number < b.number ? -1 : 1;
    return a.text.compare(b.text);
  }
  if (!options.has_by) return a.text.compare(b.text);
  if (!a.has_by || !b.has_by) return a.has_by == b.has_by ? 0 : a.has_by ? 1 : -1;
  return a.by.compare(b.by);
}

// The part of the items that LIMIT leaves.
std::pair<size_t, size_t> Window(const SortOptions& options, size_t size) {
  size_t first = options.offset < 0 ? 0 : std::min(static_cast<size_t>(options.offset), size);
  size_t count = size - first;
  if (options.count >= 0) count = std::min(count, static_cast<size_t>(options.count));
  return {first, count};
}

void StoreItems(Context& context, const SortOptions& options, std::span<const SortItem> items) {
  std::vector<std::pair<bool, std::string>> results;
  for (const SortItem& item : items) {
    if (options.gets.empty()) results.emplace_back(true, item.text);
    for (std::string_view pattern : options.gets) {
      std::string value;
      LookupPattern(context, pattern, item.text, &value);
      results.emplace_back(true, std::move(value));
    }
  }
  bool was = context.Delete(options.target, lazyfree.server_del);
  if (results.empty()) {
    if (was) context.Changed(options.target, kNotifyGeneric, "del");
  } else {
    KeyRef ref = context.Create(options.target, Type::kList, Encoding::kQuicklist, EmptyListBytes());
    InitList(ref);
    for (auto& [there, text] : results) ListPush(*ref.As<List>(), text, false);
    context.Changed(options.target, kNotifyList, "sortstore");
    context.CountChanges(static_cast<int64_t>(results.size()) - 1);
  }
  context.reply().Integer(static_cast<int64_t>(results.size()));
}

void ReplyItems(Context& context, const SortOptions& options, std::span<const SortItem> items) {
  Reply& reply = context.reply();
  reply.ArrayHeader(items.size() * std::max<size_t>(options.gets.size(), 1));
  for (const SortItem& item : items) {
    if (options.gets.empty()) reply.Bulk(item.text);
    for (std::string_view pattern : options.gets) {
      std::string value;
      if (LookupPattern(context, pattern, item.text, &value)) {
        reply.Bulk(value);
      } else {
        reply.Null();
      }
    }
  }
}

void SortGeneric(Context& context, bool may_store) {
  SortOptions options;
  if (!ParseSortOptions(context, may_store, &options)) return;
  KeyRef ref = context.Lookup(context.arg(1), LookupKind::kRead);
  if (ref && ref.type() != Type::kList && ref.type() != Type::kSet && ref.type() != Type::kZset) {
    context.reply().Error(errors::kWrongType);
    return;
  }
  // A stored result must not depend on the order in which a set happens to lie.
  if (ref && ref.type() == Type::kSet && !options.sorts && options.stores) {
    options.sorts = true;
    options.alpha = true;
    options.has_by = false;
  }
  std::vector<SortItem> items;
  if (ref) CollectItems(ref, options, &items);
  if (options.sorts) {
    if (!WeighItems(context, options, &items)) return;
    std::stable_sort(items.begin(), items.end(), [&](const SortItem& a, const SortItem& b) {
      int order = CompareItems(a, b, options);
      return options.descending ? order > 0 : order < 0;
    });
  }
  auto [first, count] = Window(options, items.size());
  std::span<const SortItem> window(items.data() + first, count);
  options.stores ? StoreItems(context, options, window) : ReplyItems(context, options, window);
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
    {"sort", -2, kWrite | kDenyOom | kMovableKeys | kAllShards,
     {KeyAt(1, kKeyRO | kKeyAccess), KeyUnknown(kUnknownRead), KeyUnknown(kUnknownWrite)}, kSortCategories, Group::kGeneric,
     "1.0.0", kSortCost, "Sorts a list, set or sorted set, and answers or stores the result.",
     "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA] [STORE destination]", Sort,
     FindSortKeys},
    {"sort_ro", -2, kReadonly | kMovableKeys | kAllShards, {KeyAt(1, kKeyRO | kKeyAccess), KeyUnknown(kUnknownRead)},
     kSortCategories, Group::kGeneric, "7.0.0", kSortCost, "Sorts a list, set or sorted set and answers the result.",
     "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA]", SortRo},
};

}  // namespace

const CommandTable kSortCommands = kRows;

}  // namespace brim
