#pragma once
// String values: integers, inline bytes with a length prefix, and blobs of 16 KB or more with a reference count, which
// replies point at instead of copying. A shared blob is never changed: writers make a new one.
//   inline: [length: 1 byte below 128, else 2 bytes, high bit set, big endian] [bytes]
#include <atomic>
#include <cstdint>
#include <string_view>

#include "types/value.h"

namespace brim {

inline constexpr size_t kBlobBytes = 16384;  // values this long live in a blob
inline constexpr size_t kEmbstrBytes = 44;   // OBJECT ENCODING: embstr up to here, raw beyond

struct Blob {
  std::atomic<uint32_t> references;
  uint32_t unused;
  size_t size;
  size_t capacity;
  char bytes[];

  // One reference, size bytes (uninitialised). Null when memory is refused.
  static Blob* New(size_t size, size_t capacity);
  void Retain() { references.fetch_add(1, std::memory_order_relaxed); }
  // Any thread, no lock: the last one frees.
  void Release();
  bool shared() const { return references.load(std::memory_order_acquire) > 1; }
};

// The text of a string value. Integers are rendered into `buffer` (24 bytes or more).
std::string_view ReadString(const Value& value, char* buffer);
size_t StringLength(const Value& value);

// How a string is going to be stored.
struct StringForm {
  Encoding encoding;
  size_t bytes;  // of the value area
  bool blob;
  int64_t integer;  // Encoding::kInt
};
StringForm PlanString(std::string_view text);
// As PlanString, but never an integer and always `raw` (what APPEND and SETRANGE leave behind).
StringForm PlanRawString(size_t size);
// Fills an inline area laid out as `form` (not for blobs).
void WriteString(uint8_t* area, const StringForm& form, std::string_view text);
// A new blob that holds the text.
Blob* NewBlob(std::string_view text);

// Replaces an existing string value by `text` (any encoding to any encoding), the expiry kept.
void AssignString(Value& value, std::string_view text);
// Makes the string `raw` with `size` bytes, the old ones kept (up to size), new ones zero. Returns its bytes for
// writing; they may not be kept across another call. Blobs grow with room to spare. O(size) at worst.
char* ResizeString(Value& value, size_t size);
// As ResizeString with the size that it has: nothing to do for a `raw` one that no reply points at.
char* WritableString(Value& value);

// The blob of a string value, or null when it is inline.
Blob* BlobOf(const Value& value);

}  // namespace brim
