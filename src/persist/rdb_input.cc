#include "persist/rdb_input.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "persist/crc64.h"

namespace brim {

namespace {

constexpr size_t kFileBytes = 1 << 20;
constexpr size_t kTextStep = 1 << 20;

}  // namespace

uint64_t RdbInput::checksum() {
  if (unsummed_ != ready_.data()) {
    checksum_ = Crc64(checksum_, unsummed_, static_cast<size_t>(ready_.data() - unsummed_));
    unsummed_ = ready_.data();
  }
  return checksum_;
}

bool RdbInput::Refill() {
  checksum();
  ready_ = Fill();
  unsummed_ = ready_.data();
  return !ready_.empty();
}

bool RdbInput::Read(void* to, size_t size) {
  auto* at = static_cast<uint8_t*>(to);
  size_t left = size;
  while (left > 0) {
    if (ready_.empty() && !Refill()) return false;
    size_t take = std::min(left, ready_.size());
    memcpy(at, ready_.data(), take);
    ready_ = ready_.subspan(take);
    at += take;
    left -= take;
  }
  offset_ += size;
  return true;
}

bool RdbInput::ReadText(size_t size, std::string* text) {
  text->clear();
  while (size > 0) {
    size_t step = std::min(size, kTextStep);
    size_t before = text->size();
    text->resize(before + step);
    if (!Read(text->data() + before, step)) return false;
    size -= step;
  }
  return true;
}

std::span<const uint8_t> MemoryInput::Fill() {
  std::span<const uint8_t> all(reinterpret_cast<const uint8_t*>(bytes_.data()), bytes_.size());
  bytes_ = {};
  return all;
}

FileInput::FileInput(int fd) : fd_(fd), buffer_(kFileBytes) {
  struct stat status;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) size_ = static_cast<uint64_t>(status.st_size);
}

std::span<const uint8_t> FileInput::Fill() {
  ssize_t got;
  do {
    got = read(fd_, buffer_.data(), buffer_.size());
  } while (got < 0 && errno == EINTR);
  return {buffer_.data(), got > 0 ? static_cast<size_t>(got) : 0};
}

}  // namespace brim
