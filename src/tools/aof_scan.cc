#include "tools/aof_scan.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <vector>

#include "base/ascii.h"

namespace brim {

namespace {

constexpr size_t kReadBytes = 1 << 20;
// Longer lines are taken for broken, as redis-check-aof does.
constexpr size_t kNumberLineMax = 127;
constexpr size_t kAnnotationLineMax = 1023;

// The file's bytes in order.
class Bytes {
 public:
  Bytes(int fd, int64_t offset) : fd_(fd), read_to_(offset), buffer_(kReadBytes) {}

  int64_t offset() const { return read_to_ - static_cast<int64_t>(ready_.size()); }
  bool failed() const { return failed_; }
  // False at the end.
  bool Peek(char* c) {
    if (!Fill()) return false;
    *c = ready_[0];
    return true;
  }
  // A line with its \n, or that many bytes of it; what there is at the end.
  std::string Line(size_t most) {
    std::string line;
    while (line.size() < most && !line.ends_with('\n') && Fill()) {
      std::string_view part = ready_.substr(0, most - line.size());
      Take(part.substr(0, part.find('\n') == std::string_view::npos ? part.size() : part.find('\n') + 1), &line);
    }
    return line;
  }
  // Passes over that many bytes, or what there is, and returns how many; the first `keep` of them into *kept.
  int64_t Skip(int64_t size, size_t keep, std::string* kept) {
    int64_t passed = 0;
    while (passed < size && Fill()) {
      std::string_view part = ready_.substr(0, static_cast<size_t>(std::min<int64_t>(size - passed, kReadBytes)));
      kept->append(part.substr(0, keep - kept->size()));
      ready_.remove_prefix(part.size());
      passed += static_cast<int64_t>(part.size());
    }
    return passed;
  }

 private:
  bool Fill() {
    if (!ready_.empty()) return true;
    ssize_t got;
    do {
      got = pread(fd_, buffer_.data(), buffer_.size(), read_to_);
    } while (got < 0 && errno == EINTR);
    failed_ = got < 0;
    if (got <= 0) return false;
    read_to_ += got;
    ready_ = {buffer_.data(), static_cast<size_t>(got)};
    return true;
  }
  void Take(std::string_view part, std::string* to) {
    to->append(part);
    ready_.remove_prefix(part.size());
  }

  int fd_;
  int64_t read_to_;
  bool failed_ = false;
  std::vector<char> buffer_;
  std::string_view ready_;
};

class Scanner {
 public:
  Scanner(int fd, const std::string& name, int64_t from, int64_t to_timestamp)
      : bytes_(fd, from), name_(name), to_timestamp_(to_timestamp) {}

  AofScan Run();

 private:
  bool Fail(const std::string& what);
  bool LineEnd(std::string_view rest);
  bool Number(char prefix, int64_t* n);
  bool Text(bool is_command);
  bool Transaction(const std::string& command);
  bool Command();
  bool Annotation();

