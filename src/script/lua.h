#pragma once
// Lua 5.1, compiled as C: errors are longjmps. No frame between a call that may raise one and the lua_pcall that
// catches it may own anything that has a destructor.
extern "C" {
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
}
