#include "script/permissions.h"

#include "resp/errors.h"
#include "server/acl_check.h"
#include "server/acl_log.h"
#include "server/connection.h"
#include "server/server_context.h"

namespace brim {

bool ScriptMayCall(ServerContext& context, const Command& command, std::span<const std::string_view> argv,
                   std::string* denial) {
  if (!context.has_connection() || context.connection().user->unrestricted) return true;
  Connection& connection = context.connection();
  size_t index;
  AclVerdict verdict = CheckAcl(*connection.user, command, argv, &index);
  if (verdict == AclVerdict::kAllowed) return true;
  NoteDenial(connection, ReasonOf(verdict), AclContext::kScript, DeniedObject(verdict, command, argv, index),
             connection.user->name);
  *denial = std::string(errors::kDeniedToScript) + ScriptDenialText(verdict);
  return false;
}

bool ScriptMight(ServerContext& context, const Command& command, std::span<const std::string_view> argv) {
  if (!context.has_connection() || context.connection().user->unrestricted) return true;
  size_t index;
  return CheckAcl(*context.connection().user, command, argv, &index) == AclVerdict::kAllowed;
}

}  // namespace brim
