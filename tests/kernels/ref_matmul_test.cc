// Proves that the specification of the products is right: against the decoded weights in double,
// within the bound that rounding activations to 8 bits, or finely, allows, for every weight format.
#include <gtest/gtest.h>

#include "kernels/backends.h"
#include "tests/kernels/random_data.h"

namespace lb {
namespace {

class RefMatmul : public testing::TestWithParam<DType> {};

// `step`: of the grid that 32 activations are rounded to, in largest of them.
void ExpectTheProduct(DType dtype, bool fine, double step) {
  const int64_t rows = 7, cols = 512, tokens = 3;
  const RandomWeight w(dtype, rows, cols, 1);
  std::vector<float> x = RandomFloats(tokens * cols, 2);
  x[40] = 300;  // an outlier: the 31 beside it have few steps left
  std::vector<float> y(tokens * rows), bias = RandomFloats(rows, 3);
  auto ops = MakeRefOps();
  auto matrix = ops->LoadMatrix(w.view);
  ASSERT_TRUE(matrix.has_value()) << matrix.error().message;
  const MatmulOut out{matrix->get(), View(y, {tokens, rows}), bias.data(), false, fine};
  ops->Matmul(View(x, {tokens, cols}), {&out, 1});
  const std::vector<double> decoded = w.Decoded();
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t r = 0; r < rows; ++r) {
      double want = bias[r], bound = 1e-6;
      for (int64_t b = 0; b < cols; b += 32) {
        double largest = 0;
        for (int64_t c = b; c < b + 32; ++c) {
          largest = std::max(largest, std::fabs(static_cast<double>(x[t * cols + c])));
        }
        // Half a step of the block's grid, and float rounding.
        for (int64_t c = b; c < b + 32; ++c) {
          const double weight = decoded[r * cols + c];
          want += weight * x[t * cols + c];
          bound += std::fabs(weight) * (largest * step * 0.5001 + std::fabs(x[t * cols + c]) * 1e-5);
        }
      }
      EXPECT_NEAR(y[t * rows + r], want, bound) << "token " << t << " row " << r;
    }
  }
}

TEST_P(RefMatmul, IsTheProductWithinTheBound) {
  ExpectTheProduct(GetParam(), false, Info(GetParam()).block_size > 1 ? 1.0 / 127 : 0);
}

TEST_P(RefMatmul, FineIsTheProductWithinAFinerBound) {
  // What rounding leaves is at most half a step, and rounded to 127 steps again.
  ExpectTheProduct(GetParam(), true, Info(GetParam()).block_size > 1 ? 0.5 / (127 * 127) : 0);
}

TEST_P(RefMatmul, AccumulateAddsToWhatIsThere) {
  const RandomWeight w(GetParam(), 5, 256, 4);
  std::vector<float> x = RandomFloats(256, 5), plain(5), sum(5, 2.0f);
  auto ops = MakeRefOps();
  auto matrix = std::move(ops->LoadMatrix(w.view)).value();
  const MatmulOut outs[] = {{matrix.get(), View(plain, {1, 5}), nullptr, false},
                            {matrix.get(), View(sum, {1, 5}), nullptr, true}};
  ops->Matmul(View(x, {1, 256}), outs);
  for (int r = 0; r < 5; ++r) EXPECT_EQ(sum[r], 2.0f + plain[r]);
}

INSTANTIATE_TEST_SUITE_P(All, RefMatmul, testing::ValuesIn(kWeightTypes),
                         [](const auto& info) { return std::string(Info(info.param).name); });

TEST(RefMatmulFaults, NotANumberShowsInItsRowOnly) {
  const RandomWeight w(DType::kQ4_K, 4, 256, 6);
  std::vector<float> x = RandomFloats(512, 7), y(8);
  x[300] = std::nanf("");
  auto ops = MakeRefOps();
  auto matrix = std::move(ops->LoadMatrix(w.view)).value();
  const MatmulOut out{matrix.get(), View(y, {2, 4}), nullptr, false};
  ops->Matmul(View(x, {2, 256}), {&out, 1});
  for (int r = 0; r < 4; ++r) {
    EXPECT_TRUE(std::isfinite(y[r]));
    EXPECT_TRUE(std::isnan(y[4 + r]));
  }
}

TEST(RefMatmulFaults, WeightsThatCannotBeAreRefused) {
  auto ops = MakeRefOps();
  float data[40] = {};
  EXPECT_EQ(ops->LoadMatrix(TensorView(data, DType::kI32, {2, 4})).error().code,
            ErrorCode::kUnsupported);
  EXPECT_EQ(ops->LoadMatrix(TensorView(data, DType::kQ4_0, {1, 40})).error().code,
            ErrorCode::kCorrupt);
  EXPECT_EQ(ops->LoadMatrix(TensorView(nullptr, DType::kF32, {2, 4})).error().code,
            ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace lb
