#pragma once
// How much memory the host, or a container (a Linux control group with the memory controller, version 1 or 2), lets
// this process use. Formats: the kernel's Documentation/admin-guide/cgroup-v2.rst ("Memory Interface Files";
// "Namespace" for the paths), cgroup-v1/memory.rst (sections 3 and 5.2), filesystems/proc.rst (section 3.5, mountinfo;
// meminfo).
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace brim {

struct ContainerMemory {
  uint64_t limit_bytes;  // the smallest limit on the path, or host_bytes
  bool limited;          // a group's limit below the host's memory was found
  uint64_t host_bytes;   // MemTotal; what sysconf says when that cannot be read
  // Of the process's group and its ancestors the one whose limit leaves least: that limit, and its usage less page
  // cache and other caches, which can go. 0 when there is no limit, or no usage can be read.
  uint64_t group_limit_bytes;
  uint64_t group_used_bytes;
};

// Where this process's limits stand, found once. A process that is moved to another group afterwards needs a new watch.
//
//   version 2: the least of memory.max and memory.high of the group and of all its ancestors up to the mount point.
//   version 1: the lesser of memory.limit_in_bytes and of memory.stat's hierarchical_memory_limit (which the kernel
//              works out over the ancestors, also over those that a container does not see).
//   both:      the memory controller belongs to one hierarchy only: to version 1 if /proc/self/cgroup has it there.
//
// No limit are "max", anything from 2^60 bytes on, and 0: memory.high = 0 is set for a moment to have page cache
// dropped, and says nothing of how much data may be kept. A group that does not show (a mount of another part of the
// hierarchy) is replaced by its nearest ancestor that does, in doubt by the mount point: in a container that is its own
// group.
class ContainerWatch {
 public:
  // Reads /proc/self/cgroup, /proc/self/mountinfo and /proc/meminfo: O(mounts). `root` is put before these paths and
  // before the mount points, for tests. Missing, unreadable or malformed files count as no limit; nothing is reported.
  explicit ContainerWatch(const std::string& root = "");

  // The limits and the usage as they are now; all in bytes. Reads two small files a level of nesting, and two more of a
  // level with a limit: some ten microseconds a file, memory.stat more where there are many groups. Never fails: what
  // cannot be read counts as not set. Any thread, no locks.
  ContainerMemory Read() const;

 private:
  enum class Version { kNone, kOne, kTwo };

  struct Group {
    uint64_t limit_bytes;  // 2^60 and more: none
    uint64_t used_bytes;   // 0: unknown
  };
  // groups_[level] as it is now; what it uses only when it has a limit.
  Group ReadGroup(size_t level) const;
  // Sets groups_ from the mount that shows most of `path`'s ancestors.
  void FindGroups(const std::string& root, std::string_view mountinfo, std::string_view path);

  Version version_ = Version::kNone;
  uint64_t host_bytes_ = 0;
  std::vector<std::string> groups_;  // directories that exist: the process's group, then its ancestors
};

}  // namespace brim
