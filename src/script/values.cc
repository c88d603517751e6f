#include "script/values.h"

#include <cstdlib>
#include <cstring>

#include "base/numbers.h"

namespace brim {

namespace {

// ---- from a reply

int64_t TakeNumber(const char** at) {
  const char* p = *at;
  bool negative = *p == '-';
  if (negative) p++;
  uint64_t n = 0;
  while (*p != '\r') n = n * 10 + static_cast<uint64_t>(*p++ - '0');
  *at = p + 2;
  return static_cast<int64_t>(negative ? 0 - n : n);
}

std::string_view TakeLine(const char** at, const char* end) {
  const char* begin = *at;
  const auto* line_end = static_cast<const char*>(memchr(begin, '\r', static_cast<size_t>(end - begin)));
  *at = line_end + 2;
  return {begin, static_cast<size_t>(line_end - begin)};
}

std::string_view TakeBulk(const char** at) {
  auto size = static_cast<size_t>(TakeNumber(at));
  std::string_view text(*at, size);
  *at += size + 2;
  return text;
}

void SetText(lua_State* L, const char* name, std::string_view text) {
  lua_pushstring(L, name);
  lua_pushlstring(L, text.data(), text.size());
  lua_rawset(L, -3);
}

void PushNamed(lua_State* L, const char* name, std::string_view text) {
  lua_createtable(L, 0, 1);
  SetText(L, name, text);
}

const char* PushOne(lua_State* L, const char* at, const char* end);

const char* PushArray(lua_State* L, const char* at, const char* end) {
  int64_t count = TakeNumber(&at);
  if (count < 0) {
    lua_pushboolean(L, 0);
    return at;
  }
  lua_createtable(L, static_cast<int>(count), 0);
  for (int64_t i = 1; i <= count; i++) {
    at = PushOne(L, at, end);
    lua_rawseti(L, -2, static_cast<int>(i));
  }
  return at;
}

// {map = {...}} and {set = {...}}, whose members are its keys.
const char* PushKeyed(lua_State* L, const char* at, const char* end, bool map) {
  int64_t count = TakeNumber(&at);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, map ? "map" : "set");
  lua_createtable(L, 0, static_cast<int>(count));
  for (int64_t i = 0; i < count; i++) {
    at = PushOne(L, at, end);
    if (map) {
      at = PushOne(L, at, end);
    } else {
      lua_pushboolean(L, 1);
    }
    if (lua_isnil(L, -2)) {
      lua_pop(L, 2);  // no table has it as a key
    } else {
      lua_rawset(L, -3);
    }
  }
  lua_rawset(L, -3);
  return at;
}

void PushErrorReply(lua_State* L, std::string_view text) {
  lua_createtable(L, 0, 2);
  SetText(L, "err", text);
  // Whoever answers with it need not count it again.
  lua_pushliteral(L, "ignore_error_stats_update");
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
}

const char* PushVerbatim(lua_State* L, const char* at) {
  std::string_view text = TakeBulk(&at);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "verbatim_string");
  lua_createtable(L, 0, 2);
  SetText(L, "format", text.substr(0, 3));
  SetText(L, "string", text.substr(4));
  lua_rawset(L, -3);
  return at;
}

void PushDouble(lua_State* L, std::string_view text) {
  char buffer[64];
  size_t size = text.copy(buffer, sizeof buffer - 1);
  buffer[size] = '\0';
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "double");
  lua_pushnumber(L, strtod(buffer, nullptr));
  lua_rawset(L, -3);
}

