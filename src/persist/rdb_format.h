#pragma once
// The RDB format: numbers that stand for types, opcodes and lengths. Source: the files that redis-server 1.2 to 8.6
// writes, and "Redis RDB Dump File Format", https://github.com/sripathikrishnan/redis-rdb-tools/wiki.
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace brim::rdb {

// Written is what redis-server 7.0 loads; what Redis 7.4 has only where a hash with field expiry needs it, and what
// Redis 8.6 has where a stream remembers idempotent ids.
inline constexpr int kVersion = 10;
inline constexpr int kTimedVersion = 12;
inline constexpr int kIdempotentVersion = 13;
// Read: all up to here, and Valkey 9's, whose files begin with VALKEY instead of REDIS.
inline constexpr int kMaxVersion = 13;
inline constexpr int kValkeyVersion = 80;
constexpr bool IsKnownVersion(int64_t version) {
  return (version >= 1 && version <= kMaxVersion) || version == kValkeyVersion;
}

// A file's first bytes: REDIS and four digits, or VALKEY and three. False when they are something else.
inline constexpr size_t kMagicBytes = 9;
inline bool ReadMagic(std::string_view magic, int* version) {
  size_t digits = magic.starts_with("REDIS") ? 5 : magic.starts_with("VALKEY") ? 6 : kMagicBytes;
  *version = 0;
  for (char c : magic.substr(digits)) {
    if (c < '0' || c > '9') return false;
    *version = *version * 10 + (c - '0');
  }
  return digits < kMagicBytes;
}

enum ObjectType : uint8_t {
  kString = 0,
  kList = 1,
  kSet = 2,
  kZset = 3,  // scores as text
  kHash = 4,
  kZset2 = 5,  // scores as 8 bytes
  kModulePreGa = 6,
  kModule2 = 7,
  kHashZipmap = 9,
  kListZiplist = 10,
  kSetIntset = 11,
  kZsetZiplist = 12,
  kHashZiplist = 13,
  kListQuicklist = 14,
  kStreamListpacks = 15,
  kHashListpack = 16,
  kZsetListpack = 17,
  kListQuicklist2 = 18,
  kStreamListpacks2 = 19,
  kSetListpack = 20,
  kStreamListpacks3 = 21,
  // With times of fields. In Valkey 9 (kValkeyVersion) 22 is another form, kHashTriples.
  kHashMetadataPreGa = 22,    // of Redis 7.4's release candidates: absolute times
  kHashListpackExPreGa = 23,  // the same in a listpack
  kHashMetadata = 24,         // the earliest time, the others relative to it
  kHashListpackEx = 25,       // the earliest time, a listpack with absolute ones
  kStreamListpacks4 = 26,     // with what is remembered of idempotent adding
  kHashTriples = 200,         // never in a file: what RdbReader calls Valkey's 22
};

enum Opcode : uint8_t {
  kSlotInfo = 244,
  kFunction2 = 245,
  kFunctionPreGa = 246,
  kModuleAux = 247,
  kIdle = 248,
  kFreq = 249,
  kAux = 250,
  kResizeDb = 251,
  kExpireMs = 252,
  kExpireSeconds = 253,
  kSelectDb = 254,
  kEof = 255,
};

// The two high bits of a length's first byte.
inline constexpr uint8_t kLength6 = 0;
inline constexpr uint8_t kLength14 = 1;
inline constexpr uint8_t kLength32 = 0x80;
inline constexpr uint8_t kLength64 = 0x81;
inline constexpr uint8_t kEncoded = 3;  // a string that is a number or compressed; the low bits say which
inline constexpr uint8_t kInt8 = 0;
inline constexpr uint8_t kInt16 = 1;
inline constexpr uint8_t kInt32 = 2;
inline constexpr uint8_t kLzf = 3;

// Containers of a quicklist's node.
inline constexpr uint64_t kPlainNode = 1;
inline constexpr uint64_t kPackedNode = 2;

}  // namespace brim::rdb
