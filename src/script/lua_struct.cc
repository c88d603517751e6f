// The struct library: numbers and texts to bytes and back by a format of one letter an item, as redis-server's scripts
// have it (Roberto Ierusalimschy's struct 0.2). Bytes come from clients: every size is checked.
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "script/lua_libraries.h"

namespace brim {

namespace {

constexpr int kIntegerMax = 32;  // bytes of one integer
constexpr int kNativeAlign = 8;

struct Format {
  const char* at;
  bool big_endian = false;
  int align = 1;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The number behind an option, or what it stands for without one.
int Number(lua_State* L, Format* format, int otherwise) {
  if (!IsDigit(*format->at)) return otherwise;
  int value = 0;
  do {
    int digit = *format->at++ - '0';
    if (value > INT_MAX / 10 || value * 10 > INT_MAX - digit) luaL_error(L, "integral size overflow");
    value = value * 10 + digit;
  } while (IsDigit(*format->at));
  return value;
}

size_t OptionBytes(lua_State* L, char option, Format* format) {
  switch (option) {
    case 'B':
    case 'b':
    case 'x':
      return 1;
    case 'H':
    case 'h':
      return 2;
    case 'f':
      return sizeof(float);
    case 'L':
    case 'l':
    case 'T':
    case 'd':
      return 8;
    case 'c':
      return static_cast<size_t>(Number(L, format, 1));
    case 'i':
    case 'I': {
      int bytes = Number(L, format, sizeof(int));
      if (bytes > kIntegerMax) {
        luaL_error(L, "integral size %d is larger than limit of %d", bytes, kIntegerMax);
      }
      return static_cast<size_t>(bytes);
    }
    default:
      return 0;
  }
}

// Bytes between `at` and where an item of that size may begin.
size_t Padding(size_t at, const Format& format, char option, size_t bytes) {
  if (bytes == 0 || option == 'c') return 0;
  size_t align = bytes > static_cast<size_t>(format.align) ? static_cast<size_t>(format.align) : bytes;
  return (align - (at & (align - 1))) & (align - 1);
}

// What is no item: blanks, byte order, alignment.
void Control(lua_State* L, char option, Format* format) {
  if (option == ' ') return;
  if (option == '>' || option == '<') {
    format->big_endian = option == '>';
  } else if (option == '!') {
    int align = Number(L, format, kNativeAlign);
    if (align <= 0 || (align & (align - 1)) != 0) luaL_error(L, "alignment %d is not a power of 2", align);
    format->align = align;
  } else {
    luaL_argerror(L, 1, lua_pushfstring(L, "invalid format option '%c'", option));
  }
}

uint64_t WholeNumber(double n) {
  constexpr double kTwo63 = 9223372036854775808.0;
  if (std::isnan(n) || n < -kTwo63) return uint64_t{1} << 63;
  if (n < 0) return static_cast<uint64_t>(static_cast<int64_t>(n));
  return n >= 2 * kTwo63 ? 0 : static_cast<uint64_t>(n);
}

void PutInteger(luaL_Buffer* out, uint64_t value, size_t bytes, bool big_endian) {
  char buffer[kIntegerMax];
  for (size_t i = 0; i < bytes; i++) {
    buffer[big_endian ? bytes - 1 - i : i] = i < 8 ? static_cast<char>(value >> (8 * i)) : '\0';
  }
  luaL_addlstring(out, buffer, bytes);
}

void Reverse(char* bytes, size_t size) {
  for (size_t i = 0; i < size / 2; i++) {
    char swapped = bytes[i];
    bytes[i] = bytes[size - 1 - i];
    bytes[size - 1 - i] = swapped;
  }
}

void PutFloat(luaL_Buffer* out, double number, size_t bytes, bool big_endian) {
  char buffer[sizeof(double)];
  auto narrow = static_cast<float>(number);
  memcpy(buffer, bytes == sizeof(float) ? static_cast<const void*>(&narrow) : &number, bytes);
  if (big_endian) Reverse(buffer, bytes);
  luaL_addlstring(out, buffer, bytes);
}

int Pack(lua_State* L) {
  Format format{luaL_checkstring(L, 1)};
  int arg = 2;
  size_t total = 0;
  luaL_Buffer out;
  lua_pushnil(L);  // behind the arguments: one that is missing is nil, and no piece of the buffer's
  luaL_buffinit(L, &out);
  while (*format.at != '\0') {
    char option = *format.at++;
    size_t bytes = OptionBytes(L, option, &format);
    size_t padding = Padding(total, format, option, bytes);
    total += padding;
    while (padding-- > 0) luaL_addchar(&out, '\0');
    switch (option) {
      case 'b':
      case 'B':
      case 'h':
      case 'H':
      case 'l':
      case 'L':
      case 'T':
      case 'i':
      case 'I':
        PutInteger(&out, WholeNumber(luaL_checknumber(L, arg++)), bytes, format.big_endian);
        break;
      case 'x':
        luaL_addchar(&out, '\0');
        break;
      case 'f':
      case 'd':
        PutFloat(&out, luaL_checknumber(L, arg++), bytes, format.big_endian);
        break;
      case 'c':
      case 's': {
        size_t size;
        const char* text = luaL_checklstring(L, arg++, &size);
        if (bytes == 0) bytes = size;
        luaL_argcheck(L, size >= bytes, arg, "string too short");
        luaL_addlstring(&out, text, bytes);
        if (option == 's') {
          luaL_addchar(&out, '\0');
          bytes++;
        }
        break;
      }
      default:
        Control(L, option, &format);
    }
    total += bytes;
  }
  luaL_pushresult(&out);
  return 1;
}

double TakeInteger(const char* bytes, size_t size, bool big_endian, bool with_sign) {
  uint64_t value = 0;
  size_t used = size < 8 ? size : 8;
  for (size_t i = 0; i < used; i++) {
    size_t at = big_endian ? size - 1 - i : i;
    value |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[at])) << (8 * i);
  }
  if (!with_sign) return static_cast<double>(value);
  if (size > 0 && size < 8 && (value >> (8 * size - 1) & 1)) value |= ~uint64_t{0} << (8 * size);
  return static_cast<double>(static_cast<int64_t>(value));
}

double TakeFloat(const char* from, size_t size, bool big_endian) {
  char bytes[sizeof(double)];
  memcpy(bytes, from, size);
  if (big_endian) Reverse(bytes, size);
  if (size == sizeof(float)) {
    float number;
    memcpy(&number, bytes, size);
    return number;
  }
  double number;
  memcpy(&number, bytes, size);
  return number;
}

// A text: of a size given, of the size that the item before it says, or up to a zero byte. Returns its bytes.
size_t PushText(lua_State* L, char option, size_t bytes, const char* from, size_t left, bool first) {
  if (option == 's') {
    const void* end = memchr(from, '\0', left);
    if (end == nullptr) luaL_error(L, "unfinished string in data");
    auto size = static_cast<size_t>(static_cast<const char*>(end) - from);
    lua_pushlstring(L, from, size);
    return size + 1;
  }
  if (bytes == 0) {
    if (first || !lua_isnumber(L, -1)) luaL_error(L, "format 'c0' needs a previous size");
    double wanted = lua_tonumber(L, -1);
    lua_pop(L, 1);
    luaL_argcheck(L, wanted >= 0 && wanted <= static_cast<double>(left), 2, "data string too short");
    bytes = static_cast<size_t>(wanted);
  }
  lua_pushlstring(L, from, bytes);
  return bytes;
}

int Unpack(lua_State* L) {
  Format format{luaL_checkstring(L, 1)};
  size_t size;
  const char* data = luaL_checklstring(L, 2, &size);
  auto at = static_cast<size_t>(luaL_optinteger(L, 3, 1));
  luaL_argcheck(L, at > 0, 3, "offset must be 1 or greater");
  at--;
  lua_settop(L, 2);
  while (*format.at != '\0') {
    char option = *format.at++;
    size_t bytes = OptionBytes(L, option, &format);
    at += Padding(at, format, option, bytes);
    luaL_argcheck(L, bytes <= size && at <= size - bytes, 2, "data string too short");
    luaL_checkstack(L, 2, "too many results");
    switch (option) {
      case 'b':
      case 'h':
      case 'l':
      case 'i':
        lua_pushnumber(L, TakeInteger(data + at, bytes, format.big_endian, true));
        break;
      case 'B':
      case 'H':
      case 'L':
      case 'T':
      case 'I':
        lua_pushnumber(L, TakeInteger(data + at, bytes, format.big_endian, false));
        break;
      case 'x':
        break;
      case 'f':
      case 'd':
        lua_pushnumber(L, TakeFloat(data + at, bytes, format.big_endian));
        break;
      case 'c':
      case 's':
        bytes = PushText(L, option, bytes, data + at, size - at, lua_gettop(L) == 2);
        break;
      default:
        Control(L, option, &format);
    }
    at += bytes;
  }
  lua_pushinteger(L, static_cast<lua_Integer>(at) + 1);
  return lua_gettop(L) - 2;
}

int Size(lua_State* L) {
  Format format{luaL_checkstring(L, 1)};
  size_t at = 0;
  while (*format.at != '\0') {
    char option = *format.at++;
    size_t bytes = OptionBytes(L, option, &format);
    at += Padding(at, format, option, bytes);
    if (option == 's') luaL_argerror(L, 1, "option 's' has no fixed size");
    if (option == 'c' && bytes == 0) luaL_argerror(L, 1, "option 'c0' has no fixed size");
    bool letter = (option >= 'a' && option <= 'z') || (option >= 'A' && option <= 'Z') || IsDigit(option);
    if (!letter) Control(L, option, &format);
    at += bytes;
  }
  lua_pushinteger(L, static_cast<lua_Integer>(at));
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"pack", Pack}, {"unpack", Unpack}, {"size", Size}, {nullptr, nullptr}};

}  // namespace

int OpenStruct(lua_State* L) {
  lua_newtable(L);
  luaL_register(L, nullptr, kFunctions);
  return 1;
}

}  // namespace brim
