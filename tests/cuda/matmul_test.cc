// Proves the products of the CUDA backend against sums in double of the decoded weights: every weight type, few
// and many rows, bias and accumulation; and that a row's bits do not depend on how many others there are.
#include <cmath>
#include <tuple>

#include "tests/cuda/device_tensors.h"

namespace lb {
namespace {

std::vector<float> Exact(const TensorView& raw, const std::vector<float>& x, int64_t tokens, const std::vector<float>& bias) {
  std::vector<float> row(static_cast<size_t>(raw.cols())), y(static_cast<size_t>(tokens * raw.rows()));
  for (int64_t r = 0; r < raw.rows(); ++r) {
    Info(raw.dtype).decode(raw.as<char>() + r * raw.row_bytes(), row.data(), raw.cols());
    for (int64_t t = 0; t < tokens; ++t) {
      double sum = bias.empty() ? 0.0 : bias[static_cast<size_t>(r)];
      for (int64_t c = 0; c < raw.cols(); ++c) sum += static_cast<double>(row[static_cast<size_t>(c)]) * x[static_cast<size_t>(t * raw.cols() + c)];
      y[static_cast<size_t>(t * raw.rows() + r)] = static_cast<float>(sum);
    }
  }
  return y;
}

constexpr int64_t kByteRows = 16500;  // of a matrix that is multiplied in bytes where codes are narrow (matmul_bytes.cu)

// Activations and scales are rounded to fp16; with a minimum beside the scale, what is left after both cancel too. A few rows of
// activations are rounded to 8 bits in products in bytes.
double Tolerance(DType dtype, int64_t tokens, int64_t rows) {
  switch (dtype) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
    case DType::kQ8_0:
    case DType::kIQ4_NL:  // levels, written out as 8 bits
    case DType::kIQ4_XS:
    case DType::kMXFP4: return 2e-3;
    default: return tokens <= 4 && rows >= kByteRows ? 1.2e-2 : 2e-3;
  }
}

// A random matrix on the device, and a bias for its rows.
struct Loaded {
  Loaded(Ops& ops, DType dtype, int64_t rows, int64_t cols)
      : weight(dtype, rows, cols, static_cast<uint32_t>(rows)), matrix(ops.LoadMatrix(weight.view)),
        bias(RandomFloats(rows, 7)), device_bias(ops, {rows}, &bias) {}
  const RandomWeight weight;
  const Result<std::unique_ptr<Matrix>> matrix;
  const std::vector<float> bias;
  const Tensor device_bias;
};

class CudaMatmulTest : public testing::TestWithParam<DType> {};

TEST_P(CudaMatmulTest, IsTheExactProduct) {
  Ops& gpu = Gpu();
  const int64_t block = std::max(32, Info(GetParam()).block_size);
  for (const auto& [rows, blocks] : {std::pair<int64_t, int64_t>{16, 1}, {200, 3}, {1001, 9}, {kByteRows, 3}}) {
    const int64_t cols = block * blocks;
    const Loaded w(gpu, GetParam(), rows, cols);
    ASSERT_TRUE(w.matrix.has_value()) << w.matrix.error().message;
    for (int64_t tokens : {1, 2, 3, 4, 7, 8, 9, 16, 17, 40, 130}) {
      if (rows == kByteRows && tokens > 4) break;
      const double tolerance = Tolerance(GetParam(), tokens, rows);
      const auto x = RandomFloats(tokens * cols, static_cast<uint32_t>(tokens));
      const Tensor device_x(gpu, {tokens, cols}, &x);
      const Tensor y(gpu, {tokens, rows});
      const MatmulOut out{(*w.matrix).get(), y.view, w.device_bias.view.f32(), false};
      for (int times = 0; times < 3; ++times) {  // directly, captured, as a graph
        gpu.Matmul(device_x.view, std::span(&out, 1));
        ASSERT_TRUE(gpu.Finish().has_value());
      }
      const auto exact = Exact(w.weight.view, x, tokens, w.bias);
      EXPECT_LT(Distance(y.Read(), exact), tolerance) << rows << " x " << cols << ", " << tokens << " tokens";
      // Added to what is there.
      const MatmulOut more{(*w.matrix).get(), y.view, nullptr, true};
      gpu.Matmul(device_x.view, std::span(&more, 1));
      ASSERT_TRUE(gpu.Finish().has_value());
      auto twice = Exact(w.weight.view, x, tokens, {});
      for (size_t i = 0; i < twice.size(); ++i) twice[i] += exact[i];
      EXPECT_LT(Distance(y.Read(), twice), tolerance) << tokens;
    }
  }
}

// Where one kernel begins while the one before it ends, and reads what that one writes.
TEST_P(CudaMatmulTest, ProductsInARowAreTheExactOnes) {
  Ops& gpu = Gpu();
  const int64_t block = std::max(32, Info(GetParam()).block_size);
  for (const auto& [rows, blocks] : {std::pair<int64_t, int64_t>{16, 1}, {200, 3}, {1001, 9}, {2600, 20}, {30000, 1}}) {
    const int64_t cols = block * blocks;
    const Loaded w(gpu, GetParam(), rows, cols);
    ASSERT_TRUE(w.matrix.has_value()) << w.matrix.error().message;
    for (int64_t tokens = 1; tokens <= (rows < 2000 ? 3 : 2); ++tokens) {
      const auto x = RandomFloats(tokens * cols, static_cast<uint32_t>(tokens));
      const Tensor device_x(gpu, {tokens, cols}, &x);
      const Tensor y(gpu, {tokens, rows}), z(gpu, {tokens, rows});
      const MatmulOut both[] = {{(*w.matrix).get(), y.view, w.device_bias.view.f32(), false}, {(*w.matrix).get(), z.view, nullptr, false}};
      const MatmulOut more{(*w.matrix).get(), y.view, nullptr, true};
      const auto exact = Exact(w.weight.view, x, tokens, {});
      auto twice = Exact(w.weight.view, x, tokens, w.bias);
      for (size_t i = 0; i < twice.size(); ++i) twice[i] += exact[i];
      for (int times = 0; times < 3; ++times) {  // directly, captured, as a graph
        gpu.Matmul(device_x.view, both);
        gpu.Matmul(device_x.view, std::span(&more, 1));
        ASSERT_TRUE(gpu.Finish().has_value());
        EXPECT_LT(Distance(z.Read(), exact), Tolerance(GetParam(), tokens, rows)) << rows << " x " << cols << ", " << tokens << " tokens";
        EXPECT_LT(Distance(y.Read(), twice), Tolerance(GetParam(), tokens, rows)) << rows << " x " << cols << ", " << tokens << " tokens";
      }
    }
  }
}

TEST_P(CudaMatmulTest, DeterministicRowsAreTheSameAmongOthers) {
  Ops& gpu = Gpu(true);
  const int64_t cols = std::max(32, Info(GetParam()).block_size) * 5, rows = 100, tokens = 45;
  const RandomWeight weight(GetParam(), rows, cols, 3);
  auto matrix = gpu.LoadMatrix(weight.view);
  ASSERT_TRUE(matrix.has_value());
  const auto x = RandomFloats(tokens * cols, 4);
  const Tensor device_x(gpu, {tokens, cols}, &x);
  const auto norm = RandomFloats(cols, 5);
  const Tensor weights(gpu, {cols}, &norm), h(gpu, {tokens, cols}), y(gpu, {tokens, rows});
  const auto run = [&](int64_t first, int64_t count) {
    const TensorView from(device_x.view.f32_row(first), DType::kF32, {count, cols});
    const TensorView normed(h.view.data, DType::kF32, {count, cols});
    const MatmulOut out{matrix->get(), TensorView(y.view.f32_row(first), DType::kF32, {count, rows}), nullptr, false};
    gpu.RmsNorm(from, weights.view.f32(), 1e-6f, normed);
    gpu.Matmul(normed, std::span(&out, 1));
    EXPECT_TRUE(gpu.Finish().has_value());
  };
  run(0, tokens);
  const auto all = y.Read();
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 1}, {44, 1}, {3, 5}, {10, 8}, {7, 20}}) {
    run(first, count);
    EXPECT_TRUE(SameBits(y.Read(), all)) << first << " " << count;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, CudaMatmulTest, testing::ValuesIn(kWeightTypes),
                         [](const auto& p) { return std::string(Info(p.param).name); });

