// Operations that treat each row, or each number, alone.
#include <cmath>
#include <vector>

#include "kernels/ref/ref_ops.h"

namespace lb {
namespace {

float Activated(Activation act, float x) {
  switch (act) {
    case Activation::kSilu: return x / (1.0f + std::exp(-x));
    case Activation::kGeluTanh: {
      const float inner = 0.79788456080286535588f * (x + 0.044715f * x * x * x);
      return 0.5f * x * (1.0f + std::tanh(inner));
    }
    case Activation::kGelu: return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752440f));
    case Activation::kRelu: return x > 0 ? x : 0.0f;
  }
  CHECK(false);
}

// 16 sums side by side, then halves onto halves: the order a vector unit takes.
float HalvesSum(float (&sum)[16]) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) sum[i] += sum[i + half];
  }
  return sum[0];
}

}  // namespace

void RefOps::RmsNorm(const TensorView& x, const float* weight, float eps, const TensorView& y) {
  const int64_t cols = x.cols();
  CHECK_EQ(x.num_elements(), y.num_elements());
  for (int64_t r = 0; r < x.rows(); ++r) {
    const float* in = x.f32_row(r);
    float* out = y.f32() + r * cols;
    float sum[16] = {};
    for (int64_t c = 0; c < cols; ++c) sum[c % 16] = std::fma(in[c], in[c], sum[c % 16]);
    const float scale = 1.0f / std::sqrt(HalvesSum(sum) / static_cast<float>(cols) + eps);
    for (int64_t c = 0; c < cols; ++c) out[c] = (in[c] * scale) * weight[c];
  }
}

void RefOps::LayerNorm(const TensorView& x, const float* weight, const float* bias, float eps,
                       const TensorView& y) {
  const int64_t cols = x.cols();
  CHECK_EQ(x.num_elements(), y.num_elements());
  for (int64_t r = 0; r < x.rows(); ++r) {
    const float* in = x.f32_row(r);
    float* out = y.f32() + r * cols;
    float sum[16] = {};
    for (int64_t c = 0; c < cols; ++c) sum[c % 16] += in[c];
    const float mean = HalvesSum(sum) / static_cast<float>(cols);
    float squares[16] = {};
    for (int64_t c = 0; c < cols; ++c) {
      const float difference = in[c] - mean;
      squares[c % 16] = std::fma(difference, difference, squares[c % 16]);
    }
    const float scale = 1.0f / std::sqrt(HalvesSum(squares) / static_cast<float>(cols) + eps);
    for (int64_t c = 0; c < cols; ++c) {
      out[c] = std::fma((in[c] - mean) * scale, weight[c], bias[c]);
    }
  }
}

void RefOps::Rope(const TensorView& x, int head_dim, std::span<const int32_t> positions,
                  const RopeTable& table) {
  const auto tokens = static_cast<int64_t>(positions.size());
  const int pairs = table.dims / 2;
  CHECK(table.dims <= head_dim && table.dims % 2 == 0);
  CHECK_EQ(x.num_elements() % (tokens * head_dim), 0);
  const int64_t heads = x.num_elements() / (tokens * head_dim);
  std::vector<float> cosines(static_cast<size_t>(tokens * pairs));
  std::vector<float> sines(cosines.size());
  RopeAngles(table, positions, cosines.data(), sines.data());
  const bool halves = table.style == RopeStyle::kHalves;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t h = 0; h < heads; ++h) {
      float* head = x.f32() + (t * heads + h) * head_dim;
      for (int i = 0; i < pairs; ++i) {
        float& a = head[halves ? i : 2 * i];
        float& b = head[halves ? i + pairs : 2 * i + 1];
        const float c = cosines[static_cast<size_t>(t * pairs + i)];
        const float s = sines[static_cast<size_t>(t * pairs + i)];
        const float rotated_a = a * c - b * s;
        const float rotated_b = a * s + b * c;
        a = rotated_a;
        b = rotated_b;
      }
    }
  }
}

void RefOps::GluMul(Activation act, const TensorView& gate, const TensorView& up,
                    const TensorView& y) {
  CHECK_EQ(gate.num_elements(), up.num_elements());
  CHECK_EQ(gate.num_elements(), y.num_elements());
  for (int64_t i = 0; i < gate.num_elements(); ++i) {
    y.f32()[i] = Activated(act, gate.f32()[i]) * up.f32()[i];
  }
}

void RefOps::Activate(Activation act, const TensorView& x) {
  for (int64_t i = 0; i < x.num_elements(); ++i) x.f32()[i] = Activated(act, x.f32()[i]);
}

void RefOps::Add(const TensorView& x, const TensorView& y) {
  CHECK_EQ(x.num_elements(), y.num_elements());
  for (int64_t i = 0; i < x.num_elements(); ++i) y.f32()[i] += x.f32()[i];
}

void RefOps::Softcap(const TensorView& x, float cap) {
  for (int64_t i = 0; i < x.num_elements(); ++i) x.f32()[i] = cap * std::tanh(x.f32()[i] / cap);
}

}  // namespace lb
