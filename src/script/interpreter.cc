#include "script/interpreter.h"

#include <x86intrin.h>

#include <cstring>
#include <mutex>

#include "base/monotonic.h"
#include "script/redis_api.h"
#include "script/sandbox.h"
#include "script/slow_run.h"
#include "script/values.h"
#include "server/log.h"
#include "server/server_context.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr int kHookInstructions = 100'000;
constexpr size_t kWornBytes = 8 << 20;
constexpr size_t kKeptScratchBytes = 1 << 20;
constexpr size_t kKeptWords = 16;
constexpr uint64_t kGlanceTicks = 20'000;  // some microseconds
// The stack of a state that runs nothing.
constexpr int kErrorHandler = 1;
constexpr int kBody = 2;
constexpr int kResting = 2;

int Panic(lua_State* L) {
  const char* text = lua_tostring(L, -1);
  LogWarning(std::string("Lua error outside of a protected call: ") + (text != nullptr ? text : "?"));
  abort();
}

// As tostring, which is not always among the globals.
void PushAsText(lua_State* L, int index) {
  if (luaL_callmeta(L, index, "__tostring")) return;
  switch (lua_type(L, index)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
      lua_pushvalue(L, index);
      lua_tostring(L, -1);
      break;
    case LUA_TBOOLEAN:
      lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
      break;
    case LUA_TNIL:
      lua_pushliteral(L, "nil");
      break;
    default:
      lua_pushfstring(L, "%s: %p", luaL_typename(L, index), lua_topointer(L, index));
  }
}

// Makes errors tables, and adds where they were raised.
int HandleError(lua_State* L) {
  lua_Debug where;
  bool known = lua_getstack(L, 1, &where) && lua_getinfo(L, "Sl", &where);
  if (known && strcmp(where.what, "C") == 0) known = lua_getstack(L, 2, &where) && lua_getinfo(L, "Sl", &where);
  if (!lua_istable(L, 1)) {
    lua_pushliteral(L, "ERR ");
    PushAsText(L, 1);
    lua_concat(L, 2);
    lua_createtable(L, 0, 3);
    lua_insert(L, -2);
    lua_setfield(L, -2, "err");
    lua_replace(L, 1);
    lua_settop(L, 1);
  }
  if (!known || IsShield(L, 1)) return 1;
  lua_pushliteral(L, "source");
  lua_pushstring(L, where.source);
  lua_rawset(L, 1);
  lua_pushliteral(L, "line");
  lua_pushinteger(L, where.currentline);
  lua_rawset(L, 1);
  return 1;
}

void PushWords(lua_State* L, std::span<const std::string_view> words) {
  lua_createtable(L, static_cast<int>(words.size()), 0);
  for (size_t i = 0; i < words.size(); i++) {
    lua_pushlstring(L, words[i].data(), words[i].size());
    lua_rawseti(L, -2, static_cast<int>(i + 1));
  }
}

