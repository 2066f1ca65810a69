// Attention of many tokens of a sequence: 128 rows (heads of neighbouring tokens that share a KV head)
// in a block, each warp's 16 over all the keys they see.
#include "kernels/cuda/attention.cuh"

namespace lb::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kBlockRows = kWarps * 16;

template <int kDim, DType kDType>
__global__ void __launch_bounds__(kWarps * 32, 1) PrefillAttentionKernel(const __grid_constant__ Attention args) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int kv_heads = args.kv.num_kv_heads, group = args.heads / kv_heads;
  const int head = blockIdx.y, s = blockIdx.z;
  LaunchNext();
  WaitForPrevious();
  const int begin = args.query_start[s], queries = args.query_start[s + 1] - begin;
  // The tiles with the most keys first.
  const int first_row = (gridDim.x - 1 - blockIdx.x) * kBlockRows + warp * 16;
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
  for (int key0 = first / kUnitKeys * kUnitKeys; key0 <= last; key0 += kUnitKeys) {
    tile.template Add<kDType>(args.kv, table, head, key0, context, sight, args.params.softcap, lane);
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
  const int tiles = (args.most_queries * group + kBlockRows - 1) / kBlockRows;
  WithKvType(args.kv.k_dtype, [&]<DType kDType>() {
    LaunchKernel(on, PrefillAttentionKernel<kDim, kDType>, dim3(tiles, kv_heads, args.sequences), dim3(kWarps * 32), 0, args);
  });
}

}  // namespace

void LaunchPrefillAttention(const Launcher& on, const Attention& args) {
  args.kv.k_dim == 64 ? Launch<64>(on, args) : Launch<128>(on, args);
}

}  // namespace lb::cuda
