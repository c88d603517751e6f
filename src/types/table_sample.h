#pragma once
// Random blocks of a table, no block twice: HRANDFIELD, SRANDMEMBER and ZRANDMEMBER with a count.
#include <vector>

#include "types/table.h"

namespace brim {

// `count` distinct blocks in random order, each choice equally likely; count may not be over table.size().
// O(count) when that is a small part of the table, O(size) otherwise.
std::vector<void*> SampleBlocks(const Table& table, size_t count);

}  // namespace brim
