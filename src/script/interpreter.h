#pragma once
// A Lua state of one thread, set up for scripts (kEval) or for function libraries (kFunction), and what belongs to the
// script that it runs. Scripts cannot leave anything behind in it; libraries keep their functions and what those hold.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "resp/output.h"
#include "resp/reply.h"
#include "script/script_memory.h"

namespace brim {

class ServerContext;

enum class ScriptKind : uint8_t { kEval, kFunction };

// Of a shebang line, and of functions.
enum ScriptFlag : uint32_t {
  kScriptNoWrites = 1,
  kScriptAllowOom = 2,
  kScriptAllowStale = 4,
  kScriptNoCluster = 8,
  kScriptAllowCrossSlot = 16,
  kScriptCompat = 32,  // without a shebang line: what it may do shows when it does it
};

// One run of a script.
struct ScriptRun {
  ServerContext* context = nullptr;
  std::string_view name;  // its digest or the function's name
  int function = 0;       // reference in the registry of Lua
  uint32_t flags = 0;
  bool read_only = false;
  bool oom = false;        // memory was over its limit when it began
  int64_t used_bytes = 0;  // memory then
  size_t keys = 0;
  size_t first_arg = 0;  // in the command's arguments: the first key
  // --- as it goes on
  enum Replicate : uint8_t { kReplicateNone = 0, kReplicateAof = 1, kReplicateReplica = 2, kReplicateAll = 3 };
  int replicate = kReplicateAll;
  bool acted = false;                        // something else than reading was done
  bool wrote = false;                        // a command that writes was executed
  bool slow = false;                         // past busy-reply-threshold; the log has it
  bool silent = false;                       // no reply is wanted: the server ends
  bool aborting = false;                     // it is to end: no command is executed any more, nothing it catches helps
  const char* end = "the script was ended";  // the error that it gets then, each time
};

class Interpreter final : public ScriptMemory {
 public:
  explicit Interpreter(ScriptKind kind);
  ~Interpreter();

  static Interpreter& Of(lua_State* L) {
    void* memory;
    lua_getallocf(L, &memory);
    return *static_cast<Interpreter*>(static_cast<ScriptMemory*>(memory));
  }
  // False: the system has no memory for it.
  bool good() const { return state_ != nullptr; }
  lua_State* state() { return state_; }
  ScriptKind kind() const { return kind_; }

  // Compiles a text; *reference is the function's in Lua's registry. False with Lua's message.
  bool Compile(std::string_view text, const char* chunk_name, int* reference, std::string* error);
  // Runs a compiled function as a run of `run`, its answer (or error) going to the context's reply.
  void Run(ScriptRun* run);
  // Runs the body of a library, for at most `most_ms`. False with the message.
  bool RunLibrary(int reference, int64_t most_ms, std::string* error);
  void Release(int reference) {
    luaL_unref(state_, LUA_REGISTRYINDEX, reference);
    cycles_due_ = 2;
  }
  // The run is to end, whatever it catches: every further instruction raises the error.
  void Abort(lua_State* L);

  // Much memory is held and little of it used, or some was refused: better begun anew.
  bool Worn() const;
  // Collects what runs have left, until `deadline_us` (monotonic) at most, where much memory is held: Lua itself does
  // so only as it allocates. False: there is more to do. Nothing while something runs.
  bool CollectSome(int64_t deadline_us);
  // Something was run or compiled since this was asked last.
  bool TakeUsed() { return std::exchange(used_, false); }

  ScriptRun* run = nullptr;                // what runs now
  void* library = nullptr;                 // what is being loaded now (function_loader.cc)
  int64_t load_until_us = 0;               // monotonic
  uint64_t random_state = 0x1234ABCD330E;  // of math.random: as lrand48 begins
  // Scratch of redis.call: arguments, numbers among them as text, the reply and its bytes in one piece.
  struct NumberText {
    char bytes[40];
  };
  std::vector<std::string_view> args;
  std::vector<NumberText> numbers;
  OutputBuffer output;
  Reply reply{&output, 2};
  std::string flat;

 private:
  void Enter();
  void GiveScratchBack();
  void ReplyError(int status);
  static int Setup(lua_State* L);

  ScriptKind kind_;
  lua_State* state_ = nullptr;
  bool used_ = false;
  int cycles_due_ = 0;  // of the collector, until nothing is left of what is garbage now
};

}  // namespace brim
