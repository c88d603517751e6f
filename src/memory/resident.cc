#include "memory/resident.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

namespace brim {

size_t ResidentBytes(size_t* file_bytes) {
  if (file_bytes != nullptr) *file_bytes = 0;
  // Opened once, after daemonize's fork (the file tells of the process that opened it): opening takes a lock that a
  // growing table of file descriptors holds for long.
  static const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[128];
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  if (n <= 0) return 0;
  text[n] = 0;
  size_t total = 0;
  size_t resident = 0;
  size_t of_files = 0;
  if (sscanf(text, "%zu %zu %zu", &total, &resident, &of_files) != 3) return 0;
  auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (file_bytes != nullptr) *file_bytes = of_files * page;
  return resident * page;
}

size_t TotalSystemMemory() {
  return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace brim