const char* PushOne(lua_State* L, const char* at, const char* end) {
  luaL_checkstack(L, 6, "the reply is nested too deeply");
  char kind = *at++;
  switch (kind) {
    case ':':
      lua_pushnumber(L, static_cast<lua_Number>(TakeNumber(&at)));
      return at;
    case '$':
      if (*at == '-') {
        at += 4;
        lua_pushboolean(L, 0);
      } else {
        std::string_view text = TakeBulk(&at);
        lua_pushlstring(L, text.data(), text.size());
      }
      return at;
    case '+':
      PushNamed(L, "ok", TakeLine(&at, end));
      return at;
    case '-':
      PushErrorReply(L, TakeLine(&at, end));
      return at;
    case '*':
    case '>':
      return PushArray(L, at, end);
    case '%':
    case '~':
      return PushKeyed(L, at, end, kind == '%');
    case '_':
      lua_pushnil(L);
      return at + 2;
    case '#':
      lua_pushboolean(L, *at == 't');
      return at + 3;
    case ',':
      PushDouble(L, TakeLine(&at, end));
      return at;
    case '(':
      PushNamed(L, "big_number", TakeLine(&at, end));
      return at;
    default:
      return PushVerbatim(L, at);
  }
}

// ---- to a reply

struct Writer {
  lua_State* L;
  Reply& reply;
  int script_resp;
  bool* counted;
};

int64_t WholeNumber(double n) {
  constexpr double kTwo63 = 9223372036854775808.0;
  return n >= -kTwo63 && n < kTwo63 ? static_cast<int64_t>(n) : INT64_MIN;
}

// Pushes the table's own value of that name.
int Field(lua_State* L, const char* name) {
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  return lua_type(L, -1);
}

// A line's text: what would end it becomes a blank.
void WriteLineText(Reply& reply, std::string_view text) {
  for (;;) {
    size_t end = text.find_first_of("\r\n");
    reply.Raw(text.substr(0, end));
    if (end == std::string_view::npos) return;
    reply.Raw(" ");
    text.remove_prefix(end + 1);
  }
}

void WriteStatus(Reply& reply, std::string_view text) {
  reply.Raw("+");
  WriteLineText(reply, text);
  reply.Raw("\r\n");
}

void WriteBigNumber(Reply& reply, std::string_view text) {
  if (reply.version() >= 3) {
    reply.Raw("(");
  } else {
    char header[26] = "$";
    int size = 1 + FormatUint64(text.size(), header + 1);
    reply.Raw({header, static_cast<size_t>(size)});
    reply.Raw("\r\n");
  }
  WriteLineText(reply, text);
  reply.Raw("\r\n");
}

void WriteOne(const Writer& writer);

void WriteArray(const Writer& writer) {
  lua_State* L = writer.L;
  size_t count = 0;
  size_t token = writer.reply.BeginDeferred();
  for (int i = 1;; i++) {
    lua_rawgeti(L, -1, i);
    if (lua_isnil(L, -1)) break;
    WriteOne(writer);
    lua_pop(L, 1);
    count++;
  }
  lua_pop(L, 1);
  writer.reply.EndDeferredArray(token, count);
}

// Of the table on top, which stays.
void WriteKeyed(const Writer& writer, bool map) {
  lua_State* L = writer.L;
  size_t count = 0;
  size_t token = writer.reply.BeginDeferred();
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pushvalue(L, -2);
    WriteOne(writer);
    lua_pop(L, 1);
    if (map) WriteOne(writer);
    lua_pop(L, 1);
    count++;
  }
  if (map) {
    writer.reply.EndDeferredMap(token, count);
  } else {
    writer.reply.EndDeferredSet(token, count);
  }
}

std::string_view TextAt(lua_State* L, int index) {
  size_t size;
  const char* text = lua_tolstring(L, index, &size);
  return {text, size};
}

// {verbatim_string = {string = .., format = ..}}; the inner table is on top. False: it is none.
bool WriteVerbatim(const Writer& writer) {
  lua_State* L = writer.L;
  bool good = Field(L, "format") == LUA_TSTRING;
  if (good) {
    lua_insert(L, -2);
    good = Field(L, "string") == LUA_TSTRING;
    if (good) {
      char format[4] = "   ";
      TextAt(L, -3).copy(format, 3);
      writer.reply.Verbatim(TextAt(L, -1), format);
    }
    lua_pop(L, 1);
    lua_insert(L, -2);
  }
  lua_pop(L, 1);
  return good;
}

