#pragma once
// INFO: figures gathered from their owners, rendered as Redis's sections and fields.
#include <cstdint>
#include <string>
#include <string_view>

namespace brim {

// What several parts of INFO, MEMORY STATS and MEMORY DOCTOR go by; taken while every thread is paused.
struct MemoryFigures {
  int64_t used = 0;  // sum of the categories
  int64_t peak = 0;
  int64_t startup = 0;  // of the empty server
  int64_t rss = 0;
  int64_t dataset = 0;   // keys and values
  int64_t overhead = 0;  // the rest of used
  int64_t tables = 0;
  int64_t clients = 0;              // buffers and structures of normal clients
  int64_t allocator_allocated = 0;  // general allocator and page heaps together
  int64_t allocator_active = 0;
  int64_t allocator_resident = 0;
  int64_t total_system = 0;
  size_t keys = 0;
  double fragmentation() const { return used > 0 ? static_cast<double>(rss) / static_cast<double>(used) : 0; }
};
MemoryFigures GatherMemory();

// "1.50G" as INFO's _human fields print sizes.
std::string HumanBytes(int64_t bytes);

}  // namespace brim
