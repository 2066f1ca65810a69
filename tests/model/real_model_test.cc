// Proves that the real files load and say what they should: every tensor used, a greedy answer that
// a person would accept, the same answer from chunks. Needs models/ (tools/get_models); slow on
// purpose kept out of the quick run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "kernels/backends.h"
#include "model/solo_runner.h"
#include "text/tokenizer.h"

namespace lb {
namespace {

using testing::HasSubstr;

class SlowRealModelTest : public testing::Test {
 protected:
  // Loads models/<name> or skips the test.
  void Load(const std::string& name) {
    const char* folder = std::getenv("LLAMABOX_MODELS");
    const std::filesystem::path path = std::filesystem::path(folder ? folder : "models") / name;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
    auto ops = MakeCpuOps({});
    ASSERT_TRUE(ops.has_value()) << ops.error().message;
    ops_ = std::move(*ops);
    auto file = gguf::GgufFile::Open(path.string());
    ASSERT_TRUE(file.has_value()) << file.error().message;
    file_ = std::move(*file);
    auto tokenizer = text::Tokenizer::FromMetadata(file_->metadata());
    ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
    tokenizer_ = std::move(*tokenizer);
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    auto model = LoadModel(*file_, *ops_, nullptr);
    const std::string log =
        testing::internal::GetCapturedStderr() + testing::internal::GetCapturedStdout();
    ASSERT_TRUE(model.has_value()) << model.error().message;
    EXPECT_THAT(log, testing::Not(HasSubstr("not used")));
    model_ = std::move(*model);
  }

  std::string Continue(const std::string& prompt, int count, int chunk) {
    std::vector<int32_t> tokens = tokenizer_->Encode(prompt, true, false);
    SoloOptions options;
    options.max_context = static_cast<int>(tokens.size()) + count;
    options.max_batch_tokens = chunk;
    options.max_logit_rows = 1;
    auto runner = SoloRunner::Create(*model_, *ops_, options);
    CHECK(runner.has_value());
    std::span<const float> logits;
    for (size_t from = 0; from < tokens.size(); from += chunk) {
      const size_t size = std::min<size_t>(chunk, tokens.size() - from);
      logits = (*runner)->Run(std::span(tokens).subspan(from, size)).value();
    }
    std::vector<int32_t> answer;
    while (static_cast<int>(answer.size()) < count) {
      const int32_t id =
          static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
      if (tokenizer_->IsEndOfGeneration(id)) break;
      answer.push_back(id);
      logits = (*runner)->Run(std::span(&id, 1)).value();
    }
    return tokenizer_->Decode(answer, false);
  }

  std::unique_ptr<Ops> ops_;
  std::unique_ptr<gguf::GgufFile> file_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::unique_ptr<Model> model_;
};

constexpr char kPrompt[] = "The capital of France is";

TEST_F(SlowRealModelTest, SmolLm2) {
  Load("SmolLM2-135M-Instruct.Q4_1.gguf");
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ(model_->config().arch, "llama");
  const std::string answer = Continue(kPrompt, 12, 64);
  EXPECT_THAT(answer, HasSubstr("Paris"));
  EXPECT_EQ(answer, Continue(kPrompt, 12, 2));
}

TEST_F(SlowRealModelTest, Qwen2) {
  Load("Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf");
  if (IsSkipped() || HasFatalFailure()) return;
  EXPECT_EQ(model_->config().arch, "qwen2");
  EXPECT_EQ(model_->config().num_parameters, 630167424);
  const std::string answer = Continue(kPrompt, 12, 64);
  EXPECT_THAT(answer, HasSubstr("Paris"));
  EXPECT_EQ(answer, Continue(kPrompt, 12, 2));
}

TEST_F(SlowRealModelTest, Gemma3) {
  Load("gemma-3-270m-q4_k_m.gguf");
  if (IsSkipped() || HasFatalFailure()) return;
  const ModelConfig& config = model_->config();
  EXPECT_EQ(config.arch, "gemma3");
  ASSERT_EQ(config.kv_groups.size(), 2u);
  EXPECT_EQ(config.kv_groups[0].layers, (std::vector<int>{5, 11, 17}));
  EXPECT_EQ(config.kv_groups[1].window, 512);
  // A base model of 270 M parameters: asked for what it surely knows.
  const std::string prompt = "one two three four five six seven";
  const std::string answer = Continue(prompt, 3, 64);
  EXPECT_THAT(answer, HasSubstr("eight"));
  EXPECT_EQ(answer, Continue(prompt, 3, 2));
}

}  // namespace
}  // namespace lb
