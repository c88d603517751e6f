#include "command/keys.h"

#include "base/ascii.h"
#include "base/numbers.h"

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

bool AddKeyNum(const KeySpec& spec, size_t begin, std::span<const std::string_view> argv,
               std::vector<KeyPosition>* keys) {
  size_t at = begin + static_cast<size_t>(spec.last);
  int64_t count;
  // redis-server reads the number up to a zero byte.
  if (at >= argv.size() || !ParseInt64(argv[at].substr(0, argv[at].find('\0')), &count) || count < 0) return false;
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

}  // namespace brim
