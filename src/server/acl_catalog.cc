#include "server/acl_catalog.h"

#include <cstdio>
#include <cstdlib>

#include "base/ascii.h"

namespace brim {

namespace {

ChannelUse ChannelsOf(std::string_view name) {
  if (name == "publish" || name == "spublish") return ChannelUse::kFirst;
  if (name == "subscribe" || name == "ssubscribe") return ChannelUse::kAll;
  return name == "psubscribe" ? ChannelUse::kPatterns : ChannelUse::kNone;
}

}  // namespace

CommandCatalog::CommandCatalog() : members_(AclCategories().size()), reach_(AclCategories().size()) {}

void CommandCatalog::Build() {
  if (registry.all().size() > kFutureBit) {
    fprintf(stderr, "more commands than access rules have bits for\n");
    abort();
  }
  *this = {};
  channels_.resize(registry.all().size());
  for (const auto& command : registry.all()) {
    by_name_.emplace(command->spec->name, command.get());
    channels_[static_cast<size_t>(command->id)] = ChannelsOf(command->spec->name);
    if (command->container == nullptr) top_level_.push_back(command.get());
    uint32_t bits = CategoriesOf(*command->spec);
    for (size_t i = 0; i < members_.size(); i++) {
      if (!(bits & AclCategories()[i].bit)) continue;
      members_[i].set(static_cast<size_t>(command->id));
      reach_[i] |= Reach(*command);
    }
  }
}

const Command* CommandCatalog::Find(std::string_view name) const {
  auto it = by_name_.find(LowerCase(name));
  return it == by_name_.end() ? nullptr : it->second;
}

int CommandCatalog::FindCategory(std::string_view name) {
  for (size_t i = 0; i < AclCategories().size(); i++) {
    if (EqualsNoCase(AclCategories()[i].name, name)) return static_cast<int>(i);
  }
  return -1;
}

CommandSet CommandCatalog::Reach(const Command& command) {
  CommandSet set;
  set.set(static_cast<size_t>(command.id));
  for (const Command* sub : command.subcommands) set.set(static_cast<size_t>(sub->id));
  return set;
}

}  // namespace brim
