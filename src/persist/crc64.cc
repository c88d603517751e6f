#include "persist/crc64.h"

#include <array>
#include <cstring>

namespace brim {

namespace {

constexpr uint64_t kReflected = 0x95ac9329ac4bc9b5;  // the polynomial, lowest power in the highest bit

using Tables = std::array<std::array<uint64_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint64_t byte = 0; byte < 256; byte++) {
    uint64_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ kReflected : crc >> 1;
    tables[0][byte] = crc;
  }
  // tables[k]: the same byte with k zero bytes behind it.
  for (size_t k = 1; k < 8; k++) {
    for (size_t byte = 0; byte < 256; byte++) {
      uint64_t before = tables[k - 1][byte];
      tables[k][byte] = tables[0][before & 255] ^ before >> 8;
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

uint64_t Crc64(uint64_t crc, const void* bytes, size_t size) {
  const auto* at = static_cast<const uint8_t*>(bytes);
  for (; size >= 8; size -= 8, at += 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    crc ^= word;
    crc = kTables[7][crc & 255] ^ kTables[6][crc >> 8 & 255] ^ kTables[5][crc >> 16 & 255] ^
          kTables[4][crc >> 24 & 255] ^ kTables[3][crc >> 32 & 255] ^ kTables[2][crc >> 40 & 255] ^
          kTables[1][crc >> 48 & 255] ^ kTables[0][crc >> 56];
  }
  for (; size > 0; size--) crc = kTables[0][(crc ^ *at++) & 255] ^ crc >> 8;
  return crc;
}

}  // namespace brim
