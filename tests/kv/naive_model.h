// The cache as one would write it without caring for speed: every fact is recomputed from who holds
// what. One full group and, optionally, one window group, and a host tier.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kv/types.h"

namespace lb::kv::test {

// A block of text is a letter, a prefix is a string of letters with the namespace in front.
struct NaiveSequence {
  std::string ns;
  bool use_cache = true;
  std::string text;  // letters of all its blocks, the last one perhaps partly there
  int64_t num_tokens = 0;
  bool attached = false;
  int64_t computed = 0;
  int64_t table = 0;      // blocks reserved, holes included
  int64_t first = 0;      // window blocks before this are not held
  int64_t path = 0;       // blocks that are in the tree
  int64_t announced = 0;  // blocks up to here are going to be computed
  std::string Key(int64_t blocks) const { return ns + text.substr(0, static_cast<size_t>(blocks)); }
};

class NaiveCache {
 public:
  struct Entry {
    bool has_window = false;
  };

  NaiveCache(int full_blocks, int window, int window_blocks, int host_slots)
      : size_{full_blocks, window_blocks}, window_(window), host_slots_(host_slots) {}

  std::vector<std::shared_ptr<NaiveSequence>> sequences;
  std::map<std::string, Entry> tree;
  std::vector<std::string> cached[2];  // keys in the order in which nobody held them any more
  std::vector<std::string> host;  // keys in the order in which they came to the host
  int64_t evictions = 0, saved = 0, loaded = 0, host_evictions = 0;
  bool OnHost(const std::string& key) const {
    return std::ranges::find(host, key) != host.end() || loading_.contains(key);
  }
  int groups() const { return window_ > 0 ? 2 : 1; }

  int64_t FirstNeeded(int64_t position) const {
    return window_ == 0 ? 0 : std::max<int64_t>(0, position - window_ + 1) / kBlockTokens;
  }
  bool Held(const std::string& key, int g) const {
    for (const auto& s : sequences) {
      const auto depth = static_cast<int64_t>(key.size()) - 2;  // a letter of namespace, and itself
      if (s->attached && s->path > depth && s->Key(depth + 1) == key &&
          (g == 0 || depth >= s->first)) {
        return true;
      }
    }
    return false;
  }
  int64_t Used(int g) const {
    int64_t used = 0;
    for (const auto& [key, entry] : tree) used += (g == 0 || entry.has_window) && Held(key, g);
    for (const auto& s : sequences) {  // blocks that are nobody else's
      if (s->attached) used += std::max<int64_t>(0, s->table - std::max(s->path, g == 1 ? s->first : 0));
    }
    return used;
  }
  int64_t Cached(int g) const {
    int64_t cached = 0;
    for (const auto& [key, entry] : tree) {
      cached += (g == 0 || entry.has_window) && !Held(key, g) && !OnHost(key);
    }
    return cached;
  }
  int64_t Free(int g) const { return size_[g] - Used(g) - Cached(g); }
  int64_t Available(int g) const { return size_[g] - Used(g); }

