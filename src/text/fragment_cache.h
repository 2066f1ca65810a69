// The tokens of texts that were encoded lately. A chat sends with every turn what was said before; this way it is tokenized once.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/strong_id.h"

namespace lb::text {

// Thread-safe. Whoever was not asked for longest leaves first.
class FragmentCache {
 public:
  // Texts and tokens take `most_bytes` together, one text at most a quarter of that.
  explicit FragmentCache(size_t most_bytes) : most_bytes_(most_bytes) {}

  // Appends the tokens of `text` to `ids`. False: they are not here.
  bool Find(std::string_view text, std::vector<TokenId>* ids);
  void Add(std::string_view text, std::span<const TokenId> ids);

 private:
  struct Entry {
    std::string text;
    std::vector<TokenId> ids;
    size_t hash;
  };
  // A text and its hash, which is made before the lock is taken.
  struct Key {
    std::string_view text;
    size_t hash;
    bool operator==(const Key& o) const { return text == o.text; }
  };
  struct HashOf {
    size_t operator()(const Key& key) const { return key.hash; }
  };

  static Key KeyOf(std::string_view text) { return {text, std::hash<std::string_view>{}(text)}; }
  // With its place in list and map.
  static size_t BytesOf(std::string_view text, std::span<const TokenId> ids) { return text.size() + ids.size_bytes() + 200; }

  const size_t most_bytes_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the one asked for last in front
  std::unordered_map<Key, std::list<Entry>::iterator, HashOf> by_text_;  // keys view the entries' texts
  size_t bytes_ = 0;
};

}  // namespace lb::text
