#pragma once
// Reads an RDB file from its first to its last byte, value by value, and tells on standard output what it finds, in
// the manner of redis-check-rdb. Nothing is kept: memory is needed for one value at a time.
#include <cstdint>
#include <string>

namespace brim {

// Reads a file, open at its beginning and called `name` in the texts; *end is where the RDB ends: more may follow when
// it is the base of an AOF. False when it is broken; what was being read, and where, has then been told.
bool WalkRdb(int fd, const std::string& name, int64_t* end);

}  // namespace brim
