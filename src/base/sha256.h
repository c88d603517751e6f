#pragma once
// SHA-256 (FIPS 180-4): passwords of users are kept as it.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace brim {

using Sha256Digest = std::array<uint8_t, 32>;

Sha256Digest Sha256(std::string_view bytes);
// 64 hexadecimal digits, in lower case.
std::string Sha256Hex(std::string_view bytes);

}  // namespace brim
