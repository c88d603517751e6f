#include "persist/aof_mark.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace brim {

namespace {

constexpr std::string_view kOpen = "open";
constexpr std::string_view kDone = "done";
constexpr size_t kStateAt = AofMark::kBytes - kOpen.size() - 2;

}  // namespace

std::string AofMark::Text() const {
  char text[64];
  snprintf(text, sizeof text, "#PREV:%020" PRIu64 " %s\r\n", size, (open ? kOpen : kDone).data());
  return text;
}

AofMark ReadAofMark(const std::string& path) {
  AofMark mark;
  char text[AofMark::kBytes + 1] = {};
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return mark;
  ssize_t got = read(fd, text, AofMark::kBytes);
  close(fd);
  if (got <= 0) return mark;
  constexpr std::string_view kBegin = "#PREV:";
  std::string_view bytes(text, static_cast<size_t>(got));
  mark.damaged =
      bytes[0] == 0 || (bytes.size() < AofMark::kBytes && kBegin.starts_with(bytes.substr(0, kBegin.size())));
  char state[5] = {};
  if (got != static_cast<ssize_t>(AofMark::kBytes) || sscanf(text, "#PREV:%20" SCNu64 " %4s", &mark.size, state) != 2) {
    return mark;
  }
  mark.open = state == kOpen;
  mark.damaged = !mark.open && state != kDone;
  mark.there = mark.open || state == kDone;
  return mark;
}

bool IsEmptyIncrement(const std::string& path) {
  struct stat about;
  if (stat(path.c_str(), &about) != 0 || about.st_size == 0) return true;
  if (static_cast<size_t>(about.st_size) > AofMark::kBytes) return false;
  AofMark mark = ReadAofMark(path);
  return mark.there || mark.damaged;
}

bool CloseAofMark(const std::string& path) {
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  struct stat about;
  // A mark that could not be written whole stays open, which costs nothing where the file before it is there.
  bool whole = fstat(fd, &about) == 0 && about.st_size >= static_cast<off_t>(AofMark::kBytes);
  bool good = whole && pwrite(fd, kDone.data(), kDone.size(), kStateAt) == static_cast<ssize_t>(kDone.size());
  close(fd);
  return good;
}

}  // namespace brim
