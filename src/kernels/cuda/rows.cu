// Operations that treat each row, or each number, alone.
#include <algorithm>

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/fragments.cuh"
#include "kernels/cuda/kernel_launch.cuh"
#include "kernels/cuda/stage_rows.cuh"

namespace lb::cuda {
namespace {

constexpr int kThreads = kRowThreads;

int BlocksFor(int64_t n, int per_block = kThreads) {
  return static_cast<int>(std::clamp<int64_t>((n + per_block - 1) / per_block, 1, 1 << 20));
}

// A warp reads a token's row out of the tiles: lanes of the row's g decode, the others idle.
__global__ void EmbedKernel(const DeviceWeight w, const int32_t* ids, float scale, float* y) {
  LaunchNext();
  WaitForPrevious();
  const int lane = threadIdx.x % 32, token = blockIdx.x;
  const int id = ids[token], g = id % kTileRows % 8, high = id % kTileRows / 8;
  scale *= w.unscale;
  for (int c = threadIdx.x / 32; c < w.chunks; c += blockDim.x / 32) {
    WithForm(w.form, [&]<WeightForm kForm>() {
      Chunk<kForm> chunk;
      chunk.Load(w.data + (static_cast<int64_t>(id / kTileRows) * w.chunks + c) * LayoutOf(kForm).record(), lane);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        uint32_t a[2][4];
        chunk.Decode(half, a);
        if (lane / 4 != g) continue;
        const int col = c * kChunkCols + half * 32 + lane % 4 * 8;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const uint32_t bits = high ? a[i / 2][i % 2 * 2 + 1] : a[i / 2][i % 2 * 2];
          const float2 v = __half22float2(AsHalf2(bits));
          float* to = y + static_cast<int64_t>(token) * w.cols + col + 2 * i;
          if (col + 2 * i < w.cols) to[0] = v.x * scale;
          if (col + 2 * i + 1 < w.cols) to[1] = v.y * scale;
        }
      }
    });
  }
}

__global__ void ToHalfKernel(const float* x, int64_t n, __half* y) {
  LaunchNext();
  WaitForPrevious();
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    StoreScaled(y, RowForm::kHalves, i, x[i]);
  }
}

// A row that its block's threads hold in registers, in the order of sums of the norm inside FewProducts.
__global__ void __launch_bounds__(kThreads) ShortNormKernel(const Norm args) {
  __shared__ float scratch[kThreads / 32];
  LaunchNext();
  const int vectors = args.cols / 4;
  float4 w[kVectors], x[kVectors];
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    const int i = threadIdx.x + v * kThreads;
    if (i < vectors) w[v] = reinterpret_cast<const float4*>(args.weight)[i];
  }
  WaitForPrevious();
  const int64_t base = static_cast<int64_t>(blockIdx.x) * args.cols;
  float sum = 0;
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    const int i = threadIdx.x + v * kThreads;
    x[v] = i < vectors ? reinterpret_cast<const float4*>(args.x + base)[i] : make_float4(0, 0, 0, 0);
  }
#pragma unroll
  for (int v = 0; v < kVectors; ++v) sum += SquareSum(x[v]);
  const float scale = rsqrtf(BlockSum(sum, scratch) / static_cast<float>(args.cols) + args.eps);
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    const int i = threadIdx.x + v * kThreads;
    if (i >= vectors) continue;
    if (args.form != RowForm::kFloats) {
      __half* to = static_cast<__half*>(args.y) + PlaceOf(args.form, blockIdx.x, 4 * i, args.cols);
      *reinterpret_cast<uint2*>(to) = NormedHalves(x[v], w[v], scale * kActivationScale);
    } else {
      reinterpret_cast<float4*>(static_cast<float*>(args.y) + base)[i] =
          make_float4(x[v].x * w[v].x * scale, x[v].y * w[v].y * scale, x[v].z * w[v].z * scale, x[v].w * w[v].w * scale);
    }
  }
}