  Bytes bytes_;
  const std::string& name_;
  int64_t to_timestamp_;
  AofScan scan_;
  int64_t item_ = 0;  // where the number, text or annotation being read begins
  bool in_multi_ = false;
};

bool Scanner::Fail(const std::string& what) {
  char where[32];
  snprintf(where, sizeof where, "0x%16llx: ", static_cast<unsigned long long>(item_));
  scan_.error = where + what;
  return false;
}

bool Scanner::LineEnd(std::string_view rest) {
  if (!rest.starts_with("\r\n")) {
    unsigned first = rest.empty() ? 0 : static_cast<unsigned char>(rest[0]);
    unsigned second = rest.size() < 2 ? 0 : static_cast<unsigned char>(rest[1]);
    char found[8];
    snprintf(found, sizeof found, "%02x%02x", first & 255, second & 255);
    return Fail(std::string("Expected \\r\\n, got: ") + found);
  }
  scan_.line++;
  return true;
}

bool Scanner::Number(char prefix, int64_t* n) {
  item_ = bytes_.offset();
  std::string line = bytes_.Line(kNumberLineMax);
  if (line.empty()) return false;  // the file ends here: no error but that
  if (line[0] != prefix) return Fail(std::string("Expected prefix '") + prefix + "', got: '" + line[0] + "'");
  char* end;
  *n = strtoll(line.c_str() + 1, &end, 10);
  return LineEnd(std::string_view(line).substr(static_cast<size_t>(end - line.c_str())));
}

bool Scanner::Transaction(const std::string& command) {
  if (EqualsNoCase(command, "multi")) {
    if (in_multi_) return Fail("Unexpected MULTI in AOF " + name_);
    in_multi_ = true;
  } else if (EqualsNoCase(command, "exec")) {
    if (!in_multi_) return Fail("Unexpected EXEC in AOF " + name_);
    in_multi_ = false;
  }
  return true;
}

bool Scanner::Text(bool is_command) {
  constexpr size_t kCommandKept = 6;  // one more than MULTI has
  constexpr int64_t kLineEnd = 2;
  int64_t size;
  if (!Number('$', &size)) return false;
  if (size < 0 || size > std::numeric_limits<int64_t>::max() - kLineEnd) {
    return Fail("Expected to read string of " + std::to_string(size) + " bytes, which is not in the suitable range");
  }
  item_ = bytes_.offset();
  std::string command;
  std::string line_end;
  int64_t got = bytes_.Skip(size, kCommandKept, &command);
  got += bytes_.Skip(kLineEnd, kLineEnd, &line_end);
  if (got != size + kLineEnd) {
    return Fail("Expected to read " + std::to_string(size + kLineEnd) + " bytes, got " + std::to_string(got) +
                " bytes");
  }
  return LineEnd(line_end) && (!is_command || Transaction(command));
}

bool Scanner::Command() {
  int64_t count;
  if (!Number('*', &count)) return false;
  for (int64_t i = 0; i < count; i++) {
    if (!Text(i == 0)) return false;
  }
  return true;
}

// False when the file is to end in front of it.
bool Scanner::Annotation() {
  constexpr std::string_view kTimestamp = "#TS:";
  item_ = bytes_.offset();
  std::string line = bytes_.Line(kAnnotationLineMax);
  if (to_timestamp_ == 0 || !line.starts_with(kTimestamp)) return true;
  char* end;
  errno = 0;
  int64_t timestamp = strtoll(line.c_str() + kTimestamp.size(), &end, 10);
  if (errno != 0 || *end != '\r') {
    scan_.end = AofEnd::kBadTimestamp;
    return false;
  }
  if (timestamp <= to_timestamp_) return true;
  // Within a transaction the cut goes in front of it: redis-check-aof leaves the half of it.
  if (!in_multi_) scan_.good_bytes = item_;
  scan_.end = item_ == 0 ? AofEnd::kBeforeTimestamp : AofEnd::kPastTimestamp;
  return false;
}

AofScan Scanner::Run() {
  for (;;) {
    if (!in_multi_) scan_.good_bytes = bytes_.offset();
    char first;
    if (!bytes_.Peek(&first)) break;
    if (first == '#') {
      if (!Annotation()) return scan_;
    } else if (first == '*') {
      if (Command()) continue;
      scan_.end = AofEnd::kBroken;
      break;
    } else {
      scan_.end = AofEnd::kBroken;
      scan_.error = "AOF " + name_ + " format error";
      return scan_;
    }
  }
  if (bytes_.failed()) {
    scan_.end = AofEnd::kUnreadable;
  } else if (in_multi_ && scan_.error.empty()) {
    scan_.end = AofEnd::kBroken;
    Fail("Reached EOF before reading EXEC for MULTI");
  }
  return scan_;
}

}  // namespace

AofScan ScanAof(int fd, const std::string& name, int64_t from, int64_t to_timestamp) {
  return Scanner(fd, name, from, to_timestamp).Run();
}

}  // namespace brim
