#pragma once
// What fuzz targets share that make choices from their bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace brim {

inline void Require(bool condition) {
  if (!condition) abort();
}

// The bytes one after the other; zeros when they are used up.
class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  uint8_t Byte() {
    if (left_ == 0) return 0;
    left_--;
    return *data_++;
  }
  bool empty() const { return left_ == 0; }

 private:
  const uint8_t* data_;
  size_t left_;
};

}  // namespace brim
