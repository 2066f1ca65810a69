// Proves the operations on rows and numbers against the reference: bit by bit where the order is
// specified, within rounding where a polynomial stands for a library function; and that they do not
// depend on the rows beside.
#include <gtest/gtest.h>

#include "kernels/backends.h"
#include "tests/kernels/random_data.h"

namespace lb {
namespace {

class Rows : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Ops> ref_ = MakeRefOps();
  std::unique_ptr<Ops> cpu_ = std::move(MakeCpuOps({{2}, GetParam()})).value();
};

TEST_P(Rows, RmsNormGivesTheBitsOfTheSpecification) {
  for (const int64_t cols : {1, 15, 16, 64, 100, 1536}) {
    std::vector<float> x = RandomFloats(50 * cols, 1, 3.0f), w = RandomFloats(cols, 2);
    std::vector<float> a(x.size()), b = x;
    ref_->RmsNorm(View(x, {50, cols}), w.data(), 1e-6f, View(a, {50, cols}));
    cpu_->RmsNorm(View(b, {50, cols}), w.data(), 1e-6f, View(b, {50, cols}));  // in place
    EXPECT_TRUE(SameBits(a, b)) << cols;
  }
}

TEST_P(Rows, LayerNormGivesTheBitsOfTheSpecification) {
  for (const int64_t cols : {1, 15, 16, 100, 384, 1536}) {
    std::vector<float> x = RandomFloats(50 * cols, 1, 3.0f);
    const std::vector<float> w = RandomFloats(cols, 2), bias = RandomFloats(cols, 3);
    for (float& v : x) v += 2;
    std::vector<float> a(x.size()), b = x;
    ref_->LayerNorm(View(x, {50, cols}), w.data(), bias.data(), 1e-6f, View(a, {50, cols}));
    cpu_->LayerNorm(View(b, {50, cols}), w.data(), bias.data(), 1e-6f, View(b, {50, cols}));
    EXPECT_TRUE(SameBits(a, b)) << cols;
    double mean = 0, square = 0;
    for (int64_t c = 0; c < cols; ++c) mean += x[c] / static_cast<double>(cols);
    for (int64_t c = 0; c < cols; ++c) square += (x[c] - mean) * (x[c] - mean);
    const double scale = 1 / std::sqrt(square / static_cast<double>(cols) + 1e-6);
    for (int64_t c = 0; c < cols; ++c) EXPECT_NEAR(a[c], (x[c] - mean) * scale * w[c] + bias[c], 2e-5);
  }
}

TEST_P(Rows, RopeGivesTheBitsOfTheSpecification) {
  const std::vector<float> freq = [] {
    std::vector<float> f;
    for (int i = 0; i < 64; ++i) f.push_back(std::pow(10000.0f, -static_cast<float>(i) / 64));
    return f;
  }();
  const std::vector<int32_t> positions{0, 1, 77, 4096, 131071};
  for (const RopeStyle style : {RopeStyle::kHalves, RopeStyle::kInterleaved}) {
    for (const int dims : {128, 64, 10}) {
      const RopeTable table{style, dims, freq.data(), 1.2f};
      std::vector<float> a = RandomFloats(5 * 3 * 128, 1), b = a;
      ref_->Rope(View(a, {5, 384}), 128, positions, table);
      cpu_->Rope(View(b, {5, 384}), 128, positions, table);
      EXPECT_TRUE(SameBits(a, b)) << dims;
      // Again, at other positions, after the angles were kept.
      const std::vector<int32_t> later{1, 2, 78, 4097, 131070};
      ref_->Rope(View(a, {5, 384}), 128, later, table);
      cpu_->Rope(View(b, {5, 384}), 128, later, table);
      EXPECT_TRUE(SameBits(a, b)) << dims;
    }
  }
}

TEST_P(Rows, ActivationsAreWithinRounding) {
  for (const Activation act :
       {Activation::kSilu, Activation::kGeluTanh, Activation::kGelu, Activation::kRelu}) {
    std::vector<float> gate = RandomFloats(3 * 1001, 1, 5.0f), up = RandomFloats(3 * 1001, 2);
    gate[0] = 0;
    gate[1] = 100;
    gate[2] = -100;
    gate[3] = 1e-5f;
    std::vector<float> a(gate.size()), b = gate;
    ref_->GluMul(act, View(gate, {3, 1001}), View(up, {3, 1001}), View(a, {3, 1001}));
    cpu_->GluMul(act, View(b, {3, 1001}), View(up, {3, 1001}), View(b, {3, 1001}));
    std::vector<float> c = gate;
    cpu_->Activate(act, View(c, {3, 1001}));
    for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(b[i], c[i] * up[i]);
    for (size_t i = 0; i < a.size(); ++i) {
      // GELU's tail is a difference of near equals in the reference as well.
      ASSERT_NEAR(a[i], b[i], std::fabs(up[i]) * (2e-7 + 1e-6 * std::fabs(gate[i])))
          << static_cast<int>(act) << " of " << gate[i];
    }
  }
}

TEST_P(Rows, NotANumberStays) {
  for (const Activation act :
       {Activation::kSilu, Activation::kGeluTanh, Activation::kGelu}) {
    std::vector<float> gate(40, 1.0f), up(40, 1.0f);
    gate[17] = std::nanf("");
    cpu_->GluMul(act, View(gate, {1, 40}), View(up, {1, 40}), View(gate, {1, 40}));
    for (int i = 0; i < 40; ++i) EXPECT_EQ(std::isnan(gate[i]), i == 17);
    cpu_->Activate(act, View(gate, {1, 40}));
    for (int i = 0; i < 40; ++i) EXPECT_EQ(std::isnan(gate[i]), i == 17);
  }
}

TEST_P(Rows, AddSoftcapGatherEmbed) {
  std::vector<float> x = RandomFloats(7 * 333, 1), a = RandomFloats(7 * 333, 2), b = a;
  const std::vector<float> before = a;
  ref_->Add(View(x, {7, 333}), View(a, {7, 333}));
  cpu_->Add(View(x, {7, 333}), View(b, {7, 333}));
  EXPECT_TRUE(SameBits(a, b));
  ref_->Scale(View(a, {7, 333}), 20.0f);
  cpu_->Scale(View(b, {7, 333}), 20.0f);
  EXPECT_TRUE(SameBits(a, b));
  EXPECT_EQ(a[5], (before[5] + x[5]) * 20.0f);
  b = a;
  ref_->Softcap(View(a, {7, 333}), 30.0f);
  cpu_->Softcap(View(b, {7, 333}), 30.0f);
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 2e-5);
  const std::vector<int32_t> rows{6, 0, 3, 3};
  std::vector<float> g1(4 * 333), g2(4 * 333);
  ref_->GatherRows(View(x, {7, 333}), rows, View(g1, {4, 333}));
  cpu_->GatherRows(View(x, {7, 333}), rows, View(g2, {4, 333}));
  EXPECT_TRUE(SameBits(g1, g2));
  for (int i = 0; i < 333; ++i) EXPECT_EQ(g1[i], x[6 * 333 + i]);
  const RandomWeight w(DType::kQ6_K, 9, 512, 3);
  auto t1 = std::move(ref_->LoadTable(w.view)).value();
  auto t2 = std::move(cpu_->LoadTable(w.view)).value();
  const std::vector<int32_t> ids{8, 0, 8, 5};
  std::vector<float> e1(4 * 512), e2(4 * 512);
  ref_->Embed(*t1, ids, 2.5f, View(e1, {4, 512}));
  cpu_->Embed(*t2, ids, 2.5f, View(e2, {4, 512}));
  EXPECT_TRUE(SameBits(e1, e2));
  EXPECT_FLOAT_EQ(e1[5], static_cast<float>(w.Decoded()[8 * 512 + 5] * 2.5));
}

TEST_P(Rows, StoreKvWritesTheBytesOfTheReference) {
  for (const DType dtype :
       {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kFP8E4M3}) {
    const int heads = 3, dim = Info(dtype).block_size == 1 ? 40 : 64;
    const std::vector<int32_t> slots{5, 6, 79, 16};
    std::vector<float> k = RandomFloats(4 * heads * dim, 1), v = RandomFloats(4 * heads * dim, 2);
    std::vector<char> pools[2][2];
    for (int i = 0; i < 2; ++i) {
      for (auto& pool : pools[i]) {
        pool.resize(static_cast<size_t>(5 * kKvBlockTokens * heads * RowBytes(dtype, dim)), 1);
      }
      const KvLayer layer{pools[i][0].data(), pools[i][1].data(), dtype, dtype, heads, dim, dim, 5};
      (i == 0 ? ref_ : cpu_)
          ->StoreKv(View(k, {4, heads * dim}), View(v, {4, heads * dim}), layer, slots);
    }
    EXPECT_EQ(pools[0][0], pools[1][0]);
    EXPECT_EQ(pools[0][1], pools[1][1]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Rows, testing::ValuesIn(CpuIsas()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace lb
