#include "base/system_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>

namespace lb {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The number behind `key` in a file of "key number ..." lines; a file of one number has the key "".
std::optional<int64_t> Number(const std::string& path, std::string_view key) {
  std::ifstream in(path);
  int64_t number = 0;
  if (key.empty()) return in >> number ? std::optional(number) : std::nullopt;
  for (std::string word, rest; in >> word; std::getline(in, rest)) {
    if (word == key) return in >> number ? std::optional(number) : std::nullopt;
  }
  return std::nullopt;
}

// What a group has left. A limit of "max" is no number, and v1 says "none" with an enormous one.
int64_t LeftInGroup(const std::string& folder, const char* limit_file, const char* usage_file,
                    const char* prefix) {
  const auto limit = Number(folder + limit_file, "");
  const auto usage = Number(folder + usage_file, "");
  if (!limit || !usage) return kUnlimited;
  const std::string stat = folder + "/memory.stat";
  int64_t cache = 0;
  for (const char* list : {"inactive_file", "active_file"}) {
    cache += Number(stat, std::string(prefix) + list).value_or(0);
  }
  return std::max<int64_t>(0, *limit - std::max<int64_t>(0, *usage - cache));
}

}  // namespace

int64_t AvailableMemory(const std::string& root) {
  const auto kib = Number(root + "/proc/meminfo", "MemAvailable:");
  int64_t bytes = kib ? *kib * 1024 : kUnlimited;
  // v2: "0::/path", and every group above it counts too.
  std::string path;
  std::ifstream own(root + "/proc/self/cgroup");
  for (std::string line; std::getline(own, line);) {
    if (line.rfind("0::", 0) == 0) path = line.substr(3);
  }
  while (true) {
    bytes = std::min(bytes, LeftInGroup(root + "/sys/fs/cgroup" + (path == "/" ? "" : path),
                                        "/memory.max", "/memory.current", ""));
    if (path.empty() || path == "/") break;
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
  bytes = std::min(bytes, LeftInGroup(root + "/sys/fs/cgroup/memory", "/memory.limit_in_bytes",
                                      "/memory.usage_in_bytes", "total_"));
  return bytes == kUnlimited ? 0 : bytes;
}

}  // namespace lb
