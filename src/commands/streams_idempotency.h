#pragma once
// XADD with IDMP or IDMPAUTO: who sends an entry again gets the id that it has.
#include <string_view>
#include <vector>

#include "commands/streams_trim.h"

namespace brim {

// The producer and idempotent id that an XADD names; those of IDMPAUTO are made of its fields and values. Lives as long
// as the command's words.
class IdempotentAdd {
 public:
  IdempotentAdd(const Context& context, const StreamTrimOptions& options);
  IdempotentAdd(const IdempotentAdd&) = delete;
  IdempotentAdd& operator=(const IdempotentAdd&) = delete;

  // Whether it names any.
  explicit operator bool() const { return option_arg_ != 0; }
  // Bytes of both.
  size_t bytes() const { return pid_.size() + iid_.size(); }
  // Answers the id of the entry that was added with them lately; false when there is none.
  bool ReplyFirst(Context& context, Stream& stream) const;
  // StreamAppend, remembered.
  void Append(const Context& context, Stream& stream, StreamId id, std::span<const std::string_view> pairs) const;
  // Takes the option out of the command's words, which say that the entry is added.
  void Strip(std::vector<std::string_view>* words) const;
  // Tells what was remembered, after the XADD. `first`: the stream had no limits of its own before.
  void Tell(const Context& context, const Stream& stream, std::string_view id, bool first) const;

 private:
  size_t option_arg_ = 0;  // 0: none
  size_t option_words_ = 0;
  std::string_view pid_;
  std::string_view iid_;
  char made_[16];  // IDMPAUTO's iid
};

}  // namespace brim
