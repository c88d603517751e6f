#pragma once
// The commands as access rules see them: by their original names, whatever rename-command did, as bits of a set, and by
// category.
#include <bitset>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "command/registry.h"

namespace brim {

// A set of commands: bits by Command::id. The last bit stands for commands that are not there yet; only +@all sets it.
inline constexpr size_t kCommandBits = 1024;
inline constexpr size_t kFutureBit = kCommandBits - 1;
using CommandSet = std::bitset<kCommandBits>;

// Which arguments of a command are channels.
enum class ChannelUse : uint8_t { kNone, kFirst, kAll, kPatterns };

class CommandCatalog {
 public:
  CommandCatalog();
  // From the registry, once its tables are added. Before that nothing is found.
  void Build();

  // "get", "config|set", in any case; null: there is none.
  const Command* Find(std::string_view name) const;
  // The place of a category in AclCategories(); -1: none has that name. Any case.
  static int FindCategory(std::string_view name);
  // The commands of a category.
  const CommandSet& Members(int category) const { return members_[static_cast<size_t>(category)]; }
  // What a rule about the category reaches: its commands, and the subcommands of those that are containers.
  const CommandSet& Reach(int category) const { return reach_[static_cast<size_t>(category)]; }
  // What a rule about the command reaches: itself and its subcommands.
  static CommandSet Reach(const Command& command);
  // Commands that are no subcommands, in the order of the tables.
  std::span<const Command* const> top_level() const { return top_level_; }
  ChannelUse channels(const Command& command) const { return channels_[static_cast<size_t>(command.id)]; }

 private:
  std::unordered_map<std::string, const Command*> by_name_;
  std::vector<const Command*> top_level_;
  std::vector<CommandSet> members_;
  std::vector<CommandSet> reach_;
  std::vector<ChannelUse> channels_;
};

inline CommandCatalog command_catalog;

}  // namespace brim
