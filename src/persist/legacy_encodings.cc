#include "persist/legacy_encodings.h"

#include <cstring>

namespace brim {

namespace {

constexpr uint8_t kWideLength = 254;  // four bytes of length follow

constexpr size_t kZiplistCountUnknown = 65535;
constexpr uint8_t kZipmapCountUnknown = 254;

constexpr uint8_t kInt16 = 0xc0;
constexpr uint8_t kInt32 = 0xd0;
constexpr uint8_t kInt64 = 0xe0;
constexpr uint8_t kInt24 = 0xf0;
constexpr uint8_t kImmediateMin = 0xf1;
constexpr uint8_t kImmediateMax = 0xfd;
constexpr uint8_t kInt8 = 0xfe;

uint64_t LoadLittle(const uint8_t* p, size_t bytes) {
  uint64_t n = 0;
  memcpy(&n, p, bytes);
  return n;
}

size_t LoadBig32(const uint8_t* p) {
  return static_cast<size_t>(p[0]) << 24 | static_cast<size_t>(p[1]) << 16 | static_cast<size_t>(p[2]) << 8 | p[3];
}

// Takes bytes off the front of a span, never more than there are.
class Cursor {
 public:
  explicit Cursor(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  // The next `bytes` bytes, or null when there are fewer.
  const uint8_t* Take(size_t bytes) {
    if (bytes > bytes_.size() - at_) return nullptr;
    const uint8_t* taken = bytes_.data() + at_;
    at_ += bytes;
    return taken;
  }

  bool TakeText(size_t bytes, std::string_view* text) {
    const uint8_t* taken = Take(bytes);
    if (taken == nullptr) return false;
    *text = {reinterpret_cast<const char*>(taken), bytes};
    return true;
  }

  // A length of one byte below 254, or of 254 and four bytes.
  bool TakeLength(size_t* length) {
    const uint8_t* first = Take(1);
    if (first == nullptr || *first > kWideLength) return false;
    *length = *first;
    if (*first < kWideLength) return true;
    const uint8_t* wide = Take(4);
    if (wide == nullptr) return false;
    *length = LoadLittle(wide, 4);
    return true;
  }

  size_t taken() const { return at_; }

 private:
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
};

bool TakeZiplistText(Cursor& from, uint8_t encoding, std::string_view* text) {
  size_t size = encoding & 63;
  if ((encoding & 0xc0) == 0x40) {
    const uint8_t* low = from.Take(1);
    if (low == nullptr) return false;
    size = size << 8 | *low;
  } else if ((encoding & 0xc0) == 0x80) {
    const uint8_t* wide = from.Take(4);
    if (wide == nullptr) return false;
    size = LoadBig32(wide);
  }
  return from.TakeText(size, text);
}

// Bytes of the number behind the encoding; 0 when the encoding is none.
size_t ZiplistNumberBytes(uint8_t encoding) {
  switch (encoding) {
    case kInt8:
      return 1;
    case kInt16:
      return 2;
    case kInt24:
      return 3;
    case kInt32:
      return 4;
    case kInt64:
      return 8;
    default:
      return 0;
  }
}

bool TakeZiplistNumber(Cursor& from, uint8_t encoding, int64_t* number) {
  if (encoding >= kImmediateMin && encoding <= kImmediateMax) {
    *number = encoding - kImmediateMin;
    return true;
  }
  size_t bytes = ZiplistNumberBytes(encoding);
  const uint8_t* data = bytes != 0 ? from.Take(bytes) : nullptr;
  if (data == nullptr) return false;
  int unused_bits = 64 - 8 * static_cast<int>(bytes);
  *number = static_cast<int64_t>(LoadLittle(data, bytes) << unused_bits) >> unused_bits;
  return true;
}

// Redis itself takes a short length in the wide form for one byte: none of its files has one.
bool TakeZipmapLength(Cursor& from, size_t* length) {
  size_t before = from.taken();
  return from.TakeLength(length) && (*length >= kWideLength || from.taken() - before == 1);
}

}  // namespace

namespace legacy {

size_t ReadZiplistEntry(std::span<const uint8_t> rest, ZiplistEntry* entry) {
  Cursor from(rest);
  if (!from.TakeLength(&entry->previous_bytes)) return 0;
  const uint8_t* encoding = from.Take(1);
  if (encoding == nullptr) return 0;
  listpack::Item& item = entry->item;
  item.is_number = *encoding >= kInt16;
  bool taken =
      item.is_number ? TakeZiplistNumber(from, *encoding, &item.number) : TakeZiplistText(from, *encoding, &item.text);
  return taken ? from.taken() : 0;
}

size_t ReadZipmapPair(std::span<const uint8_t> rest, ZipmapPair* pair) {
  Cursor from(rest);
  size_t length = 0;
  if (!TakeZipmapLength(from, &length) || !from.TakeText(length, &pair->field)) return 0;
  if (!TakeZipmapLength(from, &length)) return 0;
  const uint8_t* unused = from.Take(1);
  if (unused == nullptr || !from.TakeText(length, &pair->value) || from.Take(*unused) == nullptr) return 0;
  return from.taken();
}

}  // namespace legacy

bool CheckZiplist(std::span<const uint8_t> bytes) {
  if (bytes.size() <= legacy::kZiplistHeaderBytes || bytes.back() != legacy::kTerminator) return false;
  if (LoadLittle(bytes.data(), 4) != bytes.size()) return false;
  // An entry ends before the terminator: no data may take it in.
  const size_t end = bytes.size() - 1;
  size_t at = legacy::kZiplistHeaderBytes;
  size_t last = at;  // in an empty one the offset is the terminator's
  size_t previous_bytes = 0;
  size_t count = 0;
  while (at < end) {
    legacy::ZiplistEntry entry;
    size_t step = legacy::ReadZiplistEntry(bytes.subspan(at, end - at), &entry);
    if (step == 0 || entry.previous_bytes != previous_bytes) return false;
    last = at;
    at += step;
    previous_bytes = step;
    count++;
  }
  size_t told_count = LoadLittle(bytes.data() + 8, 2);
  return LoadLittle(bytes.data() + 4, 4) == last && (told_count == count || told_count == kZiplistCountUnknown);
}

bool CheckZipmap(std::span<const uint8_t> bytes) {
  if (bytes.size() <= legacy::kZipmapHeaderBytes || bytes.back() != legacy::kTerminator) return false;
  const size_t end = bytes.size() - 1;
  size_t at = legacy::kZipmapHeaderBytes;
  size_t count = 0;
  while (at < end) {
    legacy::ZipmapPair pair;
    size_t step = legacy::ReadZipmapPair(bytes.subspan(at, end - at), &pair);
    if (step == 0) return false;
    at += step;
    count++;
  }
  return bytes[0] == kZipmapCountUnknown || (bytes[0] < kZipmapCountUnknown && bytes[0] == count);
}

}  // namespace brim
