#pragma once
// Texts with a length prefix, one after the other, as they lie in the blocks of big hashes and sets: the length goes 7
// bits a byte, low bits first, the high bit telling that more follow; then the bytes.
#include <cstdint>
#include <cstring>
#include <string_view>

namespace brim {

// Bytes that a text of this size takes.
constexpr size_t PackedTextBytes(size_t size) {
  size_t prefix = 1;
  for (size_t rest = size >> 7; rest != 0; rest >>= 7) prefix++;
  return prefix + size;
}

// Writes prefix and text; returns where the next thing goes.
inline uint8_t* PackText(uint8_t* to, std::string_view text) {
  size_t rest = text.size();
  for (; rest >= 128; rest >>= 7) *to++ = static_cast<uint8_t>(rest | 128);
  *to++ = static_cast<uint8_t>(rest);
  if (!text.empty()) memcpy(to, text.data(), text.size());
  return to + text.size();
}

// The text at `from`; what comes after it starts at its end.
inline std::string_view UnpackText(const void* from) {
  const auto* p = static_cast<const uint8_t*>(from);
  size_t size = *p & 127;
  for (int shift = 7; *p++ & 128; shift += 7) size |= static_cast<size_t>(*p & 127) << shift;
  return {reinterpret_cast<const char*>(p), size};
}

// The text packed behind `text`.
inline std::string_view NextPackedText(std::string_view text) { return UnpackText(text.data() + text.size()); }

}  // namespace brim
