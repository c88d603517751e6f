// The request parser: the same bytes give the same commands, whole or in pieces, and nothing is read beyond their end.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "resp/parser.h"
#include "resp/request.h"

namespace {

using Commands = std::vector<std::vector<std::string>>;

// Feeds `data` in steps of `step` bytes from a buffer of exactly the size that has arrived. Returns whether it ended in
// an error.
bool Parse(std::string_view data, size_t step, bool authenticated, Commands* commands, std::string* error) {
  brim::RequestParser parser;
  std::string pending;
  for (size_t at = 0; at < data.size(); at += step) {
    pending += data.substr(at, step);
    while (!pending.empty()) {
      auto exact = std::make_unique<char[]>(pending.size());
      memcpy(exact.get(), pending.data(), pending.size());
      std::vector<std::string_view> args;
      std::vector<brim::ParsedCommand> parsed;
      auto status = parser.Parse({exact.get(), pending.size()}, 2, authenticated, &args, &parsed);
      for (const auto& command : parsed) {
        auto first = args.begin() + command.first_arg;
        commands->emplace_back(first, first + command.argc);
        if (command.canonical.empty()) continue;
        std::string written;
        brim::AppendRequest(&written, {args.data() + command.first_arg, command.argc});
        if (written != command.canonical) abort();
      }
      if (status == brim::ParseStatus::kError) {
        *error = parser.error();
        return true;
      }
      pending.erase(0, parser.consumed());
      if (status == brim::ParseStatus::kNeedMore) break;
    }
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  constexpr size_t kLimit = 60000;  // below the limit of an inline request, whose error depends on what has arrived
  if (size < 2 || size > kLimit) return 0;
  size_t step = bytes[0] % 31 + 1;
  bool authenticated = bytes[1] & 1;
  std::string_view data(reinterpret_cast<const char*>(bytes) + 2, size - 2);
  Commands whole;
  Commands pieces;
  std::string whole_error;
  std::string pieces_error;
  bool failed = Parse(data, data.size() + 1, authenticated, &whole, &whole_error);
  if (Parse(data, step, authenticated, &pieces, &pieces_error) != failed || whole != pieces ||
      whole_error != pieces_error) {
    abort();
  }
  return 0;
}
