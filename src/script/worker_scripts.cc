#include "script/worker_scripts.h"

#include <x86intrin.h>

#include "base/ascii.h"
#include "base/hash.h"
#include "base/monotonic.h"
#include "resp/errors.h"
#include "script/shebang.h"
#include "script/slow_run.h"
#include "server/script_watch.h"
#include "server/server_context.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr uint64_t kForgetStep = 64;     // scripts evicted since this thread last forgot those that are gone
constexpr uint64_t kUseTicks = 1 << 22;  // uses closer together than that (about a millisecond) count as one

// Whether the script is in the cache still; then it is used now. Threads share it: it is written to now and then only.
bool IsThere(Script& script) {
  if (script.gone.load(std::memory_order_relaxed)) return false;
  uint64_t now = __rdtsc();
  if (now - script.used.load(std::memory_order_relaxed) > kUseTicks) script.used.store(now, std::memory_order_relaxed);
  return true;
}

}  // namespace

std::vector<std::unique_ptr<WorkerScripts>>& WorkerScripts::All() {
  static std::vector<std::unique_ptr<WorkerScripts>> all = [] {
    std::vector<std::unique_ptr<WorkerScripts>> made(ThreadPause::kMaxThreads);
    for (auto& each : made) each = std::make_unique<WorkerScripts>();
    return made;
  }();
  return all;
}

WorkerScripts& WorkerScripts::Of(int worker) { return *All()[static_cast<size_t>(worker)]; }

Interpreter* WorkerScripts::Get(ScriptKind kind) {
  auto& interpreter = interpreters_[static_cast<size_t>(kind)];
  if (interpreter != nullptr && interpreter->Worn()) {
    if (kind == ScriptKind::kEval) {
      CloseScripts();
    } else if (interpreter->refused()) {
      CloseLibraries();
    }
  }
  if (interpreter == nullptr) interpreter = std::make_unique<Interpreter>(kind);
  return interpreter->good() ? interpreter.get() : nullptr;
}

size_t WorkerScripts::held_bytes(ScriptKind kind) const {
  const auto& interpreter = interpreters_[static_cast<size_t>(kind)];
  return interpreter != nullptr ? interpreter->held_bytes() : 0;
}

void WorkerScripts::CloseScripts() {
  by_text_.clear();
  by_digest_.clear();
  interpreters_[static_cast<size_t>(ScriptKind::kEval)].reset();
}

void WorkerScripts::CloseLibraries() {
  functions_.clear();
  loaded_.clear();
  library_generation_ = 0;
  interpreters_[static_cast<size_t>(ScriptKind::kFunction)].reset();
}

// After SCRIPT FLUSH nothing compiled counts any more; evicted scripts are let go of some at a time.
void WorkerScripts::ForgetOutdated() {
  if (uint64_t now = script_cache.generation(); now != generation_) {
    generation_ = now;
    CloseScripts();
  }
  uint64_t evicted = script_cache.evicted();
  if (evicted - evicted_ < kForgetStep) return;
  evicted_ = evicted;
  std::erase_if(by_text_, [](const auto& entry) { return entry.second->script->gone.load(std::memory_order_relaxed); });
  for (auto it = by_digest_.begin(); it != by_digest_.end();) {
    if (it->second->script->gone.load(std::memory_order_relaxed)) {
      interpreters_[0]->Release(it->second->reference);
      it = by_digest_.erase(it);
    } else {
      ++it;
    }
  }
}

CompiledScript* WorkerScripts::Compile(ScriptPtr fresh, std::string* why) {
  Interpreter* interpreter = Get(ScriptKind::kEval);
  if (interpreter == nullptr) {
    *why = errors::kNoInterpreter;
    return nullptr;
  }
  auto compiled = std::make_unique<CompiledScript>();
  std::string_view body = std::string_view(fresh->text).substr(fresh->body);
  if (!interpreter->Compile(body, "@user_script", &compiled->reference, why)) {
    *why = "ERR Error compiling script (new function): " + *why;
    return nullptr;
  }
  compiled->script = std::move(fresh);
  auto& place = by_digest_[compiled->script->digest];
  if (place != nullptr) {
    // One that is gone from the cache, and back.
    interpreter->Release(place->reference);
    std::erase_if(by_text_, [&](const auto& entry) { return entry.second == place.get(); });
  }
  place = std::move(compiled);
  return place.get();
}

