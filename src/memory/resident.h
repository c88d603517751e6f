#pragma once
// What the system says of this process's and the machine's memory.
#include <cstddef>

namespace brim {

// Resident bytes of the process; 0 when they cannot be read. `*file_bytes`: how many of them are pages of files (the
// program itself) and of shared memory. Reads /proc/self/statm: some microseconds.
size_t ResidentBytes(size_t* file_bytes = nullptr);
// Physical memory of the machine.
size_t TotalSystemMemory();

}  // namespace brim
