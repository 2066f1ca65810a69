// Proves that a token's logits depend on its own adapters and scales alone: bit for bit the same by
// itself, in chunks, and in one batch with sequences of other adapters, for every family and backend;
// and that a file which is no adapter of the model is refused in one line. That the sums are the right
// ones: tests/reference/test_lora.py.
#include "model/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <random>

#include "kernels/backends.h"
#include "model/solo_runner.h"
#include "tests/model/tiny_adapter.h"

namespace lb {
namespace {

using test::LoadedModel;
using test::LoadTiny;
using test::MakeTinyAdapter;
using test::ParseAdapter;
using test::TinyAdapterSpec;
using test::TinySpec;
using testing::HasSubstr;

using Uses = std::vector<AdapterUse>;

struct Case {
  const char* backend;
  const char* arch;
  bool tied;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.arch << " on " << c.backend; }

std::unique_ptr<Ops> OpsOf(const std::string& backend) {
  return backend == "ref" ? MakeRefOps() : std::move(*MakeCpuOps({{2}, ""}));
}

class AdapterTest : public testing::TestWithParam<Case> {
 protected:
  static constexpr int kTokens = 40;

  void SetUp() override {
    ops_ = OpsOf(GetParam().backend);
    spec_.arch = GetParam().arch;
    spec_.tied = GetParam().tied;
    spec_.dtype = GetParam().tied ? DType::kQ8_0 : DType::kF32;
    spec_.biases = true;
    loaded_ = LoadTiny(spec_, *ops_);
    // Of several ranks and types; one leaves most of the model as it is.
    const TinyAdapterSpec specs[] = {
        {.model = spec_, .rank = 5, .seed = 11},
        {.model = spec_, .rank = 16, .dtype = DType::kF16, .seed = 12},
        {.model = spec_, .rank = 32, .dtype = DType::kQ8_0, .seed = 13, .ends = false},
    };
    for (const TinyAdapterSpec& spec : specs) {
      files_.push_back(MakeTinyAdapter(spec));
      auto adapter = ParseAdapter(files_.back(), *loaded_.model, *ops_);
      ASSERT_TRUE(adapter.has_value()) << adapter.error().message;
      loaded_.model->AddAdapter(std::move(*adapter));
    }
    for (int i = 0; i < kTokens; ++i) tokens_.push_back((i * 37 + 11) % spec_.vocab);
  }

  std::unique_ptr<SoloRunner> Runner(int sequences = 1) {
    SoloOptions options;
    options.num_sequences = sequences;
    options.max_context = 64;
    options.max_batch_tokens = options.max_logit_rows = 8 * kTokens;
    auto runner = SoloRunner::Create(*loaded_.model, *ops_, options);
    CHECK(runner.has_value());
    return std::move(*runner);
  }

  // The logits of all tokens, run `chunk` at a time.
  std::vector<float> Alone(const Uses& uses, int chunk = kTokens) {
    const auto runner = Runner();
    std::vector<float> all;
    for (int from = 0; from < kTokens; from += chunk) {
      const int count = std::min(chunk, kTokens - from);
      std::vector<int32_t> rows(static_cast<size_t>(count));
      std::iota(rows.begin(), rows.end(), 0);
      const SoloPiece piece{0, std::span(tokens_).subspan(from, count), rows, uses};
      const auto logits = runner->Run(std::span(&piece, 1));
      CHECK(logits.has_value());
      all.insert(all.end(), logits->begin(), logits->end());
    }
    return all;
  }

  static bool Same(std::span<const float> a, std::span<const float> b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
  }

