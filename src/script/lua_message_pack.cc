// The cmsgpack library: Lua values as MessagePack (https://msgpack.org) and back, as redis-server's scripts have it
// (lua-cmsgpack 0.4.0): no binary and no extension types, nesting up to 16 when packing. Bytes come from clients: what
// is read is checked, and what is unpacked takes memory only as it is read.
#include <climits>
#include <cstdint>
#include <cstring>

#include "script/lua_libraries.h"

namespace brim {

namespace {

constexpr int kNestingMax = 16;

// Bytes being written, in a userdata of Lua's at a place of its stack, so that an error frees them.
struct Output {
  lua_State* L;
  int place;
  char* bytes;
  size_t size;
  size_t capacity;
};

void Grow(Output* out, size_t more) {
  size_t capacity = (out->size + more) * 2;
  auto* bytes = static_cast<char*>(lua_newuserdata(out->L, capacity));
  memcpy(bytes, out->bytes, out->size);
  lua_replace(out->L, out->place);
  out->bytes = bytes;
  out->capacity = capacity;
}

void Put(Output* out, const void* bytes, size_t size) {
  if (out->capacity - out->size < size) Grow(out, size);
  memcpy(out->bytes + out->size, bytes, size);
  out->size += size;
}

// A code and a number behind it, the highest of its `width` bytes first.
void PutCoded(Output* out, int code, uint64_t number, size_t width) {
  unsigned char bytes[9];
  bytes[0] = static_cast<unsigned char>(code);
  for (size_t i = 0; i < width; i++) bytes[1 + i] = static_cast<unsigned char>(number >> (8 * (width - 1 - i)));
  Put(out, bytes, 1 + width);
}

void PackInteger(Output* out, int64_t number) {
  auto bits = static_cast<uint64_t>(number);
  if (number >= 0) {
    if (number <= 127) {
      PutCoded(out, static_cast<int>(number), 0, 0);
    } else if (number <= 0xff) {
      PutCoded(out, 0xcc, bits, 1);
    } else if (number <= 0xffff) {
      PutCoded(out, 0xcd, bits, 2);
    } else if (number <= 0xffffffffLL) {
      PutCoded(out, 0xce, bits, 4);
    } else {
      PutCoded(out, 0xcf, bits, 8);
    }
  } else if (number >= -32) {
    PutCoded(out, static_cast<int>(number & 0xff), 0, 0);
  } else if (number >= -128) {
    PutCoded(out, 0xd0, bits, 1);
  } else if (number >= -32768) {
    PutCoded(out, 0xd1, bits, 2);
  } else if (number >= INT32_MIN) {
    PutCoded(out, 0xd2, bits, 4);
  } else {
    PutCoded(out, 0xd3, bits, 8);
  }
}

void PackNumber(Output* out, double number) {
  constexpr double kTwo63 = 9223372036854775808.0;
  if (number >= -kTwo63 && number < kTwo63 && static_cast<double>(static_cast<int64_t>(number)) == number) {
    PackInteger(out, static_cast<int64_t>(number));
    return;
  }
  auto narrow = static_cast<float>(number);
  if (static_cast<double>(narrow) == number) {
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    PutCoded(out, 0xca, bits, 4);
  } else {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    PutCoded(out, 0xcb, bits, 8);
  }
}

void PackText(Output* out, const char* text, size_t size) {
  if (size < 32) {
    PutCoded(out, static_cast<int>(0xa0 | size), 0, 0);
  } else if (size <= 0xff) {
    PutCoded(out, 0xd9, size, 1);
  } else if (size <= 0xffff) {
    PutCoded(out, 0xda, size, 2);
  } else {
    PutCoded(out, 0xdb, size, 4);
  }
  Put(out, text, size);
}

// Of the table on top: whether its keys are 1 to n, and how many there are.
bool IsArray(lua_State* L, size_t* count) {
  double highest = 0;
  bool array = true;
  *count = 0;
  luaL_checkstack(L, 2, "in function table_is_an_array");
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    ++*count;
    if (!array) continue;
    double key = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    array = key > 0 && key < 9e15 && key == static_cast<double>(static_cast<int64_t>(key));
    if (array && key > highest) highest = key;
  }
  return array && highest == static_cast<double>(*count);
}

void PackValue(Output* out, int level);

void PackTable(Output* out, int level) {
  lua_State* L = out->L;
  size_t count;
  bool array = IsArray(L, &count);
  if (count < 16) {
    PutCoded(out, static_cast<int>((array ? 0x90 : 0x80) | count), 0, 0);
  } else if (count <= 0xffff) {
    PutCoded(out, array ? 0xdc : 0xde, count, 2);
  } else {
    PutCoded(out, array ? 0xdd : 0xdf, count, 4);
  }
  luaL_checkstack(L, 3, "in function mp_encode_lua_table");
  if (array) {
    for (size_t i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, static_cast<int>(i));
      PackValue(out, level + 1);
    }
    return;
  }
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pushvalue(L, -2);
    PackValue(out, level + 1);
    PackValue(out, level + 1);
  }
}

