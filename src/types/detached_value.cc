#include "types/detached_value.h"

#include <cstring>
#include <utility>

namespace brim {

DetachedValue::DetachedValue(Heap* heap, Type type, Encoding encoding, size_t bytes) {
  heap_ = heap;
  type_ = type;
  MakeInline(encoding, bytes);
}

DetachedValue::~DetachedValue() {
  FreeBlock();
  if (structure_ != nullptr) FreeExternal(*heap_, type_, encoding_, structure_);
}

void DetachedValue::FreeBlock() {
  if (block_ != nullptr) heap_->Free(block_, bytes_, MemoryCategory::kData);
  block_ = nullptr;
  bytes_ = 0;
}

uint8_t* DetachedValue::Resize(size_t bytes) {
  block_ = static_cast<uint8_t*>(heap_->Reallocate(block_, bytes_, bytes, MemoryCategory::kData));
  bytes_ = bytes;
  return block_;
}

uint8_t* DetachedValue::MakeInline(Encoding encoding, size_t bytes) {
  FreeBlock();
  block_ = static_cast<uint8_t*>(heap_->Allocate(bytes, MemoryCategory::kData));
  bytes_ = bytes;
  structure_ = nullptr;
  encoding_ = encoding;
  external_ = false;
  return block_;
}

void DetachedValue::MakeExternal(Encoding encoding, void* structure) {
  FreeBlock();
  structure_ = structure;
  encoding_ = encoding;
  external_ = true;
}

int64_t DetachedValue::GetInt() const {
  int64_t number;
  memcpy(&number, block_, sizeof(number));
  return number;
}

void DetachedValue::MakeInt(int64_t number) {
  memcpy(MakeInline(Encoding::kInt, sizeof(number)), &number, sizeof(number));
}

void* DetachedValue::ReleaseStructure() { return std::exchange(structure_, nullptr); }

}  // namespace brim
