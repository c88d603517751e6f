#pragma once
// CRC-64 as RDB files and DUMP payloads end with: the Jones polynomial 0xad93d23594c935a9, reflected, begun with 0.
#include <cstddef>
#include <cstdint>

namespace brim {

// Carries a checksum on over more bytes. O(size).
uint64_t Crc64(uint64_t crc, const void* bytes, size_t size);

}  // namespace brim
