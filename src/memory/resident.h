#pragma once
// What the system says of this process's and the machine's memory.
#include <cstddef>

namespace brim {

// Resident bytes of the process. Reads /proc/self/statm: some microseconds.
size_t ResidentBytes();
// Physical memory of the machine.
size_t TotalSystemMemory();

}  // namespace brim
