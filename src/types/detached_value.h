#pragma once
// A value that belongs to no key: the result of SINTERSTORE and the like before it is stored, a value being loaded, a
// value in a test. Its inline bytes are a block of the heap. Needs the lock of the heap's shard.
#include "types/value.h"

namespace brim {

class DetachedValue : public Value {
 public:
  // An inline value of `bytes` uninitialised bytes, to be filled at once.
  DetachedValue(Heap* heap, Type type, Encoding encoding, size_t bytes);
  // Frees what it holds.
  ~DetachedValue();
  DetachedValue(const DetachedValue&) = delete;
  DetachedValue& operator=(const DetachedValue&) = delete;

  uint8_t* data() override { return block_; }
  size_t size() const override { return bytes_; }
  uint8_t* Resize(size_t bytes) override;
  void* pointer() const override { return structure_; }
  uint8_t* MakeInline(Encoding encoding, size_t bytes) override;
  void MakeExternal(Encoding encoding, void* structure) override;
  void SetEncoding(Encoding encoding) override { encoding_ = encoding; }
  int64_t GetInt() const override;
  void MakeInt(int64_t number) override;

  // Hands the external structure over: the value is then empty, and only to be destroyed or made anew.
  void* ReleaseStructure();

 private:
  void FreeBlock();
  uint8_t* block_ = nullptr;
  size_t bytes_ = 0;
  void* structure_ = nullptr;
};

}  // namespace brim
