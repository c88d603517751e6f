#pragma once
// What every command that reads or writes whole strings shares.
#include <string_view>

#include "command/context.h"

namespace brim {

// Makes the key hold the string (`ref`: its entry, or empty when it is absent), with that expiry (-1: none).
void StoreString(Context& context, KeyRef ref, std::string_view key, std::string_view text, int64_t expiry_ms);
// Replies the string; big ones by reference.
void ReplyString(Context& context, const KeyRef& ref);
// True, with the error replied, when a string of that size is over proto-max-bulk-len.
bool StringTooLong(Context& context, uint64_t size);

// A condition on the string that the key holds: IFEQ value, IFNE value, IFDEQ digest, IFDNE digest.
struct ValueCondition {
  enum Kind : uint8_t { kNone, kEqual, kDiffers, kDigestEqual, kDigestDiffers } kind = kNone;
  std::string_view text;
};
// Takes the condition at arg(*i), advancing *i over its value. False when it is none, or a second one.
bool ParseValueCondition(const Context& context, size_t* i, ValueCondition* condition);
// Tells whether it is met by the key's string (`ref`, or empty when the key is absent: it differs from everything).
// False with the error replied when it is a digest of the wrong length.
bool CheckValueCondition(Context& context, const ValueCondition& condition, const KeyRef& ref, bool* met);

}  // namespace brim
