#include "types/table_sample.h"

#include <unordered_set>
#include <utility>

#include "base/random.h"

namespace brim {

std::vector<void*> SampleBlocks(const Table& table, size_t count) {
  std::vector<void*> blocks;
  if (count == 0) return blocks;
  // Drawing until a new one comes needs few tries only while most are still to be had.
  if (count * 3 <= table.size()) {
    blocks.reserve(count);
    std::unordered_set<const void*> seen;
    while (blocks.size() < count) {
      void* block = table.Random().block();
      if (seen.insert(block).second) blocks.push_back(block);
    }
    return blocks;
  }
  blocks.reserve(table.size());
  table.ForEach([&](Table::Slot slot) { blocks.push_back(slot.block()); });
  for (size_t i = 0; i < count; i++) std::swap(blocks[i], blocks[i + RandomBelow(blocks.size() - i)]);
  blocks.resize(count);
  return blocks;
}

}  // namespace brim
