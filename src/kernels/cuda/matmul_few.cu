// Products of few rows of activations: every weight is read once, near the bandwidth of the memory.
#include <algorithm>

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/fragments.cuh"
#include "kernels/cuda/kernel_launch.cuh"

namespace lb::cuda {
namespace {

constexpr int kColumns = 8;    // tokens of a tensor-core tile
constexpr int kWideTiles = 4;  // such tiles of one block when there are many tokens

// Halves between two tokens in shared memory: 64 bytes more than a multiple of 128, so that the eight
// lanes of a 16-byte access fall into different banks.
__host__ __device__ constexpr int XStride(int chunks) { return chunks * kChunkCols + 32; }

// The shape of a kernel: kWarps warps, kTiles row tiles at once (gate and up), kWide tiles of tokens, kAhead chunks in a batch.
template <WeightForm kFormOf, int kWarpsOf, int kWideOf, bool kGluOf>
struct FewShape {
  static constexpr WeightForm kForm = kFormOf;
  static constexpr int kWarps = kWarpsOf;  // which share the columns; a matter of the matrices alone, never of the tokens
  static constexpr int kThreads = kWarps * 32;
  // Blocks of a multiprocessor: 16 warps keep its schedulers busy.
  static constexpr int kBlocks = kWarps > 8 || (kWideOf > 1 && kGluOf) ? 1 : 2;
  static constexpr int kWide = kWideOf;
  static constexpr bool kGlu = kGluOf;
  static constexpr int kTiles = kGlu ? 2 : 1;
  static constexpr int kAhead = kGlu || kForm == WeightForm::kHalf ? 1 : kWarps > 8 && kWide == 1 ? 3 : 2;
  static constexpr int kRecord = LayoutOf(kForm).record();
  static constexpr int kTokens = kWide * kColumns;
  // Of one half of the double buffer: [warp][tile][token][row].
  static constexpr int kPartial = kWarps * kTiles * kTokens * kTileRows;
};

// The weights of one step of a warp: kAhead chunks of each row tile, kWarps chunks apart, the first of them `c`.
template <typename S>
struct Batch {
  static constexpr int kStep = S::kWarps * S::kAhead;  // chunks from a batch to the next
  Chunk<S::kForm> chunk[S::kTiles][S::kAhead];

  __device__ __forceinline__ void Load(const uint8_t* const (&at)[S::kTiles], int c, int chunks, int lane) {
#pragma unroll
    for (int u = 0; u < S::kAhead; ++u) {
      if (c + u * S::kWarps < chunks) {
#pragma unroll
        for (int i = 0; i < S::kTiles; ++i) chunk[i][u].Load(at[i] + u * S::kWarps * S::kRecord, lane);
      }
    }
  }
};

// Where a lane finds the activations of its token: shared memory for few tokens, else fp16 rows in global memory.
struct Activations {
  const __half* row;  // of token lane / 4 of the first tile, moved to the lane's columns of its warp's first chunk
  int stride;         // halves from a token to the next
  int tokens;         // of this block
  int cols;           // that exist, from that column on; global rows have no padding
};

template <typename S>
__device__ __forceinline__ uint4 LoadActivations(const Activations& x, int wide, int col, int lane) {
  const int token = wide * kColumns + lane / 4;
  uint4 b = make_uint4(0, 0, 0, 0);
  if (token < x.tokens && (S::kWide == 1 || col + lane % 4 * 8 < x.cols)) {
    b = *reinterpret_cast<const uint4*>(x.row + wide * kColumns * x.stride + col);
  }
  return b;
}

// Parity of the 32 columns, so that two chains of products run side by side.
template <typename S>
using Sums = float[S::kTiles][S::kWide][2][4];

template <typename S>
__device__ __forceinline__ void Multiply(const Batch<S>& batch, int c, int chunks, const Activations& x, int col, int lane,
                                         Sums<S>& sums) {
#pragma unroll
  for (int u = 0; u < S::kAhead; ++u) {
    if (c + u * S::kWarps < chunks) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        uint4 b[S::kWide];
#pragma unroll
        for (int n = 0; n < S::kWide; ++n) b[n] = LoadActivations<S>(x, n, col + u * S::kWarps * kChunkCols + half * 32, lane);
#pragma unroll
        for (int i = 0; i < S::kTiles; ++i) {
          uint32_t a[2][4];
          batch.chunk[i][u].Decode(half, a);
#pragma unroll
          for (int n = 0; n < S::kWide; ++n) {
            Mma(sums[i][n][half], a[0], b[n].x, b[n].y);
            Mma(sums[i][n][half], a[1], b[n].z, b[n].w);
          }
        }
      }
    }
  }
}

