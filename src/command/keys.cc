#include "command/keys.h"

#include <algorithm>

#include "base/ascii.h"

namespace brim {

namespace {

bool AddRange(const KeySpec& spec, size_t begin, size_t argc, std::vector<KeyPosition>* keys) {
  int64_t last = spec.last >= 0 ? static_cast<int64_t>(begin) + spec.last : static_cast<int64_t>(argc) + spec.last;
  if (spec.last < 0 && spec.limit > 1) {
    last = static_cast<int64_t>(begin) + (static_cast<int64_t>(argc) - static_cast<int64_t>(begin)) / spec.limit - 1;
  }
  if (last >= static_cast<int64_t>(argc)) return false;
  for (auto i = static_cast<int64_t>(begin); i <= last; i += spec.step)
    keys->push_back({static_cast<uint32_t>(i), spec.flags});
  return true;
}

// The number at the beginning, 0 when there is none: redis-server finds the keys of "1e3" or "1\0" like those of 1,
// though the command will refuse it. False when it is negative, or beyond any request's size.
bool ReadLeadingNumber(std::string_view text, int64_t* number) {
  size_t at = 0;
  while (at < text.size() && IsBlank(text[at])) at++;
  bool negative = at < text.size() && text[at] == '-';
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) at++;
  *number = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; at++) {
    *number = *number * 10 + (text[at] - '0');
    if (*number > INT32_MAX) return false;
  }
  return !negative || *number == 0;
}

bool AddKeyNum(const KeySpec& spec, size_t begin, std::span<const std::string_view> argv,
               std::vector<KeyPosition>* keys) {
  size_t at = begin + static_cast<size_t>(spec.last);
  int64_t count;
  if (at >= argv.size() || !ReadLeadingNumber(argv[at], &count)) return false;
  if (count == 0 && !keys->empty()) return false;  // a result of no sources
  size_t first = begin + static_cast<size_t>(spec.limit);
  if (static_cast<uint64_t>(count) > argv.size() || first + static_cast<size_t>(count * spec.step) > argv.size())
    return false;
  for (int64_t i = 0; i < count; i++)
    keys->push_back({static_cast<uint32_t>(first + static_cast<size_t>(i * spec.step)), spec.flags});
  return true;
}

bool FindKeyword(const KeySpec& spec, std::span<const std::string_view> argv, size_t* begin) {
  auto argc = static_cast<int64_t>(argv.size());
  int64_t from = spec.index >= 0 ? spec.index : argc + spec.index;
  int64_t step = spec.index >= 0 ? 1 : -1;
  for (int64_t i = from; i > 0 && i < argc; i += step) {
    if (EqualsNoCase(argv[static_cast<size_t>(i)], spec.keyword)) {
      *begin = static_cast<size_t>(i) + 1;
      return true;
    }
  }
  return false;
}

// BITFIELD changes its key unless all operations are complete GETs.
bool BitfieldReadsOnly(std::span<const std::string_view> argv) {
  for (size_t i = 2; i < argv.size(); i++) {
    size_t more = argv.size() - i - 1;
    if (EqualsNoCase(argv[i], "GET") && more >= 2) {
      i += 2;
    } else if (EqualsNoCase(argv[i], "OVERFLOW") && more >= 1) {
      i++;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

bool FindKeys(const Command& command, std::span<const std::string_view> argv, std::vector<KeyPosition>* keys) {
  if (command.spec->find_keys != nullptr) {
    size_t before = keys->size();
    keys->resize(before + argv.size());
    size_t count = 0;
    bool told = command.spec->find_keys(argv, keys->data() + before, argv.size(), &count);
    keys->resize(before + (told ? count : 0));
    return told;
  }
  bool ok = true;
  for (const KeySpec& spec : command.spec->keys) {
    if (spec.begin == KeySpec::kNone) break;
    if (spec.begin == KeySpec::kUnknownBegin) continue;
    auto begin = static_cast<size_t>(spec.index);
    if (spec.begin == KeySpec::kKeyword && !FindKeyword(spec, argv, &begin)) continue;
    if (begin >= argv.size()) {
      ok = false;
    } else if (spec.find == KeySpec::kRange) {
      ok = AddRange(spec, begin, argv.size(), keys) && ok;
    } else if (spec.find == KeySpec::kKeyNum) {
      ok = AddKeyNum(spec, begin, argv, keys) && ok;
    }
  }
  return ok;
}

uint16_t KeyFlagsOf(const Command& command, std::span<const std::string_view> argv, const KeyPosition& key) {
  if (!(key.flags & kKeyVariableFlags)) return key.flags;
  if (command.spec->group == Group::kBitmap) {
    return BitfieldReadsOnly(argv) ? kKeyRO | kKeyAccess : kKeyRW | kKeyAccess | kKeyUpdate;
  }
  constexpr std::string_view kReading[] = {"GET", "IFEQ", "IFNE", "IFDEQ", "IFDNE"};
  bool reads = std::any_of(argv.begin() + 3, argv.end(), [&](std::string_view arg) {
    return std::any_of(std::begin(kReading), std::end(kReading),
                       [arg](std::string_view option) { return EqualsNoCase(arg, option); });
  });
  return reads ? kKeyRW | kKeyAccess | kKeyUpdate : kKeyOW | kKeyUpdate;
}

}  // namespace brim