ScriptPtr WorkerScripts::Load(std::string_view text, std::string* why) {
  ForgetOutdated();
  std::string digest = Sha1Digits(text);
  if (ScriptPtr there = script_cache.Find(digest)) return script_cache.Add(there, true);
  ScriptHead head;
  if (!ReadScriptHead(text, &head, why)) return nullptr;
  auto fresh = std::make_shared<Script>();
  fresh->digest = std::move(digest);
  fresh->text = text;
  fresh->flags = head.flags;
  fresh->body = text.size() - head.body.size();
  if (Compile(fresh, why) == nullptr) return nullptr;
  return script_cache.Add(fresh, true);
}

CompiledScript* WorkerScripts::ByText(std::string_view text, std::string* why) {
  ForgetOutdated();
  if (interpreters_[0] != nullptr && interpreters_[0]->Worn()) CloseScripts();
  uint64_t hash = HashBytes(text);
  auto it = by_text_.find(hash);
  if (it != by_text_.end() && it->second->script->text == text && IsThere(*it->second->script)) return it->second;
  std::string digest = Sha1Digits(text);
  CompiledScript* compiled = ByDigest(digest, why);
  if (compiled == nullptr && script_cache.Find(digest) == nullptr) {
    ScriptHead head;
    if (!ReadScriptHead(text, &head, why)) return nullptr;
    auto fresh = std::make_shared<Script>();
    fresh->digest = std::move(digest);
    fresh->text = text;
    fresh->flags = head.flags;
    fresh->body = text.size() - head.body.size();
    compiled = Compile(fresh, why);
    if (compiled != nullptr) compiled->script = script_cache.Add(fresh, false);
  }
  if (compiled != nullptr) by_text_[hash] = compiled;
  return compiled;
}

CompiledScript* WorkerScripts::ByDigest(std::string_view digest, std::string* why) {
  ForgetOutdated();
  if (interpreters_[0] != nullptr && interpreters_[0]->Worn()) CloseScripts();
  if (digest.size() == kDigestDigits) {
    auto it = by_digest_.find(digest);  // in lower case, mostly
    if (it != by_digest_.end() && IsThere(*it->second->script)) return it->second.get();
  }
  *why = errors::kNoScript;
  if (digest.size() != kDigestDigits) return nullptr;
  char lower[kDigestDigits];
  for (size_t i = 0; i < kDigestDigits; i++) lower[i] = LowerChar(digest[i]);
  auto it = by_digest_.find(std::string_view(lower, kDigestDigits));
  if (it != by_digest_.end() && IsThere(*it->second->script)) return it->second.get();
  ScriptPtr found = script_cache.Find({lower, kDigestDigits});
  if (found == nullptr) return nullptr;
  found->used.store(__rdtsc(), std::memory_order_relaxed);
  return Compile(std::move(found), why);
}

bool WorkerScripts::TryLibrary(std::string_view body, std::vector<RegisteredFunction>* registered, std::string* why) {
  if (!SyncLibraries(why)) return false;
  return RunLibraryBody(*Get(ScriptKind::kFunction), body, registered, why);
}

void WorkerScripts::Adopt(const LibraryPtr& library, const std::vector<RegisteredFunction>& registered) {
  std::vector<int>& references = loaded_[library->id];
  for (size_t i = 0; i < registered.size(); i++) {
    references.push_back(registered[i].reference);
    functions_[LowerCase(registered[i].name)] = {library->functions[i].get(), registered[i].reference};
  }
}