TEST(CudaMatmulShapes, NormGateAndDownOfAStepAreTheReferences) {
  // Rows that fit a block's memory, some of them, one by one.
  for (const auto& [width, wide, tokens] : {std::tuple<int64_t, int64_t, int64_t>{192, 320, 1}, {192, 320, 2}, {192, 320, 3}, {192, 320, 6}, {192, 320, 24},
                                            {192, 320, 100}, {64, 14336, 1}, {64, 14336, 4}, {64, 14336, 8}, {64, 14336, 33}, {64, 40960, 2},
                                            {64, 40960, 5}, {20480, 96, 3}, {20480, 96, 7}, {20480, 96, 20}}) {
    const DType gated = tokens % 2 == 0 ? DType::kQ4_0 : DType::kQ8_0;
    const RandomWeight gate_w(gated, wide, width, 1), up_w(gated, wide, width, 2), down_w(DType::kQ4_0, width, wide, 3);
    const auto values = RandomFloats(tokens * width, 4), norm = RandomFloats(width, 5);
    std::vector<float> results[2];
    const auto ref = MakeRefOps();
    for (Ops* ops : {ref.get(), &Gpu()}) {
      const auto load = [&](const RandomWeight& w) { return std::move(ops->LoadMatrix(w.view)).value(); };
      const auto gate_m = load(gate_w), up_m = load(up_w), down_m = load(down_w);
      const Tensor x(*ops, {tokens, width}, &values), weight(*ops, {width}, &norm), h(*ops, {tokens, width});
      const Tensor gate(*ops, {tokens, wide}), up(*ops, {tokens, wide});
      for (int times = 0; times < 3; ++times) {
        ops->CopyFromHost(values.data(), x.view);
        ops->RmsNorm(x.view, weight.view.f32(), 1e-5f, h.view);
        const MatmulOut both[] = {{gate_m.get(), gate.view, nullptr, false}, {up_m.get(), up.view, nullptr, false}};
        ops->Matmul(h.view, both);
        ops->GluMul(Activation::kSilu, gate.view, up.view, gate.view);
        const MatmulOut down{down_m.get(), x.view, nullptr, true};
        ops->Matmul(gate.view, std::span(&down, 1));
        ASSERT_TRUE(ops->Finish().has_value());
      }
      results[ops == &Gpu()] = x.Read();
    }
    // The reference rounds activations to 8 bits.
    EXPECT_LT(Distance(results[1], results[0]), 3e-2) << width << ", " << wide << ", " << tokens << " tokens";
  }
}

