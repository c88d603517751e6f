#pragma once
// What SETBIT and BITFIELD share.
#include <cstdint>
#include <string_view>

#include "command/context.h"

namespace brim {

inline constexpr const char* kNotABitOffset = "ERR bit offset is not an integer or out of range";

// False with the error replied when a string may not be so long that it has that bit.
bool CheckBitOffset(Context& context, int64_t offset);
// The bytes of the key's string for writing, made or extended with zeros so that it has that bit (`ref`: its entry, or
// empty when it is absent). *grown: it was. Throws MemoryRefused before anything is changed.
char* StringForBits(Context& context, std::string_view key, KeyRef& ref, uint64_t last_bit, bool* grown);

}  // namespace brim
