// math.random as redis-server has it: the 48-bit generator of POSIX's lrand48, the same numbers on every system.
#include <cmath>
#include <cstdint>

#include "script/interpreter.h"
#include "script/lua_libraries.h"

namespace brim {

namespace {

constexpr uint64_t kMultiplier = 0x5DEECE66D;
constexpr uint64_t kMask = (uint64_t{1} << 48) - 1;

int Random(lua_State* L) {
  uint64_t& state = Interpreter::Of(L).random_state;
  state = (state * kMultiplier + 11) & kMask;
  auto drawn = static_cast<int64_t>(state >> 17) % INT32_MAX;
  double r = static_cast<double>(drawn) / static_cast<double>(INT32_MAX);
  switch (lua_gettop(L)) {
    case 0:
      lua_pushnumber(L, r);
      break;
    case 1: {
      int highest = luaL_checkint(L, 1);
      luaL_argcheck(L, 1 <= highest, 1, "interval is empty");
      lua_pushnumber(L, std::floor(r * highest) + 1);
      break;
    }
    case 2: {
      int lowest = luaL_checkint(L, 1);
      int highest = luaL_checkint(L, 2);
      luaL_argcheck(L, lowest <= highest, 2, "interval is empty");
      lua_pushnumber(L, std::floor(r * (static_cast<double>(highest) - lowest + 1)) + lowest);
      break;
    }
    default:
      return luaL_error(L, "wrong number of arguments");
  }
  return 1;
}

int RandomSeed(lua_State* L) {
  auto seed = static_cast<uint32_t>(luaL_checkint(L, 1));
  Interpreter::Of(L).random_state = static_cast<uint64_t>(seed) << 16 | 0x330E;
  return 0;
}

}  // namespace

void AddRandom(lua_State* L) {
  lua_pushcfunction(L, Random);
  lua_setfield(L, -2, "random");
  lua_pushcfunction(L, RandomSeed);
  lua_setfield(L, -2, "randomseed");
}

}  // namespace brim
