// Products of few rows of activations: every weight is read once, near the bandwidth of the memory.
#include <algorithm>

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/fragments.cuh"
#include "kernels/cuda/kernel_launch.cuh"

namespace lb::cuda {
namespace {

constexpr int kThreads = kRowThreads;
constexpr int kWarps = kThreads / 32;
constexpr int kColumns = 8;  // tokens of one block: the width of a tensor-core tile

// Halves between two tokens in shared memory: 64 bytes more than a multiple of 128, so that the eight
// lanes of a 16-byte access fall into different banks.
__host__ __device__ constexpr int XStride(int chunks) { return chunks * kChunkCols + 32; }

__device__ __forceinline__ void PrefetchL2(const void* p, int64_t bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(p), "r"(static_cast<uint32_t>(bytes)) : "memory");
#endif
}

// This block's rows of x as fp16 in shared memory, normed if that is asked for.
__device__ __forceinline__ void StageRows(const FewProducts& args, int first, int count, int stride,
                                          __half* xs, float* scratch) {
  for (int n = 0; n < count; ++n) {
    uint32_t* row = reinterpret_cast<uint32_t*>(xs + n * stride);
    const int64_t at = static_cast<int64_t>(first + n) * args.cols;
    const int pairs = args.cols / 2, padded = stride / 2;
    if (args.x.half) {
      const uint32_t* x = static_cast<const uint32_t*>(args.x.data) + at / 2;
      for (int i = threadIdx.x; i < padded; i += kThreads) row[i] = i < pairs ? x[i] : 0;
      continue;
    }
    const float2* x = reinterpret_cast<const float2*>(static_cast<const float*>(args.x.data) + at);
    float scale = kActivationScale;
    if (args.norm_weight != nullptr) {
      float sum = 0;
      for (int i = threadIdx.x; i < pairs; i += kThreads) {
        const float2 v = x[i];
        sum += v.x * v.x + v.y * v.y;
      }
      sum = BlockSum(sum, scratch + n * kWarps);
      scale *= rsqrtf(sum / static_cast<float>(args.cols) + args.norm_eps);
    }
    const float2* weight = reinterpret_cast<const float2*>(args.norm_weight);
    for (int i = threadIdx.x; i < padded; i += kThreads) {
      uint32_t packed = 0;
      if (i < pairs) {
        float2 v = x[i];
        if (args.norm_weight != nullptr) {
          const float2 w = weight[i];
          v.x *= w.x, v.y *= w.y;
        }
        packed = PackHalves(v.x * scale, v.y * scale);
      }
      row[i] = packed;
    }
  }
}

// One warp's share of a row tile: chunks `first`, first + step, ... times the staged rows.
template <WeightForm kForm>
__device__ __forceinline__ void TileProduct(const uint8_t* tile, int chunks, int first, int step,
                                            float offset, const __half* xs, int stride, bool real,
                                            int lane, float (&sum)[4]) {
  constexpr int kAhead = kForm == WeightForm::kHalf ? 2 : 4;
  constexpr int kRecord = LayoutOf(kForm).record();
  const __half* x = xs + lane / 4 * stride + lane % 4 * 8;
  float parts[2][4] = {};
  for (int c0 = first; c0 < chunks; c0 += step * kAhead) {
    Chunk<kForm> chunk[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int c = c0 + u * step;
      if (c < chunks) chunk[u].Load(tile + static_cast<int64_t>(c) * kRecord, lane);
    }
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int c = c0 + u * step;
      if (c < chunks) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          uint32_t a[2][4];
          chunk[u].Decode(half, offset, a);
          uint4 b = make_uint4(0, 0, 0, 0);
          if (real) b = *reinterpret_cast<const uint4*>(x + c * kChunkCols + half * 32);
          Mma(parts[half], a[0], b.x, b.y);
          Mma(parts[half], a[1], b.z, b.w);
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) sum[i] = parts[0][i] + parts[1][i];
}

// One form of weights in each kernel: with all of them in one the compiler spills.
template <WeightForm kForm>
__global__ void __launch_bounds__(kThreads, 2) FewProductsKernel(const __grid_constant__ FewProducts args) {
  extern __shared__ __align__(16) __half xs[];
  __shared__ float partial[2][kWarps][kTileRows * kColumns];
  __shared__ float scratch[kColumns * kWarps];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first_token = blockIdx.y * kColumns;
  const int tokens = min(kColumns, args.tokens - first_token);
  const int stride = XStride(args.segments[0].w.chunks);

  const auto segment_of = [&](int tile) {
    int s = 0;
    while (s + 1 < args.num_segments && tile >= args.segments[s + 1].first_tile) ++s;
    return s;
  };
  LaunchNext();
  // The first weights come while the kernel before still runs; they never change.
  if (threadIdx.x == 0 && blockIdx.x < args.num_tiles) {
    const int count = args.glu ? 2 : 1;
    const int from = args.glu ? 0 : segment_of(blockIdx.x);
    for (int s = from; s < from + count; ++s) {
      const DeviceWeight& w = args.segments[s].w;
      const int tile = args.glu ? blockIdx.x : blockIdx.x - args.segments[s].first_tile;
      const int64_t bytes = int64_t{w.chunks} * LayoutOf(kForm).record();
      PrefetchL2(w.data + tile * bytes, bytes);
    }
  }
  WaitForPrevious();
  StageRows(args, first_token, tokens, stride, xs, scratch);
  __syncthreads();

  const bool real = lane / 4 < tokens;
  const int splits = args.glu ? kWarps / 2 : kWarps;
  int buffer = 0;
  for (int tile = blockIdx.x; tile < args.num_tiles; tile += gridDim.x, buffer ^= 1) {
    const int s = args.glu ? warp / splits : segment_of(tile);
    const FewSegment& segment = args.segments[s];
    const DeviceWeight& w = segment.w;
    const int local = args.glu ? tile : tile - segment.first_tile;
    float sum[4];
    const uint8_t* at = w.data + static_cast<int64_t>(local) * w.chunks * LayoutOf(kForm).record();
    TileProduct<kForm>(at, w.chunks, warp % splits, splits, static_cast<float>(w.offset), xs, stride, real, lane, sum);
    // [token][row]
    float* mine = partial[buffer][warp];
    const int g = lane / 4, t = lane % 4;
    mine[(2 * t) * kTileRows + g] = sum[0];
    mine[(2 * t + 1) * kTileRows + g] = sum[1];
    mine[(2 * t) * kTileRows + g + 8] = sum[2];
    mine[(2 * t + 1) * kTileRows + g + 8] = sum[3];
    __syncthreads();
    const int token = threadIdx.x / kTileRows, row = local * kTileRows + threadIdx.x % kTileRows;
    if (token < tokens && row < w.rows && threadIdx.x < kTileRows * kColumns) {
      constexpr float kUnscale = 1.0f / kActivationScale;
      if (args.glu) {
        float value[2];
#pragma unroll
        for (int p = 0; p < 2; ++p) {
          const FewSegment& part = args.segments[p];
          float v = 0;
#pragma unroll
          for (int i = 0; i < kWarps / 2; ++i) v += partial[buffer][p * (kWarps / 2) + i][threadIdx.x];
          v *= part.w.unscale * kUnscale;
          if (part.bias != nullptr) v += part.bias[row];
          value[p] = v;
        }
        const float result = Activated(args.act, value[0]) * value[1];
        const int64_t at = static_cast<int64_t>(first_token + token) * w.rows + row;
        if (args.glu_half) {
          static_cast<__half*>(args.glu_out)[at] = __low2half(AsHalf2(PackHalves(result * kActivationScale, 0)));
        } else {
          static_cast<float*>(args.glu_out)[at] = result;
        }
      } else {
        float v = 0;
#pragma unroll
        for (int i = 0; i < kWarps; ++i) v += partial[buffer][i][threadIdx.x];
        v *= w.unscale * kUnscale;
        if (segment.bias != nullptr) v += segment.bias[row];
        float* y = segment.y + static_cast<int64_t>(first_token + token) * w.rows + row;
        *y = segment.accumulate ? *y + v : v;
      }
    }
  }
}

size_t SharedBytes(int chunks, int tokens) {
  return static_cast<size_t>(XStride(chunks)) * sizeof(__half) * static_cast<size_t>(tokens);
}

}  // namespace

