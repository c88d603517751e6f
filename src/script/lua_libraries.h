#pragma once
// Libraries for scripts: those of redis-server that Lua does not bring along. Each opener leaves the library's table on
// the stack.
#include "script/lua.h"

namespace brim {

int OpenStruct(lua_State* L);       // lua_struct.cc: packing of binary structures
int OpenMessagePack(lua_State* L);  // lua_message_pack.cc: cmsgpack
// math.random and math.randomseed, which give the same numbers everywhere, into the table on top of the stack.
void AddRandom(lua_State* L);

}  // namespace brim

extern "C" {
int luaopen_bit(lua_State* L);
int luaopen_cjson(lua_State* L);
}
