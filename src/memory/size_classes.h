#pragma once
// The sizes of blocks: 8-byte steps up to 512 bytes, steps of 1/16 above, up to 16 KB. docs/memory.md.
#include <bit>
#include <cstddef>

namespace brim::size_class {

inline constexpr size_t kFineBytes = 512;
inline constexpr size_t kMaxBlock = 16384;
inline constexpr int kClasses = 145;

// The class of a request of 1 to kMaxBlock bytes (0 counts as 1).
inline int Of(size_t bytes) {
  if (bytes <= kFineBytes) return static_cast<int>((bytes + 7) / 8) + (bytes == 0);
  int log = std::bit_width(bytes - 1) - 1;  // 9..13
  return 65 + (log - 9) * 16 + static_cast<int>(((bytes - 1) >> (log - 4)) - 16);
}

// The bytes of a class's blocks.
inline size_t Bytes(int c) {
  if (c <= 64) return static_cast<size_t>(c) * 8;
  int log = (c - 65) / 16 + 9;
  return static_cast<size_t>((c - 65) % 16 + 17) << (log - 4);
}

}  // namespace brim::size_class
