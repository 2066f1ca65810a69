// Keys and values depend on the adapters they were computed with: every set of adapters and scales
// has a namespace of its own in the prefix cache.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "model/adapter_use.h"

namespace lb {

// Names sets by number, exactly: no hash can make two of them one. Thread-safe.
class AdapterNamespaces {
 public:
  // Namespaces below are those of requests without adapters; this one is that of the set that the
  // server starts with, in every run; those above mean nothing beyond this process.
  static constexpr uint64_t kStart = uint64_t{1} << 63;

  explicit AdapterNamespaces(std::vector<AdapterUse> start) : start_(std::move(start)) {}

  uint64_t Of(uint64_t base, std::span<const AdapterUse> uses);

 private:
  // Clients choose scales: so many sets are known at once. Those forgotten get another number when
  // they come again, and find nothing cached.
  static constexpr size_t kMostSets = 4096;

  const std::vector<AdapterUse> start_;
  std::mutex mutex_;
  std::map<std::pair<uint64_t, std::vector<AdapterUse>>, uint64_t> sets_;
  uint64_t last_ = kStart;
};

}  // namespace lb
