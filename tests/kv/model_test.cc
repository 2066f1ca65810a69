// Proves pool, tables, tree and manager against a naive model, over random operations: the same
// matches, the same waits, the same refusals, the same evictions, the same number of blocks in
// every state, after every single operation. With a host tier every block and slot carries a tag of
// what was computed there, transfers move tags, and whatever is reused has the tag it should have,
// though some transfers fail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

#include "kv/kv_cache_manager.h"
#include "tests/kv/naive_model.h"

namespace lb::kv {
namespace {

using test::NaiveCache;
using test::NaiveSequence;

struct Pair {
  std::shared_ptr<NaiveSequence> naive;
  std::unique_ptr<SequenceKv> real;
  std::vector<TokenId> tokens;
};

class Walk {
 public:
  // `check_every`: operations between two full recounts by CheckInvariants.
  Walk(uint64_t seed, bool narrow_hashes, int check_every)
      : rng_(seed), narrow_(narrow_hashes), check_every_(check_every) {
    tiered_ = Pick(2) == 0;
    const int blocks = tiered_ ? 3 + Pick(9) : 6 + Pick(20);
    const int window = Pick(2) == 0 ? 0 : 16 + Pick(40);
    const int least = static_cast<int>(BlocksFor(window)) + 2;
    const int window_blocks = Pick(2) == 0 ? std::max(blocks, least) : least + Pick(4);
    KvCacheConfig config;
    config.groups = {{0, blocks}};
    if (window > 0) config.groups.push_back({window, window_blocks});
    config.max_chunk = 64;
    if (narrow_) config.hash_mask = 0x3;
    const int slots = tiered_ ? 1 + Pick(24) : 0;
    config.host_slots = slots;
    fault_rate_ = Pick(2) * 20;
    kv_ = std::move(*KvCacheManager::Create(config));
    naive_ = std::make_unique<NaiveCache>(blocks, window, window_blocks, slots);
    for (const KvGroupConfig& group : config.groups) {
      block_tags_.emplace_back(static_cast<size_t>(group.num_blocks));
      slot_tags_.emplace_back(static_cast<size_t>(slots));
    }
    longest_ = blocks * kBlockTokens;
  }

  void Run(int ops) {
    for (int i = 0; i < ops; ++i) {
      ASSERT_NO_FATAL_FAILURE(OneOperation());
      ASSERT_NO_FATAL_FAILURE(Compare());
      if (i % check_every_ == 0) {
        const auto sound = kv_->CheckInvariants();
        ASSERT_TRUE(sound.has_value()) << sound.error().message;
      }
    }
    // Everything comes back.
    while (!pairs_.empty()) Drop(0);
    ASSERT_NO_FATAL_FAILURE(MoveTags());
    ASSERT_NO_FATAL_FAILURE(Compare());
    ASSERT_EQ(kv_->pool(0).num_used(), 0);
    ASSERT_TRUE(kv_->CheckInvariants().has_value());
  }

  int64_t loaded() const { return kv_->Stats().host.loaded; }
  bool has_window() const { return kv_->num_groups() > 1; }
  int64_t faults() const { return faults_; }
  int64_t lost() const { return lost_; }

 private:
  int Pick(int n) { return std::uniform_int_distribution<int>(0, n - 1)(rng_); }

