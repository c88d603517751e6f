#pragma once
// What stands behind the objects of DUMP and FUNCTION DUMP: the version and a checksum, both little endian.
// RdbWriter::Footer writes it.
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace brim {

inline constexpr size_t kDumpFooterBytes = 2 + 8;

// A checksum of 0 was not computed (rdbchecksum no).
bool DumpFooterIsGood(std::string_view payload, uint16_t* version);

}  // namespace brim