// Takes the value off the stack.
void PackValue(Output* out, int level) {
  lua_State* L = out->L;
  switch (lua_type(L, -1)) {
    case LUA_TSTRING: {
      size_t size;
      const char* text = lua_tolstring(L, -1, &size);
      PackText(out, text, size);
      break;
    }
    case LUA_TNUMBER:
      PackNumber(out, lua_tonumber(L, -1));
      break;
    case LUA_TBOOLEAN:
      PutCoded(out, lua_toboolean(L, -1) ? 0xc3 : 0xc2, 0, 0);
      break;
    case LUA_TTABLE:
      if (level < kNestingMax) {
        PackTable(out, level);
        break;
      }
      [[fallthrough]];
    default:
      PutCoded(out, 0xc0, 0, 0);
  }
  lua_pop(L, 1);
}

int Pack(lua_State* L) {
  constexpr size_t kFirstBytes = 128;
  int count = lua_gettop(L);
  if (count == 0) return luaL_argerror(L, 0, "MessagePack pack needs input.");
  if (!lua_checkstack(L, count + 4)) return luaL_argerror(L, 0, "Too many arguments for MessagePack pack.");
  Output out{L, count + 1, static_cast<char*>(lua_newuserdata(L, kFirstBytes)), 0, kFirstBytes};
  for (int i = 1; i <= count; i++) {
    lua_pushvalue(L, i);
    PackValue(&out, 0);
  }
  lua_pushlstring(L, out.bytes, out.size);
  return 1;
}

struct Input {
  const unsigned char* at;
  size_t left;
  enum : uint8_t { kGood, kEnded, kMalformed } state = kGood;
};

bool Has(Input* in, size_t bytes) {
  if (in->left >= bytes) return true;
  in->state = Input::kEnded;
  return false;
}

// Reads a number of so many bytes behind the code.
bool Take(Input* in, size_t width, uint64_t* number) {
  if (!Has(in, 1 + width)) return false;
  *number = 0;
  for (size_t i = 1; i <= width; i++) *number = *number << 8 | in->at[i];
  in->at += 1 + width;
  in->left -= 1 + width;
  return true;
}

void UnpackValue(lua_State* L, Input* in);

void UnpackText(lua_State* L, Input* in, size_t size) {
  if (!Has(in, size)) return;
  lua_pushlstring(L, reinterpret_cast<const char*>(in->at), size);
  in->at += size;
  in->left -= size;
}

void UnpackArray(lua_State* L, Input* in, uint64_t count) {
  lua_newtable(L);
  luaL_checkstack(L, 1, "in function mp_decode_to_lua_array");
  for (uint64_t i = 1; i <= count; i++) {
    lua_pushnumber(L, static_cast<double>(i));
    UnpackValue(L, in);
    if (in->state != Input::kGood) return;
    lua_settable(L, -3);
  }
}

void UnpackMap(lua_State* L, Input* in, uint64_t count) {
  lua_newtable(L);
  luaL_checkstack(L, 1, "in function mp_decode_to_lua_hash");
  for (uint64_t i = 0; i < count; i++) {
    UnpackValue(L, in);
    if (in->state != Input::kGood) return;
    UnpackValue(L, in);
    if (in->state != Input::kGood) return;
    lua_settable(L, -3);
  }
}

void UnpackNumber(lua_State* L, Input* in, int code) {
  constexpr size_t kWidths[] = {1, 2, 4, 8};
  uint64_t bits;
  if (code == 0xca || code == 0xcb) {
    if (!Take(in, code == 0xca ? 4 : 8, &bits)) return;
    auto narrow_bits = static_cast<uint32_t>(bits);
    float narrow;
    double number;
    memcpy(&narrow, &narrow_bits, sizeof narrow);
    memcpy(&number, &bits, sizeof number);
    lua_pushnumber(L, code == 0xca ? narrow : number);
    return;
  }
  size_t width = kWidths[code & 3];
  if (!Take(in, width, &bits)) return;
  if (code >= 0xd0 && width < 8 && (bits >> (8 * width - 1) & 1)) bits |= ~uint64_t{0} << (8 * width);
  lua_pushnumber(L, static_cast<double>(static_cast<int64_t>(bits)));
}

