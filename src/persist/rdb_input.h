#pragma once
// Where RDB bytes come from: a payload in memory, or a file read ahead in pieces. Counts and checks what it hands out.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

class RdbInput {
 public:
  virtual ~RdbInput() = default;
  // Exactly that many bytes; false when there are fewer (or reading fails). O(size).
  bool Read(void* to, size_t size);
  // A text of that many bytes. Memory is taken as the bytes come, so a wrong length costs none.
  bool ReadText(size_t size, std::string* text);
  // Bytes handed out so far, and their CRC-64.
  uint64_t offset() const { return offset_; }
  uint64_t checksum();
  // At least as many as are still to come, where that is known; else 0.
  uint64_t left() const { return size_ > offset_ ? size_ - offset_ : 0; }

 protected:
  // The next bytes that are there, at least one; empty at the end.
  virtual std::span<const uint8_t> Fill() = 0;
  uint64_t size_ = 0;  // of all there is, or 0

 private:
  bool Refill();
  std::span<const uint8_t> ready_;
  const uint8_t* unsummed_ = nullptr;  // handed out from here to ready_, and not in checksum_ yet
  uint64_t offset_ = 0;
  uint64_t checksum_ = 0;
};

class MemoryInput final : public RdbInput {
 public:
  explicit MemoryInput(std::string_view bytes) : bytes_(bytes) { size_ = bytes.size(); }

 private:
  std::span<const uint8_t> Fill() override;
  std::string_view bytes_;
};

// The descriptor stays the caller's.
class FileInput final : public RdbInput {
 public:
  explicit FileInput(int fd);

 private:
  std::span<const uint8_t> Fill() override;
  int fd_;
  std::vector<uint8_t> buffer_;
};

}  // namespace brim
