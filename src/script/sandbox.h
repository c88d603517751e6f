#pragma once
// What scripts see of Lua: the libraries that redis-server gives them, all of it read-only. docs/scripts.md, "The
// sandbox".
//
// Stock Lua has no read-only tables. What is to be protected is kept aside, and scripts get an empty table in its
// place (a shield), through which reads pass and on which writes end. The few functions that look at a table's own
// content (next, rawget, table.insert ...) know shields.
#include "script/lua.h"

namespace brim {

// Fills a fresh state: afterwards its globals are a shield, empty but for what AddGlobal adds. Raises Lua errors.
void OpenSandbox(lua_State* L);
// Puts the value on top of the stack, which it takes off, among the globals; tables get a shield.
void AddGlobal(lua_State* L, const char* name);
// The same without a shield: the value is the script's own (KEYS, ARGV).
void AddOwnGlobal(lua_State* L, const char* name);
// The table on top of the stack is replaced by a shield before it; names that it does not have are an error when
// `strict`.
void Shield(lua_State* L, bool strict);
// Whether the value is a shield.
bool IsShield(lua_State* L, int index);
// Pushes the table behind the globals' shield.
void PushGlobals(lua_State* L);
// What stands behind the globals' shield: the globals, or (while a library is loaded) the table that was saved in the
// registry under this name. nullptr: the globals.
void ShowGlobals(lua_State* L, const char* registry_name);
// As luaL_loadbuffer, of text alone: compiled code is taken for text and does not get far.
int LoadText(lua_State* L, const char* text, size_t size, const char* name);

}  // namespace brim
