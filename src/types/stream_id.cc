#include "types/stream_id.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/numbers.h"

namespace brim {

namespace {

constexpr size_t kTextMax = 127;  // of an id that is read

// A terminated copy that can be cut at the dash.
class IdWords {
 public:
  // False: too long to be an id.
  bool Split(std::string_view text) {
    if (text.size() > kTextMax) return false;
    memcpy(text_, text.data(), text.size());
    text_[text.size()] = '\0';
    dash_ = strchr(text_, '-');
    if (dash_ != nullptr) *dash_ = '\0';
    return true;
  }
  const char* ms() const { return text_; }
  const char* seq() const { return dash_ != nullptr ? dash_ + 1 : nullptr; }

 private:
  char text_[kTextMax + 1];
  char* dash_ = nullptr;
};

// What is no canonical integer is left to strtoull, which takes blanks, signs and leading zeros.
bool ReadNumber(const char* text, uint64_t* number) {
  if (ParseUint64(text, number)) return true;
  int64_t negative;
  if (ParseInt64(text, &negative)) return false;
  char* end;
  errno = 0;
  *number = strtoull(text, &end, 10);
  return errno == 0 && *text != '\0' && *end == '\0';
}

// A lone "-" or "+", behind which nothing or a zero byte comes.
bool IsEdge(std::string_view text, char sign) {
  return !text.empty() && text[0] == sign && (text.size() == 1 || text[1] == '\0');
}

}  // namespace

bool StreamId::Increment() {
  if (*this == Max()) return false;
  if (++seq == 0) ms++;
  return true;
}

bool StreamId::Decrement() {
  if (is_zero()) return false;
  if (seq-- == 0) ms--;
  return true;
}

size_t FormatStreamId(StreamId id, char* to) {
  auto size = static_cast<size_t>(FormatUint64(id.ms, to));
  to[size++] = '-';
  return size + static_cast<size_t>(FormatUint64(id.seq, to + size));
}

bool ParseStreamId(std::string_view text, uint64_t missing_seq, StreamId* id) {
  IdWords words;
  if (!words.Split(text) || !ReadNumber(words.ms(), &id->ms)) return false;
  id->seq = missing_seq;
  return words.seq() == nullptr || ReadNumber(words.seq(), &id->seq);
}

bool ParseStreamIdOrEdge(std::string_view text, uint64_t missing_seq, StreamId* id) {
  if (IsEdge(text, '-')) {
    *id = StreamId();
    return true;
  }
  if (IsEdge(text, '+')) {
    *id = StreamId::Max();
    return true;
  }
  return ParseStreamId(text, missing_seq, id);
}

bool ParseNewStreamId(std::string_view text, StreamId* id, bool* seq_given) {
  IdWords words;
  if (!words.Split(text) || !ReadNumber(words.ms(), &id->ms)) return false;
  id->seq = 0;
  *seq_given = words.seq() == nullptr || strcmp(words.seq(), "*") != 0;
  return words.seq() == nullptr || !*seq_given || ReadNumber(words.seq(), &id->seq);
}

}  // namespace brim
