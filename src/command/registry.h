#pragma once
// All commands by name, built once at start from the tables that main.cc lists (renames applied).
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command/spec.h"

namespace brim {

// A row, ready for dispatch.
struct Command {
  const CommandSpec* spec = nullptr;
  std::string name;  // as clients send it: lower case, renamed where the configuration says so
  Handler handler = nullptr;
  SeriesHandler series = nullptr;
  int arity = 0;
  uint32_t flags = 0;
  int id = 0;  // index into per-command figures
  // Keys of the common form: argv[first], argv[first + step] ... argv[last] (last < 0: from the end); first 0: none.
  int first_key = 0;
  int last_key = 0;
  int key_step = 0;
  bool simple_keys = true;             // the three fields above tell all keys
  bool one_key = false;                // exactly argv[first_key]
  const Command* container = nullptr;  // of a subcommand
  std::vector<const Command*> subcommands;

  bool ArityFits(size_t argc) const {
    return arity >= 0 ? argc == static_cast<size_t>(arity) : argc >= static_cast<size_t>(-arity);
  }
};

class Registry {
 public:
  // Adds a table's rows. A row with the name of an earlier one is a programming error (abort).
  void Add(CommandTable table);
  // rename-command: empty `to` removes. False when `from` is unknown or `to` is taken.
  bool Rename(std::string_view from, std::string_view to);
  // Call after the last Add and Rename: builds the look-up table.
  void Freeze();

  // The command or container of that name in any case, or null. O(1), no allocation.
  const Command* Find(std::string_view name) const {
    Folded folded = Fold(name);
    for (size_t i = folded.hash & mask_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.command == nullptr) return nullptr;
      if (slot.low == folded.low && slot.high == folded.high && slot.size == name.size() &&
          (name.size() <= 16 || SameLong(slot.command, name))) {
        return slot.command;
      }
    }
  }
  // The row that argv runs: a subcommand's where there is one. Null: unknown command, or (with *container set) an
  // unknown subcommand.
  const Command* Resolve(std::span<const std::string_view> argv, const Command** container) const;
  const Command* FindSub(const Command& container, std::string_view sub) const;
  // Every command and container, in the order of the tables; subcommands hang off their containers.
  std::span<const std::unique_ptr<Command>> all() const { return commands_; }
  size_t top_level() const { return top_level_; }

 private:
  struct Slot {
    uint64_t low = 0;
    uint64_t high = 0;
    size_t size = 0;
    const Command* command = nullptr;
  };
  struct Folded {
    uint64_t low;
    uint64_t high;
    uint64_t hash;
  };
  // The first 16 bytes in lower case (every name byte with bit 5 set; no two names differ in that alone).
  static Folded Fold(std::string_view name);
  static bool SameLong(const Command* command, std::string_view name);

  std::vector<std::unique_ptr<Command>> commands_;
  std::vector<Slot> slots_;
  size_t mask_ = 0;
  size_t top_level_ = 0;
};

inline Registry registry;

// ACL categories of a row: those it names and those its flags and group imply.
uint32_t CategoriesOf(const CommandSpec& spec);

struct BitName {
  uint32_t bit;
  const char* name;
};
// All of them, in the order in which ACL CAT lists them.
std::span<const BitName> AclCategories();

}  // namespace brim
