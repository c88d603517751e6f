#pragma once
// SHA-1 (FIPS 180-4), for digests that redis-server makes with it. Not for security.
#include <array>
#include <cstdint>
#include <string_view>

namespace brim {

using Sha1Digest = std::array<uint8_t, 20>;

Sha1Digest Sha1(std::string_view bytes);

}  // namespace brim
