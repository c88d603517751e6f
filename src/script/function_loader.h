#pragma once
// A library's body as it is run once: what it registers.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "script/interpreter.h"

namespace brim {

struct RegisteredFunction {
  std::string name;
  std::string description;
  bool described = false;
  uint32_t flags = 0;
  int reference = LUA_NOREF;
};

// redis.register_function
int RegisterFunction(lua_State* L);

// Compiles and runs the body. False with the error reply's text; nothing is left in the interpreter then.
bool RunLibraryBody(Interpreter& interpreter, std::string_view body, std::vector<RegisteredFunction>* functions,
                    std::string* error);

}  // namespace brim
