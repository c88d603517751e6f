#include "script/redis_api.h"

#include <cmath>
#include <cstring>

#include "base/numbers.h"
#include "base/sha1.h"
#include "script/function_loader.h"
#include "script/permissions.h"
#include "script/sandbox.h"
#include "script/script_call.h"
#include "script/values.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/server.h"
#include "server/server_context.h"

namespace brim {

namespace {

constexpr int kVersionNumber = 7 << 16 | 0 << 8 | 15;  // of kRedisVersion

int RaiseError(lua_State* L, const char* text) {
  PushError(L, text);
  return lua_error(L);
}

size_t FormatNumber(double number, char* to) {
  constexpr double kExact = 1e15;
  if (number == std::floor(number) && std::fabs(number) < kExact && !(number == 0 && std::signbit(number))) {
    return static_cast<size_t>(FormatInt64(static_cast<int64_t>(number), to));
  }
  return static_cast<size_t>(snprintf(to, sizeof(Interpreter::NumberText), "%.17g", number));
}

// Makes room for so many arguments; false: no memory.
bool ReserveArguments(Interpreter& interpreter, size_t count) noexcept {
  try {
    interpreter.args.resize(count);
    if (interpreter.numbers.size() < count) interpreter.numbers.resize(count);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// The arguments of a command, from the stack. Null, or why they are none.
const char* TakeArguments(lua_State* L, Interpreter& interpreter) {
  int count = lua_gettop(L);
  if (count == 0) return "Please specify at least one argument for this redis lib call";
  if (!ReserveArguments(interpreter, static_cast<size_t>(count))) return "not enough memory";
  for (int i = 0; i < count; i++) {
    auto at = static_cast<size_t>(i);
    int type = lua_type(L, i + 1);
    if (type == LUA_TSTRING) {
      size_t size;
      const char* text = lua_tolstring(L, i + 1, &size);
      interpreter.args[at] = {text, size};
    } else if (type == LUA_TNUMBER) {
      char* text = interpreter.numbers[at].bytes;
      interpreter.args[at] = {text, FormatNumber(lua_tonumber(L, i + 1), text)};
    } else {
      return "Lua redis lib command arguments must be strings or integers";
    }
  }
  return nullptr;
}

// The reply's bytes in one piece: in the buffer where there is one, else copied. False: no memory.
bool GatherReply(Interpreter& interpreter, std::string_view* text) noexcept {
  constexpr int kPieces = 64;
  iovec pieces[kPieces];
  OutputBuffer& output = interpreter.output;
  int count = output.Gather(pieces, kPieces);
  if (count == 1) {
    *text = {static_cast<const char*>(pieces[0].iov_base), pieces[0].iov_len};
    return true;
  }
  try {
    interpreter.flat.clear();
    interpreter.flat.reserve(output.size_bytes());
    while (!output.empty()) {
      count = output.Gather(pieces, kPieces);
      size_t bytes = 0;
      for (int i = 0; i < count; i++) {
        interpreter.flat.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
        bytes += pieces[i].iov_len;
      }
      output.Consume(bytes);
    }
  } catch (const std::bad_alloc&) {
    return false;
  }
  *text = interpreter.flat;
  return true;
}

int Fail(lua_State* L, bool raise, const char* text) {
  PushError(L, text);
  return raise ? lua_error(L) : 1;
}

int CallAny(lua_State* L, bool raise) {
  Interpreter& interpreter = Interpreter::Of(L);
  ScriptRun* run = interpreter.run;
  if (run == nullptr) return RaiseError(L, "redis.call/pcall can only be called inside a script invocation");
  if (run->aborting) return RaiseError(L, run->end);
  if (const char* wrong = TakeArguments(L, interpreter)) return Fail(L, raise, wrong);
  switch (CallCommand(interpreter, *run)) {
    case CallOutcome::kAborted:
      interpreter.Abort(L);
      return RaiseError(L, run->end);
    case CallOutcome::kNoMemory:
      return Fail(L, raise, errors::kNoMemoryLine.data());
    default:
      break;
  }
  std::string_view text;
  if (!GatherReply(interpreter, &text)) return Fail(L, raise, errors::kNoMemoryLine.data());
  bool failed = text[0] == '-';
  lua_settop(L, 0);
  PushReply(L, text);
  return failed && raise ? lua_error(L) : 1;
}

int Call(lua_State* L) { return CallAny(L, true); }
int ProtectedCall(lua_State* L) { return CallAny(L, false); }

int Sha1Hex(lua_State* L) {
  constexpr char kDigits[] = "0123456789abcdef";
  if (lua_gettop(L) != 1) return RaiseError(L, "wrong number of arguments");
  size_t size = 0;
  const char* text = lua_tolstring(L, 1, &size);
  Sha1Digest digest = Sha1({text != nullptr ? text : "", size});
  char hex[2 * sizeof digest];
  for (size_t i = 0; i < digest.size(); i++) {
    hex[2 * i] = kDigits[digest[i] >> 4];
    hex[2 * i + 1] = kDigits[digest[i] & 15];
  }
  lua_pushlstring(L, hex, sizeof hex);
  return 1;
}

// {err = ..} or {ok = ..} of a text.
int SingleField(lua_State* L, const char* field) {
  if (lua_gettop(L) != 1 || lua_type(L, -1) != LUA_TSTRING) {
    PushError(L, "wrong number or type of arguments");
    return 1;
  }
  lua_createtable(L, 0, 1);
  lua_pushstring(L, field);
  lua_pushvalue(L, 1);
  lua_rawset(L, -3);
  return 1;
}

int StatusReply(lua_State* L) { return SingleField(L, "ok"); }

// The text is a code and more, perhaps with a dash before it; a single word gets the code ERR.
int ErrorReply(lua_State* L) {
  if (lua_gettop(L) != 1 || lua_type(L, -1) != LUA_TSTRING) return SingleField(L, "err");
  const char* text = lua_tostring(L, 1);
  if (text[0] == '-') text++;
  if (strchr(text, ' ') == nullptr) {
    lua_pushfstring(L, "ERR %s", text);
  } else {
    lua_pushstring(L, text);
  }
  lua_replace(L, 1);
  lua_settop(L, 1);
  return SingleField(L, "err");
}

// Everything in one line, into the server's log.
void WriteLog(int level, const char* text, size_t size) noexcept {
  try {
    std::string line(text, size);
    switch (level) {
      case 0:
        return LogDebug(line);
      case 1:
        return LogVerbose(line);
      case 2:
        return LogNotice(line);
      default:
        return LogWarning(line);
    }
  } catch (const std::bad_alloc&) {
    return;
  }
}

int Log(lua_State* L) {
  int count = lua_gettop(L);
  if (count < 2) return RaiseError(L, "redis.log() requires two arguments or more.");
  if (!lua_isnumber(L, 1)) return RaiseError(L, "First argument must be a number (log level).");
  double level = lua_tonumber(L, 1);
  if (!(level >= 0 && level <= 3)) return RaiseError(L, "Invalid debug level.");
  luaL_Buffer line;
  luaL_buffinit(L, &line);
  for (int i = 2; i <= count; i++) {
    size_t size;
    const char* text = lua_tolstring(L, i, &size);
    if (text == nullptr) continue;
    if (i > 2) luaL_addlstring(&line, " ", 1);
    luaL_addlstring(&line, text, size);
  }
  luaL_pushresult(&line);
  size_t size;
  const char* text = lua_tolstring(L, -1, &size);
  WriteLog(static_cast<int>(level), text, size);
  return 0;
}

int SetResp(lua_State* L) {
  if (lua_gettop(L) != 1) return RaiseError(L, "redis.setresp() requires one argument.");
  double version = lua_tonumber(L, 1);
  if (version != 2 && version != 3) return RaiseError(L, "RESP version must be 2 or 3.");
  Interpreter::Of(L).reply.SetVersion(static_cast<int>(version));
  return 0;
}

int SetRepl(lua_State* L) {
  if (lua_gettop(L) != 1) return RaiseError(L, "redis.set_repl() requires two arguments.");
  double flags = lua_tonumber(L, -1);
  auto bits = flags >= 0 && flags < 1024 ? static_cast<int>(flags) : ~0;
  if (bits & ~ScriptRun::kReplicateAll) {
    return RaiseError(L, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
  }
  if (ScriptRun* run = Interpreter::Of(L).run; run != nullptr) run->replicate = bits;
  return 0;
}

int ReplicateCommands(lua_State* L) {
  lua_pushboolean(L, 1);
  return 1;
}

// No debugger is attached, ever.
int Breakpoint(lua_State* L) {
  lua_pushboolean(L, 0);
  return 1;
}

int Debug(lua_State*) { return 0; }

enum class Checked : uint8_t { kNo, kYes, kUnknown };

Checked CheckCommand(Interpreter& interpreter) noexcept {
  ScriptRun* run = interpreter.run;
  const Command* container;
  const Command* command = registry.Resolve(interpreter.args, &container);
  if (command == nullptr) return Checked::kUnknown;
  if (run == nullptr) return Checked::kYes;
  return ScriptMight(*run->context, *command, interpreter.args) ? Checked::kYes : Checked::kNo;
}

int AclCheckCommand(lua_State* L) {
  Interpreter& interpreter = Interpreter::Of(L);
  if (const char* wrong = TakeArguments(L, interpreter)) return RaiseError(L, wrong);
  Checked checked = CheckCommand(interpreter);
  if (checked == Checked::kUnknown) return RaiseError(L, "Invalid command passed to redis.acl_check_cmd()");
  lua_pushboolean(L, checked == Checked::kYes);
  return 1;
}

void AddNumber(lua_State* L, const char* name, int number) {
  lua_pushnumber(L, number);
  lua_setfield(L, -2, name);
}

void AddLogAndVersion(lua_State* L) {
  lua_pushcfunction(L, Log);
  lua_setfield(L, -2, "log");
  constexpr const char* kLevels[] = {"LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"};
  for (int i = 0; i < 4; i++) AddNumber(L, kLevels[i], i);
  lua_pushstring(L, kRedisVersion);
  lua_setfield(L, -2, "REDIS_VERSION");
  AddNumber(L, "REDIS_VERSION_NUM", kVersionNumber);
}

}  // namespace

void AddRedisApi(lua_State* L, ScriptKind kind) {
  constexpr luaL_Reg kFunctions[] = {{"call", Call},
                                     {"pcall", ProtectedCall},
                                     {"sha1hex", Sha1Hex},
                                     {"error_reply", ErrorReply},
                                     {"status_reply", StatusReply},
                                     {"setresp", SetResp},
                                     {"set_repl", SetRepl},
                                     {"acl_check_cmd", AclCheckCommand},
                                     {nullptr, nullptr}};
  constexpr luaL_Reg kEvalFunctions[] = {
      {"replicate_commands", ReplicateCommands}, {"breakpoint", Breakpoint}, {"debug", Debug}, {nullptr, nullptr}};
  lua_newtable(L);
  luaL_register(L, nullptr, kFunctions);
  if (kind == ScriptKind::kEval) luaL_register(L, nullptr, kEvalFunctions);
  AddLogAndVersion(L);
  AddNumber(L, "REPL_NONE", ScriptRun::kReplicateNone);
  AddNumber(L, "REPL_AOF", ScriptRun::kReplicateAof);
  AddNumber(L, "REPL_SLAVE", ScriptRun::kReplicateReplica);
  AddNumber(L, "REPL_REPLICA", ScriptRun::kReplicateReplica);
  AddNumber(L, "REPL_ALL", ScriptRun::kReplicateAll);
  Shield(L, false);
  lua_pushvalue(L, -1);
  AddOwnGlobal(L, "redis");
  AddOwnGlobal(L, "server");
}

void MakeLoadingGlobals(lua_State* L) {
  lua_newtable(L);
  lua_newtable(L);
  AddLogAndVersion(L);
  lua_pushcfunction(L, RegisterFunction);
  lua_setfield(L, -2, "register_function");
  Shield(L, true);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "redis");
  lua_setfield(L, -2, "server");
  // Other names are an error, as among the globals: the shield's own work, whose table this stands in for.
  Shield(L, true);
  lua_setfield(L, LUA_REGISTRYINDEX, kLoadingGlobals);
}

}  // namespace brim