__global__ void NormKernel(const Norm args) {
  __shared__ float scratch[2][kThreads / 32];
  LaunchNext();
  WaitForPrevious();
  const int64_t base = static_cast<int64_t>(blockIdx.x) * args.cols;
  const float* x = args.x + base;
  float mean = 0;
  if (args.layer_norm) {
    float sum = 0;
    for (int i = threadIdx.x; i < args.cols; i += kThreads) sum += x[i];
    mean = BlockSum(sum, scratch[0]) / static_cast<float>(args.cols);
  }
  float squares = 0;
  if (args.cols % 4 == 0 && !args.layer_norm) {
    // The same order as in a short row.
#pragma unroll 4
    for (int i = threadIdx.x; i < args.cols / 4; i += kThreads) {
      const float4 v = reinterpret_cast<const float4*>(x)[i];
      squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
    }
  } else {
    for (int i = threadIdx.x; i < args.cols; i += kThreads) squares += (x[i] - mean) * (x[i] - mean);
  }
  const float scale = rsqrtf(BlockSum(squares, scratch[1]) / static_cast<float>(args.cols) + args.eps);
  for (int i = threadIdx.x; i < args.cols; i += kThreads) {
    float v = args.layer_norm ? (x[i] - mean) * scale * args.weight[i] + args.bias[i] : x[i] * args.weight[i] * scale;
    StoreScaled(args.y, args.form, PlaceOf(args.form, blockIdx.x, i, args.cols), v);
  }
}

// Angles in double, since a position of 100,000 leaves a float three digits.
__global__ void AnglesKernel(const int32_t* positions, int tokens, const float* inv_freq, int pairs,
                             float magnitude, float* cosines, float* sines) {
  LaunchNext();
  WaitForPrevious();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= static_cast<int64_t>(tokens) * pairs) return;
  const double turns = static_cast<double>(positions[i / pairs]) * static_cast<double>(inv_freq[i % pairs]) *
                       0.15915494309189533577;
  // Whole turns go first, in double; what is left is small enough for float functions.
  const float angle = static_cast<float>((turns - rint(turns)) * 6.28318530717958647692);
  cosines[i] = cosf(angle) * magnitude;
  sines[i] = sinf(angle) * magnitude;
}

__global__ void GluKernel(Activation act, const void* gate, const void* up, bool half_in, int64_t n, void* y, bool half) {
  LaunchNext();
  WaitForPrevious();
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t pairs = n / 2;
  constexpr float kUp = 1.0f / kActivationScale;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < pairs; i += step) {
    float2 g, u;
    if (half_in) {
      g = __half22float2(static_cast<const __half2*>(gate)[i]);
      u = __half22float2(static_cast<const __half2*>(up)[i]);
      g.x *= kUp, g.y *= kUp, u.x *= kUp, u.y *= kUp;
    } else {
      g = static_cast<const float2*>(gate)[i];
      u = static_cast<const float2*>(up)[i];
    }
    const float a = Activated(act, g.x) * u.x, b = Activated(act, g.y) * u.y;
    if (half) {
      static_cast<uint32_t*>(y)[i] = PackHalves(a * kActivationScale, b * kActivationScale);
    } else {
      static_cast<float2*>(y)[i] = make_float2(a, b);
    }
  }
  if (n % 2 == 1 && blockIdx.x == 0 && threadIdx.x == 0 && !half_in) {
    const float v = Activated(act, static_cast<const float*>(gate)[n - 1]) * static_cast<const float*>(up)[n - 1];
    StoreScaled(y, half ? RowForm::kHalves : RowForm::kFloats, n - 1, v);
  }
}

enum class Each { kActivate, kAdd, kSoftcap, kScale };
__global__ void EachKernel(Each what, Activation act, const float* x, int64_t n, float cap, float* y) {
  LaunchNext();
  WaitForPrevious();
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    float v = x[i];
    if (what == Each::kActivate) v = Activated(act, v);
    if (what == Each::kAdd) v += y[i];
    if (what == Each::kSoftcap) v = cap * tanhf(v / cap);
    if (what == Each::kScale) v *= cap;
    y[i] = v;
  }
}

