#pragma once
// The first line of scripts and libraries: "#!lua name=mylib flags=no-writes,allow-oom".
#include <cstdint>
#include <string>
#include <string_view>

namespace brim {

struct ScriptHead {
  std::string engine;     // as written
  std::string name;       // of a library
  uint32_t flags = 0;     // ScriptFlag
  std::string_view body;  // what is to be compiled; begins with the line's end, so that lines keep their numbers
};

// Of a script; one without such a line is all body. False with the error reply's text.
bool ReadScriptHead(std::string_view text, ScriptHead* head, std::string* error);
// Of a library.
bool ReadLibraryHead(std::string_view text, ScriptHead* head, std::string* error);

// The flag of that name; 0: there is none.
uint32_t ScriptFlagNamed(std::string_view name);
// The names of the flags that are set, in the order in which redis-server tells them.
struct ScriptFlagName {
  uint32_t flag;
  const char* name;
};
inline constexpr size_t kScriptFlags = 5;
extern const ScriptFlagName kScriptFlagNames[kScriptFlags];

// Of libraries and functions.
bool IsLibraryName(std::string_view name);
inline constexpr const char* kBadLibraryName =
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

}  // namespace brim