// Fills the table on top of the stack with the words. True: it has them and nothing else, pairs() finds them in their
// order (a table that had other keys may have room among those), and that is seen at a glance: one that a script has
// filled and emptied has room for what it had, and is looked through whole.
bool Refill(lua_State* L, std::span<const std::string_view> words) {
  if (lua_getmetatable(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  uint64_t began = __rdtsc();
  for (size_t i = 0; i < words.size(); i++) {
    lua_pushlstring(L, words[i].data(), words[i].size());
    lua_rawseti(L, -2, static_cast<int>(i + 1));
  }
  size_t entries = 0;
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    entries++;
    if (entries <= words.size() && lua_tonumber(L, -1) == static_cast<lua_Number>(entries)) continue;
    lua_pop(L, 1);
    return false;
  }
  return __rdtsc() - began < kGlanceTicks;
}

// KEYS or ARGV among the globals. Few words go into the table of the run before: making and collecting tables was
// a fifth of a small script's work. A script has nowhere to keep a reference to it (what it can write to
// ends with it), and one that has put something else into it has spoilt it for the next.
void SetWords(lua_State* L, int name, int table, std::span<const std::string_view> words) {
  bool few = words.size() <= kKeptWords;
  if (few && lua_istable(L, table)) {
    lua_pushvalue(L, table);
    bool good = Refill(L, words);
    lua_pop(L, 1);
    if (good) return;
  }
  lua_pushvalue(L, name);
  PushWords(L, words);
  if (few) {
    lua_pushvalue(L, -1);
  } else {
    lua_pushnil(L);
  }
  lua_replace(L, table);
  lua_rawset(L, lua_upvalueindex(1));
}

// The run of a script, protected: its arguments, the call, the reply. Upvalues: globals, "KEYS", "ARGV", and the tables
// of those two from the run before, or nil.
int RunBody(lua_State* L) {
  Interpreter& interpreter = Interpreter::Of(L);
  ScriptRun& run = *interpreter.run;
  std::span<const std::string_view> words = run.context->argv().subspan(run.first_arg);
  lua_rawgeti(L, LUA_REGISTRYINDEX, run.function);
  if (interpreter.kind() == ScriptKind::kFunction) {
    PushWords(L, words.first(run.keys));
    PushWords(L, words.subspan(run.keys));
    lua_call(L, 2, 1);
  } else {
    SetWords(L, lua_upvalueindex(2), lua_upvalueindex(4), words.first(run.keys));
    SetWords(L, lua_upvalueindex(3), lua_upvalueindex(5), words.subspan(run.keys));
    lua_call(L, 0, 1);
  }
  bool counted = false;
  WriteValue(L, run.context->reply(), interpreter.reply.version(), &counted);
  run.context->worker().error_counted = counted;
  return 0;
}

// The reply of a run that ended in the error on top.
int WriteError(lua_State* L) {
  Interpreter& interpreter = Interpreter::Of(L);
  ScriptRun& run = *interpreter.run;
  ErrorParts parts;
  lua_pushvalue(L, 1);
  if (lua_istable(L, -1)) {
    parts = PartsOfError(L);
    if (parts.message == nullptr) parts.message = "ERR unknown error";
  } else {
    lua_pushfstring(L, "ERR %s", lua_isstring(L, -1) ? lua_tostring(L, -1) : "unknown error");
    parts.message = lua_tostring(L, -1);
  }
  lua_pushlstring(L, run.name.data(), run.name.size());
  const char* name = lua_tostring(L, -1);
  if (parts.source != nullptr && parts.line != nullptr) {
    lua_pushfstring(L, "%s script: %s, on %s:%s.", parts.message, name, parts.source, parts.line);
  } else {
    lua_pushfstring(L, "%s script: %s.", parts.message, name);
  }
  run.context->worker().error_counted = parts.counted;
  size_t size;
  const char* text = lua_tolstring(L, -1, &size);
  run.context->reply().Error({text, size});
  return 0;
}

void Hook(lua_State* L, lua_Debug*) {
  Interpreter& interpreter = Interpreter::Of(L);
  if (interpreter.run == nullptr) {
    if (interpreter.load_until_us == 0 || MonotonicUs() < interpreter.load_until_us) return;
    PushError(L, "FUNCTION LOAD timeout");
    lua_error(L);
  }
  if (!interpreter.run->aborting) {
    const char* end = WatchRun(interpreter);
    if (end == nullptr) return;
    interpreter.run->end = end;
    interpreter.Abort(L);
  }
  PushError(L, interpreter.run->end);
  lua_error(L);
}

void SetHook(lua_State* L, bool at_once) {
  if (at_once) {
    lua_sethook(L, Hook, LUA_MASKLINE | LUA_MASKCOUNT, 1);
  } else {
    lua_sethook(L, Hook, LUA_MASKCOUNT, kHookInstructions);
  }
}

std::mutex open_mutex;

}  // namespace

int Interpreter::Setup(lua_State* L) {
  auto& interpreter = *static_cast<Interpreter*>(lua_touserdata(L, 1));
  OpenSandbox(L);
  AddRedisApi(L, interpreter.kind_);
  MakeLoadingGlobals(L);
  if (interpreter.kind_ == ScriptKind::kEval) {
    lua_pushcfunction(L, HandleError);
    AddOwnGlobal(L, "__redis__err__handler");
  }
  return 0;
}

Interpreter::Interpreter(ScriptKind kind) : kind_(kind) {
  SetUnbounded(true);
  state_ = lua_newstate(Reallocate, static_cast<ScriptMemory*>(this));
  if (state_ == nullptr) return;
  Enter();
  lua_atpanic(state_, Panic);
  int status;
  {
    std::lock_guard guard(open_mutex);
    status = lua_cpcall(state_, Setup, this);
  }
  if (status != 0 || refused()) {
    if (status != 0) LogWarning("Lua cannot be set up: " + std::string(lua_tostring(state_, -1)));
    lua_close(state_);
    state_ = nullptr;
    return;
  }
  lua_pushcfunction(state_, HandleError);
  PushGlobals(state_);
  lua_pushliteral(state_, "KEYS");
  lua_pushliteral(state_, "ARGV");
  lua_pushnil(state_);
  lua_pushnil(state_);
  lua_pushcclosure(state_, RunBody, 5);
  SetHook(state_, false);
  SetUnbounded(false);
}

Interpreter::~Interpreter() {
  if (state_ == nullptr) return;
  Enter();
  lua_close(state_);
  script_memory = nullptr;
}

