#include "base/bits.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace brim {

namespace {

static_assert(std::endian::native == std::endian::little);

uint64_t LoadWord(const char* bytes) {
  uint64_t word;
  memcpy(&word, bytes, 8);
  return word;
}

// The first of its bits is the word's highest.
uint64_t LoadBigEndian(const char* bytes) { return __builtin_bswap64(LoadWord(bytes)); }

uint8_t ByteAt(std::string_view text, uint64_t i) { return static_cast<uint8_t>(text[i]); }

// Which bits of a byte lie in [first, last]; `begin` is the number of its first bit.
uint8_t ByteMask(uint64_t begin, uint64_t first, uint64_t last) {
  unsigned mask = 0xff;
  if (first > begin) mask &= 0xffu >> (first - begin);
  if (last < begin + 7) mask &= 0xffu << (begin + 7 - last);
  return static_cast<uint8_t>(mask);
}

// A piece of all texts is combined at a time, so that the result stays in the nearest cache.
using Vector = uint64_t __attribute__((vector_size(16)));
constexpr size_t kVectorBytes = sizeof(Vector);
constexpr size_t kPieceBytes = 4096;

Vector LoadVector(const char* bytes) {
  Vector vector;
  memcpy(&vector, bytes, kVectorBytes);
  return vector;
}

struct Piece {
  Vector vectors[kPieceBytes / kVectorBytes];
  size_t used = 0;  // vectors

  void Clear(size_t bytes) {
    used = (bytes + kVectorBytes - 1) / kVectorBytes;
    memset(vectors, 0, used * kVectorBytes);
  }
};

// Joins the text's bytes from `offset` on, zeros behind its end, to the piece: fn(&vector of the piece, of the text,
// i).
template <class Fn>
void EachVector(Piece* piece, std::string_view text, size_t offset, Fn&& fn) {
  size_t there = offset < text.size() ? std::min(text.size() - offset, piece->used * kVectorBytes) : 0;
  const char* from = there > 0 ? text.data() + offset : nullptr;
  size_t i = 0;
  for (; i < there / kVectorBytes; i++) fn(&piece->vectors[i], LoadVector(from + i * kVectorBytes), i);
  if (size_t rest = there % kVectorBytes; rest > 0) {
    char edge[kVectorBytes] = {};
    memcpy(edge, from + i * kVectorBytes, rest);
    fn(&piece->vectors[i], LoadVector(edge), i);
    i++;
  }
  for (; i < piece->used; i++) fn(&piece->vectors[i], Vector{}, i);
}

// Each of a type of its own, so that each gets a loop of its own.
constexpr auto kOr = [](Vector* to, Vector from, size_t) { *to |= from; };
constexpr auto kAnd = [](Vector* to, Vector from, size_t) { *to &= from; };
constexpr auto kXor = [](Vector* to, Vector from, size_t) { *to ^= from; };

// The operations of a first text and the union of the others.
void CombineWithUnion(BitOperation operation, const std::string_view* texts, size_t count, size_t offset, Piece* to) {
  for (size_t i = 1; i < count; i++) EachVector(to, texts[i], offset, kOr);
  if (operation == BitOperation::kDiff) {
    EachVector(to, texts[0], offset, [](Vector* others, Vector first, size_t) { *others = first & ~*others; });
  } else if (operation == BitOperation::kDiff1) {
    EachVector(to, texts[0], offset, [](Vector* others, Vector first, size_t) { *others &= ~first; });
  } else {
    EachVector(to, texts[0], offset, kAnd);
  }
}

void CombineOne(const std::string_view* texts, size_t count, size_t offset, Piece* to) {
  Piece twice;
  twice.Clear(to->used * kVectorBytes);
  for (size_t n = 0; n < count; n++) {
    EachVector(to, texts[n], offset, [&twice](Vector* once, Vector text, size_t i) {
      twice.vectors[i] |= *once & text;
      *once |= text;
    });
  }
  for (size_t i = 0; i < to->used; i++) to->vectors[i] &= ~twice.vectors[i];
}

}  // namespace

uint64_t CountBits(std::string_view text) {
  const char* p = text.data();
  size_t left = text.size();
  uint64_t counts[4] = {};
  for (; left >= 32; left -= 32, p += 32) {
    for (size_t i = 0; i < 4; i++) counts[i] += static_cast<unsigned>(std::popcount(LoadWord(p + 8 * i)));
  }
  uint64_t count = counts[0] + counts[1] + counts[2] + counts[3];
  for (; left >= 8; left -= 8, p += 8) count += static_cast<unsigned>(std::popcount(LoadWord(p)));
  uint64_t rest = 0;
  if (left > 0) memcpy(&rest, p, left);
  return count + static_cast<unsigned>(std::popcount(rest));
}

