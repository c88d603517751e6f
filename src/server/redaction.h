#pragma once
// Secrets among a command's arguments. What is shown of it to others (MONITOR, SLOWLOG) has "(redacted)" instead.
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace brim {

struct Command;

inline constexpr std::string_view kRedacted = "(redacted)";

// Puts into *places where in argv they are, in ascending order: the words of AUTH, HELLO's and MIGRATE's for it, the
// rules of ACL SETUSER, the values of CONFIG SET's settings that hold one. None for any other command.
void FindSecrets(const Command& command, std::span<const std::string_view> argv, std::vector<size_t>* places);

}  // namespace brim
