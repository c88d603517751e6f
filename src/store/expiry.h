#pragma once
// Fields of hashes that go because their time has come. Both need the lock of the hash's shard; with the last field
// goes the key, and `ref` is empty.
#include <cstdint>
#include <span>
#include <string_view>

#include "store/keyspace.h"

namespace brim {

// Deletes the fields whose time is before now_ms, until `deadline_us` (monotonic): false when some may be left.
bool ExpireFields(KeyRef& ref, int64_t now_ms, int64_t deadline_us);
// Deletes these fields, whose time has come.
void RemoveDueFields(KeyRef& ref, std::span<const std::string_view> fields);

}  // namespace brim