// The warps' sums of one row tile, joined in order, to where they belong.
template <typename S>
__device__ __forceinline__ void Write(const FewProducts& args, const FewSegment& segment, const float* partial, int local,
                                      int first_token, int tokens) {
  constexpr float kUnscale = 1.0f / kActivationScale;
  constexpr int kOne = S::kTokens * kTileRows;  // values of a row tile
  const int rows = segment.w.rows;
  for (int i = threadIdx.x; i < min(tokens * kTileRows, kOne); i += S::kThreads) {
    const int token = i / kTileRows, row = local * kTileRows + i % kTileRows;
    if (token >= tokens || row >= rows) continue;
    float value[S::kTiles];
#pragma unroll
    for (int tile = 0; tile < S::kTiles; ++tile) {
      const FewSegment& part = S::kGlu ? args.segments[tile] : segment;
      float v = 0;
#pragma unroll
      for (int w = 0; w < S::kWarps; ++w) v += partial[(w * S::kTiles + tile) * kOne + i];
      v *= part.w.unscale * kUnscale;
      if (part.bias != nullptr) v += part.bias[row];
      value[tile] = v;
    }
    const int64_t at = static_cast<int64_t>(first_token + token) * rows + row;
    if constexpr (S::kGlu) {
      StoreScaled(args.glu_out, args.glu_half, at, Activated(args.act, value[0]) * value[1]);
    } else {
      segment.y[at] = segment.accumulate ? segment.y[at] + value[0] : value[0];
    }
  }
}

// Vectors of four values that a thread holds of a row: rows of up to 4096 columns are read once.
constexpr int kVectors = 4;

__device__ __forceinline__ float SquareSum(float4 v) { return v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w; }

__device__ __forceinline__ uint2 NormedHalves(float4 v, float4 w, float scale) {
  return make_uint2(PackHalves(v.x * w.x * scale, v.y * w.y * scale), PackHalves(v.z * w.z * scale, v.w * w.w * scale));
}

// A row of f32, normed when there are weights (in shared memory), by the first kRowThreads threads of a block: in the order of
// sums of LaunchNorm. All of a thread's loads are under way before the first is used.
__device__ __forceinline__ void StageFloats(const FewProducts& args, const float* x, const float* norm, __half* row,
                                            float* scratch) {
  const int vectors = static_cast<int>(threadIdx.x) < kRowThreads ? args.cols / 4 : 0;
  uint2* out = reinterpret_cast<uint2*>(row);
  const bool once = vectors <= kVectors * kRowThreads;
  float4 values[kVectors];
  float sum = 0;
  if (once) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const int i = threadIdx.x + v * kRowThreads;
      values[v] = i < vectors ? reinterpret_cast<const float4*>(x)[i] : make_float4(0, 0, 0, 0);
    }
#pragma unroll
    for (int v = 0; v < kVectors; ++v) sum += SquareSum(values[v]);
  } else if (norm != nullptr) {
    for (int i = threadIdx.x; i < vectors; i += kRowThreads) sum += SquareSum(reinterpret_cast<const float4*>(x)[i]);
  }
  float scale = kActivationScale;
  if (norm != nullptr) scale *= rsqrtf(BlockSum(sum, scratch) / static_cast<float>(args.cols) + args.norm_eps);
  const auto store = [&](int i, float4 v) {
    const float4 w = norm != nullptr ? reinterpret_cast<const float4*>(norm)[i] : make_float4(1, 1, 1, 1);
    out[i] = NormedHalves(v, w, scale);
  };
  if (once) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const int i = threadIdx.x + v * kRowThreads;
      if (i < vectors) store(i, values[v]);
    }
  } else {
    for (int i = threadIdx.x; i < vectors; i += kRowThreads) store(i, reinterpret_cast<const float4*>(x)[i]);
  }
}

