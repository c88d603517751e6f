#pragma once
// The arguments that SCAN, HSCAN, SSCAN and ZSCAN share: cursor [MATCH pattern] [COUNT count], for SCAN [TYPE type]
// too.
#include <cstdint>
#include <string>
#include <string_view>

#include "command/context.h"

namespace brim {

struct ScanOptions {
  uint64_t cursor = 0;
  size_t count = 10;
  bool has_pattern = false;   // false for "*" too
  std::string_view pattern;   // of MATCH; empty when everything matches
  Type type = Type::kNone;    // kNone: any
  bool unknown_type = false;  // TYPE with a name that no type has: nothing matches

  // True when the element's text matches MATCH.
  bool Wants(std::string_view text) const;
};

// Reads the cursor at arg(i). False with "invalid cursor" replied.
bool ParseCursorArg(Context& context, size_t i, uint64_t* cursor);
// Reads the options from arg(first) on. False with the error replied.
bool ParseScanWords(Context& context, size_t first, bool with_type, ScanOptions* options);
// Both: the cursor at arg(i), the options after it. The collections' commands look the key up in between.
bool ParseScanOptions(Context& context, size_t i, bool with_type, ScanOptions* options);

// The reply of one step: the cursor stands before the elements but is known after them, so they are gathered first.
class ScanReply {
 public:
  void Add(std::string_view text);
  void Send(Context& context, uint64_t cursor) const;

 private:
  std::string packed_;  // one text after the other, as types/packed_text.h has them
  size_t count_ = 0;
};

}  // namespace brim
