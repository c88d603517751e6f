#pragma once
// Commands that are about to change a big value which the running snapshot or rewrite has not got yet. It has to be
// handed over first, which takes a tenth of a second for a million fields: they wait for that as for a pause, and their
// clients alone, instead of doing it at once with the shard's lock held. docs/snapshot.md.
#include <cstdint>
#include <span>
#include <string_view>

namespace brim {

class Connection;
struct Command;

// Hands over some of such values, if there are any. True: of one more is left; the command is to be asked for again in
// a later turn. Not for longer than some seconds: then it does the rest itself. No lock may be held.
bool WaitsForCut(Connection& connection, const Command& command, std::span<const std::string_view> argv);

}  // namespace brim
