// Proves that a model's keys are read with their defaults, and that every value outside its range
// is refused with a line that names key, value and limit: nothing is allocated from it.
#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/backends.h"
#include "tests/model/tiny_model.h"

namespace lb {
namespace {

using test::MakeTinyModel;
using test::TinySpec;
using testing::HasSubstr;

Result<ModelConfig> Read(const TinySpec& spec) {
  const std::vector<uint8_t> bytes = MakeTinyModel(spec);
  auto file = gguf::GgufFile::Parse(bytes, "tiny.gguf");
  if (!file) return file.error();
  return ReadModelConfig(**file);
}

TEST(ModelConfigTest, ReadsTheCommonKeys) {
  TinySpec spec;
  spec.edit = [](gguf::GgufWriter& w) { w.SetString("general.name", "Tiny"); };
  const auto config = Read(spec);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->arch, "llama");
  EXPECT_EQ(config->name, "Tiny");
  EXPECT_EQ(config->num_layers, 3);
  EXPECT_EQ(config->width, 64);
  EXPECT_EQ(config->num_heads, 4);
  EXPECT_EQ(config->num_kv_heads, (std::vector<int>{2, 2, 2}));
  EXPECT_EQ(config->k_dim, 32);
  EXPECT_EQ(config->v_dim, 32);
  EXPECT_EQ(config->ffn_width, 96);
  EXPECT_EQ(config->vocab_size, 80);
  EXPECT_EQ(config->context_length, 256);
  EXPECT_FLOAT_EQ(config->rms_eps, 1e-6f);
  ASSERT_EQ(config->kv_groups.size(), 1u);
  EXPECT_EQ(config->kv_groups[0].window, 0);
  EXPECT_EQ(config->kv_groups[0].layers, (std::vector<int>{0, 1, 2}));
  // Two vocabulary matrices, the last norm; per layer q, k, v, output, two norms, three of the mlp.
  EXPECT_EQ(config->num_parameters,
            2 * 80 * 64 + 64 + 3 * (128 * 64 + 2 * 64 * 64 + 64 * 128 + 2 * 64 + 3 * 96 * 64));
}

TEST(ModelConfigTest, DefaultsFollowFromOtherKeys) {
  TinySpec spec;
  spec.arch = "qwen2";
  spec.head_dim = 16;  // width / heads: no key is written
  spec.kv_heads = 4;
  const auto config = Read(spec);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->k_dim, 16);
  EXPECT_EQ(config->name, "tiny.gguf");
}

TEST(ModelConfigTest, KvHeadsMayDifferByLayer) {
  TinySpec spec;
  spec.edit = [](gguf::GgufWriter& w) {
    w.SetInts("llama.attention.head_count_kv", gguf::ValueType::kInt32, {1, 4, 2});
  };
  const auto config = Read(spec);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->num_kv_heads, (std::vector<int>{1, 4, 2}));
}

TEST(ModelConfigTest, GemmaGroupsLayersByWindow) {
  TinySpec spec;
  spec.arch = "gemma3";
  spec.layers = 13;
  auto config = Read(spec);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  ASSERT_EQ(config->kv_groups.size(), 2u);
  EXPECT_EQ(config->kv_groups[0].window, 0);
  EXPECT_EQ(config->kv_groups[0].layers, (std::vector<int>{5, 11}));
  EXPECT_EQ(config->kv_groups[1].window, 24);
  EXPECT_EQ(config->kv_groups[1].layers.size(), 11u);

  spec.layers = 4;
  spec.edit = [](gguf::GgufWriter& w) {
    w.SetUint32("gemma3.attention.sliding_window_pattern", 2);
  };
  config = Read(spec);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->kv_groups[0].layers, (std::vector<int>{1, 3}));

  spec.edit = [](gguf::GgufWriter& w) {
    w.SetInts("gemma3.attention.sliding_window_pattern", gguf::ValueType::kBool, {0, 1, 1, 0});
  };
  config = Read(spec);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->kv_groups[0].layers, (std::vector<int>{0, 3}));

  spec.window = 0;
  spec.edit = nullptr;
  config = Read(spec);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->kv_groups.size(), 1u);
}

struct BadValue {
  const char* what;
  std::function<void(gguf::GgufWriter&)> edit;
  std::vector<std::string> says;  // parts of the message
};

BadValue BadInt(const char* key, uint32_t value, std::vector<std::string> says) {
  says.push_back(key);
  return {key, [=](gguf::GgufWriter& w) { w.SetUint32(key, value); }, std::move(says)};
}
BadValue BadFloat(const char* key, float value, std::vector<std::string> says) {
  says.push_back(key);
  return {key, [=](gguf::GgufWriter& w) { w.SetFloat32(key, value); }, std::move(says)};
}

