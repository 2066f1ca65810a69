// Attention of many tokens of a sequence: a block has rows (heads of neighbouring tokens that share a KV head) of all its warps, 16
// each; when that makes few blocks, four warps share 16 rows and each has every fourth unit of keys.
#include "kernels/cuda/attention.cuh"

namespace lb::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kFewKeyWarps = 4;

constexpr int BlockRows(int key_warps) { return kWarps / key_warps * 16; }
// Of the warps of a block but the first of each four: what they have of their rows, a float4 of each lane after the other.
constexpr size_t SharedBytes(int dim, int key_warps) {
  return static_cast<size_t>(kWarps - kWarps / key_warps) * 32 * sizeof(float4) * static_cast<size_t>(dim / 8 + 1);
}

// The warps' parts of the same rows, in order, to the first of them. False in the others.
template <int kDim, int kKeyWarps>
__device__ __forceinline__ bool Join(Tile<kDim>& tile, int row_warp, int part, int lane) {
  extern __shared__ float4 shared[];
  constexpr int kPart = (kDim / 8 + 1) * 32;
  float4* parts = shared + row_warp * (kKeyWarps - 1) * kPart + lane;
  if (part > 0) {
    float4* to = parts + (part - 1) * kPart;
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) to[i * 32] = make_float4(tile.o[i][0], tile.o[i][1], tile.o[i][2], tile.o[i][3]);
    to[kDim / 8 * 32] = make_float4(tile.most[0], tile.most[1], tile.total[0], tile.total[1]);
  }
  __syncthreads();
  if (part > 0) return false;
  for (int w = 0; w < kKeyWarps - 1; ++w) {
    const float4* from = parts + w * kPart;
    const float4 sums = from[kDim / 8 * 32];
    const float now[2] = {fmaxf(tile.most[0], sums.x), fmaxf(tile.most[1], sums.y)};
    const float keep[2] = {exp2f(tile.most[0] - now[0]), exp2f(tile.most[1] - now[1])};
    const float add[2] = {exp2f(sums.x - now[0]), exp2f(sums.y - now[1])};
    tile.total[0] = tile.total[0] * keep[0] + sums.z * add[0];
    tile.total[1] = tile.total[1] * keep[1] + sums.w * add[1];
    tile.most[0] = now[0], tile.most[1] = now[1];
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) {
      const float4 o = from[i * 32];
      tile.o[i][0] = tile.o[i][0] * keep[0] + o.x * add[0];
      tile.o[i][1] = tile.o[i][1] * keep[0] + o.y * add[0];
      tile.o[i][2] = tile.o[i][2] * keep[1] + o.z * add[1];
      tile.o[i][3] = tile.o[i][3] * keep[1] + o.w * add[1];
    }
  }
  return true;
}

template <int kDim, DType kDType, int kKeyWarps>
__global__ void __launch_bounds__(kWarps * 32, 1) PrefillAttentionKernel(const __grid_constant__ Attention args) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int row_warp = warp / kKeyWarps, part = warp % kKeyWarps;
  const int kv_heads = args.kv.num_kv_heads, group = args.heads / kv_heads;
  const int head = blockIdx.y, s = blockIdx.z;
  LaunchNext();
  WaitForPrevious();
  const int begin = args.query_start[s], queries = args.query_start[s + 1] - begin;
  // The tiles with the most keys first.
  const int first_row = (gridDim.x - 1 - blockIdx.x) * BlockRows(kKeyWarps) + row_warp * 16;
  const int rows = queries * group;
  if (first_row >= rows) return;
  const int context = args.context_len[s];
  const float scale = QueryScale(args.params);
  Tile<kDim> tile;
  tile.Clear();
  Sight sight[2];
  int64_t at[2];  // of the row's results; -1: there is none
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first_row + g + 8 * r;
    at[r] = -1;
    sight[r] = {0, -1};
    const float* q = nullptr;
    if (row < rows) {
      const int token = begin + row / group;
      sight[r] = SightOf(args.params, args.positions[token], context);
      at[r] = (static_cast<int64_t>(token) * args.heads + head * group + row % group) * kDim;
      q = args.q + at[r];
    }
    tile.LoadQuery(r, q, scale, t);
  }
  // Rows rise in position: the first row sees the earliest key, the last one the latest.
  const int last_row = min(first_row + 15, rows - 1);
  const int first = SightOf(args.params, args.positions[begin + first_row / group], context).first;
  const int last = SightOf(args.params, args.positions[begin + last_row / group], context).last;
  const int32_t* table = args.block_table + static_cast<int64_t>(s) * args.table_stride;
  for (int key0 = (first / kUnitKeys + part) * kUnitKeys; key0 <= last; key0 += kKeyWarps * kUnitKeys) {
    tile.template Add<kDType>(args.kv, table, head, key0, context, sight, args.params.softcap, lane);
  }
  if constexpr (kKeyWarps > 1) {
    if (!Join<kDim, kKeyWarps>(tile, row_warp, part, lane)) return;
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float inverse = 1.0f / tile.Total(r);
    if (at[r] < 0) continue;
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) {
      StoreScaled(args.out, args.half, at[r] + tile.DimOf(i, 2 * t), tile.o[i][2 * r] * inverse);
      StoreScaled(args.out, args.half, at[r] + tile.DimOf(i, 2 * t + 1), tile.o[i][2 * r + 1] * inverse);
    }
  }
}

template <int kDim>
void Launch(const Launcher& on, const Attention& args) {
  const int kv_heads = args.kv.num_kv_heads, group = args.heads / kv_heads;
  const auto tiles = [&](int key_warps) { return (args.most_queries * group + BlockRows(key_warps) - 1) / BlockRows(key_warps); };
  WithKvType(args.kv.k_dtype, [&]<DType kDType>() {
    const auto launch = [&]<int kKeyWarps>() {
      const size_t shared = kKeyWarps > 1 ? SharedBytes(kDim, kKeyWarps) : 0;
      AllowShared(PrefillAttentionKernel<kDim, kDType, kKeyWarps>, shared);
      LaunchKernel(on, PrefillAttentionKernel<kDim, kDType, kKeyWarps>, dim3(tiles(kKeyWarps), kv_heads, args.sequences), dim3(kWarps * 32),
                   shared, args);
    };
    const bool few = 2 * tiles(1) * kv_heads * args.sequences <= on.facts.num_sms;
    few ? launch.template operator()<kFewKeyWarps>() : launch.template operator()<1>();
  });
}

}  // namespace

void LaunchPrefillAttention(const Launcher& on, const Attention& args) {
  args.kv.k_dim == 64 ? Launch<64>(on, args) : Launch<128>(on, args);
}

}  // namespace lb::cuda
