#pragma once
// A growable piece of memory that a byte format (listpack, intset) lives in: a key's inline value, a list's node, a
// vector in a test. The format's functions know nothing about where it lies.
#include <cstddef>
#include <cstdint>

namespace brim {

class ValueBytes {
 public:
  // The bytes; asked for again after each Resize.
  virtual uint8_t* data() = 0;
  // Bytes in use.
  virtual size_t size() const = 0;
  // Makes room for `bytes` bytes and returns where they are now; the first min(old, new) bytes are kept. Shrinking must
  // be called while the content is still whole (before the format's header tells the new size), growing too.
  virtual uint8_t* Resize(size_t bytes) = 0;

 protected:
  ~ValueBytes() = default;
};

}  // namespace brim
