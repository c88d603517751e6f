#include "persist/temporary_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/numbers.h"

namespace brim {

namespace {

// The number of the process that made a file of that name; 0: it is none of those.
int64_t MakerOf(std::string_view name) {
  struct Shape {
    std::string_view begin;
    std::string_view end;
  };
  constexpr Shape kShapes[] = {{"temp-rewriteaof-bg-", ".aof"}, {"temp-rewriteaof-", ".aof"}, {"temp-", ".rdb"}};
  for (const Shape& shape : kShapes) {
    if (!name.starts_with(shape.begin) || !name.ends_with(shape.end)) continue;
    name.remove_prefix(shape.begin.size());
    name.remove_suffix(shape.end.size());
    int64_t number;
    return ParseInt64(name, &number) && number > 0 ? number : 0;
  }
  return 0;
}

bool Lives(int64_t process) {
  if (process == getpid()) return false;  // an earlier one: this process has not written anything yet
  return kill(static_cast<pid_t>(process), 0) == 0 || errno != ESRCH;
}

bool IsLocked(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return true;
  bool locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
  close(fd);
  return locked;
}

}  // namespace

int RemoveStaleTemporaries(const std::string& folder) {
  DIR* entries = opendir(folder.c_str());
  if (entries == nullptr) return 0;
  int removed = 0;
  while (dirent* entry = readdir(entries)) {
    int64_t maker = MakerOf(entry->d_name);
    if (maker == 0 || Lives(maker)) continue;
    std::string path = folder + "/" + entry->d_name;
    if (!IsLocked(path) && unlink(path.c_str()) == 0) removed++;
  }
  closedir(entries);
  return removed;
}

}  // namespace brim
