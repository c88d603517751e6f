#pragma once
// Whether a user may run a command with these arguments. Pure functions over a user that nobody changes meanwhile; also
// for scripts, whose commands are checked as their caller's.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/acl_rules.h"

namespace brim {

enum class AclVerdict : uint8_t { kAllowed, kCommand, kKey, kChannel };  // or what is denied

// *index: the argument that is denied, for kKey and kChannel. A command without arguments that fit its arity, or whose
// keys cannot be told, is left to its own complaint. Callers look at User::unrestricted first, which is cheaper.
// O(selectors * keys * patterns).
AclVerdict CheckAcl(const User& user, const Command& command, std::span<const std::string_view> argv, size_t* index);

// Whether it may run the command and read every key there is: what SORT's BY and GET reach cannot be told before.
bool MayReadEveryKey(const User& user, const Command& command, std::span<const std::string_view> argv);

// For one key or channel by itself. `access`: KeyAccess bits. A pattern is allowed only where the user has just that
// pattern.
bool MayUseKey(const User& user, std::string_view key, uint8_t access);
bool MayUseChannel(const User& user, std::string_view channel, bool is_pattern);
bool ChannelFits(const std::vector<std::string>& allowed, std::string_view channel, bool is_pattern);

// What a denial is about in ACL LOG: the command's name, the key or the channel.
std::string_view DeniedObject(AclVerdict verdict, const Command& command, std::span<const std::string_view> argv,
                              size_t index);
// Error replies: for a client's command, for one at EXEC that was allowed when it was queued, for one of a script (of
// which it is only the last part of the sentence), and ACL DRYRUN's answer.
std::string DenialText(AclVerdict verdict, const Command& command);
std::string DenialAtExecText(AclVerdict verdict);
const char* ScriptDenialText(AclVerdict verdict);
std::string DryRunText(AclVerdict verdict, const Command& command, std::span<const std::string_view> argv,
                       size_t index);

}  // namespace brim
