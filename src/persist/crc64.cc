#include "persist/crc64.h"

#include <isa-l/crc64.h>

namespace brim {

// ISA-L complements before and after; RDB does neither.
uint64_t Crc64(uint64_t crc, const void* bytes, size_t size) {
  return ~crc64_jones_refl(~crc, static_cast<const unsigned char*>(bytes), size);
}

}  // namespace brim
