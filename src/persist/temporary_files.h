#pragma once
// What processes that were killed have left behind: snapshots and rewrites that they had not finished writing.
#include <string>

namespace brim {

// Removes temp-PID.rdb, temp-rewriteaof-PID.aof and temp-rewriteaof-bg-PID.aof (Brim's and redis-server's names) from
// the folder, unless a process of that number lives or somebody holds the file locked. Returns how many.
int RemoveStaleTemporaries(const std::string& folder);

}  // namespace brim