TEST(ModelConfigTest, RefusesValuesOutOfRange) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const BadValue cases[] = {
      BadInt("llama.attention.head_count", 0, {" is 0", "1 to"}),
      BadInt("llama.attention.head_count", 5, {"= 5", "does not divide"}),
      BadInt("llama.attention.head_count_kv", 0, {" is 0", "1 to"}),
      BadInt("llama.attention.head_count_kv", 3, {" is 3", "does not divide", "= 4"}),
      BadInt("llama.attention.head_count_kv", 8, {" is 8", "does not divide"}),
      BadInt("llama.block_count", 0, {" is 0", "1 to 1024"}),
      BadInt("llama.block_count", 1u << 30, {"1073741824", "1 to 1024"}),
      BadInt("llama.embedding_length", 0, {" is 0"}),
      BadInt("llama.embedding_length", 65, {"65", "multiple"}),
      BadInt("llama.context_length", 0, {" is 0"}),
      BadInt("llama.context_length", 0xffffffffu, {"4294967295", "1073741824"}),
      BadInt("llama.feed_forward_length", 0, {" is 0"}),
      BadInt("llama.attention.key_length", 0, {" is 0"}),
      BadInt("llama.attention.key_length", 4096, {"4096", "1024"}),
      BadInt("llama.attention.value_length", 0, {" is 0"}),
      BadInt("llama.rope.dimension_count", 4096, {"4096", "2 to 16"}),
      BadInt("llama.rope.dimension_count", 7, {" is 7", "even"}),
      BadInt("llama.rope.dimension_count", 0, {" is 0"}),
      BadInt("llama.expert_count", 8, {"experts"}),
      BadInt("llama.rope.scaling.original_context_length", 0, {" is 0"}),
      BadFloat("llama.attention.layer_norm_rms_epsilon", nan, {"nan"}),
      BadFloat("llama.attention.layer_norm_rms_epsilon", 0.0f, {" is 0"}),
      BadFloat("llama.attention.layer_norm_rms_epsilon", infinity, {"inf"}),
      BadFloat("llama.rope.freq_base", 0.0f, {" is 0"}),
      BadFloat("llama.rope.freq_base", nan, {"nan"}),
      BadFloat("llama.rope.scaling.factor", 0.0f, {" is 0"}),
      BadFloat("llama.rope.scaling.factor", -1.0f, {"-1"}),
      BadFloat("llama.attention.scale", nan, {"nan"}),
      {"text for a number",
       [](gguf::GgufWriter& w) { w.SetString("llama.block_count", "three"); },
       {"llama.block_count", "string"}},
      {"number for a text",
       [](gguf::GgufWriter& w) { w.SetUint32("general.name", 3); },
       {"general.name"}},
      {"unknown scaling",
       [](gguf::GgufWriter& w) { w.SetString("llama.rope.scaling.type", "magic\n"); },
       {"llama.rope.scaling.type", "magic", "yarn"}},
      {"short per-layer array",
       [](gguf::GgufWriter& w) {
         w.SetInts("llama.attention.head_count_kv", gguf::ValueType::kInt32, {2, 2});
       },
       {"llama.attention.head_count_kv", "2 entries", "is 3"}},
      {"bad entry of an array",
       [](gguf::GgufWriter& w) {
         w.SetInts("llama.attention.head_count_kv", gguf::ValueType::kInt32, {2, -7, 2});
       },
       {"llama.attention.head_count_kv[1]", "-7"}},
      {"heads that differ",
       [](gguf::GgufWriter& w) {
         w.SetInts("llama.attention.head_count", gguf::ValueType::kInt32, {4, 2, 4});
       },
       {"llama.attention.head_count", "4 and 2"}},
      {"more tokens than rows",
       [](gguf::GgufWriter& w) {
         w.SetStrings("tokenizer.ggml.tokens", std::vector<std::string>(81, "x"));
       },
       {"tokenizer.ggml.tokens", "81", "80"}},
  };
  for (const BadValue& bad : cases) {
    TinySpec spec;
    spec.head_dim = 16;
    spec.edit = bad.edit;
    const auto config = Read(spec);
    ASSERT_FALSE(config.has_value()) << bad.what;
    for (const std::string& part : bad.says) EXPECT_THAT(config.error().message, HasSubstr(part));
    EXPECT_THAT(config.error().message, HasSubstr("tiny.gguf")) << bad.what;
    EXPECT_EQ(config.error().message.find('\n'), std::string::npos) << bad.what;
  }
}

TEST(ModelConfigTest, NamesAMissingKey) {
  gguf::GgufWriter writer;
  writer.SetString("general.architecture", "qwen3");
  const auto bytes = writer.ToBytes();
  ASSERT_TRUE(bytes.has_value());
  const auto file = gguf::GgufFile::Parse(*bytes, "empty.gguf");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const auto config = ReadModelConfig(**file);
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().message, "empty.gguf: qwen3.block_count is missing");
}

TEST(RegistryTest, UnknownArchitectureNamesTheKnownOnes) {
  TinySpec spec;
  spec.arch = "nosuch";
  const auto config = Read(spec);
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(
      config.error().message,
      "tiny.gguf: general.architecture is \"nosuch\"; supported: llama, qwen2, qwen3, gemma3, gemma-embedding, "
            "bert, nomic-bert");
}

TEST(RegistryTest, MissingArchitecture) {
  const auto bytes = gguf::GgufWriter().ToBytes();
  ASSERT_TRUE(bytes.has_value());
  const auto file = gguf::GgufFile::Parse(*bytes, "empty.gguf");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const auto ops = MakeRefOps();
  const auto model = LoadModel(**file, *ops, nullptr);
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().message, "empty.gguf: general.architecture is missing");
}

}  // namespace
}  // namespace lb
