#pragma once
// The function libraries of the server, for all threads. They change while every thread is paused, and are read without
// a lock. Each thread runs a library's body for itself before it first calls one of its functions (WorkerScripts), so
// what a body keeps in local variables is each thread's own. docs/scripts.md.
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "script/function_loader.h"
#include "script/script_cache.h"
#include "server/script_engine.h"

namespace brim {

struct Library;

struct Function {
  std::string name;
  std::string description;
  bool described = false;
  uint32_t flags = 0;
  const Library* library = nullptr;
  std::atomic<ScriptReach> reach{ScriptReach::kDeclared};
};

struct Library {
  uint64_t id = 0;
  std::string name;
  std::string text;
  size_t body = 0;  // where in the text what is compiled begins
  std::vector<std::unique_ptr<Function>> functions;
  ScriptsCharge charge;
  size_t bytes() const;
};
using LibraryPtr = std::shared_ptr<Library>;
using LibraryMap = std::map<std::string, LibraryPtr, std::less<>>;

class Libraries {
 public:
  const LibraryMap& all() const { return libraries_; }
  // Functions are found by their names in any case.
  Function* Find(std::string_view name) const;
  // What FUNCTION RESTORE and LOAD do: some go, some come. False, and nothing done, with the error reply's text.
  enum class Policy : uint8_t { kAppend, kReplace, kFlush };
  bool Check(const std::vector<LibraryPtr>& fresh, Policy policy, std::string* error) const;
  void Put(const std::vector<LibraryPtr>& fresh, Policy policy);
  bool Delete(std::string_view name);
  void Clear();
  static LibraryPtr Make(std::string_view name, std::string_view text, size_t body,
                         const std::vector<RegisteredFunction>& functions);

  // Rises with every change.
  uint64_t generation() const { return generation_; }
  // For FUNCTION STATS. Any thread.
  size_t count() const { return count_.load(std::memory_order_relaxed); }
  size_t function_count() const { return function_count_.load(std::memory_order_relaxed); }
  int64_t bytes() const { return bytes_; }

 private:
  void Changed();
  void Remove(LibraryMap::iterator it);

  LibraryMap libraries_;
  std::unordered_map<std::string, Function*> functions_;  // by the name in lower case
  uint64_t generation_ = 1;
  int64_t bytes_ = 0;
  std::atomic<size_t> count_{0};
  std::atomic<size_t> function_count_{0};
  static inline uint64_t last_id_ = 0;
};

extern Libraries libraries;

}  // namespace brim
