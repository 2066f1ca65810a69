// The CPU's products, as docs/contracts/kernels.md defines them: every other CPU backend gives these
// bits.
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/ref/ref_ops.h"
#include "kernels/weight_block.h"

namespace lb {
namespace {

class RefMatrix : public Matrix {
 public:
  explicit RefMatrix(const TensorView& raw) {
    rows = raw.rows();
    cols = raw.cols();
    dtype = raw.dtype;
    bytes = raw.num_bytes();
    row_bytes = raw.row_bytes();
    data.assign(raw.as<char>(), raw.as<char>() + bytes);
  }
  int64_t row_bytes = 0;
  std::vector<char> data;
};

// 32 activations of one row.
struct ActBlock {
  int8_t q[32];
  float d;       // x is about d * q
  int sum[2];    // of q[0..15] and q[16..31]
  float dsum;    // d * (sum[0] + sum[1])
};

ActBlock Quantise(const float* x) {
  ActBlock b;
  float largest = 0;
  float poison = 0;  // NaN when any of x is no number or infinite, so that the row shows it
  for (int i = 0; i < 32; ++i) {
    largest = std::fmax(largest, std::fabs(x[i]));
    poison += x[i] * 0.0f;
  }
  const bool tiny = !(largest >= 1e-30f);
  b.d = (tiny ? 0.0f : largest / 127.0f) + poison;
  const float inverse = tiny ? 0.0f : 127.0f / largest;
  b.sum[0] = b.sum[1] = 0;
  for (int i = 0; i < 32; ++i) {
    const float scaled = x[i] * inverse;
    b.q[i] = std::fabs(scaled) < 128.0f ? static_cast<int8_t>(std::nearbyint(scaled)) : int8_t{0};
    b.sum[i / 16] += b.q[i];
  }
  b.dsum = b.d * static_cast<float>(b.sum[0] + b.sum[1]);
  return b;
}

// What rounding 32 activations left.
ActBlock QuantiseRest(const float* x, const ActBlock& b) {
  float rest[32];
  for (int i = 0; i < 32; ++i) rest[i] = std::fma(-b.d, static_cast<float>(b.q[i]), x[i]);
  return Quantise(rest);
}

// The weights of one row, read once for all activations.
std::vector<WeightBlock> ReadRow(const RefMatrix& w, int64_t row) {
  std::vector<WeightBlock> blocks(static_cast<size_t>(w.cols / 32));
  for (size_t b = 0; b < blocks.size(); ++b) {
    ReadWeightBlock(w.dtype, w.data.data() + row * w.row_bytes, static_cast<int64_t>(b), &blocks[b]);
  }
  return blocks;
}

int Product(const WeightBlock& w, const ActBlock& a, int half) {
  int sum = 0;
  for (int i = half * 16; i < half * 16 + 16; ++i) sum += w.value[i] * a.q[i];
  return sum;
}

float DotBlocks(const WeightFormat& format, std::span<const WeightBlock> w, const ActBlock* a) {
  float acc = 0;
  for (size_t b = 0; b < w.size(); ++b) {
    const int sum = Product(w[b], a[b], 0) + Product(w[b], a[b], 1);
    acc = std::fma(static_cast<float>(sum), w[b].d * a[b].d, acc);
    if (format.has_minimum) acc = std::fma(w[b].m, a[b].dsum, acc);
  }
  return acc;
}

float DotSuper(const WeightFormat& format, std::span<const WeightBlock> w, const ActBlock* a) {
  float acc = 0;
  for (size_t b = 0; b < w.size(); b += 8) {
    float scaled = 0;
    float minimum = 0;
    for (size_t i = b; i < b + 8; ++i) {
      // Below 2^24 for every format: exact as a float, too.
      const int sum = w[i].scale[0] * Product(w[i], a[i], 0) + w[i].scale[1] * Product(w[i], a[i], 1);
      scaled = std::fma(static_cast<float>(sum), a[i].d, scaled);
      if (!format.has_minimum) continue;
      if (format.scale_per_16) {
        const int least = w[i].minimum[0] * a[i].sum[0] + w[i].minimum[1] * a[i].sum[1];
        minimum = std::fma(static_cast<float>(least), a[i].d, minimum);
      } else {
        minimum = std::fma(static_cast<float>(w[i].minimum[0]), a[i].dsum, minimum);
      }
    }
    acc = std::fma(scaled, w[b].d, acc);
    if (format.has_minimum) acc = std::fma(minimum, -w[b].m, acc);
  }
  return acc;
}

float DotIntegers(const WeightFormat& format, std::span<const WeightBlock> w, const ActBlock* a) {
  return format.kind == WeightKind::kBlock ? DotBlocks(format, w, a) : DotSuper(format, w, a);
}

constexpr int64_t kFloatChunk = 128;

float DotFloat(const float* w, const float* x, int64_t n) {
  float acc = 0;
  for (int64_t begin = 0; begin < n; begin += kFloatChunk) {
    const int64_t end = std::min(n, begin + kFloatChunk);
    float sum = 0;
    for (int64_t i = begin; i < end; ++i) sum = std::fma(w[i], x[i], sum);
    acc += sum;
  }
  return acc;
}

void Write(const MatmulOut& out, int64_t t, int64_t row, float value) {
  float& y = out.y.f32_row(t)[row];
  if (out.bias != nullptr) value += out.bias[row];
  y = out.accumulate ? y + value : value;
}

}  // namespace

Result<std::unique_ptr<Matrix>> RefOps::LoadMatrix(const TensorView& raw) {
  LB_RETURN_IF_ERROR(CheckWeight(raw));
  return std::unique_ptr<Matrix>(std::make_unique<RefMatrix>(raw));
}

void RefOps::Matmul(const TensorView& x, std::span<const MatmulOut> outs) {
  const int64_t num_tokens = x.rows();
  const int64_t cols = x.cols();
  std::vector<ActBlock> act, rest;
  for (const MatmulOut& out : outs) {
    const auto* w = dynamic_cast<const RefMatrix*>(out.w);
    CHECK(w != nullptr);
    CHECK_EQ(w->cols, cols);
    CHECK_EQ(out.y.rows(), num_tokens);
    CHECK_EQ(out.y.cols(), w->rows);
    const WeightFormat& format = FormatOf(w->dtype);
    if (format.kind == WeightKind::kFloat) {
      std::vector<float> row(static_cast<size_t>(cols));
      for (int64_t r = 0; r < w->rows; ++r) {
        Info(w->dtype).decode(w->data.data() + r * w->row_bytes, row.data(), cols);
        for (int64_t t = 0; t < num_tokens; ++t) {
          Write(out, t, r, DotFloat(row.data(), x.f32_row(t), cols));
        }
      }
      continue;
    }
    const int64_t blocks = cols / 32;
    if (act.empty()) {
      for (int64_t b = 0; b < num_tokens * blocks; ++b) act.push_back(Quantise(x.f32() + b * 32));
    }
    if (out.fine && rest.empty()) {
      for (size_t b = 0; b < act.size(); ++b) rest.push_back(QuantiseRest(x.f32() + b * 32, act[b]));
    }
    for (int64_t r = 0; r < w->rows; ++r) {
      const std::vector<WeightBlock> row = ReadRow(*w, r);
      for (int64_t t = 0; t < num_tokens; ++t) {
        Write(out, t, r, DotIntegers(format, row, act.data() + t * blocks));
        if (out.fine) out.y.f32_row(t)[r] += DotIntegers(format, row, rest.data() + t * blocks);
      }
    }
  }
}

}  // namespace lb
