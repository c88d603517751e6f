#pragma once
// Commands that took long, came with much or answered much: what SLOWLOG and COMMANDLOG list. Any thread.
#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

enum class CommandLogKind : uint8_t { kSlow, kLargeRequest, kLargeReply };
inline constexpr size_t kCommandLogs = 3;

struct CommandLogEntry {
  int64_t id = 0;  // set by Add
  int64_t at_s = 0;
  int64_t value = 0;               // microseconds, or bytes of the request or of the reply
  std::vector<std::string> words;  // as LoggedWords cuts them
  std::string address;             // of the client
  std::string name;                // that the client has given itself
};

// The newest entries up to a limit.
class CommandLog {
 public:
  // 0: nothing is kept. What is over goes at once.
  void SetLimit(size_t entries);
  void Add(CommandLogEntry entry);
  // Newest first, at most `count`.
  std::vector<CommandLogEntry> Newest(size_t count);
  size_t size();
  void Clear();

 private:
  std::mutex mutex_;  // taken only when a threshold is passed. Replies are made from copies, outside of it
  std::list<CommandLogEntry> entries_;  // newest first
  size_t limit_ = 0;
  int64_t next_id_ = 0;
};

inline std::array<CommandLog, kCommandLogs> command_logs;
inline CommandLog& LogOf(CommandLogKind kind) { return command_logs[static_cast<size_t>(kind)]; }

// What is kept of a command's words: 32 of them, 128 bytes each, and how much more there was.
std::vector<std::string> LoggedWords(std::span<const std::string_view> words);

}  // namespace brim