  std::unique_ptr<Ops> ops_;
  TinySpec spec_;
  std::vector<std::vector<uint8_t>> files_;
  LoadedModel loaded_;
  std::vector<int32_t> tokens_;
  const std::vector<Uses> sets_ = {{},          {{0, 1.0f}}, {{1, 1.0f}},
                                   {{0, 0.5f}}, {{2, -1.5f}}, {{0, 1.0f}, {1, 0.25f}, {2, 1.0f}}};
};

TEST_P(AdapterTest, EverySetSaysSomethingElse) {
  std::vector<std::vector<float>> seen;
  for (const Uses& uses : sets_) {
    seen.push_back(Alone(uses));
    for (const float v : seen.back()) ASSERT_TRUE(std::isfinite(v));
    for (size_t i = 0; i + 1 < seen.size(); ++i) EXPECT_FALSE(Same(seen[i], seen.back())) << i;
  }
}

TEST_P(AdapterTest, ChunksDoNotMatter) {
  for (const Uses& uses : sets_) {
    const auto whole = Alone(uses);
    for (const int chunk : {1, 7}) EXPECT_TRUE(Same(whole, Alone(uses, chunk))) << chunk;
  }
}

TEST_P(AdapterTest, NeighboursDoNotMatter) {
  // Each set twice, so that some stand beside their equals; every third token's logits, of some
  // sequences the last one's only, of one none.
  std::vector<Uses> order(sets_);
  order.insert(order.end(), sets_.rbegin(), sets_.rend());
  const auto runner = Runner(static_cast<int>(order.size()));
  std::vector<std::vector<int32_t>> rows(order.size());
  for (size_t s = 0; s < order.size(); ++s) {
    if (s % 4 == 3) continue;
    for (int i = s % 2 == 0 ? 0 : 25; i < 26; i += 3) rows[s].push_back(i);
    if (rows[s].back() != 25) rows[s].push_back(25);
  }
  std::vector<SoloPiece> pieces;
  for (size_t s = 0; s < order.size(); ++s) {
    pieces.push_back({static_cast<int>(s), std::span(tokens_).first(26), rows[s], order[s]});
  }
  const auto logits = runner->Run(pieces);
  ASSERT_TRUE(logits.has_value()) << logits.error().message;
  const auto vocab = static_cast<size_t>(spec_.vocab);
  size_t at = 0;
  for (size_t s = 0; s < order.size(); ++s) {
    const auto alone = Alone(order[s]);
    for (const int32_t row : rows[s]) {
      EXPECT_TRUE(Same(logits->subspan(vocab * at++, vocab),
                       std::span(alone).subspan(vocab * static_cast<size_t>(row), vocab)))
          << "sequence " << s << ", token " << row;
    }
  }
  EXPECT_EQ(at * vocab, logits->size());
}

INSTANTIATE_TEST_SUITE_P(All, AdapterTest,
                         testing::Values(Case{"ref", "llama", false}, Case{"ref", "gemma3", true},
                                         Case{"cpu", "llama", false}, Case{"cpu", "qwen2", true},
                                         Case{"cpu", "qwen3", false}, Case{"cpu", "gemma3", true}),
                         [](const auto& info) {
                           return std::string(info.param.arch) + "_" + info.param.backend;
                         });

class AdapterFileTest : public testing::Test {
 protected:
  AdapterFileTest() : ops_(MakeRefOps()) { loaded_ = LoadTiny(model_, *ops_); }
  std::string Refusal(const TinyAdapterSpec& spec) { return RefusalOf(MakeTinyAdapter(spec)); }
  std::string RefusalOf(std::span<const uint8_t> bytes) {
    const auto adapter = ParseAdapter(bytes, *loaded_.model, *ops_);
    if (adapter.has_value()) return "";
    EXPECT_EQ(adapter.error().message.find('\n'), std::string::npos);
    EXPECT_THAT(adapter.error().message, HasSubstr("adapter.gguf"));
    return adapter.error().message;
  }

