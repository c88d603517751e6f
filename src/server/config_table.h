#pragma once
// One row per setting: its names, what values it takes, where they go. Facts as redis-server 7.0.15 has them.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/config.h"

namespace brim {

enum class SettingKind : uint8_t {
  kBool,
  kInt,     // a whole number in [min, max]
  kMemory,  // with units
  kOctal,
  kEnum,  // one of `choices`
  kText,
  kWords,  // several words; `check` judges them
};

enum SettingFlag : uint8_t {
  kImmutable = 1,   // only before start
  kGuarded = 2,     // CONFIG SET only with enable-protected-configs
  kNeverShown = 4,  // not by CONFIG GET with a pattern
  kSecret = 8,
};

// Where a value goes; all null: it is kept as text only (its feature comes later, or has no meaning here).
struct SettingTarget {
  bool Config::*flag = nullptr;
  int Config::*number = nullptr;
  int64_t Config::*wide = nullptr;
  std::string Config::*text = nullptr;
};

struct Setting {
  const char* name;
  const char* alias;  // or null
  SettingKind kind;
  const char* initial;
  uint8_t flags = 0;
  SettingTarget target = {};
  int64_t min = 0;
  int64_t max = INT64_MAX;
  const char* choices = nullptr;  // parted by blanks
  // Puts a text (already of the kind) into the configuration; *canonical is what CONFIG GET then shows. Null: target.
  bool (*apply)(Config& config, const std::string& text, std::string* canonical, std::string* reason) = nullptr;
};

std::span<const Setting> Settings();
// The row of that name or alias, in any case; -1: none.
int FindSetting(std::string_view name);

// notify-keyspace-events to and from its letters. False for an unknown letter.
bool ParseNotifyClasses(std::string_view letters, uint32_t* classes);
std::string NotifyLetters(uint32_t classes);

}  // namespace brim
