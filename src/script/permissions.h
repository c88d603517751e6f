#pragma once
// May the user who runs a script run a command that it calls? The one place where scripts ask.
#include <span>
#include <string>
#include <string_view>

namespace brim {

struct Command;
class ServerContext;

// Of the context's connection, on its thread. False, with the error reply's text, when the user's rules deny it; the
// denial is noted in ACL LOG.
bool ScriptMayCall(ServerContext& context, const Command& command, std::span<const std::string_view> argv,
                   std::string* denial);
// The same without an error and without a note (redis.acl_check_cmd).
bool ScriptMight(ServerContext& context, const Command& command, std::span<const std::string_view> argv);

}  // namespace brim
