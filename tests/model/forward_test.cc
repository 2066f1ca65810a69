// Proves that logits do not depend on how tokens reach the model: in one batch, one by one, in
// chunks, beside other sequences, in scattered blocks, with blocks behind the window gone, and
// whichever rows are asked for. Bit for bit, for every family and backend.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/backends.h"
#include "model/solo_runner.h"
#include "tests/model/tiny_model.h"

namespace lb {
namespace {

using test::LoadedModel;
using test::LoadTiny;
using test::TinySpec;

constexpr int kTokens = 75;  // more than three windows of the tiny gemma3, not a whole block

struct Case {
  const char* name;
  const char* backend;
  TinySpec spec;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name << " on " << c.backend; }

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const char* backend : {"ref", "cpu"}) {
    for (const char* arch : {"llama", "qwen2", "qwen3", "gemma3"}) {
      TinySpec spec;
      spec.arch = arch;
      spec.layers = 7;  // the tiny gemma3 has one full layer
      cases.push_back({"plain", backend, spec});
      spec.dtype = DType::kQ8_0;
      spec.biases = true;
      spec.tied = true;
      cases.push_back({"quantised", backend, spec});
    }
  }
  return cases;
}

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  return std::string(info.param.name) + "_" + info.param.spec.arch + "_" + info.param.backend;
}

class ForwardTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (GetParam().backend == std::string("ref")) {
      ops_ = MakeRefOps();
    } else {
      auto ops = MakeCpuOps({{2}, ""});
      ASSERT_TRUE(ops.has_value()) << ops.error().message;
      ops_ = std::move(*ops);
    }
    loaded_ = LoadTiny(GetParam().spec, *ops_);
    for (int i = 0; i < kTokens; ++i) tokens_.push_back((i * 37 + 11) % GetParam().spec.vocab);
  }

  int vocab() const { return loaded_.model->config().vocab_size; }

  SoloOptions Options() const {
    SoloOptions options;
    options.max_context = 96;
    options.max_batch_tokens = options.max_logit_rows = 2 * kTokens;
    return options;
  }
  std::unique_ptr<SoloRunner> Runner(const SoloOptions& options) {
    auto runner = SoloRunner::Create(*loaded_.model, *ops_, options);
    CHECK(runner.has_value());
    return std::move(*runner);
  }
  // Appends tokens_[from, to) to `sequence` and returns the logits of all of them.
  std::vector<float> RunAll(SoloRunner& runner, int from, int to, int sequence = 0) {
    std::vector<int32_t> rows(to - from);
    std::iota(rows.begin(), rows.end(), 0);
    const SoloPiece piece{sequence, std::span(tokens_).subspan(from, to - from), rows};
    const auto logits = runner.Run(std::span(&piece, 1));
    CHECK(logits.has_value());
    return std::vector<float>(logits->begin(), logits->end());
  }
  std::vector<float> RunInChunks(SoloRunner& runner, int chunk, int sequence = 0) {
    std::vector<float> all;
    for (int from = 0; from < kTokens; from += chunk) {
      const auto part = RunAll(runner, from, std::min(kTokens, from + chunk), sequence);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

  void ExpectSame(const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(std::memcmp(&a[i], &b[i], sizeof(float)), 0)
          << "token " << i / vocab() << ", logit " << i % vocab() << ": " << a[i] << " vs " << b[i];
    }
  }

  std::unique_ptr<Ops> ops_;
  LoadedModel loaded_;
  std::vector<int32_t> tokens_;
};

TEST_P(ForwardTest, LogitsAreNumbersThatDependOnTheText) {
  const std::vector<float> a = RunAll(*Runner(Options()), 0, kTokens);
  for (float v : a) ASSERT_TRUE(std::isfinite(v));
  // Another first token changes the last logits where a layer can see so far back: nothing in
  // this test would notice an attention that looks at nothing.
  tokens_[0] = (tokens_[0] + 1) % vocab();
  const std::vector<float> b = RunAll(*Runner(Options()), 0, kTokens);
  EXPECT_NE(std::vector<float>(a.end() - vocab(), a.end()),
            std::vector<float>(b.end() - vocab(), b.end()));
}

TEST_P(ForwardTest, ChunksDoNotMatter) {
  const std::vector<float> whole = RunAll(*Runner(Options()), 0, kTokens);
  for (const int chunk : {1, 16, 29}) {
    SCOPED_TRACE(chunk);
    ExpectSame(whole, RunInChunks(*Runner(Options()), chunk));
  }
}