// Row lengths in 4-byte words.
__global__ void GatherRowsKernel(const uint32_t* x, const int32_t* rows, int words, uint32_t* y) {
  LaunchNext();
  WaitForPrevious();
  const uint32_t* from = x + static_cast<int64_t>(rows[blockIdx.x]) * words;
  for (int i = threadIdx.x; i < words; i += blockDim.x) y[static_cast<int64_t>(blockIdx.x) * words + i] = from[i];
}

}  // namespace

void LaunchEmbed(const Launcher& on, const DeviceWeight& table, const int32_t* ids, int tokens, float scale, float* y) {
  // A chunk for each warp: all of a row is asked for at once.
  LaunchKernel(on, EmbedKernel, dim3(tokens), dim3(32 * std::min(table.chunks, 32)), 0, table, ids, scale, y);
}
void LaunchToHalf(const Launcher& on, const float* x, int64_t n, void* y) {
  LaunchKernel(on, ToHalfKernel, dim3(BlocksFor(n, 4 * kThreads)), dim3(kThreads), 0, x, n, static_cast<__half*>(y));
}
void LaunchNorm(const Launcher& on, const Norm& args) {
  const bool fits = !args.layer_norm && args.cols % 4 == 0 && args.cols <= 4 * kVectors * kThreads;
  LaunchKernel(on, fits ? ShortNormKernel : NormKernel, dim3(static_cast<unsigned>(args.rows)), dim3(kThreads), 0, args);
}
void LaunchAngles(const Launcher& on, const int32_t* positions, int tokens, const float* inv_freq, int pairs,
                  float magnitude, float* cosines, float* sines) {
  LaunchKernel(on, AnglesKernel, dim3(BlocksFor(static_cast<int64_t>(tokens) * pairs, 64)), dim3(64), 0, positions, tokens,
               inv_freq, pairs, magnitude, cosines, sines);
}
void LaunchGlu(const Launcher& on, Activation act, const void* gate, const void* up, bool half_in, int64_t n, void* y, bool half) {
  LaunchKernel(on, GluKernel, dim3(BlocksFor(n, 4 * kThreads)), dim3(kThreads), 0, act, gate, up, half_in, n, y, half);
}
void LaunchActivate(const Launcher& on, Activation act, const float* x, int64_t n, float* y) {
  LaunchKernel(on, EachKernel, dim3(BlocksFor(n)), dim3(kThreads), 0, Each::kActivate, act, x, n, 0.0f, y);
}
void LaunchAdd(const Launcher& on, const float* x, int64_t n, float* y) {
  LaunchKernel(on, EachKernel, dim3(BlocksFor(n)), dim3(kThreads), 0, Each::kAdd, Activation::kSilu, x, n, 0.0f, y);
}
void LaunchSoftcap(const Launcher& on, float* x, int64_t n, float cap) {
  LaunchKernel(on, EachKernel, dim3(BlocksFor(n)), dim3(kThreads), 0, Each::kSoftcap, Activation::kSilu, x, n, cap, x);
}
void LaunchScale(const Launcher& on, float* x, int64_t n, float factor) {
  LaunchKernel(on, EachKernel, dim3(BlocksFor(n)), dim3(kThreads), 0, Each::kScale, Activation::kSilu, x, n, factor, x);
}
void LaunchGatherRows(const Launcher& on, const Rows& x, const int32_t* rows, int64_t count, int cols, void* y) {
  LaunchKernel(on, GatherRowsKernel, dim3(static_cast<unsigned>(count)), dim3(kThreads), 0,
               static_cast<const uint32_t*>(x.data), rows, x.form == RowForm::kFloats ? cols : cols / 2, static_cast<uint32_t*>(y));
}

}  // namespace lb::cuda
