#pragma once
// What the server asks of scripts, and what a run of one keeps in the worker. src/script implements it; main.cc wires.
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

class ServerContext;
class Worker;

// What a script may touch, by what its earlier runs did: its declared keys; keys of any shard; or it calls commands
// that need every thread paused.
enum class ScriptReach : uint8_t { kDeclared, kAllShards, kEverything };

// What a run of a script has taken so far.
struct ScriptLocks {
  uint64_t held = 0;  // shards
  bool paused = false;
  bool token = false;                           // ScriptClaim's
  bool again = false;                           // the run ended early, with nothing done but reading: once more
  ScriptReach wanted = ScriptReach::kDeclared;  // what turned out to be needed
};

struct ScriptFigures {
  int64_t eval_vm_bytes = 0;  // of all threads' interpreters
  int64_t function_vm_bytes = 0;
  int64_t scripts_bytes = 0;  // texts and what is known of them
  int64_t functions_bytes = 0;
  uint64_t scripts = 0;
  uint64_t evicted_scripts = 0;
  uint64_t libraries = 0;
  uint64_t functions = 0;
};

class ScriptEngine {
 public:
  virtual ~ScriptEngine() = default;
  // Of the script that the context's command names; the handler runs next, on the same thread. Notes a shortfall that
  // a run found out with Learn.
  virtual ScriptReach ReachOf(ServerContext& context) = 0;
  // The script that the context's command names says in its shebang line or its function's flags that it does not
  // write.
  virtual bool SaysNoWrites(ServerContext& context) = 0;
  virtual void Learn(ServerContext& context, ScriptReach reach) = 0;
  // Gives back what this worker's scripts have left: a slice of the work; `due` some times a second, else where there
  // is time. False: there is more to do. Not while a script runs.
  virtual bool Tidy(Worker& worker, bool due) = 0;
  // --- every thread paused (or one alone)
  virtual ScriptFigures Figures() = 0;
  virtual std::vector<std::string> LibraryTexts() = 0;
  // From a file that is loaded. One that is there is replaced if load_overwrites says so, else an error.
  virtual bool LoadLibrary(Worker& worker, const std::string& text, std::string* error) = 0;
  virtual void DropLibraries() = 0;
};

inline ScriptEngine* script_engine = nullptr;

// lua-memory-limit, worked out: what all interpreters together may hold; 0: no limit.
inline std::atomic<int64_t> script_memory_limit{0};

}  // namespace brim
