#include "memory/container.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/numbers.h"
#include "memory/resident.h"

namespace brim {

namespace {

// Version 1 says "no limit" as the largest whole number of pages below 2^63; nobody limits to as much as this.
constexpr uint64_t kNoLimitFrom = uint64_t{1} << 60;
// No file of interest is larger; a mountinfo of ten thousand mounts has some 2 MB.
constexpr size_t kMaxFileBytes = size_t{16} << 20;

// The file's text; empty when it cannot be read.
std::string ReadWhole(const std::string& path) {
  std::string text;
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return text;
  char buffer[8192];
  while (text.size() < kMaxFileBytes) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return text;
}

// Takes the text up to the separator, or all of it, off the front of `rest`.
std::string_view Cut(std::string_view* rest, char separator) {
  size_t at = rest->find(separator);
  std::string_view first = rest->substr(0, at);
  rest->remove_prefix(at == std::string_view::npos ? rest->size() : at + 1);
  return first;
}

bool HasItem(std::string_view list, std::string_view item) {
  while (!list.empty()) {
    if (Cut(&list, ',') == item) return true;
  }
  return false;
}

// The number at the front of the text, blanks before it allowed; 0 when there is none.
uint64_t Number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  uint64_t value;
  return ParseUint64(text.substr(0, text.find_first_of(" \n")), &value) ? value : 0;
}

uint64_t ReadNumber(const std::string& path) { return Number(ReadWhole(path)); }

// The number behind `name`, which includes its separator, at the start of a line; 0 when there is none.
uint64_t Field(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    std::string_view line = Cut(&text, '\n');
    if (line.starts_with(name)) return Number(line.substr(name.size()));
  }
  return 0;
}

uint64_t Lesser(uint64_t limit, uint64_t other) {
  return other == 0 || other >= kNoLimitFrom ? limit : std::min(limit, other);
}

// What a group uses less what the kernel takes back before it kills anybody: page cache on both of its lists (what
// somebody reads twice is called active, and grows until the group is full), and the caches of file names.
uint64_t UsedBytes(uint64_t usage_bytes, std::string_view stat, const std::string& prefix) {
  uint64_t cache_bytes = 0;
  for (const char* name : {"inactive_file ", "active_file ", "slab_reclaimable "}) {
    cache_bytes += Field(stat, prefix + name);
  }
  return usage_bytes - std::min(usage_bytes, cache_bytes);
}

// A path of mountinfo, where blanks, newlines and backslashes are written as three octal digits.
std::string Unescape(std::string_view text) {
  auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string path;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      path += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      path += text[i];
    }
  }
  return path;
}

struct Mount {
  std::string root;   // what of the hierarchy is mounted
  std::string point;  // where
};

// A line of mountinfo: "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG..] - TYPE SOURCE SUPER_OPTIONS". True when it
// mounts version 2, or version 1 with the memory controller.
bool ParseMount(std::string_view line, bool is_version_two, Mount* mount) {
  for (int skipped = 0; skipped < 3; skipped++) Cut(&line, ' ');
  std::string_view root = Cut(&line, ' ');
  std::string_view point = Cut(&line, ' ');
  size_t dash = line.find(" - ");
  if (dash == std::string_view::npos || !root.starts_with('/') || !point.starts_with('/')) return false;
  line.remove_prefix(dash + 3);
  std::string_view type = Cut(&line, ' ');
  Cut(&line, ' ');
  if (is_version_two ? type != "cgroup2" : type != "cgroup" || !HasItem(line, "memory")) return false;
  mount->root = Unescape(root);
  mount->point = Unescape(point);
  return true;
}

// True when `path` is `root` or below; `*rest` is then what follows: empty, or starting with a slash.
bool IsBelow(std::string_view path, std::string_view root, std::string_view* rest) {
  if (root == "/") root = "";
  if (!path.starts_with(root)) return false;
  *rest = path.substr(root.size());
  if (*rest == "/") *rest = "";
  return rest->empty() || rest->front() == '/';
}

// The kernel writes ".." for groups above or beside the root of the process's cgroup namespace.
bool LeadsUp(std::string_view path) {
  while (!path.empty()) {
    if (Cut(&path, '/') == "..") return true;
  }
  return false;
}

