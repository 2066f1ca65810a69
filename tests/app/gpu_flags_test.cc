// Proves which part of a model goes to a card that has no room for all of it.
#include "app/gpu_flags.h"

#include <gtest/gtest.h>

#include "tests/model/tiny_model.h"

namespace lb::app {
namespace {

TEST(LayersThatFit, TheFirstOnesBesideWhatBelongsToNone) {
  test::TinySpec spec;
  spec.layers = 5;
  const std::vector<uint8_t> bytes = test::MakeTinyModel(spec);
  const auto file = std::move(gguf::GgufFile::Parse(bytes, "tiny")).value();
  int64_t layer = 0, all = 0;
  for (const gguf::Tensor& t : file->tensors()) {
    all += t.view.num_bytes();
    if (t.name.starts_with("blk.3.")) layer += t.view.num_bytes();
  }
  ASSERT_GT(layer, 0);
  // With the eighth that narrow codes may take more.
  const auto wider = [](int64_t n) { return n + n / 8; };
  const int64_t beside = wider(file->file_bytes() - 5 * layer);
  EXPECT_EQ(LayersThatFit(*file, 5, 0), 0);
  EXPECT_EQ(LayersThatFit(*file, 5, beside + wider(layer) - 1), 0);
  for (int n = 1; n <= 5; ++n) EXPECT_EQ(LayersThatFit(*file, 5, beside + n * wider(layer)), n) << n;
  EXPECT_EQ(LayersThatFit(*file, 5, 10 * all), 5);
}

}  // namespace
}  // namespace lb::app
