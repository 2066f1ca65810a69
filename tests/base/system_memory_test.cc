// Proves that the memory a process may take is the least of what the system and its control groups
// have left.
#include "base/system_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace lb {
namespace {

class SystemMemoryTest : public testing::Test {
 protected:
  SystemMemoryTest() {
    Write("/proc/meminfo", "MemTotal: 2000 kB\nMemFree:  10 kB\nMemAvailable:  1000 kB\n");
  }
  ~SystemMemoryTest() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  const std::string root_ = testing::TempDir() + "system_memory_" + std::to_string(::getpid());
};

TEST_F(SystemMemoryTest, TheSystemsOwnWord) {
  EXPECT_EQ(AvailableMemory(root_), 1000 * 1024);
  EXPECT_EQ(AvailableMemory(root_ + "/nowhere"), 0);
  EXPECT_GT(AvailableMemory(), 0);
}

TEST_F(SystemMemoryTest, EveryGroupAboveCounts) {
  Write("/proc/self/cgroup", "0::/a/b\n");
  Write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  Write("/sys/fs/cgroup/a/b/memory.current", "100\n");
  EXPECT_EQ(AvailableMemory(root_), 1000 * 1024);
  Write("/sys/fs/cgroup/a/memory.max", "5000\n");
  Write("/sys/fs/cgroup/a/memory.current", "3000\n");
  EXPECT_EQ(AvailableMemory(root_), 2000);
  // The file cache goes when memory is needed.
  Write("/sys/fs/cgroup/a/memory.stat", "anon 900\ninactive_file 700\nactive_file 100\n");
  EXPECT_EQ(AvailableMemory(root_), 2800);
  Write("/sys/fs/cgroup/a/b/memory.max", "90\n");
  EXPECT_EQ(AvailableMemory(root_), 0);
}

TEST_F(SystemMemoryTest, AContainersOwnRootAndVersionOne) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/memory.max", "8000\n");
  Write("/sys/fs/cgroup/memory.current", "1000\n");
  EXPECT_EQ(AvailableMemory(root_), 7000);
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "6000\n");
  Write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1500\n");
  Write("/sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 200\n");
  EXPECT_EQ(AvailableMemory(root_), 4700);
}

}  // namespace
}  // namespace lb
