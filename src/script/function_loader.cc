#include "script/function_loader.h"

#include <cstring>
#include <new>

#include "script/shebang.h"
#include "script/values.h"

namespace brim {

namespace {

constexpr int64_t kLoadMs = 500;

int Fail(lua_State* L, const char* text) {
  PushError(L, text);
  return lua_error(L);
}

// What redis.register_function was given; texts and function lie on the stack.
struct Arguments {
  const char* name = nullptr;
  size_t name_size = 0;
  const char* description = nullptr;
  size_t description_size = 0;
  bool has_function = false;
  uint32_t flags = 0;
};

// Each named argument's value stays at a place of its own.
constexpr int kNameAt = 2;
constexpr int kDescriptionAt = 3;
constexpr int kFunctionAt = 4;

// Of the list on top, which is taken off.
void ReadFlags(lua_State* L, Arguments* arguments) {
  for (int i = 1;; i++) {
    lua_rawgeti(L, -1, i);
    if (lua_isnil(L, -1)) break;
    uint32_t flag = lua_isstring(L, -1) ? ScriptFlagNamed(lua_tostring(L, -1)) : 0;
    if (flag == 0) Fail(L, "unknown flag given");
    arguments->flags |= flag;
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

// The pair on top, name and value.
void ReadNamed(lua_State* L, Arguments* arguments) {
  if (!lua_isstring(L, -2)) Fail(L, "named argument key given to redis.register_function is not a string");
  // A number stays one, or lua_next would lose its place.
  const char* key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
  if (strcmp(key, "function_name") == 0) {
    if (!lua_isstring(L, -1)) Fail(L, "function_name argument given to redis.register_function must be a string");
    lua_pushvalue(L, -1);
    lua_replace(L, kNameAt);
    arguments->name = lua_tolstring(L, kNameAt, &arguments->name_size);
  } else if (strcmp(key, "description") == 0) {
    if (!lua_isstring(L, -1)) Fail(L, "description argument given to redis.register_function must be a string");
    lua_pushvalue(L, -1);
    lua_replace(L, kDescriptionAt);
    arguments->description = lua_tolstring(L, kDescriptionAt, &arguments->description_size);
  } else if (strcmp(key, "callback") == 0) {
    if (!lua_isfunction(L, -1)) Fail(L, "callback argument given to redis.register_function must be a function");
    lua_pushvalue(L, -1);
    lua_replace(L, kFunctionAt);
    arguments->has_function = true;
  } else if (strcmp(key, "flags") == 0) {
    if (!lua_istable(L, -1)) {
      Fail(L, "flags argument to redis.register_function must be a table representing function flags");
    }
    lua_pushvalue(L, -1);
    ReadFlags(L, arguments);
  } else {
    Fail(L, "unknown argument given to redis.register_function");
  }
}

void ReadArguments(lua_State* L, Arguments* arguments) {
  int count = lua_gettop(L);
  if (count < 1 || count > 2) Fail(L, "wrong number of arguments to redis.register_function");
  if (count == 1) {
    if (!lua_istable(L, 1)) {
      Fail(L,
           "calling redis.register_function with a single argument is only applicable to Lua table (representing "
           "named arguments).");
    }
    lua_settop(L, kFunctionAt);
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
      ReadNamed(L, arguments);
      lua_pop(L, 1);
    }
    if (arguments->name == nullptr) Fail(L, "redis.register_function must get a function name argument");
    if (!arguments->has_function) Fail(L, "redis.register_function must get a callback argument");
    return;
  }
  if (!lua_isstring(L, 1)) Fail(L, "first argument to redis.register_function must be a string");
  if (!lua_isfunction(L, 2)) Fail(L, "second argument to redis.register_function must be a function");
  arguments->name = lua_tolstring(L, 1, &arguments->name_size);
  lua_settop(L, kFunctionAt);
  lua_pushvalue(L, 2);
  lua_replace(L, kFunctionAt);
}

// Null, or what is wrong.
const char* AddFunction(std::vector<RegisteredFunction>& functions, const Arguments& arguments,
                        int reference) noexcept {
  try {
    std::string_view name(arguments.name, arguments.name_size);
    if (!IsLibraryName(name)) return kBadLibraryName;
    for (const RegisteredFunction& other : functions) {
      if (other.name == name) return "Function already exists in the library";
    }
    RegisteredFunction function;
    function.name = name;
    function.described = arguments.description != nullptr;
    if (function.described) function.description.assign(arguments.description, arguments.description_size);
    function.flags = arguments.flags;
    function.reference = reference;
    functions.push_back(std::move(function));
    return nullptr;
  } catch (const std::bad_alloc&) {
    return "not enough memory";
  }
}

}  // namespace

int RegisterFunction(lua_State* L) {
  auto* functions = static_cast<std::vector<RegisteredFunction>*>(Interpreter::Of(L).library);
  if (functions == nullptr) return Fail(L, "redis.register_function can only be called on FUNCTION LOAD command");
  Arguments arguments;
  ReadArguments(L, &arguments);
  lua_pushvalue(L, kFunctionAt);
  int reference = luaL_ref(L, LUA_REGISTRYINDEX);
  if (const char* wrong = AddFunction(*functions, arguments, reference)) {
    luaL_unref(L, LUA_REGISTRYINDEX, reference);
    return Fail(L, wrong);
  }
  return 0;
}

bool RunLibraryBody(Interpreter& interpreter, std::string_view body, std::vector<RegisteredFunction>* functions,
                    std::string* error) {
  int reference;
  if (!interpreter.Compile(body, "@user_function", &reference, error)) {
    *error = "ERR Error compiling function: " + *error;
    return false;
  }
  interpreter.library = functions;
  bool good = interpreter.RunLibrary(reference, kLoadMs, error);
  interpreter.library = nullptr;
  interpreter.Release(reference);
  if (!good) {
    *error = "ERR Error registering functions: " + *error;
  } else if (functions->empty()) {
    *error = "ERR No functions registered";
    good = false;
  }
  if (good) return true;
  for (const RegisteredFunction& function : *functions) interpreter.Release(function.reference);
  functions->clear();
  return false;
}

}  // namespace brim