// Rows that are no whole number of fragments.
TEST(CudaMatmulShapes, NormedRowsOfOddLengthsAreTheExactOnes) {
  Ops& gpu = Gpu();
  for (const int64_t cols : {40, 72, 96, 200}) {
    const RandomWeight weight(DType::kF16, 50, cols, 1);
    const auto matrix = std::move(gpu.LoadMatrix(weight.view)).value();
    const std::vector<float> ones(static_cast<size_t>(cols), 1);
    const Tensor norm(gpu, {cols}, &ones);
    for (const int64_t tokens : {3, 9, 20, 33, 64}) {
      const auto x = RandomFloats(tokens * cols, 2);
      const Tensor device_x(gpu, {tokens, cols}, &x), h(gpu, {tokens, cols}), y(gpu, {tokens, 50});
      gpu.RmsNorm(device_x.view, norm.view.f32(), 1e-6f, h.view);
      const MatmulOut out{matrix.get(), y.view, nullptr, false};
      gpu.Matmul(h.view, std::span(&out, 1));
      ASSERT_TRUE(gpu.Finish().has_value());
      auto normed = x;
      for (auto row = normed.begin(); row != normed.end(); row += cols) {
        double squares = 0;
        for (auto v = row; v != row + cols; ++v) squares += double{*v} * *v;
        const auto scale = static_cast<float>(1 / std::sqrt(squares / static_cast<double>(cols)));
        for (auto v = row; v != row + cols; ++v) *v *= scale;
      }
      EXPECT_LT(Distance(y.Read(), Exact(weight.view, normed, tokens, {})), 2e-3) << cols << " columns, " << tokens << " tokens";
    }
  }
}

// Some rows of f32 in a block's memory, others in another's; deterministic, too, with the bits of one row.
TEST(CudaMatmulShapes, LongRowsAreTheExactOnes) {
  for (const auto& [dtype, cols] : {std::pair<DType, int64_t>{DType::kQ8_0, 14336}, {DType::kQ8_0, 40960}, {DType::kQ4_0, 14336}, {DType::kQ4_0, 40960}}) {
    const RandomWeight weight(dtype, 40, cols, 1);
    std::vector<float> x = RandomFloats(12 * cols, 2);
    const auto exact = Exact(weight.view, x, 12, {});
    for (const bool deterministic : {false, true}) {
      Ops& gpu = Gpu(deterministic);
      const auto matrix = std::move(gpu.LoadMatrix(weight.view)).value();
      const Tensor device_x(gpu, {12, cols}, &x), y(gpu, {12, 40});
      std::vector<float> one;
      for (int64_t tokens : {1, 2, 4, 5, 8, 9, 12}) {
        const TensorView from(device_x.view.data, DType::kF32, {tokens, cols}), to(y.view.data, DType::kF32, {tokens, 40});
        const MatmulOut out{matrix.get(), to, nullptr, false};
        gpu.Matmul(from, std::span(&out, 1));
        ASSERT_TRUE(gpu.Finish().has_value());
        const auto all = y.Read();
        const std::vector<float> got(all.begin(), all.begin() + tokens * 40), want(exact.begin(), exact.begin() + tokens * 40);
        EXPECT_LT(Distance(got, want), deterministic ? 2e-3 : Tolerance(dtype, tokens, 40)) << cols << ", " << tokens << " tokens";
        const std::vector<float> first(got.begin(), got.begin() + 40);
        if (tokens == 1) one = first;
        if (deterministic) {
          EXPECT_TRUE(SameBits(first, one)) << cols << ", " << tokens << " tokens";
        }
      }
    }
  }
}

}  // namespace
}  // namespace lb
