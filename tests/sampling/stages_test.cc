// Proves each stage against its naive twin over random logits, from the dense form and from the
// list, and its values that switch it off or leave one token.
#include "sampling/stages.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "tests/sampling/naive.h"

namespace lb::sampling {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

using Apply = std::function<void(Candidates&)>;

struct Outcome {
  std::vector<TokenId> ids;  // best first
  std::vector<float> logits;
};

Outcome After(const std::vector<float>& logits, bool as_list, const Apply& apply) {
  Workspace workspace;
  workspace.marks.assign(logits.size(), 0);
  Candidates candidates(logits, workspace);
  if (as_list) candidates.List();
  apply(candidates);
  std::vector<Candidate> list = candidates.List();
  std::sort(list.begin(), list.end(), Better);
  Outcome outcome;
  for (const Candidate& c : list) {
    outcome.ids.push_back(c.id);
    outcome.logits.push_back(c.logit);
  }
  for (const int32_t mark : workspace.marks) EXPECT_EQ(mark, 0);
  return outcome;
}

std::vector<TokenId> Ids(const naive::Tokens& tokens) {
  std::vector<TokenId> ids;
  for (const naive::Token& t : tokens) ids.push_back(t.id);
  return ids;
}

// Several sizes and spreads, some with equal logits and some with banned tokens.
void ForManyLogits(const std::function<void(const std::vector<float>&)>& body) {
  uint32_t seed = 0;
  for (const int n : {1, 2, 3, 17, 100, 1000, 5000}) {
    for (const double spread : {0.01, 1.0, 3.0, 10.0}) {
      std::vector<float> logits = naive::RandomLogits(n, spread, ++seed);
      body(logits);
      if (n >= 17) {
        logits[3] = logits[11] = logits[7];
        logits[n - 1] = -kInf;
        body(logits);
      }
    }
  }
}

void ExpectSame(const Apply& apply,
                const std::function<naive::Tokens(const naive::Tokens&)>& twin) {
  ForManyLogits([&](const std::vector<float>& logits) {
    const std::vector<TokenId> want = Ids(twin(naive::From(logits)));
    EXPECT_EQ(After(logits, false, apply).ids, want) << "dense " << logits.size();
    EXPECT_EQ(After(logits, true, apply).ids, want) << "list " << logits.size();
  });
}

TEST(Stages, TopK) {
  for (const int k : {1, 2, 40, 511, 512, 513, 4999, 1000000}) {
    ExpectSame([k](Candidates& c) { ApplyTopK(k, c); },
               [k](const naive::Tokens& t) { return naive::Head(t, k); });
  }
  for (const int off : {0, -1}) {
    ExpectSame([off](Candidates& c) { ApplyTopK(off, c); },
               [](const naive::Tokens& t) { return t; });
  }
}

TEST(Stages, TopKOfRisingAndFallingLogits) {
  std::vector<float> rising(2000);
  for (int i = 0; i < 2000; ++i) rising[i] = static_cast<float>(i);
  EXPECT_EQ(After(rising, false, [](Candidates& c) { ApplyTopK(3, c); }).ids,
            (std::vector<TokenId>{1999, 1998, 1997}));
  std::reverse(rising.begin(), rising.end());
  EXPECT_EQ(After(rising, false, [](Candidates& c) { ApplyTopK(3, c); }).ids,
            (std::vector<TokenId>{0, 1, 2}));
  const std::vector<float> equal(2000, 1.5f);
  EXPECT_EQ(After(equal, false, [](Candidates& c) { ApplyTopK(3, c); }).ids,
            (std::vector<TokenId>{0, 1, 2}));
}

TEST(Stages, TopP) {
  for (const float p : {0.05f, 0.3f, 0.9f, 0.95f, 0.999f}) {
    ExpectSame([p](Candidates& c) { ApplyTopP(p, c); },
               [p](const naive::Tokens& t) { return naive::TopP(t, p); });
  }
  ExpectSame([](Candidates& c) { ApplyTopP(1.0f, c); }, [](const naive::Tokens& t) { return t; });
  ExpectSame([](Candidates& c) { ApplyTopP(0.0f, c); },
             [](const naive::Tokens& t) { return naive::Head(t, 1); });
}

TEST(Stages, MinP) {
  for (const float p : {0.001f, 0.1f, 0.5f, 1.0f}) {
    ExpectSame([p](Candidates& c) { ApplyMinP(p, c); },
               [p](const naive::Tokens& t) { return naive::MinP(t, p); });
  }
  ExpectSame([](Candidates& c) { ApplyMinP(0.0f, c); }, [](const naive::Tokens& t) { return t; });
}

TEST(Stages, Typical) {
  // Single precision may swap two tokens whose distances differ in the last digits, so the kept set
  // is held to the definition: nothing cut is clearly more typical than something kept.
  for (const float p : {0.0f, 0.2f, 0.9f, 0.99f}) {
    ForManyLogits([&](const std::vector<float>& logits) {
      const naive::Tokens all = naive::From(logits);
      const naive::Tokens want = naive::Typical(all, p);
      const std::vector<TokenId> got =
          After(logits, false, [p](Candidates& c) { ApplyTypical(p, c); }).ids;
      const std::vector<double> probability = naive::Softmax(all);
      double entropy = 0, mass = 0, worst_kept = 0, best_cut = 1e30, last = 0;
      for (const double x : probability) entropy -= x * std::log(x);
      const std::set<TokenId> kept(got.begin(), got.end());
      for (size_t i = 0; i < all.size(); ++i) {
        const double distance = std::fabs(-std::log(probability[i]) - entropy);
        if (kept.count(all[i].id) != 0) {
          mass += probability[i];
          if (distance >= worst_kept) last = probability[i];
          worst_kept = std::max(worst_kept, distance);
        } else {
          best_cut = std::min(best_cut, distance);
        }
      }
      EXPECT_LE(worst_kept, best_cut + 1e-4);
      EXPECT_GE(mass, p - 1e-4);
      if (got.size() > 1) {
        EXPECT_LE(mass - last, p + 1e-4);
      }
      EXPECT_NEAR(static_cast<double>(got.size()), static_cast<double>(want.size()),
                  1 + 0.002 * static_cast<double>(want.size()));
    });
  }
  ExpectSame([](Candidates& c) { ApplyTypical(1.0f, c); },
             [](const naive::Tokens& t) { return t; });
}

TEST(Stages, TopNSigma) {
  for (const float n : {0.5f, 1.0f, 2.0f}) {
    ExpectSame([n](Candidates& c) { ApplyTopNSigma(n, c); },
               [n](const naive::Tokens& t) { return naive::TopNSigma(t, n); });
  }
  for (const float off : {0.0f, -1.0f}) {
    ExpectSame([off](Candidates& c) { ApplyTopNSigma(off, c); },
               [](const naive::Tokens& t) { return t; });
  }
}

TEST(Stages, Xtc) {
  for (const float threshold : {0.01f, 0.1f, 0.5f}) {
    ExpectSame([threshold](Candidates& c) { ApplyXtc(0.5f, threshold, 0.4, c); },
               [threshold](const naive::Tokens& t) { return naive::Xtc(t, threshold); });
  }
  const auto same = [](const naive::Tokens& t) { return t; };
  ExpectSame([](Candidates& c) { ApplyXtc(0.5f, 0.1f, 0.6, c); }, same);  // not this time
  ExpectSame([](Candidates& c) { ApplyXtc(0.0f, 0.1f, 0.0, c); }, same);  // off
  ExpectSame([](Candidates& c) { ApplyXtc(1.0f, 0.51f, 0.0, c); }, same);
}

TEST(Stages, PenaltiesCountTheWindow) {
  SamplingParams params;
  params.repeat_penalty = 1.3f;
  params.presence_penalty = 0.4f;
  params.frequency_penalty = 0.25f;
  const std::vector<TokenId> prompt = {5, 5, 2, 9, 100000, -7};
  const std::vector<TokenId> generated = {2, 5};
  const std::vector<float> logits = naive::RandomLogits(50, 3, 5);
  for (const int last_n : {-1, 0, 1, 4, 8, 2000}) {
    params.repeat_last_n = last_n;
    std::vector<TokenId> all = prompt;
    all.insert(all.end(), generated.begin(), generated.end());
    if (last_n >= 0 && static_cast<size_t>(last_n) < all.size()) {
      all.erase(all.begin(), all.end() - last_n);
    }
    std::vector<float> want = logits;
    for (TokenId t = 0; t < 50; ++t) {
      const auto count = std::count(all.begin(), all.end(), t);
      if (count == 0) continue;
      want[t] = want[t] > 0 ? want[t] / 1.3f : want[t] * 1.3f;
      want[t] -= 0.4f + 0.25f * static_cast<float>(count);
    }
    for (const bool as_list : {false, true}) {
      Workspace workspace;
      workspace.marks.assign(50, 0);
      Candidates candidates(logits, workspace);
      if (as_list) candidates.List();
      ApplyPenalties(params, History{prompt, generated}, workspace, candidates);
      for (const Candidate& c : candidates.List()) EXPECT_NEAR(c.logit, want[c.id], 1e-5);
    }
  }
}

TEST(Stages, DryPenalisesWhatWouldContinueARepetition) {
  std::mt19937 rng(3);
  for (int round = 0; round < 300; ++round) {
    constexpr int kVocab = 8;
    SamplingParams params;
    params.dry_multiplier = 0.7f;
    params.dry_base = 1.5f;
    params.dry_allowed_length = static_cast<int>(rng() % 4);
    params.dry_penalty_last_n = rng() % 3 == 0 ? -1 : static_cast<int>(rng() % 60);
    const bool breaker = rng() % 2 == 0;
    if (breaker) params.dry_breakers = {{7}, {1, 2}};
    std::vector<TokenId> history(rng() % 60);
    for (TokenId& t : history) t = static_cast<TokenId>(rng() % (round % 2 == 0 ? 3 : kVocab));
    const std::vector<float> logits = naive::RandomLogits(kVocab, 1, round);

    std::vector<TokenId> seen = history;
    if (params.dry_penalty_last_n >= 0 &&
        static_cast<size_t>(params.dry_penalty_last_n) < seen.size()) {
      seen.erase(seen.begin(), seen.end() - params.dry_penalty_last_n);
    }
    const int size = static_cast<int>(seen.size());
    int limit = size;  // tokens after the newest breaker
    if (breaker) {
      for (int i = size - 1; i >= 0 && limit == size; --i) {
        if (seen[i] == 7) limit = size - 1 - i;
        if (i + 1 < size && seen[i] == 1 && seen[i + 1] == 2) limit = size - 2 - i;
      }
    }
    std::map<TokenId, int> longest;
    for (int at = 1; at < size; ++at) {
      const int n = naive::RepetitionBefore(seen, at, limit);
      if (n < params.dry_allowed_length || (breaker && seen[at] == 7)) continue;
      longest[seen[at]] = std::max(longest[seen[at]], n);
    }
    if (size <= params.dry_allowed_length || limit < params.dry_allowed_length) longest.clear();

    for (const bool as_list : {false, true}) {
      Workspace workspace;
      workspace.marks.assign(kVocab, 0);
      Candidates candidates(logits, workspace);
      if (as_list) candidates.List();
      const size_t cut = history.size() / 2;
      const std::span<const TokenId> tokens(history);
      ApplyDry(params, History{tokens.first(cut), tokens.subspan(cut)}, workspace, candidates);
      for (const Candidate& c : candidates.List()) {
        double want = logits[c.id];
        if (longest.count(c.id) != 0) {
          want -= 0.7 * std::pow(1.5, longest[c.id] - params.dry_allowed_length);
        }
        EXPECT_NEAR(c.logit, want, std::fabs(want) * 1e-5 + 1e-5) << round << " token " << c.id;
      }
    }
  }
}

TEST(Stages, DryOfALongRepetitionStaysFinite) {
  SamplingParams params;
  params.dry_multiplier = 1e6f;
  params.dry_base = 1e6f;
  const std::vector<TokenId> history(3000, 1);
  Workspace workspace;
  workspace.marks.assign(4, 0);
  const std::vector<float> logits(4, 1.0f);
  Candidates candidates(logits, workspace);
  ApplyDry(params, History{history, {}}, workspace, candidates);
  EXPECT_EQ(candidates.logits()[1], -Candidates::kLimit);
  EXPECT_EQ(candidates.logits()[0], 1.0f);
}

TEST(Stages, TemperatureDivides) {
  for (const float temperature : {0.1f, 0.8f, 1.0f, 2.0f, 1e6f}) {
    SamplingParams params;
    params.temperature = temperature;
    const std::vector<float> logits = naive::RandomLogits(300, 4, 9);
    for (const bool as_list : {false, true}) {
      const Outcome got =
          After(logits, as_list, [&](Candidates& c) { ApplyTemperature(params, c); });
      const naive::Tokens want = naive::From(logits);
      ASSERT_EQ(got.ids.size(), 300u);
      for (int i = 0; i < 300; ++i) {
        EXPECT_NEAR(got.logits[i] - got.logits[0], (want[i].logit - want[0].logit) / temperature,
                    1e-4 / temperature);
      }
    }
  }
}

TEST(Stages, DynamicTemperatureFollowsTheEntropy) {
  SamplingParams params;
  params.temperature = 1.0f;
  params.dynatemp_range = 0.5f;
  params.dynatemp_exponent = 2.0f;
  const std::vector<float> logits = naive::RandomLogits(100, 2, 4);
  const naive::Tokens tokens = naive::From(logits);
  double entropy = 0;
  for (const double p : naive::Softmax(tokens)) entropy -= p * std::log(p);
  const double temperature = 0.5 + std::pow(entropy / std::log(100.0), 2.0);
  const Outcome got = After(logits, false, [&](Candidates& c) { ApplyTemperature(params, c); });
  for (int i = 0; i < 100; ++i) {
    EXPECT_NEAR(got.logits[i] - got.logits[0], (tokens[i].logit - tokens[0].logit) / temperature,
                1e-4);
  }
  // Equal logits: the hottest; one token: nothing to do.
  const Outcome flat = After(std::vector<float>(10, 3.0f), false,
                             [&](Candidates& c) { ApplyTemperature(params, c); });
  EXPECT_EQ(flat.ids.size(), 10u);
  EXPECT_EQ(After({2.0f}, false, [&](Candidates& c) { ApplyTemperature(params, c); }).ids,
            std::vector<TokenId>{0});
}

TEST(Stages, MaskAndBias) {
  std::vector<float> logits = naive::RandomLogits(70, 3, 2);
  const std::vector<uint32_t> allowed = {0xffffffffu, 0u, 0x21u};
  SamplingParams params;
  params.logit_bias = {{0, 100.0f}, {1, -100.0f}, {2, -kInf}, {3, 1.5f}, {40, 50.0f}};
  Workspace workspace;
  Candidates candidates(logits, workspace);
  ApplyMask(allowed, candidates);
  ApplyBias(params, candidates);
  for (int t = 0; t < 70; ++t) {
    const bool in = t < 32 || t == 64 || t == 69;
    const float got = candidates.logits()[t];
    if (!in || t == 1 || t == 2) {
      EXPECT_EQ(got, -kInf) << t;
    } else {
      EXPECT_EQ(got, logits[t] + (t == 0 ? 100.0f : t == 3 ? 1.5f : 0.0f)) << t;
    }
  }
}

TEST(Stages, DrawFollowsTheCumulatedProbabilities) {
  ForManyLogits([](const std::vector<float>& logits) {
    for (const bool as_list : {false, true}) {
      Workspace workspace;
      Candidates candidates(logits, workspace);
      if (as_list) candidates.List();
      const naive::Tokens tokens = naive::From(logits);
      const std::vector<double> sorted = naive::Softmax(tokens);
      std::vector<double> p(logits.size(), 0.0);
      for (size_t i = 0; i < tokens.size(); ++i) p[tokens[i].id] = sorted[i];
      for (const double u : {0.0, 0.1, 0.5, 0.77, 0.999, 1 - 0x1p-53}) {
        double got_p = 0;
        const TokenId got = candidates.Draw(u, &got_p);
        ASSERT_GE(got, 0);
        double below = 0;
        for (TokenId t = 0; t < got; ++t) below += p[t];
        EXPECT_NEAR(got_p, p[got], 1e-5);
        EXPECT_LE(below - 1e-5, u);
        EXPECT_GE(below + p[got] + 1e-5, u);
        EXPECT_GT(p[got], 0);
      }
    }
  });
}

}  // namespace
}  // namespace lb::sampling
