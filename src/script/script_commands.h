#pragma once
// EVAL and its kin, SCRIPT, FCALL, FUNCTION; main.cc lists their tables.
#include <string>
#include <string_view>

#include "command/spec.h"
#include "script/worker_scripts.h"

namespace brim {

extern const CommandTable kEvalCommands;      // eval_commands.cc: EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO
extern const CommandTable kScriptCommands;    // script_commands.cc: SCRIPT
extern const CommandTable kFunctionCommands;  // function_commands.cc: FUNCTION

// Finds what the context's command is to run: scripts.script or .function, or neither and scripts.error.
void FindScript(ServerContext& context, WorkerScripts& scripts);

// Loads a library on this thread and puts it among the others; every thread paused. *name is set when that is wanted.
// False: *error is the reply.
bool PutLibrary(WorkerScripts& scripts, std::string_view text, bool replace, std::string* name, std::string* error);

// SCRIPT KILL (`function` false) and FUNCTION KILL.
void KillSlowScripts(Context& context, bool function);

}  // namespace brim
