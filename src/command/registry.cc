#include "command/registry.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/ascii.h"

namespace brim {

namespace {

void SetKeyRange(const CommandSpec& spec, Command* command) {
  const KeySpec& first = spec.keys[0];
  if (first.begin == KeySpec::kNone) {
    command->simple_keys = spec.find_keys == nullptr;
    return;
  }
  if (first.begin != KeySpec::kIndex || first.find != KeySpec::kRange) {
    command->simple_keys = false;
    return;
  }
  command->first_key = first.index;
  command->last_key = first.last >= 0 ? first.index + first.last : first.last;
  command->key_step = first.step;
  command->simple_keys = spec.keys[1].begin == KeySpec::kNone && first.limit == 0 && spec.find_keys == nullptr;
  // Two neighbouring ranges (RENAME, SDIFFSTORE) make one, as COMMAND shows them.
  const KeySpec& second = spec.keys[1];
  if (second.begin == KeySpec::kIndex && second.find == KeySpec::kRange && spec.keys[2].begin == KeySpec::kNone &&
      first.last == 0 && second.index == first.index + 1 && second.step == 1 && spec.find_keys == nullptr) {
    command->last_key = second.last >= 0 ? second.index + second.last : second.last;
    command->simple_keys = true;
  }
  // A shard channel stands where a key would (its slot counts), but nothing is locked for it.
  bool is_key = (first.flags & kKeyNotKey) == 0;
  command->one_key = is_key && command->simple_keys && command->first_key == command->last_key;
}

}  // namespace

Registry::Folded Registry::Fold(std::string_view name) {
  constexpr uint64_t kLower = 0x2020202020202020;
  uint64_t low = 0;
  uint64_t high = 0;
  size_t n = name.size();
  if (n >= 8) {
    memcpy(&low, name.data(), 8);
    size_t rest = n - 8 < 8 ? n - 8 : 8;
    memcpy(&high, name.data() + 8, rest);
  } else if (n >= 4) {
    uint32_t first;
    uint32_t last;
    memcpy(&first, name.data(), 4);
    memcpy(&last, name.data() + n - 4, 4);
    low = first | static_cast<uint64_t>(last) << (8 * (n - 4));
  } else {
    for (size_t i = 0; i < n; i++) low |= static_cast<uint64_t>(static_cast<uint8_t>(name[i])) << (8 * i);
  }
  low |= kLower;
  high |= kLower;
  uint64_t hash = (low ^ high * 0x9E3779B97F4A7C15) * 0xD6E8FEB86659FD93;
  return {low, high, hash >> 40};
}

bool Registry::SameLong(const Command* command, std::string_view name) { return EqualsNoCase(command->name, name); }

void Registry::Add(CommandTable table) {
  for (const CommandSpec& spec : table) {
    auto command = std::make_unique<Command>();
    command->spec = &spec;
    command->name = spec.name;
    command->handler = spec.handler;
    command->series = spec.series;
    command->arity = spec.arity;
    command->flags = spec.flags;
    command->id = static_cast<int>(commands_.size());
    SetKeyRange(spec, command.get());
    size_t bar = command->name.find('|');
    std::string top = command->name.substr(0, bar);
    for (auto& other : commands_) {
      if (other->name == command->name) {
        fprintf(stderr, "command %s is in two tables\n", spec.name);
        abort();
      }
      if (bar != std::string::npos && other->name == top) {
        command->container = other.get();
        other->subcommands.push_back(command.get());
      }
    }
    if (bar != std::string::npos && command->container == nullptr) {
      fprintf(stderr, "subcommand %s comes before its container\n", spec.name);
      abort();
    }
    if (bar == std::string::npos) top_level_++;
    commands_.push_back(std::move(command));
  }
}

bool Registry::Rename(std::string_view from, std::string_view to) {
  Command* found = nullptr;
  for (auto& command : commands_) {
    if (command->container != nullptr) continue;
    if (EqualsNoCase(command->name, to)) return false;
    if (EqualsNoCase(command->name, from)) found = command.get();
  }
  if (found == nullptr) return false;
  found->name = LowerCase(to);
  return true;
}

void Registry::Freeze() {
  size_t size = 16;
  while (size < commands_.size() * 4) size *= 2;
  slots_.assign(size, Slot());
  mask_ = size - 1;
  for (auto& command : commands_) {
    if (command->container != nullptr || command->name.empty()) continue;
    Folded folded = Fold(command->name);
    size_t i = folded.hash & mask_;
    while (slots_[i].command != nullptr) i = (i + 1) & mask_;
    slots_[i] = {folded.low, folded.high, command->name.size(), command.get()};
  }
}

const Command* Registry::FindSub(const Command& container, std::string_view sub) const {
  for (const Command* command : container.subcommands) {
    std::string_view name = command->spec->name;
    if (EqualsNoCase(name.substr(name.find('|') + 1), sub)) return command;
  }
  return nullptr;
}

const Command* Registry::Resolve(std::span<const std::string_view> argv, const Command** container) const {
  *container = nullptr;
  const Command* command = Find(argv[0]);
  if (command == nullptr || command->subcommands.empty()) return command;
  if (argv.size() == 1) return command;  // fails on arity
  *container = command;
  return FindSub(*command, argv[1]);
}

std::span<const BitName> AclCategories() {
  static constexpr BitName kNames[] = {
      {kCatKeyspace, "keyspace"},
      {kCatRead, "read"},
      {kCatWrite, "write"},
      {kCatSet, "set"},
      {kCatSortedSet, "sortedset"},
      {kCatList, "list"},
      {kCatHash, "hash"},
      {kCatString, "string"},
      {kCatBitmap, "bitmap"},
      {kCatHyperLogLog, "hyperloglog"},
      {kCatGeo, "geo"},
      {kCatStream, "stream"},
      {kCatPubSub, "pubsub"},
      {kCatAdmin, "admin"},
      {kCatFast, "fast"},
      {kCatSlow, "slow"},
      {kCatBlocking, "blocking"},
      {kCatDangerous, "dangerous"},
      {kCatConnection, "connection"},
      {kCatTransaction, "transaction"},
      {kCatScripting, "scripting"},
  };
  return kNames;
}

uint32_t CategoriesOf(const CommandSpec& spec) {
  uint32_t bits = spec.categories;
  if (spec.flags & kWrite) bits |= kCatWrite;
  if ((spec.flags & kReadonly) && spec.group != Group::kScripting) bits |= kCatRead;
  if (spec.flags & kAdmin) bits |= kCatAdmin | kCatDangerous;
  if (spec.flags & kPubSub) bits |= kCatPubSub;
  if (spec.flags & kBlocking) bits |= kCatBlocking;
  bits |= spec.flags & kFast ? kCatFast : kCatSlow;
  return bits;
}

}  // namespace brim
