#pragma once
// Where a command's keys are: asked once per command; locks, cluster slots and ACL share the answer.
#include <span>
#include <string_view>
#include <vector>

#include "command/registry.h"

namespace brim {

// Appends the key positions of argv to *keys (arity already checked). False when the arguments do not let them be told
// (a bad numkeys, a missing STORE key): the handler will say why.
bool FindKeys(const Command& command, std::span<const std::string_view> argv, std::vector<KeyPosition>* keys);

// What the command does with a key. Where the spec says that the arguments decide it (SET with GET, BITFIELD), they are
// looked at; else key.flags.
uint16_t KeyFlagsOf(const Command& command, std::span<const std::string_view> argv, const KeyPosition& key);

}  // namespace brim
