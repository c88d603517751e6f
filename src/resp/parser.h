#pragma once
// Requests from bytes: RESP arrays and inline commands, parsed in place. Arguments are views into the caller's bytes
// (or, for quoted inline arguments, into the parser); nothing is copied. A request that arrives in parts is not read
// twice. Protocol: https://redis.io/docs/reference/protocol-spec
#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

inline int64_t parser_max_bulk_bytes = 512LL << 20;  // proto-max-bulk-len; set while every thread is paused

struct ParsedCommand {
  uint32_t first_arg = 0;  // in the vector of arguments
  uint32_t argc = 0;
  size_t end = 0;  // where in the bytes the command ends
  // Its bytes, where they are what AppendRequest makes of its arguments; else empty. A view into the caller's bytes.
  std::string_view canonical = {};
};

enum class ParseStatus {
  kOk,        // all bytes are used up, or max_commands commands were found
  kNeedMore,  // the bytes end within a command
  kError,     // malformed behind the commands found: error() tells, the connection is to be closed
};

class RequestParser {
 public:
  // Parses up to max_commands commands from `data`, which begins where the last call's consumed() ended, and appends
  // them. What has not `authenticated` may send only small requests. O(bytes not seen before).
  ParseStatus Parse(std::string_view data, size_t max_commands, bool authenticated, std::vector<std::string_view>* args,
                    std::vector<ParsedCommand>* commands);
  // The first arguments, at most `max`, of the command that `data` begins with, if it is an array in short form; else
  // 0. Changes nothing.
  static size_t Peek(std::string_view data, std::string_view* args, size_t max);
  // Bytes of complete commands in the last call's data.
  size_t consumed() const { return consumed_; }
  // "Protocol error: ...", after kError.
  const std::string& error() const { return error_; }
  // After kNeedMore: bytes that the unfinished command has at least, from its first on; 0 when unknown.
  size_t bytes_wanted() const { return wanted_; }
  // Forgets an unfinished command: the next call begins at a command again.
  void Reset() {
    progress_ = 0;
    wanted_ = 0;
    ForgetPartial();
  }
  // What it keeps of an unfinished command, besides its bytes.
  size_t kept_bytes() const { return partial_.capacity() * sizeof(Span); }

 private:
  enum class Step { kDone, kMore, kBad };
  struct Span {
    size_t at;
    size_t size;
  };

  bool ParseWhole(std::string_view data, bool authenticated, std::vector<std::string_view>* args, size_t* end);
  Step ParseArray(std::string_view data, bool authenticated, std::vector<std::string_view>* args, size_t* end);
  Step ParseInline(std::string_view data, std::vector<std::string_view>* args, size_t* end);
  Step SplitInline(std::string_view line, std::vector<std::string_view>* args);
  Step ReadLength(std::string_view data, size_t* at, const char* too_long, int64_t* length, bool* valid);
  Step Park(size_t progress, size_t wanted, size_t left, std::vector<std::string_view>* args, size_t first,
            const char* base);
  void PutBefore(std::string_view data, std::vector<std::string_view>* args, size_t first);
  void ForgetPartial();
  Step Fail(std::string message);

  size_t consumed_ = 0;
  // The unfinished command, offsets from its first byte.
  size_t progress_ = 0;
  size_t wanted_ = 0;
  size_t left_ = 0;  // arguments still to come
  std::vector<Span> partial_;
  std::forward_list<std::string> unquoted_;
  std::string error_;
};

}  // namespace brim
