#include "server/redaction.h"

#include "base/ascii.h"
#include "command/registry.h"
#include "server/config_table.h"

namespace brim {

namespace {

using Words = std::span<const std::string_view>;

void From(size_t first, Words argv, std::vector<size_t>* places) {
  for (size_t i = first; i < argv.size(); i++) places->push_back(i);
}

// HELLO version AUTH user password ...
void OfHello(Words argv, std::vector<size_t>* places) {
  for (size_t i = 2; i + 2 < argv.size(); i++) {
    if (!EqualsNoCase(argv[i], "AUTH")) continue;
    places->push_back(i + 1);
    places->push_back(i + 2);
    i += 2;
  }
}

// MIGRATE host port key db timeout ... AUTH password | AUTH2 user password; behind KEYS all are keys.
void OfMigrate(Words argv, std::vector<size_t>* places) {
  for (size_t i = 6; i < argv.size() && !EqualsNoCase(argv[i], "KEYS"); i++) {
    size_t secrets = EqualsNoCase(argv[i], "AUTH") ? 1 : EqualsNoCase(argv[i], "AUTH2") ? 2 : 0;
    for (; secrets > 0 && i + 1 < argv.size(); secrets--) places->push_back(++i);
  }
}

void OfConfigSet(Words argv, std::vector<size_t>* places) {
  for (size_t i = 2; i + 1 < argv.size(); i += 2) {
    int setting = FindSetting(argv[i]);
    if (setting >= 0 && (Settings()[static_cast<size_t>(setting)].flags & kSecret)) places->push_back(i + 1);
  }
}

}  // namespace

void FindSecrets(const Command& command, std::span<const std::string_view> argv, std::vector<size_t>* places) {
  places->clear();
  std::string_view name = command.spec->name;
  if (name == "auth") {
    From(1, argv, places);
  } else if (name == "hello") {
    OfHello(argv, places);
  } else if (name == "migrate") {
    OfMigrate(argv, places);
  } else if (name == "acl|setuser") {
    From(2, argv, places);
  } else if (name == "config|set") {
    OfConfigSet(argv, places);
  }
}

}  // namespace brim
