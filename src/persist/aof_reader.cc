#include "persist/aof_reader.h"

#include <cerrno>
#include <cstring>

#include "base/numbers.h"

namespace brim {

namespace {

constexpr size_t kLongestLine = 128;
constexpr size_t kBufferBytes = 1 << 20;
constexpr int64_t kMostWords = 1 << 30;
constexpr int64_t kLongestWord = int64_t{4} << 30;
constexpr size_t kStep = 1 << 20;  // a word's announced length is believed by this much at a time

}  // namespace

AofReader::~AofReader() {
  if (file_ != nullptr) fclose(file_);
}

bool AofReader::Open(const std::string& path, uint64_t offset, std::string* error) {
  file_ = fopen(path.c_str(), "re");
  if (file_ == nullptr || fseeko(file_, static_cast<off_t>(offset), SEEK_SET) != 0) {
    *error = "opening " + path + ": " + strerror(errno);
    return false;
  }
  setvbuf(file_, nullptr, _IOFBF, kBufferBytes);
  offset_ = at_ = offset;
  return true;
}

AofRead AofReader::Short() const { return ferror(file_) ? AofRead::kBroken : AofRead::kTruncated; }

// A line of the mark and a number.
AofRead AofReader::Line(char mark, int64_t* number) {
  char line[kLongestLine];
  if (fgets(line, sizeof line, file_) == nullptr) return Short();
  broken_at_ = at_;
  if (line[0] != mark) return AofRead::kBroken;
  size_t size = strlen(line);
  at_ += size;
  if (size == 0 || line[size - 1] != '\n') broken_at_ = at_;  // a zero, or the end
  if (size == 0 || line[size - 1] != '\n') {
    // The file ends here: cut off, if what there is can be the beginning of such a line.
    std::string_view rest(line + 1, size - 1);
    if (rest.size() > 1 && rest.ends_with('\r')) rest.remove_suffix(1);
    bool digits = rest.find_first_not_of("0123456789") == std::string_view::npos && !rest.starts_with('0');
    if (mark == '$' && rest == "0") digits = true;
    return feof(file_) && digits ? AofRead::kTruncated : AofRead::kBroken;
  }
  if (size < 4 || line[size - 2] != '\r') return AofRead::kBroken;
  return ParseInt64({line + 1, size - 3}, number) ? AofRead::kCommand : AofRead::kBroken;
}

// The rest of a line that began with #.
AofRead AofReader::Comment() {
  for (;;) {
    int c = fgetc(file_);
    if (c == EOF) return Short();
    at_++;
    if (c == '\n') return AofRead::kCommand;
  }
}

AofRead AofReader::Next(std::vector<std::string_view>* words) {
  int c;
  at_ = offset_;
  for (;;) {
    c = fgetc(file_);
    if (c == EOF) return ferror(file_) ? AofRead::kBroken : AofRead::kEnd;
    if (c != '#') break;
    at_++;
    AofRead read = Comment();
    if (read != AofRead::kCommand) return read;
    offset_ = at_;
  }
  ungetc(c, file_);
  int64_t count;
  AofRead read = Line('*', &count);
  if (read != AofRead::kCommand) return read;
  if (count < 1 || count > kMostWords) return AofRead::kBroken;
  bytes_.clear();
  std::vector<size_t> ends;
  for (int64_t i = 0; i < count; i++) {
    int64_t length;
    read = Line('$', &length);
    if (read != AofRead::kCommand) return read;
    if (length < 0 || length > kLongestWord) return AofRead::kBroken;
    size_t left = static_cast<size_t>(length);
    while (left > 0) {
      size_t step = left < kStep ? left : kStep;
      size_t before = bytes_.size();
      bytes_.resize(before + step);
      if (fread(bytes_.data() + before, 1, step, file_) != step) return Short();
      left -= step;
    }
    ends.push_back(bytes_.size());
    char end[2];
    if (fread(end, 1, 2, file_) != 2) return Short();
    at_ += static_cast<uint64_t>(length) + 2;
    broken_at_ = at_ - (end[0] != '\r' ? 2 : 1);
    if (end[0] != '\r' || end[1] != '\n') return AofRead::kBroken;
  }
  words->clear();
  size_t begin = 0;
  for (size_t end : ends) {
    words->emplace_back(bytes_.data() + begin, end - begin);
    begin = end;
  }
  offset_ = at_;
  return AofRead::kCommand;
}

bool AofReader::OnlyZerosFrom(uint64_t offset) {
  if (fseeko(file_, static_cast<off_t>(offset), SEEK_SET) != 0) return false;
  int c = fgetc(file_);
  bool any = c == 0;
  while (c == 0) c = fgetc(file_);
  return any && c == EOF && !ferror(file_);
}

}  // namespace brim
