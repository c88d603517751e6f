#include "script/script_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "memory/account.h"

namespace brim {

#if defined(BRIM_JEMALLOC)
constexpr bool kKeepSmall = true;
#else
constexpr bool kKeepSmall = false;  // under a sanitizer every block is one of its own
#endif

ScriptMemory::~ScriptMemory() {
  while (sized_ != nullptr) Free(sized_ + 1);
  while (chunks_ != nullptr) {
    Chunk* next = chunks_->next;
    FreeBytes(chunks_, MemoryCategory::kScripts);
    chunks_ = next;
  }
  all_leased_.fetch_sub(static_cast<int64_t>(leased_), std::memory_order_relaxed);
}

bool ScriptMemory::Admit(size_t bytes) {
  if (held_ + bytes <= leased_) return true;
  size_t more = (held_ + bytes - leased_ + kLeaseBytes - 1) / kLeaseBytes * kLeaseBytes;
  int64_t all = all_leased_.fetch_add(static_cast<int64_t>(more), std::memory_order_relaxed);
  if (!unbounded_ && limit() > 0 && all + static_cast<int64_t>(more) > limit()) {
    all_leased_.fetch_sub(static_cast<int64_t>(more), std::memory_order_relaxed);
    return false;
  }
  leased_ += more;
  return true;
}

void* ScriptMemory::TakeBig(size_t bytes) {
  void* block = Admit(bytes) ? TryAllocateBytes(bytes, MemoryCategory::kScripts) : nullptr;
  if (block == nullptr) {
    refused_ = true;
    return nullptr;
  }
  held_ += bytes;
  return block;
}

void ScriptMemory::GiveBig(void* block, size_t bytes) {
  held_ -= bytes;
  FreeBytes(block, MemoryCategory::kScripts);
  if (leased_ - held_ <= 2 * kLeaseBytes) return;
  size_t surplus = (leased_ - held_) / kLeaseBytes * kLeaseBytes - kLeaseBytes;
  leased_ -= surplus;
  all_leased_.fetch_sub(static_cast<int64_t>(surplus), std::memory_order_relaxed);
}

void* ScriptMemory::TakeFromChunk(size_t bytes) {
  if (room_bytes_ < bytes) {
    auto* chunk = static_cast<Chunk*>(TakeBig(kChunkBytes));
    if (chunk == nullptr) return nullptr;
    if (room_bytes_ >= kStep) GiveSmall(room_, room_bytes_);
    chunk->next = chunks_;
    chunks_ = chunk;
    room_ = reinterpret_cast<char*>(chunk) + kStep;
    room_bytes_ = kChunkBytes - kStep;
  }
  void* block = room_;
  room_ += bytes;
  room_bytes_ -= bytes;
  return block;
}

void* ScriptMemory::TakeSmall(size_t bytes) {
  size_t kind = ClassOf(bytes);
  FreeBlock* block = free_[kind];
  if (block == nullptr) return TakeFromChunk(kind * kStep);
  free_[kind] = block->next;
  return block;
}

void ScriptMemory::GiveSmall(void* block, size_t bytes) {
  auto* freed = static_cast<FreeBlock*>(block);
  size_t kind = ClassOf(bytes);
  freed->next = free_[kind];
  free_[kind] = freed;
}

void* ScriptMemory::Reallocate(void* self, void* block, size_t old_bytes, size_t bytes) {
  auto& memory = *static_cast<ScriptMemory*>(self);
  bool was_small = kKeepSmall && old_bytes <= kSmallMax;
  bool is_small = kKeepSmall && bytes <= kSmallMax;
  void* fresh = nullptr;
  if (bytes > 0) {
    if (block != nullptr && was_small && is_small && ClassOf(bytes) == ClassOf(old_bytes)) return block;
    bool outer = memory.unbounded_;
    memory.unbounded_ |= block != nullptr && bytes < old_bytes;  // what becomes smaller does not fail
    fresh = is_small ? memory.TakeSmall(bytes) : memory.TakeBig(bytes);
    memory.unbounded_ = outer;
    if (fresh == nullptr) return nullptr;
    if (block != nullptr) memcpy(fresh, block, std::min(old_bytes, bytes));
  }
  if (block != nullptr) was_small ? memory.GiveSmall(block, old_bytes) : memory.GiveBig(block, old_bytes);
  return fresh;
}

void* ScriptMemory::Resize(void* block, size_t bytes) {
  auto* fresh = static_cast<Sized*>(TakeBig(sizeof(Sized) + bytes));
  if (fresh == nullptr) return nullptr;
  fresh->bytes = bytes;
  fresh->previous = nullptr;
  fresh->next = sized_;
  if (sized_ != nullptr) sized_->previous = fresh;
  sized_ = fresh;
  if (block != nullptr) {
    memcpy(fresh + 1, block, std::min(bytes, (static_cast<Sized*>(block) - 1)->bytes));
    Free(block);
  }
  return fresh + 1;
}

void ScriptMemory::Free(void* block) {
  if (block == nullptr) return;
  Sized* sized = static_cast<Sized*>(block) - 1;
  if (sized->previous != nullptr) sized->previous->next = sized->next;
  if (sized->next != nullptr) sized->next->previous = sized->previous;
  if (sized_ == sized) sized_ = sized->next;
  GiveBig(sized, sizeof(Sized) + sized->bytes);
}

}  // namespace brim

// What cjson calls in place of malloc and its kin (CMakeLists.txt renames them in its archive). It ends the process
// when it gets no memory; here the script that runs gets an error instead.
extern "C" {

void* brim_script_realloc(void* block, size_t bytes) {
  void* fresh = brim::script_memory->Resize(block, bytes);
  if (fresh == nullptr) luaL_error(brim::script_state, "not enough memory");
  return fresh;
}
void* brim_script_malloc(size_t bytes) { return brim_script_realloc(nullptr, bytes); }
void brim_script_free(void* block) { brim::script_memory->Free(block); }
[[noreturn]] void brim_script_exit(int) {
  luaL_error(brim::script_state, "not enough memory");
  abort();
}
}
