#pragma once
// The id of a stream's entry: milliseconds and a sequence number, 128 bits that only grow within a stream. No locks, no
// allocation.
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace brim {

struct StreamId {
  uint64_t ms = 0;
  uint64_t seq = 0;

  friend auto operator<=>(const StreamId&, const StreamId&) = default;
  bool is_zero() const { return ms == 0 && seq == 0; }
  static constexpr StreamId Max() { return {UINT64_MAX, UINT64_MAX}; }

  // The next and the previous id; false (and unchanged) where there is none.
  bool Increment();
  bool Decrement();
};

inline constexpr size_t kStreamIdTextMax = 44;  // room for an id as text

// "ms-seq"; returns the length.
size_t FormatStreamId(StreamId id, char* to);
// An id's text, for as long as the object lives.
class StreamIdText {
 public:
  explicit StreamIdText(StreamId id) : size_(FormatStreamId(id, text_)) {}
  std::string_view view() const { return {text_, size_}; }

 private:
  char text_[kStreamIdTextMax];
  size_t size_;
};

// "ms-seq", or "ms" alone, the sequence being `missing_seq` then. Numbers as redis-server reads them here: by strtoull,
// up to a zero byte.
bool ParseStreamId(std::string_view text, uint64_t missing_seq, StreamId* id);
// As ParseStreamId; "-" and "+" are the lowest and the highest id.
bool ParseStreamIdOrEdge(std::string_view text, uint64_t missing_seq, StreamId* id);
// The id of a new entry: "ms-*" leaves the sequence open (*seq_given is false then, and the sequence 0).
bool ParseNewStreamId(std::string_view text, StreamId* id, bool* seq_given);

}  // namespace brim