// This block's rows of x as fp16 in shared memory, with zeros behind the last column.
template <typename S>
__device__ __forceinline__ void StageRows(const FewProducts& args, int first, int count, int stride, const float* norm,
                                          __half* xs, float* scratch) {
  for (int n = 0; n < count; ++n) {
    __half* row = xs + n * stride;
    const int64_t at = static_cast<int64_t>(first + n) * args.cols;
    if (args.x.half) {
      const uint4* x = reinterpret_cast<const uint4*>(static_cast<const __half*>(args.x.data) + at);
      const int vectors = args.cols / 8;
      for (int base = threadIdx.x; base < vectors; base += 6 * S::kThreads) {
        uint4 values[6];
#pragma unroll
        for (int v = 0; v < 6; ++v) {
          if (base + v * S::kThreads < vectors) values[v] = x[base + v * S::kThreads];
        }
#pragma unroll
        for (int v = 0; v < 6; ++v) {
          if (base + v * S::kThreads < vectors) reinterpret_cast<uint4*>(row)[base + v * S::kThreads] = values[v];
        }
      }
    } else {
      StageFloats(args, static_cast<const float*>(args.x.data) + at, norm, row, scratch + n * S::kWarps);
    }
    for (int i = args.cols + threadIdx.x; i < stride; i += S::kThreads) row[i] = __half(0.0f);
  }
}

// Where a warp is: at chunk `c` of a tile (both tiles, of gate and up), whose record lies `at`.
template <typename S>
struct Cursor {
  int tile, c, segment;
  const uint8_t* at[S::kTiles];

  __device__ __forceinline__ void Open(const FewProducts& args, int tile_in, int warp) {
    tile = tile_in;
    c = warp;
    segment = 0;
    if constexpr (!S::kGlu) {
      while (segment + 1 < args.num_segments && tile >= args.segments[segment + 1].first_tile) ++segment;
    }
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
      const FewSegment& part = args.segments[S::kGlu ? i : segment];
      const int local = S::kGlu ? tile : tile - part.first_tile;
      at[i] = part.w.data + (static_cast<int64_t>(local) * part.w.chunks + warp) * S::kRecord;
    }
  }
  // To the next batch. False when there is none.
  __device__ __forceinline__ bool Next(const FewProducts& args, int chunks, int warp) {
    c += Batch<S>::kStep;
    if (c - warp < chunks) {
#pragma unroll
      for (int i = 0; i < S::kTiles; ++i) at[i] += Batch<S>::kStep * S::kRecord;
      return true;
    }
    const int next = tile + static_cast<int>(gridDim.x);
    if (next >= args.num_tiles) return false;
    Open(args, next, warp);
    return true;
  }
};

