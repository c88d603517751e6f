#pragma once
// redis.call: a command on its way from a script to its handler. The list of steps is in script_call.cc.
#include "script/interpreter.h"

namespace brim {

enum class CallOutcome : uint8_t {
  kReplied,   // the reply, an error perhaps, is in interpreter.output
  kAborted,   // the run is over: it begins anew, or somebody else goes first
  kNoMemory,  // the system has none
};

// Executes the command of interpreter.args. Raises no Lua errors.
CallOutcome CallCommand(Interpreter& interpreter, ScriptRun& run) noexcept;

}  // namespace brim
