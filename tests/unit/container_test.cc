#include "memory/container.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "memory/resident.h"

namespace brim {
namespace {

constexpr uint64_t kMb = 1 << 20;
constexpr uint64_t kHostBytes = 8000 * kMb;

// A directory that stands for the root of the file system of a machine with 8000 MB.
class Container : public testing::Test {
 protected:
  Container() {
    std::string name = (std::filesystem::temp_directory_path() / "brim_container_XXXXXX").string();
    const char* made = mkdtemp(name.data());
    EXPECT_NE(made, nullptr);
    root_ = name;
    Put("/proc/meminfo", "MemTotal:        8192000 kB\nMemFree:          100000 kB\n");
  }
  ~Container() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  void Put(const std::string& path, const std::string& text) {
    std::filesystem::path whole = root_ + path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }
  void PutMb(const std::string& path, uint64_t mb) { Put(path, std::to_string(mb * kMb) + "\n"); }
  void Remove(const std::string& path) { std::filesystem::remove_all(root_ + path); }

  // A version 2 hierarchy whose part `mount_root` stands at /sys/fs/cgroup, with the process in `path`.
  void MountVersionTwo(const std::string& path, const std::string& mount_root) {
    Put("/proc/self/cgroup", "0::" + path + "\n");
    Put("/proc/self/mountinfo", "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n30 22 0:26 " + mount_root +
                                    " /sys/fs/cgroup rw,nosuid shared:9 master:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  void MountVersionOne(const std::string& path, const std::string& mount_root) {
    Put("/proc/self/cgroup", "12:cpuset:/\n9:hugetlb,memory:" + path + "\n1:name=systemd:/elsewhere\n");
    Put("/proc/self/mountinfo",
        "31 22 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
        "32 31 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n35 31 0:31 " +
            mount_root + " /sys/fs/cgroup/memory rw,relatime master:15 - cgroup cgroup rw,hugetlb,memory\n");
  }

  ContainerMemory Read() const { return ContainerWatch(root_).Read(); }

  void ExpectNoLimit(const ContainerMemory& memory) {
    EXPECT_FALSE(memory.limited);
    EXPECT_EQ(memory.limit_bytes, kHostBytes);
    EXPECT_EQ(memory.host_bytes, kHostBytes);
  }
  void ExpectLimitMb(const ContainerMemory& memory, uint64_t mb) {
    EXPECT_TRUE(memory.limited);
    EXPECT_EQ(memory.limit_bytes, mb * kMb);
    EXPECT_EQ(memory.host_bytes, kHostBytes);
  }

  std::string root_;
};

TEST_F(Container, VersionTwoTakesTheLeastOfAllAncestors) {
  MountVersionTwo("/kube/pod/box", "/");
  const std::string top = "/sys/fs/cgroup";
  PutMb(top + "/kube/pod/box/memory.max", 900);
  Put(top + "/kube/pod/box/memory.high", "max\n");
  PutMb(top + "/kube/pod/box/memory.current", 300);
  Put(top + "/kube/pod/box/memory.stat",
      "anon 1\nfile 2\ninactive_anon 7\ninactive_file 83886080\nactive_file 20971520\n");
  PutMb(top + "/kube/pod/memory.max", 700);
  PutMb(top + "/kube/pod/memory.current", 600);
  Put(top + "/kube/memory.max", "max\n");
  PutMb(top + "/kube/other/memory.max", 10);
  ExpectLimitMb(Read(), 700);
  PutMb(top + "/memory.max", 500);
  ExpectLimitMb(Read(), 500);
}

TEST_F(Container, VersionTwoTheGroupWithLeastLeft) {
  MountVersionTwo("/kube/pod/box", "/");
  const std::string top = "/sys/fs/cgroup";
  PutMb(top + "/kube/pod/box/memory.max", 600);
  PutMb(top + "/kube/pod/box/memory.current", 300);
  Put(top + "/kube/pod/box/memory.stat",
      "inactive_file 83886080\nactive_file 10485760\nslab_reclaimable 10485760\nslab_unreclaimable 9999999\n");
  EXPECT_EQ(Read().group_limit_bytes, 600 * kMb);
  EXPECT_EQ(Read().group_used_bytes, 200 * kMb);
  PutMb(top + "/kube/pod/memory.max", 700);
  PutMb(top + "/kube/pod/memory.current", 250);  // 450 left, more than the 400 of the box
  EXPECT_EQ(Read().group_limit_bytes, 600 * kMb);
  PutMb(top + "/kube/pod/memory.current", 500);  // what stands beside the box takes
  ExpectLimitMb(Read(), 600);
  EXPECT_EQ(Read().group_limit_bytes, 700 * kMb);
  EXPECT_EQ(Read().group_used_bytes, 500 * kMb);
  PutMb(top + "/kube/pod/memory.current", 900);  // more than it may
  EXPECT_EQ(Read().group_used_bytes, 900 * kMb);
  PutMb(top + "/kube/memory.current", 7000);  // no limit there
  EXPECT_EQ(Read().group_limit_bytes, 700 * kMb);
}

TEST_F(Container, VersionOneTheGroupWithLeastLeft) {
  MountVersionOne("/docker/abc", "/");
  const std::string top = "/sys/fs/cgroup/memory";
  PutMb(top + "/docker/abc/memory.limit_in_bytes", 600);
  PutMb(top + "/docker/abc/memory.usage_in_bytes", 100);
  Put(top + "/docker/abc/memory.stat", "hierarchical_memory_limit 524288000\ntotal_inactive_file 0\n");
  EXPECT_EQ(Read().group_limit_bytes, 500 * kMb);
  EXPECT_EQ(Read().group_used_bytes, 100 * kMb);
  PutMb(top + "/docker/memory.limit_in_bytes", 500);
  PutMb(top + "/docker/memory.usage_in_bytes", 480);
  Put(top + "/docker/memory.stat", "inactive_file 7\ntotal_active_file 31457280\n");
  EXPECT_EQ(Read().group_limit_bytes, 500 * kMb);
  EXPECT_EQ(Read().group_used_bytes, 450 * kMb);
}

TEST_F(Container, VersionTwoHighBelowMax) {
  MountVersionTwo("/box", "/");
  PutMb("/sys/fs/cgroup/box/memory.max", 900);
  PutMb("/sys/fs/cgroup/box/memory.high", 800);
  ExpectLimitMb(Read(), 800);
  Put("/sys/fs/cgroup/box/memory.high", "0\n");
  ExpectLimitMb(Read(), 900);
}

TEST_F(Container, VersionTwoMountRootIsTheGroup) {
  MountVersionTwo("/docker/abc", "/docker/abc");
  PutMb("/sys/fs/cgroup/memory.max", 256);
  PutMb("/sys/fs/cgroup/memory.current", 64);
  ExpectLimitMb(Read(), 256);
  EXPECT_EQ(Read().group_used_bytes, 64 * kMb);
}

TEST_F(Container, VersionTwoGroupBelowTheMountRoot) {
  MountVersionTwo("/docker/abc/inner", "/docker/abc");
  PutMb("/sys/fs/cgroup/inner/memory.max", 100);
  PutMb("/sys/fs/cgroup/memory.max", 256);
  ExpectLimitMb(Read(), 100);
}

TEST_F(Container, VersionTwoOwnNamespace) {
  MountVersionTwo("/", "/");
  PutMb("/sys/fs/cgroup/memory.max", 256);
  ExpectLimitMb(Read(), 256);
}

TEST_F(Container, VersionTwoGroupOutsideOfTheNamespace) {
  MountVersionTwo("/../beside", "/");
  PutMb("/sys/fs/cgroup/memory.max", 256);
  PutMb("/sys/fs/beside/memory.max", 128);
  ExpectNoLimit(Read());
  MountVersionTwo("/", "/../..");  // an ancestor is mounted, the group's own name is unknown
  ExpectLimitMb(Read(), 256);
}

TEST_F(Container, NamesThatOnlyBeginAlike) {
  MountVersionTwo("/docker/abcdef", "/docker/abc");
  PutMb("/sys/fs/cgroup/memory.max", 256);
  PutMb("/sys/fs/cgroupdef/memory.max", 128);
  ExpectLimitMb(Read(), 256);
}

TEST_F(Container, TheMountThatShowsMostIsTaken) {
  Put("/proc/self/cgroup", "0::/a/b\n");
  Put("/proc/self/mountinfo",
      "1 0 0:26 /x /one rw - cgroup2 none rw\n2 0 0:26 /a/b /two rw - cgroup2 none rw\n"
      "3 0 0:26 / /with\\040blank rw - cgroup2 none rw\n4 0 0:26 /a /four rw - cgroup2 none rw\n");
  PutMb("/one/memory.max", 1);
  PutMb("/two/memory.max", 200);
  PutMb("/with blank/a/b/memory.max", 200);
  PutMb("/with blank/a/memory.max", 150);
  ExpectLimitMb(Read(), 150);
}

TEST_F(Container, UsageOfTheNearestGroupWithTheController) {
  MountVersionTwo("/slice/leaf", "/");
  Put("/sys/fs/cgroup/slice/leaf/cgroup.procs", "1\n");
  PutMb("/sys/fs/cgroup/slice/memory.max", 100);
  PutMb("/sys/fs/cgroup/slice/memory.current", 50);
  Put("/sys/fs/cgroup/slice/memory.stat", "inactive_file 999999999999\n");
  EXPECT_EQ(Read().group_used_bytes, 0u);  // less than nothing is nothing
  Put("/sys/fs/cgroup/slice/memory.stat", "inactive_file 1048576\n");
  EXPECT_EQ(Read().group_used_bytes, 49 * kMb);
  ExpectLimitMb(Read(), 100);
}

TEST_F(Container, VersionOne) {
  MountVersionOne("/docker/abc", "/");
  const std::string group = "/sys/fs/cgroup/memory/docker/abc";
  PutMb(group + "/memory.limit_in_bytes", 600);
  PutMb(group + "/memory.usage_in_bytes", 300);
  Put(group + "/memory.stat",
      "cache 9\ninactive_file 1\nhierarchical_memory_limit 9223372036854771712\ntotal_inactive_file 188743680\n"
      "active_file 2\ntotal_active_file 20971520\n");
  ExpectLimitMb(Read(), 600);
  EXPECT_EQ(Read().group_used_bytes, 100 * kMb);
  Put(group + "/memory.stat", "hierarchical_memory_limit 419430400\n");
  ExpectLimitMb(Read(), 400);
  EXPECT_EQ(Read().group_used_bytes, 300 * kMb);
}

TEST_F(Container, VersionOneMountRootIsTheGroup) {
  MountVersionOne("/docker/abc", "/docker/abc");
  PutMb("/sys/fs/cgroup/memory/memory.limit_in_bytes", 600);
  ExpectLimitMb(Read(), 600);
}

TEST_F(Container, VersionOneGroupThatDoesNotShow) {
  MountVersionOne("/kube/pod/abc", "/docker/xyz");
  PutMb("/sys/fs/cgroup/memory/memory.limit_in_bytes", 600);
  ExpectLimitMb(Read(), 600);
  MountVersionOne("/kube/pod/abc (deleted)", "/");
  PutMb("/sys/fs/cgroup/memory/kube/pod/memory.limit_in_bytes", 500);
  ExpectLimitMb(Read(), 500);
}

TEST_F(Container, VersionOneHugeValues) {
  MountVersionOne("/", "/");
  const std::string limit = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
  for (const char* text : {"9223372036854771712\n", "9223372036854775807\n", "18446744073709551615\n",
                           "1152921504606846976\n", "99999999999999999999999\n", "-1\n"}) {
    Put(limit, text);
    ExpectNoLimit(Read());
  }
  PutMb(limit, 8000);  // as much as the host has
  ExpectNoLimit(Read());
  PutMb(limit, 9000);
  ExpectNoLimit(Read());
  PutMb(limit, 7999);
  ExpectLimitMb(Read(), 7999);
}

TEST_F(Container, HybridTakesVersionOne) {
  Put("/proc/self/cgroup", "4:memory:/box\n1:name=systemd:/\n0::/box\n");
  Put("/proc/self/mountinfo",
      "34 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
      "35 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  PutMb("/sys/fs/cgroup/unified/box/memory.max", 100);
  PutMb("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", 300);
  ExpectLimitMb(Read(), 300);
  Put("/proc/self/cgroup", "1:name=systemd:/\n0::/box\n");
  ExpectLimitMb(Read(), 100);
}

TEST_F(Container, NothingMounted) {
  ExpectNoLimit(Read());
  EXPECT_EQ(Read().group_used_bytes, 0u);
  Put("/proc/self/cgroup", "0::/box\n");
  ExpectNoLimit(Read());
  Put("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
  ExpectNoLimit(Read());
  MountVersionTwo("/box", "/");  // mounted as it says, but there is no such directory
  ExpectNoLimit(Read());
}

TEST_F(Container, NoProc) {
  Remove("/proc");
  ContainerMemory memory = Read();
  EXPECT_FALSE(memory.limited);
  EXPECT_EQ(memory.host_bytes, TotalSystemMemory());
  EXPECT_EQ(memory.limit_bytes, memory.host_bytes);
}

TEST_F(Container, Garbage) {
  for (const char* text :
       {"", "\n", ":", "::", "0::", "0::box\n", "0::/\n:memory:\n", "memory", "0:memory", "\n\n::/\n"}) {
    Put("/proc/self/cgroup", text);
    for (const char* mounts :
         {"", "\n", " ", " - ", "1 2 3 / /sys - cgroup2", "1 2 3 / /sys/fs/cgroup rw cgroup2 a b\n",
          "1 2 3 x y rw - cgroup2 a b\n", "1 2 3 /\\0 /\\9999\\ rw - cgroup2 a b\n"}) {
      Put("/proc/self/mountinfo", mounts);
      ExpectNoLimit(Read());
    }
  }
  MountVersionTwo("/box", "/");
  for (const char* text : {"", "\n", "many\n", "12x\n", "1e9\n", "0x100\n", "007\n", "MAX", " \n"}) {
    Put("/sys/fs/cgroup/box/memory.max", text);
    Put("/sys/fs/cgroup/box/memory.current", text);
    Put("/sys/fs/cgroup/box/memory.stat", text);
    ExpectNoLimit(Read());
    EXPECT_EQ(Read().group_used_bytes, 0u);
  }
  Remove("/sys/fs/cgroup/box/memory.max");
  Put("/sys/fs/cgroup/box/memory.max/file", "a directory where a file is expected");
  PutMb("/sys/fs/cgroup/box/memory.high", 90);
  ExpectLimitMb(Read(), 90);
  for (const char* text : {"", "MemTotal:\n", "MemTotal: many kB\n", "MemTotal: 18014398509481984 kB\n"}) {
    Put("/proc/meminfo", text);
    EXPECT_EQ(Read().host_bytes, TotalSystemMemory());
  }
}

TEST_F(Container, ChangesShowAtTheNextRead) {
  MountVersionTwo("/pod/box", "/");
  PutMb("/sys/fs/cgroup/pod/box/memory.max", 900);
  ContainerWatch watch(root_);
  ExpectLimitMb(watch.Read(), 900);
  PutMb("/sys/fs/cgroup/pod/box/memory.max", 300);
  PutMb("/sys/fs/cgroup/pod/box/memory.current", 10);
  ExpectLimitMb(watch.Read(), 300);
  EXPECT_EQ(watch.Read().group_used_bytes, 10 * kMb);
  PutMb("/sys/fs/cgroup/pod/memory.high", 200);
  ExpectLimitMb(watch.Read(), 200);
  Put("/sys/fs/cgroup/pod/memory.high", "max\n");
  Put("/sys/fs/cgroup/pod/box/memory.max", "max\n");
  ExpectNoLimit(watch.Read());
  Remove("/sys");
  ExpectNoLimit(watch.Read());
  EXPECT_EQ(watch.Read().group_used_bytes, 0u);
}

TEST(ContainerWatch, ThisMachine) {
  ContainerMemory memory = ContainerWatch().Read();
  EXPECT_GT(memory.limit_bytes, 0u);
  EXPECT_LE(memory.limit_bytes, memory.host_bytes);
  EXPECT_EQ(memory.limited, memory.limit_bytes < memory.host_bytes);
}

}  // namespace
}  // namespace brim