// Tables that stand for what Lua has no type for. False, and nothing written: it is an array.
bool WriteSpecial(const Writer& writer) {
  lua_State* L = writer.L;
  Reply& reply = writer.reply;
  bool done = true;
  if (Field(L, "err") == LUA_TSTRING) {
    std::string_view text = TextAt(L, -1);
    while (!text.empty() && (text.back() == '\r' || text.back() == '\n')) text.remove_suffix(1);
    reply.Error(text);
    lua_pop(L, 1);
    if (Field(L, "ignore_error_stats_update") == LUA_TBOOLEAN && lua_toboolean(L, -1)) *writer.counted = true;
    lua_pop(L, 1);
    return true;
  }
  lua_pop(L, 1);
  if (Field(L, "ok") == LUA_TSTRING) {
    WriteStatus(reply, TextAt(L, -1));
    lua_pop(L, 1);
    return true;
  }
  lua_pop(L, 1);
  if (Field(L, "double") == LUA_TNUMBER) {
    reply.Double(lua_tonumber(L, -1));
    lua_pop(L, 1);
    return true;
  }
  lua_pop(L, 1);
  if (Field(L, "map") == LUA_TTABLE) {
    WriteKeyed(writer, true);
  } else if (lua_pop(L, 1); Field(L, "set") == LUA_TTABLE) {
    WriteKeyed(writer, false);
  } else if (lua_pop(L, 1); Field(L, "big_number") == LUA_TSTRING) {
    WriteBigNumber(reply, TextAt(L, -1));
  } else if (lua_pop(L, 1); Field(L, "verbatim_string") == LUA_TTABLE) {
    done = WriteVerbatim(writer);
  } else {
    done = false;
  }
  lua_pop(L, 1);
  return done;
}

void WriteOne(const Writer& writer) {
  lua_State* L = writer.L;
  Reply& reply = writer.reply;
  switch (lua_type(L, -1)) {
    case LUA_TSTRING:
      reply.Bulk(TextAt(L, -1));
      return;
    case LUA_TNUMBER:
      reply.Integer(WholeNumber(lua_tonumber(L, -1)));
      return;
    case LUA_TBOOLEAN:
      if (writer.script_resp >= 3) {
        reply.Bool(lua_toboolean(L, -1) != 0);
      } else if (lua_toboolean(L, -1)) {
        reply.Integer(1);
      } else {
        reply.Null();
      }
      return;
    case LUA_TTABLE:
      if (!lua_checkstack(L, 6)) {
        reply.Error("ERR reached lua stack limit");
        return;
      }
      if (!WriteSpecial(writer)) WriteArray(writer);
      return;
    default:
      reply.Null();
  }
}

}  // namespace

void PushReply(lua_State* L, std::string_view text) { PushOne(L, text.data(), text.data() + text.size()); }

void WriteValue(lua_State* L, Reply& reply, int script_resp, bool* counted) {
  WriteOne({L, reply, script_resp, counted});
}

void PushError(lua_State* L, const char* text) {
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "err");
  if (text[0] == '-') {
    lua_pushstring(L, text + 1);
  } else {
    lua_pushfstring(L, "ERR %s", text);
  }
  lua_rawset(L, -3);
}

ErrorParts PartsOfError(lua_State* L) {
  ErrorParts parts;
  lua_getfield(L, -1, "err");
  if (lua_isstring(L, -1)) {
    parts.message = lua_tostring(L, -1);
    parts.size = strlen(parts.message);
  }
  lua_getfield(L, -2, "source");
  if (lua_isstring(L, -1)) parts.source = lua_tostring(L, -1);
  lua_getfield(L, -3, "line");
  if (lua_isstring(L, -1)) parts.line = lua_tostring(L, -1);
  lua_getfield(L, -4, "ignore_error_stats_update");
  parts.counted = lua_isboolean(L, -1) && lua_toboolean(L, -1);
  return parts;
}

}  // namespace brim
