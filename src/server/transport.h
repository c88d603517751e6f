#pragma once
// How a connection came in.
#include <cstdint>

namespace brim {

enum class Transport : uint8_t { kTcp, kTls, kUnix };

}  // namespace brim
