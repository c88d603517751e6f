#pragma once
// When a table that came to hold much and holds little again gives its room back.
#include <algorithm>
#include <cstddef>

namespace brim {

// Asked when one has been taken out: the room (a power of two) that the table is to be rebuilt with, twice what it
// holds, or 0: it stays as it is. An eighth or less is used, and the number is a power of two: what an element costs
// stays constant on average, however they come and go, and a rebuilding without memory is not tried again at once.
constexpr size_t LessRoom(size_t used, size_t room, size_t least) {
  if (used > room / 8 || (used & (used - 1)) != 0) return 0;
  size_t less = std::max(used * 2, least);
  return less < room ? less : 0;
}

}  // namespace brim
