#include "net/tls_memory.h"

#include <malloc.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/thread_exit.h"
#include "memory/account.h"

namespace brim {

namespace {

// OpenSSL's buffers for a record are a little larger than its 16 KiB; idle sessions have none
// (SSL_MODE_RELEASE_BUFFERS), so they come and go with each record and are worth keeping at hand. All are made of one
// size, by which they are known again.
constexpr size_t kRecordBytesMin = (16 << 10) + 1;
constexpr size_t kRecordBytes = 20 << 10;
constexpr size_t kRecordSlack = 64;  // what an allocator may grant beyond it
constexpr int kSpareMax = 4;

struct SpareRecords {
  void* blocks[kSpareMax];
  int count;
  bool ended;  // the thread is ending: nothing is kept any more
};
thread_local constinit SpareRecords spare{};
thread_local constinit TlsBalance balance{};

void FreeSpare() {
  spare.ended = true;
  while (spare.count > 0) FreeBytes(spare.blocks[--spare.count], MemoryCategory::kFixed);
}

bool IsRecord(size_t granted) { return granted >= kRecordBytes && granted < kRecordBytes + kRecordSlack; }

void* AllocateRecord() {
  void* memory;
  if (spare.count > 0) {
    memory = spare.blocks[--spare.count];
    auto granted = static_cast<int64_t>(malloc_usable_size(memory));
    Charge(MemoryCategory::kFixed, -granted);
    Charge(MemoryCategory::kClientsIn, granted);
  } else {
    memory = TryAllocateBytes(kRecordBytes, MemoryCategory::kClientsIn);
    if (memory == nullptr) return nullptr;
  }
  auto granted = static_cast<int64_t>(malloc_usable_size(memory));
  balance.bytes += granted;
  balance.record_bytes += granted;
  return memory;
}

void FreeRecord(void* memory, size_t granted) {
  balance.bytes -= static_cast<int64_t>(granted);
  balance.record_bytes -= static_cast<int64_t>(granted);
  if (spare.count == 0) ThreadExit<FreeSpare>::Arm();
  if (spare.ended || spare.count == kSpareMax) {
    FreeBytes(memory, MemoryCategory::kClientsIn);
    return;
  }
  Charge(MemoryCategory::kClientsIn, -static_cast<int64_t>(granted));
  Charge(MemoryCategory::kFixed, static_cast<int64_t>(granted));
  spare.blocks[spare.count++] = memory;
}

void* Allocate(size_t bytes, const char*, int) {
  if (bytes >= kRecordBytesMin && bytes <= kRecordBytes) return AllocateRecord();
  // Nothing else may be granted as much as a record buffer is.
  if (bytes > kRecordBytes && bytes < kRecordBytes + kRecordSlack) bytes = kRecordBytes + kRecordSlack;
  // A handshake makes thousands of blocks: each one's size is asked for once.
  void* memory = malloc(bytes);
  if (memory == nullptr) [[unlikely]] {
    memory = TryAllocateBytes(bytes, MemoryCategory::kTls);
    if (memory != nullptr) balance.bytes += static_cast<int64_t>(malloc_usable_size(memory));
    return memory;
  }
  auto granted = static_cast<int64_t>(malloc_usable_size(memory));
  Charge(MemoryCategory::kTls, granted);
  balance.bytes += granted;
  return memory;
}

void Free(void* memory, const char*, int) {
  if (memory == nullptr) return;
  size_t granted = malloc_usable_size(memory);
  if (IsRecord(granted)) {
    FreeRecord(memory, granted);
    return;
  }
  balance.bytes -= static_cast<int64_t>(granted);
  Charge(MemoryCategory::kTls, -static_cast<int64_t>(granted));
  free(memory);
}

void* Reallocate(void* memory, size_t bytes, const char* file, int line) {
  if (memory == nullptr) return Allocate(bytes, file, line);
  if (bytes == 0) {
    Free(memory, file, line);
    return nullptr;
  }
  void* moved = Allocate(bytes, file, line);
  if (moved == nullptr) return nullptr;
  memcpy(moved, memory, std::min(bytes, malloc_usable_size(memory)));
  Free(memory, file, line);
  return moved;
}

}  // namespace

void CountTlsMemory() { CRYPTO_set_mem_functions(Allocate, Reallocate, Free); }

TlsBalance TlsBalanceOfThread() { return balance; }

}  // namespace brim