  int64_t MatchBlocks(const NaiveSequence& s, bool without_host = false) const {
    if (!s.use_cache) return 0;
    int64_t best = 0;
    for (int64_t m = 1; m <= (s.num_tokens - 1) / kBlockTokens; ++m) {
      if (!tree.contains(s.Key(m)) || (without_host && OnHost(s.Key(m)))) break;
      bool whole = true;
      if (window_ > 0) {
        for (int64_t i = FirstNeeded(m * kBlockTokens); i < m; ++i) {
          whole &= tree.at(s.Key(i + 1)).has_window;
        }
      }
      if (whole) best = m;
    }
    return best;
  }
  bool Pending(const NaiveSequence& s) const {
    const int64_t next = MatchBlocks(s);
    if (!s.use_cache || next >= (s.num_tokens - 1) / kBlockTokens) return false;
    for (const auto& o : sequences) {
      if (o->attached && o->use_cache && o->path <= next && next < o->announced &&
          o->Key(next + 1) == s.Key(next + 1)) {
        return true;
      }
    }
    return false;
  }
  // Whether `goal` tokens can be had behind a match of `m` blocks, which are held then.
  bool CanAdmit(const NaiveSequence& s, int64_t m, int64_t goal) const {
    int64_t wanted = BlocksFor(goal);
    for (int64_t i = 1; i <= m; ++i) wanted -= Held(s.Key(i), 0);
    return wanted <= Available(0);
  }
  void Attach(NaiveSequence& s, int64_t m) {
    if (host_slots_ > 0) {
      // Block by block, since each may send another node to the host.
      s.attached = true;
      s.first = FirstNeeded(m * kBlockTokens);
      while (s.path < m && !OnHost(s.Key(s.path + 1))) s.table = ++s.path;
      Recount();
      for (int64_t i = s.path; i < m; ++i) loading_.insert(s.Key(i + 1));
      std::erase_if(host, [&](const std::string& key) { return loading_.contains(key); });
      slots_read_ = static_cast<int64_t>(loading_.size());
      while (s.path < m) {
        if (Free(0) == 0) Evict(0);
        const bool seen = window_ > 0 && s.path >= s.first;
        if (seen && Free(1) == 0) Evict(1);
        tree.at(s.Key(s.path + 1)).has_window = seen;
        loading_.erase(s.Key(s.path + 1));
        s.table = ++s.path;
        ++loaded;
      }
      slots_read_ = 0;
    }
    s.attached = true;
    s.computed = m * kBlockTokens;
    s.table = s.path = m;
    s.first = FirstNeeded(s.computed);
    s.announced = s.use_cache ? std::max(m, s.num_tokens / kBlockTokens) : 0;
    Recount();
  }
  bool Reserve(NaiveSequence& s, int64_t tokens) {
    const int64_t need = BlocksFor(tokens) - s.table;
    for (int g = 0; g < groups(); ++g) {
      if (need > Available(g)) return false;
    }
    for (int g = 0; g < groups(); ++g) {
      // The i-th block, when i are taken already: a free one, else one by eviction.
      for (int64_t i = 0; i < need; ++i) {
        if (Free(g) - i <= 0) Evict(g);
      }
    }
    s.table = std::max(s.table, BlocksFor(tokens));
    return true;
  }
  void Commit(NaiveSequence& s, int64_t computed) {
    s.computed = computed;
    if (s.use_cache) {
      while (s.path < computed / kBlockTokens) {
        Entry& e = tree[s.Key(s.path + 1)];
        std::erase(host, s.Key(s.path + 1));
        if (s.path >= s.first) e.has_window = window_ > 0;
        ++s.path;
        Recount();
      }
    }
    if (window_ > 0) {
      s.first = std::max(s.first, FirstNeeded(computed));
      Recount();
    }
  }
  // These nodes, and all behind them, are worthless.
  void Discard(const std::set<std::string>& keys) {
    const auto gone = [&](const std::string& key) {
      return std::ranges::any_of(keys, [&](const std::string& k) { return key.starts_with(k); });
    };
    std::erase_if(tree, [&](const auto& entry) { return gone(entry.first); });
    for (auto& keys : cached) std::erase_if(keys, gone);
    std::erase_if(host, gone);
  }
  void Rollback(NaiveSequence& s) { s.table = BlocksFor(s.computed); }
  void Release(NaiveSequence& s) {
    if (!s.attached) return;
    // Full blocks are let go from the back, window blocks from the front.
    std::vector<std::string> keys;
    for (int64_t i = 1; i <= s.path; ++i) keys.push_back(s.Key(i));
    s.attached = false;
    s.path = s.table = s.first = s.computed = s.announced = 0;
    auto settle = [&](const std::string& key, int g) {
      const bool here = g == 0 || tree.at(key).has_window;
      if (here && !Held(key, g) && std::ranges::find(cached[g], key) == cached[g].end()) {
        cached[g].push_back(key);
      }
    };
    for (auto it = keys.rbegin(); it != keys.rend(); ++it) settle(*it, 0);
    if (window_ > 0) {
      for (const auto& key : keys) settle(key, 1);
    }
  }

 private:
  // Keeps the cached orders in step with who holds what.
  void Recount() {
    for (int g = 0; g < groups(); ++g) {
      std::erase_if(cached[g], [&](const std::string& key) { return Held(key, g); });
      for (const auto& [key, entry] : tree) {
        if ((g == 1 && !entry.has_window) || Held(key, g) || OnHost(key)) continue;
        if (std::ranges::find(cached[g], key) == cached[g].end()) cached[g].push_back(key);
      }
    }
  }
  void Evict(int g) {
    const std::string key = cached[g].front();
    ++evictions;
    cached[g].erase(cached[g].begin());
    if (g == 1) {
      tree.at(key).has_window = false;
      return;
    }
    std::erase(cached[1], key);
    const int64_t room = host_slots_ - slots_read_;
    if (room == 0) {
      tree.erase(key);
      return;
    }
    if (static_cast<int64_t>(host.size()) == room) {
      tree.erase(host.front());
      host.erase(host.begin());
      ++host_evictions;
    }
    host.push_back(key);
    ++saved;
  }

  int64_t size_[2];
  int window_;
  int64_t host_slots_;
  int64_t slots_read_ = 0;         // of an Attach under way: not to be had
  std::set<std::string> loading_;  // its nodes that have no block yet
};

}  // namespace lb::kv::test
