#include "script/sandbox.h"

#include <cstring>

#include "script/interpreter.h"
#include "script/lua_libraries.h"

namespace brim {

namespace {

// In a shield's metatable: the table behind it, under the key that is this variable's address.
char shielded_key;
// In the registry: the table of globals, and the metatable of their shield.
char globals_key;
char globals_meta_key;

constexpr const char* kReadOnly = "Attempt to modify a readonly table";

// Pushes the table behind a shield; false (and nothing pushed): the value is none.
bool PushShielded(lua_State* L, int index) {
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
  lua_pushlightuserdata(L, &shielded_key);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (lua_istable(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

// An argument that is a shield becomes the table behind it: for functions that only read.
void LookBehind(lua_State* L, int index) {
  if (PushShielded(L, index)) lua_replace(L, index);
}

// As the interpreter itself words an error of a C function: without a place.
int ReadOnlyError(lua_State* L) {
  lua_pushstring(L, kReadOnly);
  return lua_error(L);
}

int NewIndex(lua_State* L) { return luaL_error(L, kReadOnly); }

int UnknownName(lua_State* L) {
  const char* name = lua_tostring(L, 2);
  return luaL_error(L, "Script attempted to access nonexistent global variable '%s'", name != nullptr ? name : "?");
}

// ---- functions of Lua's that know shields, or give less away. The originals are the same for every state; they are
// noted when the first is opened, under a lock (Interpreter).

lua_CFunction original_next;
lua_CFunction original_getmetatable;
lua_CFunction original_setmetatable;
lua_CFunction original_rawget;
lua_CFunction original_rawset;
lua_CFunction original_insert;
lua_CFunction original_foreach;
lua_CFunction original_collectgarbage;
lua_CFunction original_rep;
lua_CFunction original_find;
lua_CFunction original_match;
lua_CFunction original_gmatch;
lua_CFunction original_gsub;

int Next(lua_State* L) {
  LookBehind(L, 1);
  return original_next(L);
}

int Pairs(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

int GetMetatable(lua_State* L) {
  if (!IsShield(L, 1)) return original_getmetatable(L);
  // Only the globals have a metatable that shows.
  if (!lua_rawequal(L, 1, LUA_GLOBALSINDEX)) {
    lua_pushnil(L);
    return 1;
  }
  lua_newtable(L);
  lua_pushcfunction(L, UnknownName);
  lua_setfield(L, -2, "__index");
  Shield(L, false);
  return 1;
}

int SetMetatable(lua_State* L) { return IsShield(L, 1) ? ReadOnlyError(L) : original_setmetatable(L); }

int RawGet(lua_State* L) {
  LookBehind(L, 1);
  return original_rawget(L);
}

int RawSet(lua_State* L) { return IsShield(L, 1) ? ReadOnlyError(L) : original_rawset(L); }

int Insert(lua_State* L) { return IsShield(L, 1) ? ReadOnlyError(L) : original_insert(L); }

int ForEach(lua_State* L) {
  LookBehind(L, 1);
  return original_foreach(L);
}

// Errors that are tables with a text are given as the text, as they were before errors were tables.
int ProtectedCall(lua_State* L) {
  luaL_checkany(L, 1);
  int count = lua_gettop(L);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  if (lua_pcall(L, count - 1, LUA_MULTRET, 0) == 0) return lua_gettop(L);
  if (lua_istable(L, -1)) {
    lua_pushliteral(L, "err");
    lua_rawget(L, -2);
    if (lua_isstring(L, -1)) {
      lua_replace(L, -2);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pushboolean(L, 0);
  lua_replace(L, 1);
  lua_settop(L, 2);
  return 2;
}

// What would outlast the script (stopping the collector, its pace) is taken and not done.
int CollectGarbage(lua_State* L) {
  const char* option = luaL_optstring(L, 1, "collect");
  for (const char* lasting : {"stop", "restart", "setpause", "setstepmul"}) {
    if (strcmp(option, lasting) != 0) continue;
    lua_pushnumber(L, 0);
    return 1;
  }
  return original_collectgarbage(L);
}

// Loops of C that no hook interrupts: over nothing, or until memory ends.
int Repeat(lua_State* L) {
  size_t size;
  luaL_checklstring(L, 1, &size);
  double count = luaL_checknumber(L, 2);
  if (size == 0 || count < 1) {
    lua_pushliteral(L, "");
    return 1;
  }
  int64_t limit = ScriptMemory::limit();
  double bytes = static_cast<double>(size) * count;
  if ((limit > 0 && bytes > static_cast<double>(limit)) || bytes > INT32_MAX) {
    return luaL_error(L, "not enough memory");
  }
  return original_rep(L);
}

// Lua's matcher calls itself for each item of a pattern that may repeat or is captured, and has no bound.
void CheckPattern(lua_State* L) {
  constexpr size_t kItems = 4000;
  size_t size;
  const char* pattern = luaL_checklstring(L, 2, &size);
  if (size <= kItems) return;
  size_t items = 0;
  for (size_t i = 0; i < size; i++) items += pattern[i] != '\0' && strchr("?*+-()", pattern[i]) != nullptr;
  if (items > kItems) luaL_error(L, "pattern too complex");
}

int Find(lua_State* L) {
  luaL_checkstring(L, 1);
  if (!lua_toboolean(L, 4)) CheckPattern(L);
  return original_find(L);
}
int Match(lua_State* L) {
  luaL_checkstring(L, 1);
  CheckPattern(L);
  return original_match(L);
}
int GlobalMatch(lua_State* L) {
  luaL_checkstring(L, 1);
  CheckPattern(L);
  return original_gmatch(L);
}
int GlobalSubstitute(lua_State* L) {
  luaL_checkstring(L, 1);
  CheckPattern(L);
  return original_gsub(L);
}

// ---- text that becomes code

struct TextReader {
  const char* text;
  size_t size;
  bool compiled;  // it begins as compiled code does: a blank goes before it
};

const char* ReadText(lua_State*, void* data, size_t* size) {
  auto& reader = *static_cast<TextReader*>(data);
  if (reader.compiled) {
    reader.compiled = false;
    *size = 1;
    return " ";
  }
  *size = reader.size;
  reader.size = 0;
  return *size == 0 ? nullptr : reader.text;
}

int PushLoaded(lua_State* L, int status) {
  if (status == 0) return 1;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

int LoadString(lua_State* L) {
  size_t size;
  const char* text = luaL_checklstring(L, 1, &size);
  return PushLoaded(L, LoadText(L, text, size, luaL_optstring(L, 2, text)));
}

// The pieces of load's function; the one in hand stays at index 3, so that it is not collected.
struct PieceReader {
  bool begun = false;
  bool put_off = false;  // the piece at 3 is still to be given: a blank went before it
};

const char* ReadPiece(lua_State* L, void* data, size_t* size) {
  auto& reader = *static_cast<PieceReader*>(data);
  if (reader.put_off) {
    reader.put_off = false;
    return lua_tolstring(L, 3, size);
  }
  luaL_checkstack(L, 2, "too many nested functions");
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    *size = 0;
    return nullptr;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
  lua_replace(L, 3);
  const char* piece = lua_tolstring(L, 3, size);
  if (!reader.begun && *size > 0) {
    reader.begun = true;
    if (piece[0] == LUA_SIGNATURE[0]) {
      reader.put_off = true;
      *size = 1;
      return " ";
    }
  }
  return piece;
}

int Load(lua_State* L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  const char* name = luaL_optstring(L, 2, "=(load)");
  lua_settop(L, 3);
  PieceReader reader;
  return PushLoaded(L, lua_load(L, ReadPiece, &reader, name));
}

// ---- putting it together

void Note(lua_CFunction function, lua_CFunction* original) {
  if (*original != function) *original = function;
}

// Puts a function in place of the one of that name in the table on top, which goes to *original.
void Wrap(lua_State* L, const char* name, lua_CFunction wrapper, lua_CFunction* original) {
  if (original != nullptr) {
    lua_getfield(L, -1, name);
    Note(lua_tocfunction(L, -1), original);
    lua_pop(L, 1);
  }
  lua_pushcfunction(L, wrapper);
  lua_setfield(L, -2, name);
}

void Drop(lua_State* L, const char* name) {
  lua_pushnil(L);
  lua_setfield(L, -2, name);
}

void OpenLibrary(lua_State* L, lua_CFunction open, const char* name) {
  lua_pushcfunction(L, open);
  lua_pushstring(L, name);
  lua_call(L, 1, 0);
}

// cjson's functions note where its errors of memory go (script_memory.cc).
lua_CFunction original_encode;
lua_CFunction original_decode;
lua_CFunction original_new;

int Encode(lua_State* L) {
  script_state = L;
  return original_encode(L);
}
int Decode(lua_State* L) {
  script_state = L;
  return original_decode(L);
}

int NewCjson(lua_State* L);

// Of the library on top: its functions share their settings through an upvalue, which the wrappers get as well.
void WrapCjson(lua_State* L) {
  struct Wrapped {
    const char* name;
    lua_CFunction wrapper;
    lua_CFunction* original;
  };
  for (const Wrapped& each : {Wrapped{"encode", Encode, &original_encode}, Wrapped{"decode", Decode, &original_decode},
                              Wrapped{"new", NewCjson, &original_new}}) {
    lua_getfield(L, -1, each.name);
    if (lua_CFunction function = lua_tocfunction(L, -1); function != each.wrapper) Note(function, each.original);
    if (lua_getupvalue(L, -1, 1) == nullptr) lua_pushnil(L);
    lua_pushcclosure(L, each.wrapper, 1);
    lua_setfield(L, -3, each.name);
    lua_pop(L, 1);
  }
}

int NewCjson(lua_State* L) {
  script_state = L;
  int count = original_new(L);
  WrapCjson(L);
  return count;
}

void OpenOthers(lua_State* L) {
  script_state = L;
  lua_pushcfunction(L, luaopen_cjson);
  lua_call(L, 0, 1);
  WrapCjson(L);
  lua_setglobal(L, "cjson");
  OpenLibrary(L, luaopen_bit, "bit");
  OpenStruct(L);
  lua_setglobal(L, "struct");
  OpenMessagePack(L);
  lua_setglobal(L, "cmsgpack");
}

void WrapBase(lua_State* L) {
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  for (const char* name : {"dofile", "loadfile", "print", "newproxy", "getfenv", "setfenv", "module", "require"})
    Drop(L, name);
  Wrap(L, "next", Next, &original_next);
  lua_getfield(L, -1, "next");
  lua_pushcclosure(L, Pairs, 1);
  lua_setfield(L, -2, "pairs");
  Wrap(L, "getmetatable", GetMetatable, &original_getmetatable);
  Wrap(L, "setmetatable", SetMetatable, &original_setmetatable);
  Wrap(L, "rawget", RawGet, &original_rawget);
  Wrap(L, "rawset", RawSet, &original_rawset);
  Wrap(L, "pcall", ProtectedCall, nullptr);
  Wrap(L, "load", Load, nullptr);
  Wrap(L, "loadstring", LoadString, nullptr);
  Wrap(L, "collectgarbage", CollectGarbage, &original_collectgarbage);
  lua_getfield(L, -1, LUA_TABLIBNAME);
  Wrap(L, "insert", Insert, &original_insert);
  Wrap(L, "foreach", ForEach, &original_foreach);
  lua_pop(L, 1);
  lua_getfield(L, -1, LUA_STRLIBNAME);
  Wrap(L, "rep", Repeat, &original_rep);
  Wrap(L, "find", Find, &original_find);
  Wrap(L, "match", Match, &original_match);
  Wrap(L, "gmatch", GlobalMatch, &original_gmatch);
  Wrap(L, "gfind", GlobalMatch, nullptr);
  Wrap(L, "gsub", GlobalSubstitute, &original_gsub);
  lua_pop(L, 1);
  lua_getfield(L, -1, LUA_MATHLIBNAME);
  AddRandom(L);
  lua_pop(L, 2);
}

// The metatable of strings shows as a shield, and cannot be changed.
void ProtectStrings(lua_State* L) {
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_newtable(L);
  lua_getglobal(L, LUA_STRLIBNAME);
  Shield(L, false);
  lua_setfield(L, -2, "__index");
  Shield(L, false);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 2);
}

}  // namespace

bool IsShield(lua_State* L, int index) {
  if (!PushShielded(L, index)) return false;
  lua_pop(L, 1);
  return true;
}

int LoadText(lua_State* L, const char* text, size_t size, const char* name) {
  TextReader reader{text, size, size > 0 && text[0] == LUA_SIGNATURE[0]};
  return lua_load(L, ReadText, &reader, name);
}

void Shield(lua_State* L, bool strict) {
  if (strict) {
    lua_newtable(L);
    lua_pushcfunction(L, UnknownName);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
  }
  lua_newtable(L);  // the shield
  lua_newtable(L);  // its metatable
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, NewIndex);
  lua_setfield(L, -2, "__newindex");
  lua_pushlightuserdata(L, &shielded_key);
  lua_pushvalue(L, -4);
  lua_rawset(L, -3);
  lua_setmetatable(L, -2);
  lua_remove(L, -2);
}

void OpenSandbox(lua_State* L) {
  OpenLibrary(L, luaopen_base, "");
  OpenLibrary(L, luaopen_table, LUA_TABLIBNAME);
  OpenLibrary(L, luaopen_string, LUA_STRLIBNAME);
  OpenLibrary(L, luaopen_math, LUA_MATHLIBNAME);
  WrapBase(L);
  ProtectStrings(L);
  OpenOthers(L);
  // The globals as scripts see them: everything, each library behind a shield.
  lua_newtable(L);
  int globals = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, LUA_GLOBALSINDEX) != 0) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    if (lua_istable(L, -1)) {
      if (lua_rawequal(L, -1, LUA_GLOBALSINDEX)) {
        lua_pop(L, 2);
        continue;
      }
      Shield(L, false);
    }
    lua_rawset(L, globals);
  }
  lua_pushlightuserdata(L, &globals_key);
  lua_pushvalue(L, globals);
  lua_rawset(L, LUA_REGISTRYINDEX);
  Shield(L, true);
  lua_pushlightuserdata(L, &globals_meta_key);
  lua_getmetatable(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, -1);
  AddOwnGlobal(L, "_G");
  lua_replace(L, LUA_GLOBALSINDEX);
}

void PushGlobals(lua_State* L) {
  lua_pushlightuserdata(L, &globals_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

void AddOwnGlobal(lua_State* L, const char* name) {
  PushGlobals(L);
  lua_pushstring(L, name);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

void AddGlobal(lua_State* L, const char* name) {
  if (lua_istable(L, -1)) Shield(L, false);
  AddOwnGlobal(L, name);
}

void ShowGlobals(lua_State* L, const char* registry_name) {
  lua_pushlightuserdata(L, &globals_meta_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (registry_name != nullptr) {
    lua_getfield(L, LUA_REGISTRYINDEX, registry_name);
  } else {
    PushGlobals(L);
  }
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

}  // namespace brim