void WorkerScripts::Drop(const std::vector<RegisteredFunction>& registered) {
  for (const RegisteredFunction& each : registered) interpreters_[1]->Release(each.reference);
}

void WorkerScripts::ForgetDeletedLibraries() {
  if (forgotten_at_ == libraries.generation()) return;
  forgotten_at_ = libraries.generation();
  for (auto it = loaded_.begin(); it != loaded_.end();) {
    bool there = false;
    for (const auto& [name, library] : libraries.all()) there |= library->id == it->first;
    if (there) {
      ++it;
      continue;
    }
    for (int reference : it->second) interpreters_[1]->Release(reference);
    std::erase_if(functions_, [&](const auto& entry) {
      for (int reference : it->second) {
        if (entry.second.reference == reference) return true;
      }
      return false;
    });
    it = loaded_.erase(it);
  }
}

bool WorkerScripts::Tidy(bool due) {
  constexpr int64_t kSliceUs = 500;
  Interpreter* eval = interpreters_[0].get();
  if (eval != nullptr && generation_ != script_cache.generation()) {
    CloseScripts();
    eval = nullptr;
  }
  if (interpreters_[1] != nullptr && library_generation_ != libraries.generation()) {
    // What bodies keep in variables lives as long as the interpreter: it is closed with the last library only.
    libraries.count() == 0 ? CloseLibraries() : ForgetDeletedLibraries();
  }
  bool done = true;
  for (const auto& each : interpreters_) {
    if (each == nullptr || (each->TakeUsed() && !due)) continue;
    done &= each->CollectSome(MonotonicUs() + kSliceUs);
  }
  if (done && eval != nullptr && eval->Worn()) CloseScripts();
  return done;
}

// Forgets libraries that are gone, runs the bodies of those that are new.
bool WorkerScripts::SyncLibraries(std::string* why) {
  Interpreter* interpreter = Get(ScriptKind::kFunction);
  if (interpreter == nullptr) {
    *why = errors::kNoInterpreter;
    return false;
  }
  if (library_generation_ == libraries.generation()) return true;
  ForgetDeletedLibraries();
  for (const auto& [name, library] : libraries.all()) {
    if (loaded_.count(library->id) > 0) continue;
    std::vector<RegisteredFunction> registered;
    if (!RunLibraryBody(*interpreter, std::string_view(library->text).substr(library->body), &registered, why)) {
      return false;
    }
    if (registered.size() != library->functions.size()) {
      // Bodies have nothing to go by but themselves; only one that counts its runs could differ.
      Drop(registered);
      *why = "ERR Library '" + name + "' did not register the same functions again";
      return false;
    }
    Adopt(library, registered);
  }
  library_generation_ = libraries.generation();
  return true;
}

LoadedFunction* WorkerScripts::ByName(std::string_view name, std::string* why) {
  if (library_generation_ != libraries.generation() || interpreters_[1]->refused()) {
    if (libraries.Find(name) == nullptr) {
      *why = "ERR Function not found";
      return nullptr;
    }
    if (!SyncLibraries(why)) return nullptr;
  }
  auto it = functions_.find(name);
  if (it == functions_.end()) it = functions_.find(LowerCase(name));
  if (it != functions_.end()) return &it->second;
  *why = "ERR Function not found";
  return nullptr;
}

void WorkerScripts::Run(ScriptKind kind, ScriptRun* run) {
  Worker& worker = run->context->worker();
  RunningScript& running = ScriptWatch::Of(worker.index());
  running.kill.store(false, std::memory_order_relaxed);
  running.wrote.store(false, std::memory_order_relaxed);
  running.function.store(kind == ScriptKind::kFunction, std::memory_order_relaxed);
  running.began.store(worker.ticks | 1, std::memory_order_release);
  interpreters_[static_cast<size_t>(kind)]->Run(run);
  running.began.store(0, std::memory_order_release);
  if (run->slow) ForgetSlowRun(worker.index());
}

}  // namespace brim
