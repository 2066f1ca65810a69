// Proves that the command line can correct a model file's metadata, with the right types and keys.
#include "app/model_overrides.h"

#include <gtest/gtest.h>

namespace lb::app {
namespace {

gguf::Metadata Llama() {
  gguf::Metadata metadata;
  metadata.Set("general.architecture", {gguf::ValueType::kString, {}, std::string("llama")});
  return metadata;
}

TEST(ModelOverrides, KeysOfEveryType) {
  Flags flags;
  flags.override_kv = {"llama.block_count=int:7", "a.b=float:0.5", "tokenizer.ggml.add_bos_token=bool:false",
                       "general.name=str:x:y=z"};
  gguf::Metadata metadata = Llama();
  ASSERT_TRUE(OverrideMetadata(flags, &metadata).has_value());
  EXPECT_EQ(*metadata.Int("llama.block_count").value(), 7);
  EXPECT_EQ(*metadata.Float("a.b").value(), 0.5);
  EXPECT_EQ(*metadata.Bool("tokenizer.ggml.add_bos_token").value(), false);
  EXPECT_EQ(*metadata.String("general.name").value(), "x:y=z");
}

TEST(ModelOverrides, WhatIsNoOverrideIsRefused) {
  for (const char* text : {"", "=int:1", "a", "a=int", "a=int:x", "a=int:1x", "a=bool:1", "a=u32:1"}) {
    Flags flags;
    flags.override_kv = {text};
    gguf::Metadata metadata = Llama();
    EXPECT_FALSE(OverrideMetadata(flags, &metadata).has_value()) << text;
  }
}

TEST(ModelOverrides, ScalingOfPositions) {
  Flags flags;
  flags.rope_scaling = "yarn";
  flags.rope_freq_scale = 0.25;
  flags.yarn_orig_ctx = 4096;
  flags.rope_freq_base = 5e5;
  gguf::Metadata metadata = Llama();
  ASSERT_TRUE(OverrideMetadata(flags, &metadata).has_value());
  EXPECT_EQ(*metadata.String("llama.rope.scaling.type").value(), "yarn");
  EXPECT_EQ(*metadata.Float("llama.rope.scaling.factor").value(), 4.0);
  EXPECT_EQ(*metadata.Int("llama.rope.scaling.original_context_length").value(), 4096);
  EXPECT_EQ(*metadata.Float("llama.rope.freq_base").value(), 5e5);
}

TEST(ModelOverrides, AFactorAloneIsLinear) {
  Flags flags;
  flags.rope_scale = 2;
  gguf::Metadata metadata = Llama();
  ASSERT_TRUE(OverrideMetadata(flags, &metadata).has_value());
  EXPECT_EQ(*metadata.String("llama.rope.scaling.type").value(), "linear");
  // A model with a type of its own keeps it.
  gguf::Metadata yarn = Llama();
  yarn.Set("llama.rope.scaling.type", {gguf::ValueType::kString, {}, std::string("yarn")});
  ASSERT_TRUE(OverrideMetadata(flags, &yarn).has_value());
  EXPECT_EQ(*yarn.String("llama.rope.scaling.type").value(), "yarn");
}

}  // namespace
}  // namespace lb::app