  void Drop(size_t i) {
    naive_->Release(*pairs_[i].naive);
    std::erase(naive_->sequences, pairs_[i].naive);
    pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  void Create() {
    Pair p;
    p.naive = std::make_shared<NaiveSequence>();
    p.naive->ns = std::string(1, static_cast<char>('0' + Pick(2)));
    p.naive->use_cache = Pick(6) != 0;
    Grow(p, 1 + Pick(longest_));
    p.real = kv_->NewSequence(static_cast<uint64_t>(p.naive->ns[0] - '0'), p.naive->use_cache);
    naive_->sequences.push_back(p.naive);
    pairs_.push_back(std::move(p));
  }

  // Few letters, the first by far the most common: prefixes meet often, at every length.
  void Grow(Pair& p, int64_t num_tokens) {
    while (static_cast<int64_t>(p.naive->text.size()) < BlocksFor(num_tokens)) {
      // With a host tier many begin differently: what is not held comes and goes.
      const bool begins = p.naive->text.empty() && tiered_;
      p.naive->text += static_cast<char>('a' + (begins ? Pick(6) : Pick(4) == 0 ? Pick(3) : 0));
    }
    for (int64_t i = p.naive->num_tokens; i < num_tokens; ++i) {
      const char letter = p.naive->text[static_cast<size_t>(i / kBlockTokens)];
      p.tokens.push_back(static_cast<TokenId>(letter * 100 + i % kBlockTokens));
    }
    p.naive->num_tokens = num_tokens;
  }

  // The key of a node, out of its tokens.
  std::string KeyOf(NodeId id) const {
    const PrefixTree::Node& n = kv_->tree().node(id);
    const std::string before = n.parent == kNoNode ? std::to_string(n.ns) : KeyOf(n.parent);
    return before + static_cast<char>(n.tokens[0] / 100);
  }
  // Of what a node has, by group.
  std::vector<std::string> TagsOf(const PrefixTree::Node& n) const {
    std::vector<std::string> tags;
    for (size_t g = 0; g < block_tags_.size(); ++g) {
      if (n.blocks[g] != kNoBlock) tags.push_back(block_tags_[g][static_cast<size_t>(n.blocks[g].value)]);
      if (n.in_slot[g]) tags.push_back(slot_tags_[g][static_cast<size_t>(n.slot.value)]);
    }
    return tags;
  }
  // Calls f with the tags of the block and the slot of each group that `t` moves.
  template <typename F>
  void ForEachMove(const Transfer& t, F&& f) {
    for (size_t g = 0; g < block_tags_.size(); ++g) {
      if (t.blocks[g] == kNoBlock) continue;
      f(block_tags_[g][static_cast<size_t>(t.blocks[g].value)], slot_tags_[g][static_cast<size_t>(t.slot.value)]);
    }
  }

  // Does what is queued, runs of independent transfers in any order, and then nothing in the tree has another tag than its own.
  // Sometimes they fail.
  void MoveTags() {
    const std::vector<Transfer> list = kv_->TakeTransfers();
    const bool fails = !list.empty() && fault_rate_ > 0 && Pick(fault_rate_) == 0;
    for (size_t begin = 0; begin < list.size();) {
      std::vector<Transfer> run(list.begin() + static_cast<std::ptrdiff_t>(begin), list.end());
      run.resize(IndependentTransfers(run));
      ASSERT_GT(run.size(), 0u);
      begin += run.size();
      std::ranges::shuffle(run, rng_);
      for (const Transfer& t : run) {
        ForEachMove(t, [&](std::string& block, std::string& slot) {
          (t.kind == Transfer::Kind::kSave ? slot : block) = t.kind == Transfer::Kind::kSave ? block : slot;
        });
      }
    }
    if (fails) {
      ASSERT_NO_FATAL_FAILURE(FailTransfers(list));
    }
    for (int i = 0; i < kv_->tree().id_limit(); ++i) {
      const PrefixTree::Node& n = kv_->tree().node(NodeId(i));
      if (!n.live) continue;
      ASSERT_THAT(TagsOf(n), testing::Each(KeyOf(NodeId(i))));
    }
  }

  void FailTransfers(const std::vector<Transfer>& list) {
    ++faults_;
    for (const Transfer& t : list) {
      ForEachMove(t, [&](std::string& block, std::string& slot) { (t.kind == Transfer::Kind::kSave ? slot : block) = "spoiled"; });
    }
    std::set<std::string> spoiled;
    for (int i = 0; i < kv_->tree().id_limit(); ++i) {
      const PrefixTree::Node& n = kv_->tree().node(NodeId(i));
      if (n.live && std::ranges::count(TagsOf(n), "spoiled") > 0) spoiled.insert(KeyOf(NodeId(i)));
    }
    for (Pair& p : pairs_) {
      bool holds = false;
      for (int64_t i = 1; i <= p.naive->path; ++i) holds |= spoiled.contains(p.naive->Key(i));
      ASSERT_EQ(kv_->Holds(*p.real, list), holds);
      if (!holds) continue;
      ++lost_;
      kv_->Release(*p.real);
      naive_->Release(*p.naive);
    }
    kv_->Discard(list);
    naive_->Discard(spoiled);
  }

  void OneOperation() {
    if (pairs_.empty() || (pairs_.size() < (tiered_ ? 3 : 5) && Pick(6) == 0)) return Create();
    const size_t i = static_cast<size_t>(Pick(static_cast<int>(pairs_.size())));
    Pair& p = pairs_[i];
    NaiveSequence& n = *p.naive;
    if (!n.attached) {
      const PrefixMatch match = kv_->Match(*p.real, p.tokens);
      ASSERT_EQ(match.num_blocks, naive_->MatchBlocks(n));
      // Narrow hashes may make one wait for nothing, and never fail to wait.
      if (!narrow_) {
        ASSERT_EQ(match.pending, naive_->Pending(n));
      } else if (naive_->Pending(n)) {
        ASSERT_TRUE(match.pending);
      }
      if (Pick(8) == 0) return Drop(i);
      int host = 0;
      for (int64_t m = 1; m <= match.num_blocks; ++m) host += naive_->OnHost(n.Key(m));
      ASSERT_EQ(match.num_host, host);
      if (naive_->groups() == 1) {
        const int64_t goal = match.num_tokens() + 1 + Pick(60);
        ASSERT_EQ(kv_->CanAdmit(match, goal, {}), naive_->CanAdmit(n, match.num_blocks, goal));
      }
      PrefixMatch taken = match;
      if (Pick(6) == 0 || !kv_->CanAdmit(match, match.num_tokens(), {})) {
        taken.LeaveOutHost();
        ASSERT_EQ(taken.num_blocks, naive_->MatchBlocks(n, /*without_host=*/true));
      }
      kv_->Attach(*p.real, p.tokens, taken);
      naive_->Attach(n, taken.num_blocks);
      ASSERT_EQ(p.real->num_computed(), n.computed);
      return;
    }
    switch (Pick(10)) {
      case 0:
        return Drop(i);
      case 1:  // paused
        kv_->Release(*p.real);
        naive_->Release(n);
        return;
      case 2:  // a step that failed
        kv_->Rollback(*p.real);
        naive_->Rollback(n);
        return;
      case 3:  // the answer grows
        if (n.num_tokens < longest_) Grow(p, n.num_tokens + 1);
        return;
      case 4:
      case 5:
      case 6: {
        const int64_t wanted = std::min<int64_t>(n.num_tokens, n.computed + 1 + Pick(tiered_ ? 160 : 64));
        ASSERT_EQ(kv_->Reserve(*p.real, wanted), naive_->Reserve(n, wanted));
        return;
      }
      default: {
        const int64_t room = std::min(n.table * kBlockTokens, n.num_tokens);
        if (room <= n.computed) return;
        ASSERT_NO_FATAL_FAILURE(MoveTags());
        if (!n.attached) return;  // what it held was lost
        int64_t computed = n.computed + 1 + Pick(static_cast<int>(room - n.computed));
        if (tiered_ && Pick(2) == 0) computed = room;
        for (int64_t i = n.computed / kBlockTokens; i < BlocksFor(computed); ++i) {
          for (size_t g = 0; g < block_tags_.size(); ++g) {
            const BlockId block = p.real->table(static_cast<int>(g))[static_cast<int>(i)];
            block_tags_[g][static_cast<size_t>(block.value)] = n.Key(i + 1);
          }
        }
        kv_->Commit(*p.real, p.tokens, computed);
        naive_->Commit(n, computed);
      }
    }
  }

  void Compare() {
    for (int g = 0; g < naive_->groups(); ++g) {
      ASSERT_EQ(kv_->pool(g).num_used(), naive_->Used(g)) << "group " << g;
      ASSERT_EQ(kv_->pool(g).num_cached(), naive_->Cached(g)) << "group " << g;
      ASSERT_EQ(kv_->pool(g).num_free(), naive_->Free(g)) << "group " << g;
    }
    ASSERT_EQ(kv_->tree().num_nodes(), static_cast<int>(naive_->tree.size()));
    ASSERT_EQ(kv_->num_evictions(), naive_->evictions);
    const HostStats host = kv_->Stats().host;
    ASSERT_EQ(host.kept, static_cast<int64_t>(naive_->host.size()));
    ASSERT_EQ(host.free + host.kept, host.slots);
    ASSERT_EQ(host.saved, naive_->saved);
    ASSERT_EQ(host.loaded, naive_->loaded);
    ASSERT_EQ(host.evictions, naive_->host_evictions);
  }


  std::mt19937_64 rng_;
  bool narrow_, tiered_ = false;
  int check_every_;
  int64_t longest_ = 0;
  int64_t faults_ = 0, lost_ = 0;  // failed lists, sequences that held something of one
  int fault_rate_ = 0;  // one list of transfers in so many fails; 0: none
  std::vector<std::vector<std::string>> block_tags_, slot_tags_;  // by group: the key of what is there
  std::unique_ptr<KvCacheManager> kv_;
  std::unique_ptr<NaiveCache> naive_;
  std::vector<Pair> pairs_;
};

int64_t WalkMany(int walks, int ops, uint64_t first_seed, int check_every) {
  int64_t loaded[2] = {}, faults = 0, lost = 0;  // loaded: without a window, with one
  for (int i = 0; i < walks; ++i) {
    const uint64_t seed = first_seed + static_cast<uint64_t>(i);
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Walk walk(seed, /*narrow_hashes=*/i % 4 == 3, check_every);
    walk.Run(ops);
    if (testing::Test::HasFatalFailure()) break;
    loaded[walk.has_window()] += walk.loaded();
    faults += walk.faults();
    lost += walk.lost();
  }
  EXPECT_GT(loaded[0], walks * 4);
  EXPECT_GT(loaded[1], walks);
  EXPECT_GT(faults, walks / 8);
  EXPECT_GT(lost, walks / 50);
  return int64_t{walks} * ops;
}

TEST(ModelTest, HundredThousandOperations) { EXPECT_GE(WalkMany(100, 1000, 1, 1), 100'000); }

TEST(SlowModelTest, AMillionOperations) { EXPECT_GE(WalkMany(500, 2100, 5000, 4), 1'000'000); }

}  // namespace
}  // namespace lb::kv