  TinySpec model_;
  std::unique_ptr<Ops> ops_;
  LoadedModel loaded_;
};

TEST_F(AdapterFileTest, WhatDoesNotFitIsRefusedByName) {
  EXPECT_EQ(Refusal({.model = model_}), "");
  TinyAdapterSpec spec{.model = model_};
  spec.model.arch = "qwen2";
  EXPECT_THAT(Refusal(spec), HasSubstr("general.architecture is \"qwen2\", not \"llama\""));
  EXPECT_THAT(Refusal({.model = model_, .edit = [](auto& w) { w.SetString("general.type", "model"); }}),
              HasSubstr("general.type is \"model\""));
  EXPECT_THAT(Refusal({.model = model_, .edit = [](auto& w) { w.SetString("adapter.type", "x"); }}),
              HasSubstr("adapter.type is \"x\""));
  EXPECT_THAT(Refusal({.model = model_, .edit = [](auto& w) {
                        w.SetInts("adapter.alora.invocation_tokens", gguf::ValueType::kUint32, {1});
                      }}),
              HasSubstr("aLoRA"));
  EXPECT_THAT(Refusal({.model = model_, .alpha = std::numeric_limits<float>::quiet_NaN()}),
              HasSubstr("adapter.lora.alpha is nan"));
  EXPECT_THAT(Refusal({.model = model_, .without = {"blk.1.attn_q.weight.lora_b"}}),
              HasSubstr("blk.1.attn_q.weight: has .lora_a and no .lora_b"));
  EXPECT_THAT(Refusal({.model = model_, .without = {"output.weight.lora_a"}}),
              HasSubstr("output.weight: has .lora_b and no .lora_a"));
  spec = {.model = model_};
  spec.model.ffn = 128;
  EXPECT_THAT(Refusal(spec), HasSubstr("ffn_down.weight: its halves are 128 x 5 and 5 x 64, which do "
                                       "not fit each other and the model's 96 x 64"));
  spec = {.model = model_};
  spec.model.layers = 4;
  EXPECT_THAT(Refusal(spec), HasSubstr("blk.3.attn_k.weight: the model has no such matrix"));
  const auto rename = [&](const char* from, const char* to) {
    return Refusal({.model = model_, .reshape = [=](std::string& name, auto&) {
                      if (name == from) name = to;
                    }});
  };
  EXPECT_THAT(rename("blk.0.attn_q.weight.lora_a", "blk.0.attn_norm.weight"),
              HasSubstr("blk.0.attn_norm.weight is no half of a pair"));
  EXPECT_THAT(Refusal({.model = model_, .rank = 1025}), HasSubstr("rank 1025; allowed: 1 to 1024"));
  const auto reshape = [&](std::vector<int64_t> to) {
    return Refusal({.model = model_, .reshape = [=](std::string& name, auto& shape) {
                      if (name == "blk.0.attn_q.weight.lora_b") shape = to;
                    }});
  };
  EXPECT_THAT(reshape({128, 4}), HasSubstr("its halves are 64 x 5 and 4 x 128"));
  EXPECT_THAT(reshape({5, 128}), HasSubstr("do not fit"));
  EXPECT_THAT(reshape({640}), HasSubstr("do not fit"));
  EXPECT_THAT(reshape({2, 64, 5}), HasSubstr("its halves must be matrices"));
}

TEST_F(AdapterFileTest, AnEmbeddingThatIsTheOutputTooIsRefused) {
  TinySpec tied = model_;
  tied.tied = true;
  loaded_ = LoadTiny(tied, *ops_);
  EXPECT_THAT(Refusal({.model = model_, .without = {"output.weight.lora_a", "output.weight.lora_b"}}),
              HasSubstr("one matrix for its input and its output"));
  EXPECT_EQ(Refusal({.model = tied}), "");
}

TEST_F(AdapterFileTest, DamageAnywhereIsAnErrorOrHarmless) {
  const std::vector<uint8_t> good = MakeTinyAdapter({.model = model_});
  std::mt19937 random(3);
  int refused = 0;
  for (int round = 0; round < 1500; ++round) {
    std::vector<uint8_t> bytes = good;
    for (int i = 0; i < 1 + round % 3; ++i) {
      bytes[random() % std::min<size_t>(bytes.size(), 4000)] ^= static_cast<uint8_t>(1u << random() % 8);
    }
    refused += RefusalOf(bytes) != "";
  }
  EXPECT_GT(refused, 500);
  for (size_t size = 0; size < good.size(); size += 97) {
    EXPECT_NE(RefusalOf(std::span(good).first(size)), "") << size;
  }
}

}  // namespace
}  // namespace lb
