#pragma once
// One thread's scripts: its interpreters, what it has compiled, what it runs.
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "script/interpreter.h"
#include "script/libraries.h"
#include "script/script_cache.h"

namespace brim {

class ServerContext;

// A script as this thread has compiled it.
struct CompiledScript {
  ScriptPtr script;
  int reference = LUA_NOREF;
};

struct LoadedFunction {
  Function* function = nullptr;
  int reference = LUA_NOREF;
};

class WorkerScripts {
 public:
  // Of the thread with that number.
  static WorkerScripts& Of(int worker);
  // All that there are; every thread paused.
  static std::vector<std::unique_ptr<WorkerScripts>>& All();

  // The script of EVAL's text, or of EVALSHA's digits, compiled. Null: *error is the reply.
  CompiledScript* ByText(std::string_view text, std::string* error);
  CompiledScript* ByDigest(std::string_view digest, std::string* error);
  // The function as this thread has loaded it. Null: *error is the reply.
  LoadedFunction* ByName(std::string_view name, std::string* error);
  // SCRIPT LOAD: compiles it to see that it is good. Null: *error is the reply.
  ScriptPtr Load(std::string_view text, std::string* error);
  // Runs a library's body here; its functions are this thread's when Adopt tells so, or are dropped again.
  bool TryLibrary(std::string_view body, std::vector<RegisteredFunction>* functions, std::string* error);
  void Adopt(const LibraryPtr& library, const std::vector<RegisteredFunction>& functions);
  void Drop(const std::vector<RegisteredFunction>& functions);

  // What `run` names is run.
  void Run(ScriptKind kind, ScriptRun* run);
  // Lets go of what was flushed or deleted, and of what runs have left in memory: a slice of the work, of an
  // interpreter in use only where it is `due`. False: there is more to do. Its own thread, while it runs nothing.
  bool Tidy(bool due);
  // Forgets every script and its interpreter, or every library and theirs.
  void CloseScripts();
  void CloseLibraries();
  size_t held_bytes(ScriptKind kind) const;

  // Found by ReachOf, for the handler that follows; unless scripts or libraries were changed while it waited for locks.
  uint64_t found_at = 0;
  static uint64_t Now() { return script_cache.generation() + libraries.generation(); }
  CompiledScript* script = nullptr;
  LoadedFunction* function = nullptr;
  std::string error;

 private:
  Interpreter* Get(ScriptKind kind);
  CompiledScript* Compile(ScriptPtr script, std::string* error);
  void ForgetOutdated();
  void ForgetDeletedLibraries();
  bool SyncLibraries(std::string* error);

  std::unique_ptr<Interpreter> interpreters_[2];
  // Digests are as good as hashes as they are.
  struct DigestHash {
    using is_transparent = void;
    size_t operator()(std::string_view digest) const {
      size_t first;
      memcpy(&first, digest.data(), sizeof first);
      return first;
    }
  };
  struct NameHash {
    using is_transparent = void;
    size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };
  std::unordered_map<std::string, std::unique_ptr<CompiledScript>, DigestHash, std::equal_to<>> by_digest_;
  std::unordered_map<uint64_t, CompiledScript*> by_text_;  // by the text's hash
  uint64_t generation_ = 0;                                // of the cache
  uint64_t evicted_ = 0;
  std::map<uint64_t, std::vector<int>> loaded_;  // references by library
  std::unordered_map<std::string, LoadedFunction, NameHash, std::equal_to<>> functions_;
  uint64_t library_generation_ = 0;  // of the libraries: all of them are loaded
  uint64_t forgotten_at_ = 0;        // and those that are gone are forgotten
};

}  // namespace brim
