#pragma once
// The table `redis` (and `server`) that scripts and libraries find among their globals.
#include "script/interpreter.h"

namespace brim {

// Adds it to the globals of a sandbox. Raises Lua errors.
void AddRedisApi(lua_State* L, ScriptKind kind);
// What a library finds instead while it is loaded, by this name in the registry: redis.register_function and little
// else.
inline constexpr const char* kLoadingGlobals = "brim.loading";
void MakeLoadingGlobals(lua_State* L);

}  // namespace brim
