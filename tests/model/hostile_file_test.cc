// Proves that a model file with damage anywhere in its header is either refused in one line or
// loads and runs: never a crash, whatever the bit. (Run under the address sanitizer as well.)
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kernels/backends.h"
#include "model/solo_runner.h"
#include "tests/model/tiny_model.h"

namespace lb {
namespace {

using test::TinySpec;

struct Outcome {
  int refused = 0;
  int ran = 0;
};

void LoadAndRun(std::span<const uint8_t> bytes, Ops& ops, Outcome& outcome) {
  const auto file = gguf::GgufFile::Parse(bytes, "hostile.gguf");
  const auto refuse = [&](const Error& error) {
    EXPECT_EQ(error.message.find('\n'), std::string::npos) << error.message;
    EXPECT_NE(error.message.find("hostile.gguf"), std::string::npos) << error.message;
    ++outcome.refused;
  };
  if (!file) return refuse(file.error());
  const auto model = LoadModel(**file, ops, nullptr);
  if (!model) return refuse(model.error());
  SoloOptions options;
  options.max_context = 20;
  options.max_batch_tokens = 20;
  options.max_logit_rows = 1;
  options.k_dtype = options.v_dtype = DType::kF32;
  const auto runner = SoloRunner::Create(**model, ops, options);
  ASSERT_TRUE(runner.has_value()) << runner.error().message;
  const std::vector<int32_t> tokens = {1, 2, 3, 0};
  std::vector<int32_t> usable;
  for (int32_t id : tokens) usable.push_back(id % (*model)->config().vocab_size);
  EXPECT_TRUE((*runner)->Run(usable).has_value());
  EXPECT_TRUE((*runner)->Run(std::span(usable).first(1)).has_value());
  ++outcome.ran;
}

class HostileFileTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    spec_.arch = GetParam();
    spec_.layers = 2;
    spec_.edit = [](gguf::GgufWriter& w) {
      const std::string arch = GetParam();
      w.SetString(arch + ".rope.scaling.type", "yarn");
      w.SetFloat32(arch + ".rope.scaling.factor", 4);
      w.SetUint32(arch + ".rope.scaling.original_context_length", 64);
    };
    bytes_ = MakeTinyModel(spec_);
    const auto file = gguf::GgufFile::Parse(bytes_, "tiny.gguf");
    ASSERT_TRUE(file.has_value()) << file.error().message;
    const uint8_t* data = (*file)->tensors()[0].view.as<uint8_t>();
    for (const gguf::Tensor& t : (*file)->tensors()) {
      data = std::min<const uint8_t*>(data, t.view.as<uint8_t>());
    }
    header_bytes_ = static_cast<size_t>(data - bytes_.data());
    ASSERT_LT(header_bytes_, bytes_.size());
  }

  TinySpec spec_;
  std::vector<uint8_t> bytes_;
  size_t header_bytes_ = 0;
  std::unique_ptr<Ops> ops_ = MakeRefOps();
};

TEST_P(HostileFileTest, OneFlippedBit) {
  std::mt19937 random(5);
  Outcome outcome;
  for (int i = 0; i < 600; ++i) {
    const size_t at = random() % header_bytes_;
    const uint8_t bit = static_cast<uint8_t>(1u << (random() % 8));
    SCOPED_TRACE(testing::Message() << "byte " << at << ", bit " << int{bit});
    bytes_[at] ^= bit;
    LoadAndRun(bytes_, *ops_, outcome);
    bytes_[at] ^= bit;
    if (HasFatalFailure()) return;
  }
  // Most bits of a header are names and counts. A file that always loads, or never, tests nothing.
  EXPECT_GT(outcome.refused, 100);
  EXPECT_GT(outcome.ran, 5);
}

TEST_P(HostileFileTest, AnyBytesInPlaceOfOne) {
  std::mt19937 random(6);
  Outcome outcome;
  for (int i = 0; i < 400; ++i) {
    const std::vector<uint8_t> good = bytes_;
    for (int k = 0; k < 4; ++k) {
      bytes_[random() % header_bytes_] = static_cast<uint8_t>(random());
    }
    SCOPED_TRACE(i);
    LoadAndRun(bytes_, *ops_, outcome);
    bytes_ = good;
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(outcome.refused, 100);
}

TEST_P(HostileFileTest, CutShort) {
  Outcome outcome;
  for (size_t size = 0; size < bytes_.size(); size += 997) {
    LoadAndRun(std::span(bytes_).first(size), *ops_, outcome);
  }
  EXPECT_EQ(outcome.ran, 0);
  EXPECT_GT(outcome.refused, 50);
}

INSTANTIATE_TEST_SUITE_P(Families, HostileFileTest,
                         testing::Values("llama", "qwen2", "qwen3", "gemma3"));

}  // namespace
}  // namespace lb
