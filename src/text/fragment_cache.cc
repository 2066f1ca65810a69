#include "text/fragment_cache.h"

namespace lb::text {

bool FragmentCache::Find(std::string_view text, std::vector<TokenId>* ids) {
  const Key key = KeyOf(text);
  std::lock_guard lock(mutex_);
  const auto found = by_text_.find(key);
  if (found == by_text_.end()) return false;
  entries_.splice(entries_.begin(), entries_, found->second);
  const std::vector<TokenId>& kept = entries_.front().ids;
  ids->insert(ids->end(), kept.begin(), kept.end());
  return true;
}

void FragmentCache::Add(std::string_view text, std::span<const TokenId> ids) {
  const size_t bytes = BytesOf(text, ids);
  if (bytes > most_bytes_ / 4) return;
  std::list<Entry> one;  // made before the lock is taken
  one.push_back({std::string(text), {ids.begin(), ids.end()}, KeyOf(text).hash});
  const Key key = {one.front().text, one.front().hash};
  std::lock_guard lock(mutex_);
  if (by_text_.contains(key)) return;  // another thread was first
  entries_.splice(entries_.begin(), one);
  by_text_.emplace(key, entries_.begin());
  bytes_ += bytes;
  while (bytes_ > most_bytes_) {
    const Entry& last = entries_.back();
    bytes_ -= BytesOf(last.text, last.ids);
    by_text_.erase({last.text, last.hash});
    entries_.pop_back();
  }
}

}  // namespace lb::text
