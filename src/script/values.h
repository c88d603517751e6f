#pragma once
// Between the protocol and Lua: replies of commands become values, the value of a script becomes its reply.
#include <string_view>

#include "resp/reply.h"
#include "script/lua.h"

namespace brim {

// Pushes the value of the reply that the text is. Raises Lua errors.
void PushReply(lua_State* L, std::string_view text);

// Writes the value on top of the stack as a reply; it stays. `script_resp`: the protocol that the script has chosen.
// *counted: an error was written that is a command's, and in the statistics already. Raises Lua errors.
void WriteValue(lua_State* L, Reply& reply, int script_resp, bool* counted);

// Pushes an error of redis.call: a table with the text (a code first: "ERR ..." when it begins with no dash).
void PushError(lua_State* L, const char* text);

// What is to be known of an error: its text, without source and line when it has none.
struct ErrorParts {
  const char* message = nullptr;  // into the value
  size_t size = 0;
  const char* source = nullptr;
  const char* line = nullptr;
  bool counted = false;
};
// Of the table on top of the stack, onto which its parts are pushed.
ErrorParts PartsOfError(lua_State* L);

}  // namespace brim
