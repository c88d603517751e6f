#pragma once
// The memory of one interpreter: charged to kScripts, and bounded for all interpreters together by lua-memory-limit.
// Past the limit an allocation is refused, which Lua makes an error of in the script that asked. One thread at a time.
//
// Small blocks (nearly all that scripts use) are cut from chunks and kept in lists by size: a few instructions each.
// The chunks go back when the interpreter is closed, which its owner does when much is held and little of it used.
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "script/lua.h"
#include "server/script_engine.h"

namespace brim {

class ScriptMemory {
 public:
  ScriptMemory() = default;
  ~ScriptMemory();
  ScriptMemory(const ScriptMemory&) = delete;
  ScriptMemory& operator=(const ScriptMemory&) = delete;

  // A lua_Alloc; `self` is the ScriptMemory.
  static void* Reallocate(void* self, void* block, size_t old_bytes, size_t bytes);
  // For libraries that know nothing of lua_Alloc (cjson): with the block's size before it. Null: refused.
  void* Resize(void* block, size_t bytes);
  void Free(void* block);

  // Bytes taken from the system, free ones among them.
  size_t held_bytes() const { return held_; }
  // Something was refused since the interpreter was opened.
  bool refused() const { return refused_; }
  // While an interpreter is set up nothing is refused.
  void SetUnbounded(bool on) { unbounded_ = on; }

  // For all interpreters; 0: none.
  static int64_t limit() { return script_memory_limit.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kStep = 16;
  static constexpr size_t kSmallMax = 512;
  static constexpr size_t kChunkBytes = 32 << 10;
  static constexpr size_t kLeaseBytes = 256 << 10;
  struct Chunk {
    Chunk* next;
  };
  struct FreeBlock {
    FreeBlock* next;
  };
  // Before a block of Resize.
  struct Sized {
    Sized* previous;
    Sized* next;
    size_t bytes;
    size_t unused;  // keeps the block aligned
  };

  static size_t ClassOf(size_t bytes) { return (bytes + kStep - 1) / kStep; }
  void* TakeSmall(size_t bytes);
  void* TakeFromChunk(size_t bytes);
  void GiveSmall(void* block, size_t bytes);
  void* TakeBig(size_t bytes);
  void GiveBig(void* block, size_t bytes);
  bool Admit(size_t bytes);

  FreeBlock* free_[kSmallMax / kStep + 1] = {};
  char* room_ = nullptr;  // of the newest chunk
  size_t room_bytes_ = 0;
  Chunk* chunks_ = nullptr;
  Sized* sized_ = nullptr;
  size_t held_ = 0;
  size_t leased_ = 0;  // of what all may hold
  bool refused_ = false;
  bool unbounded_ = false;
  static inline std::atomic<int64_t> all_leased_{0};
};

// Of the interpreter that runs on this thread: where libraries that call malloc get their memory from, and where the
// error goes when they get none.
inline thread_local ScriptMemory* script_memory = nullptr;
inline thread_local lua_State* script_state = nullptr;

}  // namespace brim