TEST_P(ForwardTest, BlockOrderDoesNotMatter) {
  SoloOptions scattered = Options();
  scattered.shuffle_seed = 7;
  scattered.num_sequences = 3;
  ExpectSame(RunAll(*Runner(Options()), 0, kTokens),
             RunInChunks(*Runner(scattered), 20, /*sequence=*/1));
}

TEST_P(ForwardTest, BlocksBehindTheWindowAreNotRead) {
  SoloOptions dropping = Options();
  dropping.drop_behind_window = true;
  const std::vector<float> whole = RunAll(*Runner(Options()), 0, kTokens);
  ExpectSame(whole, RunInChunks(*Runner(dropping), 1));
  ExpectSame(whole, RunInChunks(*Runner(dropping), 23));
}

TEST_P(ForwardTest, SequencesOfOneBatchDoNotMix) {
  SoloOptions two = Options();
  two.num_sequences = 2;
  const auto runner = Runner(two);
  std::vector<int32_t> other(tokens_.rbegin(), tokens_.rend());
  std::vector<int32_t> rows(40);
  std::iota(rows.begin(), rows.end(), 0);
  // First 40 and 9 tokens, then 35 and 31.
  const SoloPiece first[] = {{1, std::span(tokens_).first(40), rows},
                             {0, std::span(other).first(9), std::span(rows).first(9)}};
  const SoloPiece second[] = {{0, std::span(other).subspan(9, 31), std::span(rows).first(31)},
                              {1, std::span(tokens_).subspan(40), std::span(rows).first(35)}};
  const auto a = runner->Run(first);
  ASSERT_TRUE(a.has_value());
  const size_t v = vocab();
  std::vector<float> ours(a->begin(), a->begin() + 40 * v);
  std::vector<float> others(a->begin() + 40 * v, a->end());
  const auto b = runner->Run(second);
  ASSERT_TRUE(b.has_value());
  others.insert(others.end(), b->begin(), b->begin() + 31 * v);
  ours.insert(ours.end(), b->begin() + 31 * v, b->end());

  ExpectSame(RunAll(*Runner(Options()), 0, kTokens), ours);
  tokens_ = other;
  ExpectSame(RunAll(*Runner(Options()), 0, 40), others);
}

TEST_P(ForwardTest, AnyRowsMayBeAskedFor) {
  const std::vector<float> whole = RunAll(*Runner(Options()), 0, kTokens);
  const auto runner = Runner(Options());
  const std::vector<int32_t> none, some = {30, 3, 3, 17};
  const SoloPiece silent{0, std::span(tokens_).first(20), none};
  const auto nothing = runner->Run(std::span(&silent, 1));
  ASSERT_TRUE(nothing.has_value());
  EXPECT_TRUE(nothing->empty());
  const SoloPiece piece{0, std::span(tokens_).subspan(20), some};
  const auto logits = runner->Run(std::span(&piece, 1));
  ASSERT_TRUE(logits.has_value());
  std::vector<float> expected;
  for (int32_t row : some) {
    const auto begin = whole.begin() + int64_t{20 + row} * vocab();
    expected.insert(expected.end(), begin, begin + vocab());
  }
  ExpectSame(expected, std::vector<float>(logits->begin(), logits->end()));
}

TEST_P(ForwardTest, ArenaIsAsLargeAsPromised) {
  for (const int rows : {0, 1, 40}) {
    SoloOptions options = Options();
    options.max_batch_tokens = 40;
    options.max_logit_rows = rows;
    const auto runner = Runner(options);
    const std::vector<int32_t> asked(rows, 39);
    const SoloPiece piece{0, std::span(tokens_).first(40), asked};
    ASSERT_TRUE(runner->Run(std::span(&piece, 1)).has_value());  // too small would CHECK
    EXPECT_LE(runner->arena().peak(), runner->arena().bytes());
    EXPECT_GE(runner->arena().peak(), runner->arena().bytes() * 9 / 10) << rows;
  }
}

TEST_P(ForwardTest, RunnerRefusesWhatDoesNotFit) {
  const auto runner = Runner(Options());
  const std::vector<int32_t> bad = {1, vocab()};
  EXPECT_EQ(runner->Run(bad).error().code, ErrorCode::kInvalidArgument);
  const std::vector<int32_t> negative = {-1};
  EXPECT_EQ(runner->Run(negative).error().code, ErrorCode::kInvalidArgument);
  const std::vector<int32_t> many(97, 1);
  EXPECT_EQ(runner->Run(many).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(runner->length(0), 0);
}

INSTANTIATE_TEST_SUITE_P(Families, ForwardTest, testing::ValuesIn(AllCases()), CaseName);

}  // namespace
}  // namespace lb
