#include "engine/adapter_namespaces.h"

#include <algorithm>

namespace lb {

uint64_t AdapterNamespaces::Of(uint64_t base, std::span<const AdapterUse> uses) {
  if (uses.empty()) return base;
  if (base == 0 && std::ranges::equal(uses, start_)) return kStart;
  std::lock_guard lock(mutex_);
  std::pair key(base, std::vector<AdapterUse>(uses.begin(), uses.end()));
  const auto known = sets_.find(key);
  if (known != sets_.end()) return known->second;
  if (sets_.size() >= kMostSets) sets_.clear();
  sets_.emplace(std::move(key), ++last_);
  return last_;
}

}  // namespace lb
