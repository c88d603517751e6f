#pragma once
// The end of the commands that store what they have worked out: SUNIONSTORE, ZRANGESTORE, GEOSEARCHSTORE and their kin.
#include <string_view>

#include "command/context.h"
#include "types/detached_value.h"

namespace brim {

// Moves the result, a set or a sorted set in the heap of the key's shard, to the key, whatever was there, with the
// event; deletes the key when the result has no elements. Replies their number. O(1), but for freeing what was there.
// Needs the key's shard locked.
void StoreResult(Context& context, std::string_view key, DetachedValue& result, NotifyClass event_class,
                 const char* event);

}  // namespace brim
