#pragma once
// The entry: one block per key. docs/entry.md draws it.
//
//   offset 0  type (low 4 bits) and encoding (high 4)
//          1  flags: expiry, wide key length, external value, integer width (2 bits), epoch
//          2  access: 24 bits, little endian; LRU/LRM: seconds; LFU: 16 bits minutes, 8 bits counter (low byte)
//          5  key length (255 stands for wide)
//          6  [key length, 4 bytes, if wide] [expiry, 8 bytes, ms since 1970, if it has one] [key] [value]
//   value: inline bytes (measured by their own content) or the 8-byte address of an external structure
#include <cstdint>
#include <cstring>
#include <string_view>

#include "types/value.h"

namespace brim {

// The epoch of new entries: Entry::kEpochBit or 0. store/cut.h turns it over while every thread is paused.
inline uint8_t entry_epoch = 0;

class Entry {
 public:
  static constexpr uint8_t kEpochBit = 0x20;
  static constexpr size_t kHeaderBytes = 6;
  static constexpr uint32_t kAccessMask = 0xffffff;

  Type type() const { return static_cast<Type>(raw()[0] & 15); }
  Encoding encoding() const { return static_cast<Encoding>(raw()[0] >> 4); }
  void SetType(Type type, Encoding encoding) {
    raw()[0] = static_cast<uint8_t>(static_cast<int>(type) | static_cast<int>(encoding) << 4);
  }
  bool has_expiry() const { return raw()[1] & kHasExpiry; }
  bool external() const { return raw()[1] & kExternal; }
  void SetExternal(bool on) { raw()[1] = on ? raw()[1] | kExternal : raw()[1] & ~kExternal; }
  size_t int_width() const { return size_t{1} << (raw()[1] >> 3 & 3); }
  // Width 1, 2, 4 or 8.
  void SetIntWidth(size_t width) {
    int log = width == 8 ? 3 : width == 4 ? 2 : width == 2 ? 1 : 0;
    raw()[1] = static_cast<uint8_t>((raw()[1] & ~0x18) | log << 3);
  }

  uint32_t access() const { return raw()[2] | raw()[3] << 8 | static_cast<uint32_t>(raw()[4]) << 16; }
  void SetAccess(uint32_t access) {
    raw()[2] = static_cast<uint8_t>(access);
    raw()[3] = static_cast<uint8_t>(access >> 8);
    raw()[4] = static_cast<uint8_t>(access >> 16);
  }

  size_t key_size() const {
    if (!(raw()[1] & kWideKey)) return raw()[5];
    uint32_t n;
    memcpy(&n, raw() + kHeaderBytes, 4);
    return n;
  }
  std::string_view key() const { return {reinterpret_cast<const char*>(raw()) + key_offset(), key_size()}; }
  bool KeyIs(std::string_view other) const {
    return key_size() == other.size() && memcmp(raw() + key_offset(), other.data(), other.size()) == 0;
  }
  // Milliseconds since 1970, or -1.
  int64_t expiry_ms() const {
    if (!has_expiry()) return -1;
    int64_t at;
    memcpy(&at, raw() + expiry_offset(), 8);
    return at;
  }

  uint8_t* value() { return raw() + value_offset(); }
  const uint8_t* value() const { return raw() + value_offset(); }
  void* pointer() const {
    void* p;
    memcpy(&p, value(), 8);
    return p;
  }
  void SetPointer(void* p) { memcpy(value(), &p, 8); }

  // Bytes of the value area and of the whole block, as its content tells.
  size_t value_bytes() const { return external() ? 8 : MeasureInline(encoding(), value(), int_width()); }
  size_t block_bytes() const { return value_offset() + value_bytes(); }
  size_t value_offset() const { return key_offset() + key_size(); }

  static size_t BytesFor(size_t key_size, bool expiry, size_t value_bytes) {
    return kHeaderBytes + (key_size >= kWideMark ? 4 : 0) + (expiry ? 8 : 0) + key_size + value_bytes;
  }
  // Writes header and key into a block of BytesFor bytes; the value area is left to the caller.
  void Init(Type type, Encoding encoding, std::string_view key, int64_t expiry_ms, bool external) {
    SetType(type, encoding);
    raw()[1] = static_cast<uint8_t>((expiry_ms >= 0 ? kHasExpiry : 0) | (key.size() >= kWideMark ? kWideKey : 0) |
                                    (external ? kExternal : 0) | entry_epoch);
    SetAccess(0);
    raw()[5] = key.size() >= kWideMark ? kWideMark : static_cast<uint8_t>(key.size());
    if (key.size() >= kWideMark) {
      auto n = static_cast<uint32_t>(key.size());
      memcpy(raw() + kHeaderBytes, &n, 4);
    }
    if (expiry_ms >= 0) WriteExpiry(expiry_ms);
    memcpy(raw() + key_offset(), key.data(), key.size());
  }
  // The entry must have room for an expiry already.
  void WriteExpiry(int64_t at_ms) { memcpy(raw() + expiry_offset(), &at_ms, 8); }
  // Copies header (but for expiry and external flag) and key from another entry.
  void CopyIdentity(const Entry& from, int64_t expiry_ms) {
    uint8_t width = from.raw()[1] & 0x18;
    Init(from.type(), from.encoding(), from.key(), expiry_ms, from.external());
    raw()[1] |= width;
    SetEpoch(from.epoch());
    SetAccess(from.access());
  }

 private:
  friend class Cut;
  // Whether a cut has this entry still to be handed over: it has, if this is not entry_epoch.
  uint8_t epoch() const { return raw()[1] & kEpochBit; }
  void SetEpoch(uint8_t epoch) { raw()[1] = static_cast<uint8_t>((raw()[1] & ~kEpochBit) | epoch); }

  static constexpr uint8_t kHasExpiry = 1;
  static constexpr uint8_t kWideKey = 2;
  static constexpr uint8_t kExternal = 4;
  static constexpr uint8_t kWideMark = 255;
  size_t expiry_offset() const { return kHeaderBytes + (raw()[1] & kWideKey ? 4 : 0); }
  size_t key_offset() const { return expiry_offset() + (has_expiry() ? 8 : 0); }

  // The block is longer than any declaration tells, so it is always reached from `this`.
  uint8_t* raw() { return reinterpret_cast<uint8_t*>(this); }
  const uint8_t* raw() const { return reinterpret_cast<const uint8_t*>(this); }

  [[maybe_unused]] uint8_t type_and_encoding_;
  [[maybe_unused]] uint8_t rest_[];
};

}  // namespace brim
