// Proves that the fast products are the specified ones bit by bit: for every weight format, every
// instruction set of this machine, few and many tokens, odd sizes, any number of threads.
#include <gtest/gtest.h>

#include "kernels/backends.h"
#include "kernels/weight_block.h"
#include "tests/kernels/random_data.h"

namespace lb {
namespace {

std::unique_ptr<Ops> MakeCpu(const std::string& isa, int threads) {
  auto ops = MakeCpuOps({{threads}, isa});
  CHECK(ops.has_value());
  return std::move(ops).value();
}

std::vector<float> Product(Ops& ops, const TensorView& w, std::vector<float>& x, int64_t tokens,
                           bool fine = false) {
  auto matrix = std::move(ops.LoadMatrix(w)).value();
  std::vector<float> y(static_cast<size_t>(tokens * w.rows()));
  const MatmulOut out{matrix.get(), View(y, {tokens, w.rows()}), nullptr, false, fine};
  ops.Matmul(View(x, {tokens, w.cols()}), {&out, 1});
  return y;
}

using Case = std::tuple<std::string, DType>;
class CpuMatmul : public testing::TestWithParam<Case> {};

TEST_P(CpuMatmul, GivesTheBitsOfTheSpecification) {
  const auto& [isa, dtype] = GetParam();
  auto ref = MakeRefOps();
  auto cpu = MakeCpu(isa, 1);
  const int64_t unit = Info(dtype).block_size;
  // A part of a panel, one, and groups of several; columns that end inside a stretch of scratch; tokens on
  // both sides of every switch between kernels.
  for (const int64_t cols : {unit == 256 ? 256 : unit == 32 ? 96 : 100, unit == 256 ? 768 : 672}) {
    for (const int64_t rows : {1, 16, 37, 410}) {
      const RandomWeight w(dtype, rows, cols, static_cast<uint32_t>(rows + cols));
      for (const int64_t tokens : {1, 2, 3, 4, 5, 7, 8, 9, 23, 32, 43}) {
        if (rows == 410 && tokens != 1 && tokens != 5 && tokens != 43) continue;
        std::vector<float> x = RandomFloats(tokens * cols, static_cast<uint32_t>(tokens));
        for (const bool fine : {false, true}) {
          EXPECT_TRUE(SameBits(Product(*ref, w.view, x, tokens, fine), Product(*cpu, w.view, x, tokens, fine)))
              << rows << " x " << cols << ", " << tokens << " tokens" << (fine ? ", fine" : "");
        }
      }
    }
  }
}

TEST_P(CpuMatmul, ExtremesOfCodesAndActivationsStayExact) {
  const auto& [isa, dtype] = GetParam();
  if (Info(dtype).block_size == 1) return;
  auto ref = MakeRefOps();
  auto cpu = MakeCpu(isa, 1);
  const int64_t cols = 512, rows = 16, tokens = 43;
  RandomWeight w(dtype, rows, cols, 1);
  for (const int fill : {0xff, 0x00, 0x80, 0x7f, 0xf0, 0x0f}) {
    // All codes and scales at one end; the fp16 factors then are what they are, but NaN.
    RandomWeight::Fill(&w, static_cast<uint8_t>(fill));
    for (const float value : {1.0f, -1.0f}) {
      std::vector<float> x(static_cast<size_t>(tokens * cols), value);  // every q is 127 or -127
      EXPECT_TRUE(SameBits(Product(*ref, w.view, x, tokens), Product(*cpu, w.view, x, tokens)))
          << "fill " << fill << " value " << value;
      for (size_t i = 0; i < x.size(); i += 2) x[i] = -x[i];
      EXPECT_TRUE(SameBits(Product(*ref, w.view, x, tokens), Product(*cpu, w.view, x, tokens)))
          << "fill " << fill << " alternating";
    }
  }
}

TEST_P(CpuMatmul, ATokensResultDependsOnNothingBesideIt) {
  const auto& [isa, dtype] = GetParam();
  if (isa == "portable") return;  // covered by its equality with the specification
  const int64_t cols = 1536, rows = 300, tokens = 300;
  const RandomWeight w(dtype, rows, cols, 7);
  std::vector<float> x = RandomFloats(tokens * cols, 8);
  auto one = MakeCpu(isa, 1);
  for (const bool fine : {false, true}) {
    const std::vector<float> all = Product(*one, w.view, x, tokens, fine);
    for (const int threads : {2, 3}) {
      auto many = MakeCpu(isa, threads);
      EXPECT_TRUE(SameBits(all, Product(*many, w.view, x, tokens, fine))) << threads << " threads";
    }
    for (const int64_t t : {0, 5, 127, 128, 299}) {
      std::vector<float> row(x.begin() + t * cols, x.begin() + (t + 1) * cols);
      const std::vector<float> alone = Product(*one, w.view, row, 1, fine);
      EXPECT_TRUE(SameBits(alone, {all.begin() + t * rows, all.begin() + (t + 1) * rows})) << t;
    }
  }
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const std::string& isa : CpuIsas()) {
    for (const DType dtype : kWeightTypes) cases.emplace_back(isa, dtype);
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(All, CpuMatmul, testing::ValuesIn(AllCases()), [](const auto& info) {
  return std::get<0>(info.param) + "_" + std::string(Info(std::get<1>(info.param)).name);
});

TEST(CpuMatmulSeveral, ProductsOfOneInputWithBiasAndAccumulate) {
  const int64_t cols = 256, tokens = 9;
  const RandomWeight a(DType::kQ4_K, 48, cols, 1), b(DType::kF16, 5, cols, 2),
      c(DType::kQ8_0, 20, cols, 3);
  std::vector<float> x = RandomFloats(tokens * cols, 4), bias = RandomFloats(48, 5);
  std::vector<std::vector<float>> want, got;
  auto ref = MakeRefOps();
  auto cpu = MakeCpu("", 2);
  for (Ops* ops : {ref.get(), cpu.get()}) {
    auto wa = std::move(ops->LoadMatrix(a.view)).value();
    auto wb = std::move(ops->LoadMatrix(b.view)).value();
    auto wc = std::move(ops->LoadMatrix(c.view)).value();
    std::vector<float> ya(tokens * 48), yb = RandomFloats(tokens * 5, 6), yc(tokens * 20);
    const MatmulOut outs[] = {{wa.get(), View(ya, {tokens, 48}), bias.data(), false},
                              {wb.get(), View(yb, {tokens, 5}), nullptr, true},
                              {wc.get(), View(yc, {tokens, 20}), nullptr, false}};
    ops->Matmul(View(x, {tokens, cols}), outs);
    (ops == ref.get() ? want : got) = {ya, yb, yc};
  }
  for (size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(SameBits(want[i], got[i])) << i;
}

// Fine and plain products share the rounded input, and each keeps its own bias and residual stream.
TEST(CpuMatmulSeveral, FineBesidePlain) {
  const int64_t cols = 256, tokens = 9;
  const RandomWeight a(DType::kQ4_K, 48, cols, 1), b(DType::kQ8_0, 20, cols, 2), c(DType::kF32, 5, cols, 3);
  std::vector<float> x = RandomFloats(tokens * cols, 4), bias = RandomFloats(48, 5);
  std::vector<std::vector<float>> want, got;
  auto ref = MakeRefOps();
  auto cpu = MakeCpu("", 2);
  for (Ops* ops : {ref.get(), cpu.get()}) {
    auto wa = std::move(ops->LoadMatrix(a.view)).value();
    auto wb = std::move(ops->LoadMatrix(b.view)).value();
    auto wc = std::move(ops->LoadMatrix(c.view)).value();
    std::vector<float> ya = RandomFloats(tokens * 48, 6), yb(tokens * 20), yc(tokens * 5);
    const MatmulOut outs[] = {{wa.get(), View(ya, {tokens, 48}), bias.data(), true, true},
                              {wb.get(), View(yb, {tokens, 20}), nullptr, false, false},
                              {wc.get(), View(yc, {tokens, 5}), nullptr, false, true}};
    ops->Matmul(View(x, {tokens, cols}), outs);
    (ops == ref.get() ? want : got) = {ya, yb, yc};
    EXPECT_TRUE(SameBits(yb, Product(*ops, b.view, x, tokens)));
    EXPECT_TRUE(SameBits(yc, Product(*ops, c.view, x, tokens)));  // floats are not rounded
  }
  for (size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(SameBits(want[i], got[i])) << i;
}

TEST(CpuMatmulFaults, NotANumberShowsInItsRowOnly) {
  for (const std::string& isa : CpuIsas()) {
    for (const float bad : {std::nanf(""), INFINITY}) {
      for (const int64_t tokens : {2, 12, 43}) {
        const RandomWeight w(DType::kQ6_K, 20, 256, 6);
        std::vector<float> x = RandomFloats(tokens * 256, 7);
        x[300] = bad;
        auto cpu = MakeCpu(isa, 1);
        for (const bool fine : {false, true}) {
          const std::vector<float> y = Product(*cpu, w.view, x, tokens, fine);
          for (int64_t i = 0; i < tokens * 20; ++i) EXPECT_EQ(std::isfinite(y[i]), i / 20 != 1) << i;
        }
      }
    }
  }
}

TEST(CpuSelect, UnknownOrMissingInstructionSetIsAnError) {
  EXPECT_EQ(MakeCpuOps({{1}, "mmx"}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(MakeCpuOps({{-1}, ""}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(CpuIsas().back(), "portable");
}

}  // namespace
}  // namespace lb
