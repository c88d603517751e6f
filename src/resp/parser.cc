#include "resp/parser.h"

#include <algorithm>
#include <climits>
#include <cstring>

#include "base/ascii.h"
#include "base/numbers.h"
#include "base/quoting.h"

namespace brim {

namespace {

constexpr size_t kLineBytesMax = 65536;  // of an inline request, or a length
constexpr size_t kUnauthenticatedArgs = 10;
constexpr int64_t kUnauthenticatedBulk = 16384;
constexpr size_t kKeptSpans = 1024;

}  // namespace

RequestParser::Step RequestParser::Fail(std::string message) {
  error_ = std::move(message);
  return Step::kBad;
}

namespace {

inline bool IsLineEnd(const char* p) { return memcmp(p, "\r\n", 2) == 0; }

// Reads "$123\r\n" for one to three digits with all their bytes there, which nearly every length is. False, and nothing
// changed, for whatever else.
[[gnu::always_inline]] inline bool ReadShortLength(const char** at, const char* end, size_t* length) {
  const char* p = *at;
  if (end - p < 6) return false;
  unsigned first = static_cast<unsigned char>(p[1]) - '0';
  if (first > 9) return false;
  if (IsLineEnd(p + 2)) {
    *length = first;
    *at = p + 4;
    return true;
  }
  unsigned second = static_cast<unsigned char>(p[2]) - '0';
  if (second > 9 || first == 0) return false;
  if (IsLineEnd(p + 3)) {
    *length = first * 10 + second;
    *at = p + 5;
    return true;
  }
  unsigned third = static_cast<unsigned char>(p[3]) - '0';
  if (third > 9 || !IsLineEnd(p + 4)) return false;
  *length = first * 100 + second * 10 + third;
  *at = p + 6;
  return true;
}

}  // namespace

// A request of few and short arguments that is all there. False, and nothing changed, for whatever else.
inline bool RequestParser::ParseWhole(std::string_view data, bool authenticated, std::vector<std::string_view>* args,
                                      size_t* end) {
  const char* p = data.data();
  const char* stop = p + data.size();
  size_t count;
  if (!ReadShortLength(&p, stop, &count) || count == 0 || (!authenticated && count > kUnauthenticatedArgs))
    return false;
  size_t first = args->size();
  for (; count > 0; count--) {
    size_t size;
    if (p >= stop || *p != '$' || !ReadShortLength(&p, stop, &size) || static_cast<size_t>(stop - p) < size + 2 ||
        !IsLineEnd(p + size)) {
      args->resize(first);
      return false;
    }
    args->emplace_back(p, size);
    p += size + 2;
  }
  *end = static_cast<size_t>(p - data.data());
  return true;
}

size_t RequestParser::Peek(std::string_view data, std::string_view* args, size_t max) {
  const char* p = data.data();
  const char* stop = p + data.size();
  size_t count;
  if (p == stop || *p != '*' || !ReadShortLength(&p, stop, &count)) return 0;
  for (size_t i = 0; i < count && i < max; i++) {
    size_t size;
    if (p >= stop || *p != '$' || !ReadShortLength(&p, stop, &size) || static_cast<size_t>(stop - p) < size + 2)
      return 0;
    args[i] = {p, size};
    p += size + 2;
  }
  return std::min(count, max);
}

// Keeps what is known of an unfinished command; its arguments as offsets, since the bytes may move.
RequestParser::Step RequestParser::Park(size_t progress, size_t wanted, size_t left,
                                        std::vector<std::string_view>* args, size_t first, const char* base) {
  if (progress_ == 0) partial_.clear();
  for (size_t i = first; i < args->size(); i++) {
    partial_.push_back({static_cast<size_t>((*args)[i].data() - base), (*args)[i].size()});
  }
  args->resize(first);
  progress_ = progress;
  wanted_ = wanted;
  left_ = left;
  return Step::kMore;
}

// The number between the type character at *at and the line's end; *at goes behind the line.
RequestParser::Step RequestParser::ReadLength(std::string_view data, size_t* at, const char* too_long, int64_t* length,
                                              bool* valid) {
  const char* p = data.data() + *at + 1;
  const char* end = data.data() + data.size();
  const auto* line_end = static_cast<const char*>(memchr(p, '\r', static_cast<size_t>(end - p)));
  if (line_end == nullptr || end - line_end < 2) {
    if (line_end == nullptr && data.size() - *at > kLineBytesMax) return Fail(too_long);
    return Step::kMore;
  }
  *valid = ParseInt64({p, static_cast<size_t>(line_end - p)}, length);
  *at = static_cast<size_t>(line_end - data.data()) + 2;
  return Step::kDone;
}

RequestParser::Step RequestParser::ParseArray(std::string_view data, bool authenticated,
                                              std::vector<std::string_view>* args, size_t* end) {
  size_t first = args->size();
  size_t at = 0;
  size_t left;
  if (progress_ != 0) {
    at = progress_;
    left = left_;
  } else {
    int64_t count;
    bool valid;
    Step step = ReadLength(data, &at, "Protocol error: too big mbulk count string", &count, &valid);
    if (step != Step::kDone) return step;
    if (!valid || count > INT_MAX) return Fail("Protocol error: invalid multibulk length");
    if (!authenticated && count > static_cast<int64_t>(kUnauthenticatedArgs))
      return Fail("Protocol error: unauthenticated multibulk length");
    left = count > 0 ? static_cast<size_t>(count) : 0;
  }
  for (; left > 0; left--) {
    if (at >= data.size()) return Park(at, 0, left, args, first, data.data());
    size_t begin = at;
    if (data[at] != '$') {
      // As redis-server: it wants the whole line before it looks at the first character.
      const void* line_end = memchr(data.data() + at, '\r', data.size() - at);
      if (line_end == nullptr && data.size() - at > kLineBytesMax) {
        return Fail("Protocol error: too big bulk count string");
      }
      if (line_end == nullptr) return Park(begin, 0, left, args, first, data.data());
      return Fail(std::string("Protocol error: expected '$', got '") + data[at] + "'");
    }
    int64_t size;
    bool valid;
    Step step = ReadLength(data, &at, "Protocol error: too big bulk count string", &size, &valid);
    if (step == Step::kMore) return Park(begin, 0, left, args, first, data.data());
    if (step == Step::kBad) return step;
    if (!valid || size < 0 || size > parser_max_bulk_bytes) return Fail("Protocol error: invalid bulk length");
    if (!authenticated && size > kUnauthenticatedBulk) return Fail("Protocol error: unauthenticated bulk length");
    auto bytes = static_cast<size_t>(size);
    if (data.size() - at < bytes + 2) return Park(begin, at + bytes + 2, left, args, first, data.data());
    args->push_back(data.substr(at, bytes));
    at += bytes + 2;
  }
  *end = at;
  if (progress_ != 0 && !partial_.empty()) PutBefore(data, args, first);
  return Step::kDone;
}

// The arguments that were there before these.
void RequestParser::PutBefore(std::string_view data, std::vector<std::string_view>* args, size_t first) {
  args->insert(args->begin() + static_cast<ptrdiff_t>(first), partial_.size(), {});
  std::transform(partial_.begin(), partial_.end(), args->begin() + static_cast<ptrdiff_t>(first),
                 [data](Span span) { return data.substr(span.at, span.size); });
}

// Arguments as in a shell: blanks part them, "..." with escapes, '...' with \' only. Quotes end an argument.
RequestParser::Step RequestParser::SplitInline(std::string_view line, std::vector<std::string_view>* args) {
  size_t i = 0;
  while (true) {
    while (i < line.size() && IsBlank(line[i])) i++;
    if (i == line.size()) return Step::kDone;
    size_t begin = i;
    while (i < line.size() && !EndsWord(line[i]) && !IsQuote(line[i])) i++;
    if (i == line.size() || EndsWord(line[i])) {
      args->push_back(line.substr(begin, i - begin));
      continue;
    }
    i = begin;
    std::string text;
    if (!ReadWord(line, &i, &text)) return Fail("Protocol error: unbalanced quotes in request");
    unquoted_.push_front(std::move(text));
    args->push_back(unquoted_.front());
  }
}

RequestParser::Step RequestParser::ParseInline(std::string_view data, std::vector<std::string_view>* args,
                                               size_t* end) {
  size_t line_end = data.find('\n', progress_);
  // redis-server looks for the end as in a C string: behind a zero there is none, however much still comes.
  if (line_end == std::string_view::npos || memchr(data.data(), '\0', line_end) != nullptr) {
    if (data.size() > kLineBytesMax) return Fail("Protocol error: too big inline request");
    return Step::kMore;
  }
  std::string_view line = data.substr(0, line_end);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  *end = line_end + 1;
  return SplitInline(line, args);
}

void RequestParser::ForgetPartial() {
  if (partial_.capacity() > kKeptSpans) {
    std::vector<Span>().swap(partial_);
  } else {
    partial_.clear();
  }
}

ParseStatus RequestParser::Parse(std::string_view data, size_t max_commands, bool authenticated,
                                 std::vector<std::string_view>* args, std::vector<ParsedCommand>* commands) {
  consumed_ = 0;
  unquoted_.clear();
  for (size_t found = 0; found < max_commands && consumed_ < data.size();) {
    size_t first = args->size();
    std::string_view rest(data.data() + consumed_, data.size() - consumed_);
    size_t end = 0;
    bool array = rest[0] == '*';
    if (array && progress_ == 0 && ParseWhole(rest, authenticated, args, &end)) {
      consumed_ += end;
      // In place: what is copied right after it was made waits for its parts to be stored.
      ParsedCommand& command = commands->emplace_back();
      command.first_arg = static_cast<uint32_t>(first);
      command.argc = static_cast<uint32_t>(args->size() - first);
      command.end = consumed_;
      command.canonical = {rest.data(), end};
      found++;
      continue;
    }
    Step step = array ? ParseArray(rest, authenticated, args, &end) : ParseInline(rest, args, &end);
    if (step != Step::kDone) args->resize(first);
    if (step == Step::kBad) {
      Reset();
      return ParseStatus::kError;
    }
    if (step == Step::kMore) return ParseStatus::kNeedMore;
    progress_ = 0;
    wanted_ = 0;
    ForgetPartial();
    consumed_ += end;
    size_t argc = args->size() - first;
    if (argc == 0) continue;
    commands->push_back({static_cast<uint32_t>(first), static_cast<uint32_t>(argc), consumed_, {}});
    found++;
  }
  return ParseStatus::kOk;
}

}  // namespace brim
