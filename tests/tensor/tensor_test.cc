// Proves the arithmetic of tensor views (rows, columns, bytes of blocked formats, reshaping), and
// that using one wrongly ends the process rather than reading elsewhere.
#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <vector>

namespace lb {
namespace {

TEST(TensorView, CountsRowsAndColumns) {
  float data[24];
  const TensorView t(data, DType::kF32, {2, 3, 4});
  EXPECT_EQ(t.rank, 3);
  EXPECT_EQ(t.cols(), 4);
  EXPECT_EQ(t.rows(), 6);
  EXPECT_EQ(t.num_elements(), 24);
  EXPECT_EQ(t.num_bytes(), 96);
  EXPECT_FALSE(t.empty());
}

TEST(TensorView, OneDimensionIsOneRow) {
  float data[5];
  const TensorView t(data, DType::kF32, {5});
  EXPECT_EQ(t.rows(), 1);
  EXPECT_EQ(t.cols(), 5);
}

TEST(TensorView, DefaultIsEmpty) {
  const TensorView t;
  EXPECT_TRUE(t.empty());
  EXPECT_EQ(t.num_elements(), 0);
  EXPECT_EQ(t.num_bytes(), 0);
}

TEST(TensorView, BlockedFormatsCountBlocks) {
  char data[1];
  const TensorView q4(data, DType::kQ4_1, {10, 576});
  EXPECT_EQ(q4.row_bytes(), 576 / 32 * 20);
  EXPECT_EQ(q4.num_bytes(), 10 * 360);
  const TensorView q6(data, DType::kQ6_K, {3, 2, 512});
  EXPECT_EQ(q6.num_bytes(), 6 * 2 * 210);
}

TEST(TensorView, RowsFollowEachOther) {
  std::vector<float> data(12);
  const TensorView t(data.data(), DType::kF32, {3, 4});
  EXPECT_EQ(t.f32(), data.data());
  EXPECT_EQ(t.f32_row(2), data.data() + 8);
  EXPECT_EQ(t.as<const float>(), data.data());
}

TEST(TensorView, ReshapeKeepsTheNumbers) {
  float data[24];
  const TensorView t(data, DType::kF32, {4, 6});
  const TensorView r = t.Reshape({2, 2, 6});
  EXPECT_EQ(r.data, t.data);
  EXPECT_EQ(r.rows(), 4);
  EXPECT_EQ(r.num_elements(), 24);
}

TEST(TensorViewDeathTest, WrongUseEndsTheProcess) {
  float data[24];
  const TensorView t(data, DType::kF32, {4, 6});
  EXPECT_DEATH(t.Reshape({5, 5}), "CHECK failed.*25 vs 24");
  EXPECT_DEATH(TensorView(data, DType::kF32, {1, 1, 1, 1, 1}), "CHECK failed.*5 vs 4");
}

}  // namespace
}  // namespace lb
