// Proves that a model loads only when every tensor is there in the right shape, that the error
// names the tensor, and that progress runs to 1 by bytes.
#include "model/weight_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "kernels/backends.h"
#include "tests/model/tiny_model.h"

namespace lb {
namespace {

using test::TinySpec;
using testing::HasSubstr;

std::string LoadError(const TinySpec& spec) {
  const std::vector<uint8_t> bytes = MakeTinyModel(spec);
  const auto file = gguf::GgufFile::Parse(bytes, "tiny.gguf");
  if (!file) return file.error().message;
  const auto ops = MakeRefOps();
  const auto model = LoadModel(**file, *ops, nullptr);
  return model.has_value() ? "" : model.error().message;
}

TEST(WeightLoaderTest, EveryTensorOfAFamilyIsNeeded) {
  for (const char* arch : {"llama", "qwen2", "qwen3", "gemma3"}) {
    TinySpec spec;
    spec.arch = arch;
    const std::vector<uint8_t> bytes = MakeTinyModel(spec);
    const auto file = gguf::GgufFile::Parse(bytes, "tiny.gguf");
    ASSERT_TRUE(file.has_value()) << file.error().message;
    for (const gguf::Tensor& tensor : (*file)->tensors()) {
      if (tensor.name == "output.weight") continue;  // its absence means: tied
      spec.without = {tensor.name};
      EXPECT_EQ(LoadError(spec), "tiny.gguf: tensor " + tensor.name + " is missing") << arch;
    }
    spec.without.clear();
    EXPECT_EQ(LoadError(spec), "") << arch;
  }
}

TEST(WeightLoaderTest, WrongShapesAreRefused) {
  const TinySpec plain;
  const std::vector<uint8_t> bytes = MakeTinyModel(plain);
  const auto file = gguf::GgufFile::Parse(bytes, "tiny.gguf");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  for (const gguf::Tensor& tensor : (*file)->tensors()) {
    for (int dim = 0; dim < tensor.view.rank; ++dim) {
      // token_embd.weight sets the number of rows itself; output.weight then disagrees.
      const bool sets_vocab = tensor.name == "token_embd.weight" && dim == 0;
      TinySpec spec;
      spec.reshape = [&](const std::string& name, std::vector<int64_t>& shape) {
        if (name == tensor.name) shape[dim] += 1;
      };
      EXPECT_THAT(LoadError(spec), HasSubstr(sets_vocab ? "output.weight" : tensor.name));
      EXPECT_THAT(LoadError(spec), HasSubstr("shape"));
    }
  }
}

TEST(WeightLoaderTest, SaysBothShapes) {
  TinySpec spec;
  spec.edit = [](gguf::GgufWriter& w) { w.SetUint32("llama.feed_forward_length", 128); };
  EXPECT_EQ(LoadError(spec),
            "tiny.gguf: tensor blk.0.ffn_gate.weight has shape 64 x 96, "
            "the model's keys ask for 64 x 128");
}

TEST(WeightLoaderTest, ProgressRunsToOne) {
  for (const bool tied : {false, true}) {
    TinySpec spec;
    spec.tied = tied;
    const std::vector<uint8_t> bytes = MakeTinyModel(spec);
    const auto file = gguf::GgufFile::Parse(bytes, "tiny.gguf");
    ASSERT_TRUE(file.has_value());
    const auto ops = MakeRefOps();
    std::vector<float> seen;
    const auto model = LoadModel(**file, *ops, [&](float f) { seen.push_back(f); });
    ASSERT_TRUE(model.has_value()) << model.error().message;
    ASSERT_GT(seen.size(), 10u);
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_FLOAT_EQ(seen[seen.size() - 2], 1.0f);  // by bytes, before the end says so
    EXPECT_FLOAT_EQ(seen.back(), 1.0f);
  }
}

TEST(WeightLoaderTest, UnusedTensorsAreNoError) {
  // A llama file with the q/k norms of qwen3 in it.
  TinySpec spec;
  spec.arch = "qwen3";
  spec.edit = [](gguf::GgufWriter& w) {
    w.SetString("general.architecture", "llama");
    const std::pair<const char*, uint32_t> values[] = {
        {"block_count", 3},           {"context_length", 256},       {"embedding_length", 64},
        {"feed_forward_length", 96},  {"attention.head_count", 4},   {"attention.head_count_kv", 2},
        {"attention.key_length", 32}, {"attention.value_length", 32}};
    for (const auto& [key, value] : values) w.SetUint32(std::string("llama.") + key, value);
    w.SetFloat32("llama.attention.layer_norm_rms_epsilon", 1e-6f);
  };
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  EXPECT_EQ(LoadError(spec), "");
  const std::string log =
      testing::internal::GetCapturedStderr() + testing::internal::GetCapturedStdout();
  EXPECT_THAT(log, HasSubstr("6 of 36 tensors are not used"));
  EXPECT_THAT(log, HasSubstr("blk.0.attn_q_norm.weight"));
}

}  // namespace
}  // namespace lb