// One form of weights in each kernel: with all of them in one the compiler spills.
template <typename S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    FewProductsKernel(const __grid_constant__ FewProducts args) {
  extern __shared__ __align__(16) float shared[];
  __shared__ float scratch[kColumns * S::kWarps];
  float* partial = shared;  // twice
  __half* xs = reinterpret_cast<__half*>(shared + 2 * S::kPartial);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first_token = blockIdx.y * S::kTokens;
  const int tokens = min(S::kTokens, args.tokens - first_token);
  const int chunks = args.segments[0].w.chunks;

  // The first weights come while the kernel before still runs; they never change.
  Batch<S> batches[2];
  Cursor<S> loading, cursor;
  cursor.Open(args, blockIdx.x, warp);
  loading = cursor;
  batches[0].Load(loading.at, loading.c, chunks, lane);
  bool more = loading.Next(args, chunks, warp);
  if (more) batches[1].Load(loading.at, loading.c, chunks, lane);
  LaunchNext();
  float* norm = nullptr;
  if (S::kWide == 1 && args.norm_weight != nullptr) {
    norm = reinterpret_cast<float*>(xs + tokens * XStride(chunks));
    for (int i = threadIdx.x; i < args.cols / 4; i += S::kThreads) {
      reinterpret_cast<float4*>(norm)[i] = reinterpret_cast<const float4*>(args.norm_weight)[i];
    }
  }
  WaitForPrevious();
  Activations x;
  x.tokens = tokens;
  x.cols = args.cols;
  if constexpr (S::kWide == 1) {
    x.stride = XStride(chunks);
    StageRows<S>(args, first_token, tokens, x.stride, norm, xs, scratch);
    __syncthreads();
    x.row = xs + lane / 4 * x.stride + lane % 4 * 8;
  } else {
    x.stride = args.cols;
    x.row = static_cast<const __half*>(args.x.data) + static_cast<int64_t>(first_token + lane / 4) * args.cols + lane % 4 * 8;
  }

  Sums<S> sums = {};
  int buffer = 0;
  // Multiplies a batch, then lets it load what comes after the other one.
  const auto step = [&](Batch<S>& batch) {
    const int tile = cursor.tile, segment = cursor.segment;
    Multiply<S>(batch, cursor.c, chunks, x, cursor.c * kChunkCols, lane, sums);
    if (more) {
      more = loading.Next(args, chunks, warp);
      if (more) batch.Load(loading.at, loading.c, chunks, lane);
    }
    const bool goes_on = cursor.Next(args, chunks, warp);
    if (goes_on && cursor.tile == tile) return true;
    float* mine = partial + buffer * S::kPartial + warp * S::kTiles * S::kTokens * kTileRows;
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
#pragma unroll
      for (int n = 0; n < S::kWide; ++n) {
        float* at = mine + (i * S::kTokens + n * kColumns) * kTileRows;
#pragma unroll
        for (int v = 0; v < 4; ++v) {
          at[(2 * t + v % 2) * kTileRows + g + v / 2 * 8] = sums[i][n][0][v] + sums[i][n][1][v];
          sums[i][n][0][v] = sums[i][n][1][v] = 0;
        }
      }
    }
    __syncthreads();
    Write<S>(args, args.segments[segment], partial + buffer * S::kPartial,
             S::kGlu ? tile : tile - args.segments[segment].first_tile, first_token, tokens);
    buffer ^= 1;
    return goes_on;
  };
  while (step(batches[0]) && step(batches[1])) {
  }
}

template <typename S>
void Launch(const Launcher& on, const FewProducts& args) {
  const int tokens = std::min(S::kTokens, args.tokens);
  const size_t rows = S::kWide == 1 ? sizeof(__half) * static_cast<size_t>(XStride(args.segments[0].w.chunks)) * static_cast<size_t>(tokens) : 0;
  const size_t norm = args.norm_weight != nullptr ? sizeof(float) * static_cast<size_t>(args.cols) : 0;
  const size_t shared = sizeof(float) * 2 * S::kPartial + rows + norm;
  const int groups = (args.tokens + S::kTokens - 1) / S::kTokens;
  const int at_once = std::max(1, on.facts.num_sms * S::kBlocks / groups);
  const int blocks = std::min(args.num_tiles, at_once);
  AllowShared(FewProductsKernel<S>, shared);
  LaunchKernel(on, FewProductsKernel<S>, dim3(blocks, groups), dim3(S::kThreads), shared, args);
}

}  // namespace

bool FewProductsFit(const DeviceFacts& facts, int cols) {
  const int chunks = (cols + kChunkCols - 1) / kChunkCols;
  const size_t rows = sizeof(__half) * static_cast<size_t>(XStride(chunks)) * kColumns;
  return cols % 8 == 0 && rows + sizeof(float) * static_cast<size_t>(cols) + 36 * 1024 <= static_cast<size_t>(facts.shared_per_block);
}

void LaunchFewProducts(const Launcher& on, const FewProducts& args) {
  // With few row tiles a multiprocessor has one block, which then needs more warps.
  constexpr int kFewTiles = 256;
  const bool wide = args.tokens > kColumns && args.x.half;
  WithForm(args.segments[0].w.form, [&]<WeightForm kForm>() {
    const auto launch = [&]<int kWide>() {
      if (args.glu) {
        Launch<FewShape<kForm, 8, kWide, true>>(on, args);
      } else if (args.num_tiles <= kFewTiles) {
        Launch<FewShape<kForm, 16, kWide, false>>(on, args);
      } else {
        Launch<FewShape<kForm, 8, kWide, false>>(on, args);
      }
    };
    wide ? launch.template operator()<kWideTiles>() : launch.template operator()<1>();
  });
}

}  // namespace lb::cuda