uint64_t CountBits(std::string_view text, uint64_t first, uint64_t last) {
  uint64_t first_byte = first / 8;
  uint64_t last_byte = last / 8;
  auto edge = [&](uint64_t byte) {
    return static_cast<unsigned>(std::popcount<unsigned>(ByteAt(text, byte) & ByteMask(byte * 8, first, last)));
  };
  uint64_t count = edge(first_byte);
  if (last_byte == first_byte) return count;
  return count + CountBits(text.substr(first_byte + 1, last_byte - first_byte - 1)) + edge(last_byte);
}

int64_t FindBit(std::string_view text, uint64_t first, uint64_t last, bool value) {
  uint64_t flip = value ? 0 : ~uint64_t{0};
  uint64_t byte = first / 8;
  uint64_t last_byte = last / 8;
  while (byte <= last_byte) {
    if (byte * 8 < first || byte + 8 > last_byte) {
      auto bits = static_cast<uint8_t>((ByteAt(text, byte) ^ flip) & ByteMask(byte * 8, first, last));
      if (bits != 0) return static_cast<int64_t>(byte * 8) + std::countl_zero(bits);
      byte++;
      continue;
    }
    // Most of a long text is passed over four words at a time.
    const char* p = text.data() + byte;
    for (; byte + 32 <= last_byte; byte += 32, p += 32) {
      uint64_t wanted = LoadWord(p) ^ flip;
      for (size_t i = 1; i < 4; i++) wanted |= LoadWord(p + 8 * i) ^ flip;
      if (wanted != 0) break;
    }
    if (byte + 8 > last_byte) continue;
    uint64_t word = LoadBigEndian(p) ^ flip;
    if (word != 0) return static_cast<int64_t>(byte * 8) + std::countl_zero(word);
    byte += 8;
  }
  return -1;
}

uint64_t ReadBits(std::string_view text, uint64_t at, unsigned width) {
  char bytes[16] = {};
  uint64_t begin = at / 8;
  if (begin < text.size()) memcpy(bytes, text.data() + begin, std::min<size_t>(text.size() - begin, 9));
  auto skipped = static_cast<unsigned>(at % 8);
  uint64_t word = LoadBigEndian(bytes) << skipped;
  if (skipped > 0) word |= static_cast<uint8_t>(bytes[8]) >> (8 - skipped);
  return word >> (64 - width);
}

void WriteBits(char* text, uint64_t at, unsigned width, uint64_t value) {
  while (width > 0) {
    auto skipped = static_cast<unsigned>(at % 8);
    unsigned here = std::min(8 - skipped, width);
    unsigned shift = 8 - skipped - here;
    unsigned mask = ((1u << here) - 1) << shift;
    unsigned bits = static_cast<unsigned>(value >> (width - here)) << shift & mask;
    auto byte = static_cast<uint8_t>(text[at / 8]);
    text[at / 8] = static_cast<char>((byte & ~mask) | bits);
    at += here;
    width -= here;
  }
}

void CombineBits(BitOperation operation, const std::string_view* texts, size_t count, char* to, size_t size) {
  for (size_t offset = 0; offset < size; offset += kPieceBytes) {
    size_t bytes = std::min(kPieceBytes, size - offset);
    Piece piece;
    piece.Clear(bytes);
    switch (operation) {
      case BitOperation::kOne:
        CombineOne(texts, count, offset, &piece);
        break;
      case BitOperation::kDiff:
      case BitOperation::kDiff1:
      case BitOperation::kAndOr:
        CombineWithUnion(operation, texts, count, offset, &piece);
        break;
      default:
        EachVector(&piece, texts[0], offset, kOr);
        for (size_t i = 1; i < count; i++) {
          if (operation == BitOperation::kAnd) EachVector(&piece, texts[i], offset, kAnd);
          if (operation == BitOperation::kOr) EachVector(&piece, texts[i], offset, kOr);
          if (operation == BitOperation::kXor) EachVector(&piece, texts[i], offset, kXor);
        }
        if (operation == BitOperation::kNot) {
          for (size_t i = 0; i < piece.used; i++) piece.vectors[i] = ~piece.vectors[i];
        }
        break;
    }
    memcpy(to + offset, piece.vectors, bytes);
  }
}

}  // namespace brim
