#pragma once
// The texts of scripts by their SHA-1, for all threads. Each thread compiles those it runs for itself (WorkerScripts).
//
// A script that EVAL brings stays until 500 others were used after it; one of SCRIPT LOAD stays until SCRIPT FLUSH.
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "memory/account.h"
#include "server/script_engine.h"

namespace brim {

using ScriptsCharge = Recharge<MemoryCategory::kScripts>;

struct Script {
  std::string digest;  // 40 digits, lower case
  std::string text;
  size_t body = 0;  // where in the text what is compiled begins
  uint32_t flags = 0;
  std::atomic<ScriptReach> reach{ScriptReach::kDeclared};
  std::atomic<uint64_t> used{0};  // when, in time-stamp ticks
  std::atomic<bool> gone{false};  // no longer in the cache
  bool kept = false;              // of SCRIPT LOAD
  ScriptsCharge charge;
  size_t bytes() const { return sizeof *this + digest.capacity() + text.capacity(); }
};
using ScriptPtr = std::shared_ptr<Script>;

inline constexpr size_t kDigestDigits = 40;
std::string Sha1Digits(std::string_view text);

// Any thread.
class ScriptCache {
 public:
  // By digits in any case; null: there is none.
  ScriptPtr Find(std::string_view digest);
  // Puts it there unless it is there; `kept` for SCRIPT LOAD. Returns the one that is there.
  ScriptPtr Add(ScriptPtr script, bool kept);
  void Clear();

  // Rises with every Clear: what was compiled before is no longer to be run.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }
  size_t count();
  int64_t bytes();

 private:
  static constexpr size_t kPassingMax = 500;
  void EvictOne();

  std::mutex mutex_;
  std::unordered_map<std::string, ScriptPtr> scripts_;
  size_t passing_ = 0;  // not kept
  int64_t bytes_ = 0;
  std::atomic<uint64_t> generation_{1};
  std::atomic<uint64_t> evicted_{0};
};

extern ScriptCache script_cache;

}  // namespace brim
