#include "types/string.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/numbers.h"
#include "memory/account.h"

namespace brim {

namespace {

size_t PrefixBytes(size_t size) { return size < 128 ? 1 : 2; }

std::string_view InlineText(const uint8_t* area) {
  if (area[0] < 128) return {reinterpret_cast<const char*>(area) + 1, area[0]};
  size_t size = static_cast<size_t>(area[0] & 127) << 8 | area[1];
  return {reinterpret_cast<const char*>(area) + 2, size};
}

// Writes the prefix; returns where the bytes go.
char* WritePrefix(uint8_t* area, size_t size) {
  if (size < 128) {
    area[0] = static_cast<uint8_t>(size);
    return reinterpret_cast<char*>(area) + 1;
  }
  area[0] = static_cast<uint8_t>(size >> 8 | 128);
  area[1] = static_cast<uint8_t>(size);
  return reinterpret_cast<char*>(area) + 2;
}

size_t IntWidth(int64_t n) {
  if (n == static_cast<int8_t>(n)) return 1;
  if (n == static_cast<int16_t>(n)) return 2;
  if (n == static_cast<int32_t>(n)) return 4;
  return 8;
}

// Room for growth: doubled up to 1 MB more, as appending clients expect it to be cheap.
size_t GrownCapacity(size_t size) { return size + std::min<size_t>(size, 1 << 20); }

}  // namespace

Blob* Blob::New(size_t size, size_t capacity) {
  void* memory = TryAllocateBytes(sizeof(Blob) + capacity, MemoryCategory::kData);
  if (memory == nullptr) return nullptr;
  auto* blob = static_cast<Blob*>(memory);
  new (&blob->references) std::atomic<uint32_t>(1);
  blob->size = size;
  blob->capacity = capacity;
  return blob;
}

void Blob::Release() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) FreeBytes(this, MemoryCategory::kData);
}

Blob* BlobOf(const Value& value) { return value.external() ? value.As<Blob>() : nullptr; }

std::string_view ReadString(const Value& value, char* buffer) {
  if (value.encoding() == Encoding::kInt) {
    return {buffer, static_cast<size_t>(FormatInt64(value.GetInt(), buffer))};
  }
  if (Blob* blob = BlobOf(value)) return {blob->bytes, blob->size};
  return InlineText(const_cast<Value&>(value).data());
}

size_t StringLength(const Value& value) {
  char buffer[24];
  return ReadString(value, buffer).size();
}

StringForm PlanString(std::string_view text) {
  int64_t n;
  if (text.size() <= 20 && ParseInt64(text, &n)) return {Encoding::kInt, IntWidth(n), false, n};
  Encoding encoding = text.size() <= kEmbstrBytes ? Encoding::kEmbstr : Encoding::kRaw;
  if (text.size() >= kBlobBytes) return {encoding, 8, true, 0};
  return {encoding, PrefixBytes(text.size()) + text.size(), false, 0};
}

StringForm PlanRawString(size_t size) {
  if (size >= kBlobBytes) return {Encoding::kRaw, 8, true, 0};
  return {Encoding::kRaw, PrefixBytes(size) + size, false, 0};
}

void WriteString(uint8_t* area, const StringForm& form, std::string_view text) {
  if (form.encoding == Encoding::kInt) {
    memcpy(area, &form.integer, form.bytes);  // little endian: the low bytes are the number
  } else {
    memcpy(WritePrefix(area, text.size()), text.data(), text.size());
  }
}

Blob* NewBlob(std::string_view text) {
  Blob* blob = Blob::New(text.size(), text.size());
  if (blob == nullptr) throw std::bad_alloc();
  memcpy(blob->bytes, text.data(), text.size());
  return blob;
}

void AssignString(Value& value, std::string_view text) {
  StringForm form = PlanString(text);
  Blob* fresh = form.blob ? NewBlob(text) : nullptr;
  if (Blob* old = BlobOf(value)) old->Release();
  if (form.blob) {
    value.MakeExternal(form.encoding, fresh);
  } else if (form.encoding == Encoding::kInt) {
    value.MakeInt(form.integer);
  } else {
    WriteString(value.MakeInline(form.encoding, form.bytes), form, text);
  }
}

char* ResizeString(Value& value, size_t size) {
  Blob* blob = BlobOf(value);
  if (blob != nullptr && !blob->shared() && size <= blob->capacity && size >= kBlobBytes) {
    if (size > blob->size) memset(blob->bytes + blob->size, 0, size - blob->size);
    blob->size = size;
    return blob->bytes;
  }
  char buffer[24];
  std::string_view old = ReadString(value, buffer);
  size_t kept = std::min(old.size(), size);
  if (size >= kBlobBytes) {
    RequireRoom(size);
    // The first blob of a string is exact (a SETRANGE that makes it); growing again means somebody appends.
    bool grows = blob != nullptr && size > blob->size;
    Blob* fresh = Blob::New(size, grows ? GrownCapacity(size) : size);
    if (fresh == nullptr) throw std::bad_alloc();
    memcpy(fresh->bytes, old.data(), kept);
    memset(fresh->bytes + kept, 0, size - kept);
    if (blob != nullptr) blob->Release();
    value.MakeExternal(Encoding::kRaw, fresh);
    return fresh->bytes;
  }
  if (!value.external() && value.encoding() != Encoding::kInt && PrefixBytes(size) == PrefixBytes(old.size())) {
    uint8_t* area = value.Resize(PrefixBytes(size) + size);
    value.SetEncoding(Encoding::kRaw);
    char* bytes = WritePrefix(area, size);
    memset(bytes + kept, 0, size - kept);
    return bytes;
  }
  // The old bytes lie in the block that MakeInline replaces (or in the blob): keep a copy; it is below 16 KB.
  char copy[kBlobBytes];
  memcpy(copy, old.data(), kept);
  if (blob != nullptr) blob->Release();
  char* bytes = WritePrefix(value.MakeInline(Encoding::kRaw, PrefixBytes(size) + size), size);
  memcpy(bytes, copy, kept);
  memset(bytes + kept, 0, size - kept);
  return bytes;
}

char* WritableString(Value& value) {
  if (Blob* blob = BlobOf(value); blob != nullptr && !blob->shared()) return blob->bytes;
  if (value.external() || value.encoding() == Encoding::kInt) return ResizeString(value, StringLength(value));
  if (value.encoding() != Encoding::kRaw) value.SetEncoding(Encoding::kRaw);
  return const_cast<char*>(InlineText(value.data()).data());
}

}  // namespace brim