// Codes of one byte that hold all or part of the value.
void UnpackShort(lua_State* L, Input* in, int code) {
  in->at++;
  in->left--;
  if (code <= 0x7f) {
    lua_pushnumber(L, code);
  } else if (code >= 0xe0) {
    lua_pushnumber(L, code - 256);
  } else if (code <= 0x8f) {
    UnpackMap(L, in, static_cast<uint64_t>(code & 15));
  } else if (code <= 0x9f) {
    UnpackArray(L, in, static_cast<uint64_t>(code & 15));
  } else {
    UnpackText(L, in, static_cast<size_t>(code & 31));
  }
}

void UnpackValue(lua_State* L, Input* in) {
  if (!Has(in, 1)) return;
  luaL_checkstack(L, 1,
                  "too many return values at once; "
                  "use unpack_one or unpack_limit instead.");
  int code = *in->at;
  if (code < 0xc0 || code >= 0xe0) {
    UnpackShort(L, in, code);
    return;
  }
  uint64_t size;
  switch (code) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      in->at++;
      in->left--;
      code == 0xc0 ? lua_pushnil(L) : lua_pushboolean(L, code == 0xc3);
      break;
    case 0xd9:
    case 0xda:
    case 0xdb:
      if (Take(in, size_t{1} << (code - 0xd9), &size)) UnpackText(L, in, size);
      break;
    case 0xdc:
    case 0xdd:
      if (Take(in, code == 0xdc ? 2 : 4, &size)) UnpackArray(L, in, size);
      break;
    case 0xde:
    case 0xdf:
      if (Take(in, code == 0xde ? 2 : 4, &size)) UnpackMap(L, in, size);
      break;
    default:
      if (code >= 0xca && code <= 0xd3) {
        UnpackNumber(L, in, code);
      } else {
        in->state = Input::kMalformed;
      }
  }
}

// Both may be any number of 64 bits, of which the errors show 32, as redis-server's do.
int UnpackSome(lua_State* L, lua_Integer limit, lua_Integer offset) {
  size_t size;
  const char* bytes = luaL_checklstring(L, 1, &size);
  bool all = limit == 0 && offset == 0;
  if (offset < 0 || limit < 0) {
    return luaL_error(L, "Invalid request to unpack with offset of %d and limit of %d.", static_cast<int>(offset),
                      static_cast<int>(size));
  }
  auto from = static_cast<size_t>(offset);
  if (from > size) {
    return luaL_error(L, "Start offset %d greater than input length %d.", static_cast<int>(offset),
                      static_cast<int>(size));
  }
  if (all) limit = INT_MAX;
  Input in{reinterpret_cast<const unsigned char*>(bytes) + from, size - from};
  lua_settop(L, 1);
  int count = 0;
  if (!all) lua_pushnil(L);  // where to go on
  for (; in.left > 0 && count < limit; count++) {
    UnpackValue(L, &in);
    if (in.state == Input::kEnded) return luaL_error(L, "Missing bytes in input.");
    if (in.state == Input::kMalformed) return luaL_error(L, "Bad data format in input.");
  }
  if (all) return count;
  luaL_checkstack(L, 1, "in function mp_unpack_full");
  lua_pushinteger(L, in.left == 0 ? -1 : static_cast<lua_Integer>(size - in.left));
  lua_replace(L, 2);
  return count + 1;
}

int Unpack(lua_State* L) { return UnpackSome(L, 0, 0); }
int UnpackOne(lua_State* L) {
  luaL_checkstring(L, 1);
  return UnpackSome(L, 1, luaL_optinteger(L, 2, 0));
}
int UnpackLimit(lua_State* L) {
  luaL_checkstring(L, 1);
  lua_Integer limit = luaL_checkinteger(L, 2);
  return UnpackSome(L, limit, luaL_optinteger(L, 3, 0));
}

constexpr luaL_Reg kFunctions[] = {
    {"pack", Pack}, {"unpack", Unpack}, {"unpack_one", UnpackOne}, {"unpack_limit", UnpackLimit}, {nullptr, nullptr}};

}  // namespace

int OpenMessagePack(lua_State* L) {
  lua_newtable(L);
  luaL_register(L, nullptr, kFunctions);
  lua_pushliteral(L, "cmsgpack");
  lua_setfield(L, -2, "_NAME");
  lua_pushliteral(L, "lua-cmsgpack 0.4.0");
  lua_setfield(L, -2, "_VERSION");
  lua_pushliteral(L, "Copyright (C) 2012, Salvatore Sanfilippo");
  lua_setfield(L, -2, "_COPYRIGHT");
  lua_pushliteral(L, "MessagePack C implementation for Lua");
  lua_setfield(L, -2, "_DESCRIPTION");
  return 1;
}

}  // namespace brim
