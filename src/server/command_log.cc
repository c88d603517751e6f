#include "server/command_log.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace brim {

void CommandLog::SetLimit(size_t entries) {
  std::list<CommandLogEntry> old;
  std::lock_guard guard(mutex_);
  limit_ = entries;
  if (entries_.size() > limit_) {
    old.splice(old.end(), entries_, std::next(entries_.begin(), static_cast<std::ptrdiff_t>(limit_)), entries_.end());
  }
}

void CommandLog::Add(CommandLogEntry entry) {
  std::list<CommandLogEntry> fresh;
  fresh.push_back(std::move(entry));
  std::list<CommandLogEntry> old;  // freed outside the lock
  std::lock_guard guard(mutex_);
  if (limit_ == 0) return;
  fresh.front().id = next_id_++;
  entries_.splice(entries_.begin(), fresh);
  if (entries_.size() > limit_) old.splice(old.end(), entries_, std::prev(entries_.end()));
}

std::vector<CommandLogEntry> CommandLog::Newest(size_t count) {
  std::lock_guard guard(mutex_);
  auto end = entries_.size() > count ? std::next(entries_.begin(), static_cast<std::ptrdiff_t>(count)) : entries_.end();
  return {entries_.begin(), end};
}

size_t CommandLog::size() {
  std::lock_guard guard(mutex_);
  return entries_.size();
}

void CommandLog::Clear() {
  std::list<CommandLogEntry> old;
  std::lock_guard guard(mutex_);
  old.swap(entries_);
}

std::vector<std::string> LoggedWords(std::span<const std::string_view> words) {
  constexpr size_t kWords = 32;
  constexpr size_t kBytes = 128;
  std::vector<std::string> kept;
  bool too_many = words.size() > kWords;
  for (std::string_view word : words.first(too_many ? kWords - 1 : words.size())) {
    std::string& text = kept.emplace_back(word.substr(0, kBytes));
    if (word.size() > kBytes) text += "... (" + std::to_string(word.size() - kBytes) + " more bytes)";
  }
  if (too_many) kept.push_back("... (" + std::to_string(words.size() - kWords + 1) + " more arguments)");
  return kept;
}

}  // namespace brim
