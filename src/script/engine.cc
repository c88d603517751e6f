#include "script/engine.h"

#include "persist/rdb_file.h"
#include "script/libraries.h"
#include "script/script_commands.h"
#include "script/worker_scripts.h"
#include "server/server.h"
#include "server/server_context.h"
#include "server/worker.h"

namespace brim {

LuaEngine lua_engine;

// The handler finds the script, or why there is none, in the thread's WorkerScripts.
ScriptReach LuaEngine::ReachOf(ServerContext& context) {
  WorkerScripts& scripts = WorkerScripts::Of(context.worker().index());
  FindScript(context, scripts);
  if (scripts.script != nullptr) return scripts.script->script->reach.load(std::memory_order_relaxed);
  if (scripts.function != nullptr) return scripts.function->function->reach.load(std::memory_order_relaxed);
  return ScriptReach::kDeclared;
}

bool LuaEngine::SaysNoWrites(ServerContext& context) {
  WorkerScripts& scripts = WorkerScripts::Of(context.worker().index());
  FindScript(context, scripts);
  uint32_t flags = scripts.script != nullptr     ? scripts.script->script->flags
                   : scripts.function != nullptr ? scripts.function->function->flags
                                                 : 0;
  return (flags & kScriptNoWrites) != 0;
}

void LuaEngine::Learn(ServerContext& context, ScriptReach reach) {
  WorkerScripts& scripts = WorkerScripts::Of(context.worker().index());
  if (scripts.script != nullptr) scripts.script->script->reach.store(reach, std::memory_order_relaxed);
  if (scripts.function != nullptr) scripts.function->function->reach.store(reach, std::memory_order_relaxed);
}

ScriptFigures LuaEngine::Figures() {
  ScriptFigures figures;
  for (const auto& scripts : WorkerScripts::All()) {
    figures.eval_vm_bytes += static_cast<int64_t>(scripts->held_bytes(ScriptKind::kEval));
    figures.function_vm_bytes += static_cast<int64_t>(scripts->held_bytes(ScriptKind::kFunction));
  }
  figures.scripts_bytes = script_cache.bytes();
  figures.scripts = script_cache.count();
  figures.evicted_scripts = script_cache.evicted();
  figures.functions_bytes = libraries.bytes();
  figures.libraries = libraries.count();
  figures.functions = libraries.function_count();
  return figures;
}

std::vector<std::string> LuaEngine::LibraryTexts() {
  std::vector<std::string> texts;
  for (const auto& [name, library] : libraries.all()) texts.push_back(library->text);
  return texts;
}

bool LuaEngine::LoadLibrary(Worker& worker, const std::string& text, std::string* error) {
  return PutLibrary(WorkerScripts::Of(worker.index()), text, load_overwrites, nullptr, error);
}

void LuaEngine::DropLibraries() { libraries.Clear(); }

bool LuaEngine::Tidy(Worker& worker, bool due) { return WorkerScripts::Of(worker.index()).Tidy(due); }

}  // namespace brim
