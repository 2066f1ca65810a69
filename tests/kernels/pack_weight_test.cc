// Proves that a matrix packed for a GPU holds the weights of the file, for every format and for shapes that
// do not fill tiles: each element as the kernels decode it, within the rounding of fp16 scales.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cuda/pack_weight.h"
#include "tests/kernels/random_data.h"

namespace lb {
namespace {

class PackWeightTest : public testing::TestWithParam<DType> {};

TEST_P(PackWeightTest, EveryElementIsTheFiles) {
  const DTypeInfo& info = Info(GetParam());
  for (const auto& [rows, blocks] : {std::pair{1, 1}, {16, 2}, {37, 3}, {64, 1}}) {
    const int64_t cols = std::max(32, info.block_size) * blocks;
    const RandomWeight weight(GetParam(), rows, cols, static_cast<uint32_t>(rows));
    const TensorView& raw = weight.view;
    const cuda::PackedWeight packed = cuda::PackWeight(raw);
    std::vector<float> row(static_cast<size_t>(cols));
    for (int r = 0; r < rows; ++r) {
      info.decode(raw.as<char>() + r * raw.row_bytes(), row.data(), cols);
      float largest = 0;
      for (float v : row) largest = std::max(largest, std::fabs(v));
      for (int c = 0; c < cols; ++c) {
        // A scale and a bias rounded to fp16, each times at most 31 codes; scales far below the matrix's largest
        // lose digits.
        ASSERT_NEAR(cuda::PackedElement(packed, r, c), row[static_cast<size_t>(c)], largest * 2e-3f + packed.view.unscale * 3e-6f)
            << info.name << " row " << r << " column " << c;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PackWeightTest, testing::ValuesIn(kWeightTypes),
                         [](const auto& p) { return std::string(Info(p.param).name); });

}  // namespace
}  // namespace lb