void Interpreter::Enter() {
  script_memory = this;
  script_state = state_;
  used_ = true;
  cycles_due_ = 2;  // one may be under way that has marked already what is garbage now
}

// What one big reply has left.
void Interpreter::GiveScratchBack() {
  if (flat.capacity() > kKeptScratchBytes) std::string().swap(flat);
  if (output.owned_bytes() > kKeptScratchBytes) output.Clear();
}

void Interpreter::Abort(lua_State* L) {
  if (run != nullptr) run->aborting = true;
  SetHook(L, true);
  SetHook(state_, true);
}

bool Interpreter::Worn() const {
  if (refused()) return true;
  if (held_bytes() < kWornBytes) return false;
  auto used = static_cast<size_t>(lua_gc(state_, LUA_GCCOUNT, 0)) << 10;
  return used < held_bytes() / 4;
}

bool Interpreter::CollectSome(int64_t deadline_us) {
  if (cycles_due_ == 0 || run != nullptr || library != nullptr) return true;
  if (held_bytes() < kWornBytes) {
    cycles_due_ = 0;
    return true;
  }
  SetUnbounded(true);  // outside of a protected call nothing may fail
  while (cycles_due_ > 0 && MonotonicUs() < deadline_us) cycles_due_ -= lua_gc(state_, LUA_GCSTEP, 0);
  SetUnbounded(false);
  return cycles_due_ == 0;
}

bool Interpreter::Compile(std::string_view text, const char* chunk_name, int* reference, std::string* error) {
  Enter();
  struct Work {
    std::string_view text;
    const char* name;
    int reference;
  } work{text, chunk_name, LUA_NOREF};
  auto compile = [](lua_State* L) {
    auto& what = *static_cast<Work*>(lua_touserdata(L, 1));
    if (LoadText(L, what.text.data(), what.text.size(), what.name) != 0) return lua_error(L);
    what.reference = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
  };
  int status = lua_cpcall(state_, compile, &work);
  *reference = work.reference;
  if (status != 0) *error = lua_isstring(state_, -1) ? lua_tostring(state_, -1) : "unknown error";
  lua_settop(state_, kResting);
  return status == 0;
}

void Interpreter::ReplyError(int status) {
  Reply& out = run->context->reply();
  SetUnbounded(true);  // nothing here may fail
  lua_pushcfunction(state_, WriteError);
  lua_insert(state_, -2);
  bool written = status != LUA_ERRMEM && lua_pcall(state_, 1, 0, 0) == 0;
  SetUnbounded(false);
  if (written) return;
  out.Error(std::string(errors::kLuaMemory) + std::string(run->name) + ".");
}

void Interpreter::Run(ScriptRun* what) {
  Enter();
  run = what;
  reply.SetVersion(2);
  Reply& out = what->context->reply();
  OutputBuffer::Mark mark = out.output().End();
  lua_pushvalue(state_, kBody);
  int status = lua_pcall(state_, 0, 0, kErrorHandler);
  if (status != 0) {
    out.output().RollBack(mark);
    const ScriptLocks& locks = what->context->worker().script_locks;
    bool silent = what->silent || (what->aborting && (locks.again || what->context->worker().busy_refused));
    if (!silent) ReplyError(status);
  }
  if (what->aborting) SetHook(state_, false);
  lua_settop(state_, kResting);
  GiveScratchBack();
  run = nullptr;
}

bool Interpreter::RunLibrary(int reference, int64_t most_ms, std::string* error) {
  Enter();
  load_until_us = MonotonicUs() + most_ms * 1000;
  auto body = [](lua_State* L) {
    auto* which = static_cast<int*>(lua_touserdata(L, 1));
    ShowGlobals(L, kLoadingGlobals);
    lua_rawgeti(L, LUA_REGISTRYINDEX, *which);
    lua_call(L, 0, 0);
    return 0;
  };
  SetUnbounded(true);  // outside of a protected call nothing may fail
  lua_pushcfunction(state_, body);
  lua_pushlightuserdata(state_, &reference);
  SetUnbounded(false);
  int status = lua_pcall(state_, 1, 0, kErrorHandler);
  if (status != 0) {
    *error = "unknown error";
    SetUnbounded(true);
    if (lua_istable(state_, -1)) {
      lua_pushliteral(state_, "err");
      lua_rawget(state_, -2);
    }
    if (lua_type(state_, -1) == LUA_TSTRING) *error = lua_tostring(state_, -1);
    SetUnbounded(false);
  }
  load_until_us = 0;
  lua_settop(state_, kResting);
  SetUnbounded(true);
  auto restore = [](lua_State* L) {
    ShowGlobals(L, nullptr);
    return 0;
  };
  lua_cpcall(state_, restore, nullptr);
  SetUnbounded(false);
  lua_settop(state_, kResting);
  return status == 0;
}

}  // namespace brim