bool FewProductsFit(const DeviceFacts& facts, int cols) {
  const int chunks = (cols + kChunkCols - 1) / kChunkCols;
  return cols % 2 == 0 && SharedBytes(chunks, kColumns) + 12 * 1024 <= static_cast<size_t>(facts.shared_per_block);
}

void LaunchFewProducts(const Launcher& on, const FewProducts& args) {
  const size_t shared = SharedBytes(args.segments[0].w.chunks, std::min(kColumns, args.tokens));
  const int groups = (args.tokens + kColumns - 1) / kColumns;
  // As many blocks as run at once, with equal shares.
  const int resident = static_cast<int>(std::clamp<size_t>(200 * 1024 / (shared + 10 * 1024), 1, 2));
  const int at_once = std::max(1, on.facts.num_sms * resident);
  const int rounds = (args.num_tiles + at_once - 1) / at_once;
  const int blocks = (args.num_tiles + rounds - 1) / rounds;
  const auto launch = [&]<WeightForm kForm>() {
    AllowShared(FewProductsKernel<kForm>, shared);
    LaunchKernel(on, FewProductsKernel<kForm>, dim3(blocks, groups), dim3(kThreads), shared, args);
  };
  WithForm(args.segments[0].w.form, launch);
}

}  // namespace lb::cuda