// The process's path in each version's hierarchy, from /proc/self/cgroup's lines "ID:CONTROLLER[,..]:PATH"; empty when
// there is none.
void ParseGroups(std::string_view text, std::string* version_one, std::string* version_two) {
  while (!text.empty()) {
    std::string_view path = Cut(&text, '\n');
    std::string_view id = Cut(&path, ':');
    std::string_view controllers = Cut(&path, ':');
    if (!path.starts_with('/')) continue;
    if (HasItem(controllers, "memory")) *version_one = path;
    if (id == "0" && controllers.empty()) *version_two = path;
  }
}

}  // namespace

ContainerWatch::ContainerWatch(const std::string& root) {
  uint64_t host_kb = Field(ReadWhole(root + "/proc/meminfo"), "MemTotal:");
  host_bytes_ = host_kb > 0 && host_kb < kNoLimitFrom / 1024 ? host_kb * 1024 : TotalSystemMemory();
  std::string version_one;
  std::string version_two;
  ParseGroups(ReadWhole(root + "/proc/self/cgroup"), &version_one, &version_two);
  if (version_one.empty() && version_two.empty()) return;
  version_ = version_one.empty() ? Version::kTwo : Version::kOne;
  FindGroups(root, ReadWhole(root + "/proc/self/mountinfo"), version_one.empty() ? version_two : version_one);
  if (groups_.empty()) version_ = Version::kNone;
}

void ContainerWatch::FindGroups(const std::string& root, std::string_view mountinfo, std::string_view path) {
  Mount best;
  std::string_view best_rest;
  bool best_shows_path = false;
  while (!mountinfo.empty()) {
    Mount mount;
    if (!ParseMount(Cut(&mountinfo, '\n'), version_ == Version::kTwo, &mount)) continue;
    std::string_view rest;
    bool shows_path = IsBelow(path, mount.root, &rest);
    if (shows_path && LeadsUp(rest)) continue;
    bool is_better = shows_path ? !best_shows_path || mount.root.size() < best.root.size() : best.point.empty();
    if (!is_better) continue;
    best = mount;
    best_rest = shows_path ? rest : std::string_view();
    best_shows_path = shows_path;
  }
  if (best.point.empty()) return;
  std::string top = root + (best.point == "/" ? "" : best.point);
  for (std::string group = top + std::string(best_rest);; group.resize(group.rfind('/'))) {
    if (access(group.c_str(), X_OK) == 0) groups_.push_back(group);
    if (group.size() <= top.size()) return;
  }
}

ContainerWatch::Group ContainerWatch::ReadGroup(size_t level) const {
  const std::string& folder = groups_[level];
  bool is_one = version_ == Version::kOne;
  Group group{kNoLimitFrom, 0};
  std::string stat;
  if (is_one) {
    group.limit_bytes = Lesser(group.limit_bytes, ReadNumber(folder + "/memory.limit_in_bytes"));
    if (level == 0) stat = ReadWhole(folder + "/memory.stat");
    group.limit_bytes = Lesser(group.limit_bytes, Field(stat, "hierarchical_memory_limit "));
  } else {
    group.limit_bytes = Lesser(group.limit_bytes, ReadNumber(folder + "/memory.max"));
    group.limit_bytes = Lesser(group.limit_bytes, ReadNumber(folder + "/memory.high"));
  }
  if (group.limit_bytes >= kNoLimitFrom) return group;
  uint64_t usage_bytes = ReadNumber(folder + (is_one ? "/memory.usage_in_bytes" : "/memory.current"));
  if (stat.empty()) stat = ReadWhole(folder + "/memory.stat");
  group.used_bytes = UsedBytes(usage_bytes, stat, is_one ? "total_" : "");
  return group;
}

ContainerMemory ContainerWatch::Read() const {
  uint64_t host = host_bytes_ == 0 ? kNoLimitFrom : host_bytes_;
  ContainerMemory memory{host_bytes_, false, host_bytes_, 0, 0};
  uint64_t least_left = UINT64_MAX;
  for (size_t level = 0; level < groups_.size(); level++) {
    Group group = ReadGroup(level);
    if (group.limit_bytes >= host) continue;
    if (!memory.limited || group.limit_bytes < memory.limit_bytes) memory.limit_bytes = group.limit_bytes;
    memory.limited = true;
    uint64_t left = group.limit_bytes - std::min(group.limit_bytes, group.used_bytes);
    if (group.used_bytes == 0 || left >= least_left) continue;
    least_left = left;
    memory.group_limit_bytes = group.limit_bytes;
    memory.group_used_bytes = group.used_bytes;
  }
  return memory;
}

}  // namespace brim
