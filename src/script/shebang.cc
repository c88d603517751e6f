#include "script/shebang.h"

#include <vector>

#include "base/ascii.h"
#include "base/quoting.h"
#include "script/interpreter.h"

namespace brim {

const ScriptFlagName kScriptFlagNames[kScriptFlags] = {
    {kScriptNoWrites, "no-writes"},
    {kScriptAllowOom, "allow-oom"},
    {kScriptAllowStale, "allow-stale"},
    {kScriptNoCluster, "no-cluster"},
    {kScriptAllowCrossSlot, "allow-cross-slot-keys"},
};

uint32_t ScriptFlagNamed(std::string_view name) {
  for (const ScriptFlagName& each : kScriptFlagNames) {
    if (name == each.name) return each.flag;
  }
  return 0;
}

bool IsLibraryName(std::string_view name) {
  for (char c : name) {
    bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!good) return false;
  }
  return !name.empty();
}

namespace {

// "no-writes,allow-oom"
bool ReadFlags(std::string_view list, uint32_t* flags, std::string* error) {
  while (!list.empty()) {
    size_t end = std::min(list.find(','), list.size());
    std::string_view name = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    if (name.empty()) continue;
    uint32_t flag = ScriptFlagNamed(name);
    if (flag == 0) {
      *error = "ERR Unexpected flag in script shebang: " + std::string(name);
      return false;
    }
    *flags |= flag;
  }
  return true;
}

}  // namespace

bool ReadScriptHead(std::string_view text, ScriptHead* head, std::string* error) {
  head->body = text;
  head->flags = kScriptCompat;
  if (!text.starts_with("#!")) return true;
  size_t line = text.find('\n');
  if (line == std::string_view::npos) {
    *error = "ERR Invalid script shebang";
    return false;
  }
  head->flags = 0;
  head->body = text.substr(line);
  std::vector<std::string> words;
  if (!SplitWords(text.substr(0, line), &words) || words.empty() || words[0] != "#!lua") {
    *error = "ERR Unexpected engine in script shebang: " + (words.empty() ? std::string("#!") : words[0]);
    return false;
  }
  head->engine = "lua";
  for (size_t i = 1; i < words.size(); i++) {
    if (words[i].starts_with("flags=")) {
      if (!ReadFlags(std::string_view(words[i]).substr(6), &head->flags, error)) return false;
    } else {
      *error = "ERR Unknown lua shebang option: " + words[i];
      return false;
    }
  }
  return true;
}

bool ReadLibraryHead(std::string_view text, ScriptHead* head, std::string* error) {
  if (!text.starts_with("#!")) {
    *error = "ERR Missing library metadata";
    return false;
  }
  size_t line = text.find('\n');
  std::vector<std::string> words;
  if (line == std::string_view::npos || !SplitWords(text.substr(0, line), &words) || words.empty()) {
    *error = "ERR Invalid library metadata";
    return false;
  }
  head->body = text.substr(line);
  head->engine = words[0].substr(2);
  bool named = false;
  for (size_t i = 1; i < words.size(); i++) {
    if (!words[i].starts_with("name=")) {
      *error = "ERR Invalid metadata value given: " + words[i];
      return false;
    }
    if (named) {
      *error = "ERR Invalid metadata value, name argument was given multiple times";
      return false;
    }
    named = true;
    head->name = words[i].substr(5);
  }
  if (!named) {
    *error = "ERR Library name was not given";
    return false;
  }
  if (!IsLibraryName(head->name)) {
    *error = std::string("ERR ") + kBadLibraryName;
    return false;
  }
  if (!EqualsNoCase(head->engine, "lua")) {
    *error = "ERR Engine '" + head->engine + "' not found";
    return false;
  }
  return true;
}

}  // namespace brim
