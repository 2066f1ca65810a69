// Seeded random activations and weights for the kernel tests.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "quant/dtype.h"
#include "quant/half.h"
#include "tensor/tensor.h"

namespace lb {

inline std::vector<float> RandomFloats(int64_t n, uint32_t seed, float spread = 1.0f) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> out(static_cast<size_t>(n));
  for (float& x : out) x = normal(rng);
  return out;
}

// A weight of any format: every bit of its codes and scales is random; only the fp16 factors are
// kept to sane sizes. Some blocks are all zero bits.
class RandomWeight {
 public:
  RandomWeight(DType dtype, int64_t rows, int64_t cols, uint32_t seed) {
    std::mt19937 rng(seed);
    bytes_.resize(static_cast<size_t>(rows * RowBytes(dtype, cols)));
    view = TensorView(bytes_.data(), dtype, {rows, cols});
    const DTypeInfo& info = Info(dtype);
    if (info.block_size == 1) {
      const std::vector<float> values = RandomFloats(rows * cols, seed, 0.05f);
      info.encode(values.data(), bytes_.data(), rows * cols);
      return;
    }
    for (auto& b : bytes_) b = static_cast<uint8_t>(rng());
    for (size_t at = 0; at < bytes_.size(); at += static_cast<size_t>(info.block_bytes)) {
      uint8_t* block = bytes_.data() + at;
      if (rng() % 16 == 0) std::memset(block, 0, static_cast<size_t>(info.block_bytes));
      std::uniform_real_distribution<float> factor(-0.02f, 0.02f);
      for (const int offset : FactorOffsets(dtype)) {
        const uint16_t half = quant::HalfFromFloat(factor(rng));
        std::memcpy(block + offset, &half, 2);
      }
      if (dtype == DType::kMXFP4) block[0] = static_cast<uint8_t>(rng() % 40 + 100);
    }
  }

  // Every byte of every block `byte`, but fp16 factors of 1/64 and -1/32.
  static void Fill(RandomWeight* w, uint8_t byte) {
    const DTypeInfo& info = Info(w->view.dtype);
    for (auto& b : w->bytes_) b = byte;
    const auto at = FactorOffsets(w->view.dtype);
    for (size_t block = 0; block < w->bytes_.size();
         block += static_cast<size_t>(info.block_bytes)) {
      for (size_t i = 0; i < at.size(); ++i) {
        const uint16_t half = quant::HalfFromFloat(i == 0 ? 1.0f / 64 : -1.0f / 32);
        std::memcpy(w->bytes_.data() + block + at[i], &half, 2);
      }
      if (w->view.dtype == DType::kMXFP4) w->bytes_[block] = 120;
    }
  }

  // Decoded, in double.
  std::vector<double> Decoded() const {
    std::vector<float> f(static_cast<size_t>(view.num_elements()));
    Info(view.dtype).decode(view.data, f.data(), view.num_elements());
    return {f.begin(), f.end()};
  }

  TensorView view;

 private:
  // Where in a block its fp16 factors are.
  static std::vector<int> FactorOffsets(DType dtype) {
    switch (dtype) {
      case DType::kQ4_1:
      case DType::kQ5_1:
      case DType::kQ4_K:
      case DType::kQ5_K: return {0, 2};
      case DType::kQ2_K: return {80, 82};
      case DType::kQ3_K: return {108};
      case DType::kQ6_K: return {208};
      case DType::kMXFP4: return {};
      default: return {0};
    }
  }

  std::vector<uint8_t> bytes_;
};

inline TensorView View(std::vector<float>& v, std::initializer_list<int64_t> dims) {
  return TensorView(v.data(), DType::kF32, dims);
}

// Equal as bits, so that -0 and NaN count.
inline bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

inline constexpr DType kWeightTypes[] = {
    DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ4_0, DType::kQ4_1,   DType::kQ5_0,
    DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K, DType::kQ4_K,   DType::kQ5_K,
    DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4,
};

}  // namespace lb
