#include "script/script_cache.h"

#include <x86intrin.h>

#include "base/ascii.h"
#include "base/sha1.h"

namespace brim {

ScriptCache script_cache;

std::string Sha1Digits(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  Sha1Digest digest = Sha1(text);
  std::string hex;
  for (uint8_t byte : digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

ScriptPtr ScriptCache::Find(std::string_view digest) {
  std::string key = LowerCase(digest);
  std::lock_guard guard(mutex_);
  auto it = scripts_.find(key);
  return it == scripts_.end() ? nullptr : it->second;
}

ScriptPtr ScriptCache::Add(ScriptPtr script, bool kept) {
  std::lock_guard guard(mutex_);
  auto [it, fresh] = scripts_.try_emplace(script->digest, script);
  Script& there = *it->second;
  ScriptPtr result = it->second;
  if (fresh) {
    there.charge.Set(there.bytes());
    bytes_ += static_cast<int64_t>(there.bytes());
    there.used.store(__rdtsc(), std::memory_order_relaxed);
    passing_++;
  }
  if (kept && !there.kept) {
    there.kept = true;
    passing_--;
  }
  if (passing_ > kPassingMax) EvictOne();
  return result;
}

// The one that was not used for longest.
void ScriptCache::EvictOne() {
  auto oldest = scripts_.end();
  for (auto it = scripts_.begin(); it != scripts_.end(); ++it) {
    if (it->second->kept) continue;
    if (oldest == scripts_.end() ||
        it->second->used.load(std::memory_order_relaxed) < oldest->second->used.load(std::memory_order_relaxed)) {
      oldest = it;
    }
  }
  if (oldest == scripts_.end()) return;
  oldest->second->gone.store(true, std::memory_order_relaxed);
  bytes_ -= static_cast<int64_t>(oldest->second->bytes());
  scripts_.erase(oldest);
  passing_--;
  evicted_.fetch_add(1, std::memory_order_relaxed);
}

void ScriptCache::Clear() {
  std::lock_guard guard(mutex_);
  for (auto& [digest, script] : scripts_) script->gone.store(true, std::memory_order_relaxed);
  scripts_.clear();
  passing_ = 0;
  bytes_ = 0;
  generation_.fetch_add(1, std::memory_order_release);
}

size_t ScriptCache::count() {
  std::lock_guard guard(mutex_);
  return scripts_.size();
}

int64_t ScriptCache::bytes() {
  std::lock_guard guard(mutex_);
  return bytes_;
}

}  // namespace brim
