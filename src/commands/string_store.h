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

}  // namespace brim
