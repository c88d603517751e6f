#include "types/intset.h"

#include <cstring>

namespace brim::intset {

namespace {

uint32_t Load32(const uint8_t* p) {
  uint32_t n;
  memcpy(&n, p, 4);
  return n;
}

void Store32(uint8_t* p, uint32_t n) { memcpy(p, &n, 4); }

size_t Width(const uint8_t* is) { return Load32(is); }

size_t WidthFor(int64_t n) {
  if (n == static_cast<int16_t>(n)) return 2;
  return n == static_cast<int32_t>(n) ? 4 : 8;
}

int64_t Load(const uint8_t* is, size_t rank, size_t width) {
  const uint8_t* p = is + kHeaderBytes + rank * width;
  if (width == 2) {
    int16_t n;
    memcpy(&n, p, 2);
    return n;
  }
  if (width == 4) {
    int32_t n;
    memcpy(&n, p, 4);
    return n;
  }
  int64_t n;
  memcpy(&n, p, 8);
  return n;
}

void Store(uint8_t* is, size_t rank, size_t width, int64_t n) {
  memcpy(is + kHeaderBytes + rank * width, &n, width);  // little endian: the low bytes
}

// The rank of the first integer not below `number`.
size_t LowerBound(const uint8_t* is, int64_t number) {
  size_t width = Width(is);
  size_t low = 0;
  size_t high = Count(is);
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (Load(is, middle, width) < number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// Rewrites all integers in a larger width, the new one at an end: nothing of the old width reaches as far.
void WidenWith(ValueBytes& value, int64_t number) {
  size_t count = Count(value.data());
  size_t old_width = Width(value.data());
  size_t width = WidthFor(number);
  uint8_t* is = value.Resize(kHeaderBytes + (count + 1) * width);
  size_t shift = number < 0 ? 1 : 0;
  for (size_t i = count; i-- > 0;) Store(is, i + shift, width, Load(is, i, old_width));
  Store(is, shift != 0 ? 0 : count, width, number);
  Store32(is, static_cast<uint32_t>(width));
  Store32(is + 4, static_cast<uint32_t>(count + 1));
}

}  // namespace

void Init(uint8_t* bytes) {
  Store32(bytes, 2);
  Store32(bytes + 4, 0);
}

size_t TotalBytes(const uint8_t* is) { return kHeaderBytes + Count(is) * Width(is); }
size_t Count(const uint8_t* is) { return Load32(is + 4); }
int64_t Get(const uint8_t* is, size_t rank) { return Load(is, rank, Width(is)); }

bool Contains(const uint8_t* is, int64_t number) {
  if (WidthFor(number) > Width(is)) return false;
  size_t rank = LowerBound(is, number);
  return rank < Count(is) && Get(is, rank) == number;
}

bool Add(ValueBytes& value, int64_t number) {
  uint8_t* is = value.data();
  size_t width = Width(is);
  if (WidthFor(number) > width) {
    WidenWith(value, number);
    return true;
  }
  size_t count = Count(is);
  // Appending in order is the common case.
  size_t rank = count == 0 || Load(is, count - 1, width) < number ? count : LowerBound(is, number);
  if (rank < count && Load(is, rank, width) == number) return false;
  is = value.Resize(kHeaderBytes + (count + 1) * width);
  uint8_t* at = is + kHeaderBytes + rank * width;
  memmove(at + width, at, (count - rank) * width);
  Store(is, rank, width, number);
  Store32(is + 4, static_cast<uint32_t>(count + 1));
  return true;
}

bool Remove(ValueBytes& value, int64_t number) {
  uint8_t* is = value.data();
  if (!Contains(is, number)) return false;
  size_t width = Width(is);
  size_t count = Count(is);
  size_t rank = LowerBound(is, number);
  uint8_t* at = is + kHeaderBytes + rank * width;
  memmove(at, at + width, (count - rank - 1) * width);
  Store32(is + 4, static_cast<uint32_t>(count - 1));
  value.Resize(kHeaderBytes + (count - 1) * width);
  return true;
}

bool IsValid(const uint8_t* bytes, size_t size) {
  if (size < kHeaderBytes) return false;
  size_t width = Width(bytes);
  if (width != 2 && width != 4 && width != 8) return false;
  if ((size - kHeaderBytes) / width != Count(bytes) || (size - kHeaderBytes) % width != 0) return false;
  for (size_t i = 1; i < Count(bytes); i++) {
    if (Get(bytes, i - 1) >= Get(bytes, i)) return false;
  }
  return true;
}

}  // namespace brim::intset
