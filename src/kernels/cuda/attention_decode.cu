// Attention of single tokens: the keys are split over blocks at fixed positions, the last block to
// finish joins the parts in order.
#include <algorithm>

#include "kernels/cuda/attention.cuh"

namespace lb::cuda {
namespace {

constexpr int kWarps = 8;
static_assert(kSplitKeys == kWarps * kUnitKeys);
constexpr int kMostGroup = 16;      // query heads of a KV head: the rows of a tile
constexpr int kLongSplits = 16384;  // positions after which splits grow, so that there are at most 64

__host__ __device__ int KeysOfSplit(int last) { return kSplitKeys * (1 + last / kLongSplits); }

// Parts lie as [token][kv head][split][row]{kDim values, most, total}.
template <int kDim, DType kDType>
__global__ void __launch_bounds__(kWarps * 32) DecodeAttentionKernel(const __grid_constant__ Attention args, int splits) {
  extern __shared__ float shared[];  // [warp][group][kDim + 2]
  __shared__ bool is_last;
  constexpr int kPart = kDim + 2;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int kv_heads = args.kv.num_kv_heads, group = args.heads / kv_heads;
  const int split = blockIdx.x, head = blockIdx.y, token = blockIdx.z;
  LaunchNext();
  WaitForPrevious();
  const int s = args.sequence_of[token];
  const int context = args.context_len[s];
  const Sight sight = SightOf(args.params, args.positions[token], context);
  const int keys = KeysOfSplit(sight.last);
  const int first_split = sight.first / keys, active = sight.last / keys - first_split + 1;
  if (split >= active) return;

  Tile<kDim> tile;
  tile.Clear();
  const float scale = QueryScale(args.params);
  const float* q = args.q + (static_cast<int64_t>(token) * args.heads + head * group) * kDim;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = g + 8 * r;
    tile.LoadQuery(r, row < group ? q + row * kDim : nullptr, scale, t);
  }
  const int32_t* table = args.block_table + static_cast<int64_t>(s) * args.table_stride;
  const Sight both[2] = {sight, sight};
  const int from = (first_split + split) * keys;
  for (int key0 = from + warp * kUnitKeys; key0 < from + keys && key0 <= sight.last; key0 += kSplitKeys) {
    if (key0 + kUnitKeys > sight.first) {
      tile.template Add<kDType>(args.kv, table, head, key0, context, both, args.params.softcap, lane);
    }
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = g + 8 * r;
    const float total = tile.Total(r);
    if (row >= group) continue;
    float* part = shared + (warp * group + row) * kPart;
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) {
      part[tile.DimOf(i, 2 * t)] = tile.o[i][2 * r];
      part[tile.DimOf(i, 2 * t + 1)] = tile.o[i][2 * r + 1];
    }
    if (t == 0) part[kDim] = tile.most[r], part[kDim + 1] = total;
  }
  __syncthreads();
  const int64_t item = static_cast<int64_t>(token) * kv_heads + head;
  float* parts = args.partial + item * splits * group * kPart;
  // The warps' parts in order.
  for (int i = threadIdx.x; i < group * kDim; i += kWarps * 32) {
    const int row = i / kDim, d = i % kDim;
    float most = kNothing;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) most = fmaxf(most, shared[(w * group + row) * kPart + kDim]);
    float sum = 0, total = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      const float* part = shared + (w * group + row) * kPart;
      const float weight = exp2f(part[kDim] - most);
      sum += weight * part[d];
      total += weight * part[kDim + 1];
    }
    if (active == 1) {
      StoreResult(args, (static_cast<int64_t>(token) * args.heads + head * group + row) * kDim + d, sum / total);
    } else {
      float* part = parts + (static_cast<int64_t>(split) * group + row) * kPart;
      part[d] = sum;
      if (d == 0) part[kDim] = most, part[kDim + 1] = total;
    }
  }
  if (active == 1) return;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last = atomicAdd(args.tickets + item, 1) == active - 1;
    if (is_last) args.tickets[item] = 0;
  }
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  for (int i = threadIdx.x; i < group * kDim; i += kWarps * 32) {
    const int row = i / kDim, d = i % kDim;
    const float* part = parts + static_cast<int64_t>(row) * kPart;
    const int64_t step = static_cast<int64_t>(group) * kPart;
    float most = kNothing;
#pragma unroll 8
    for (int w = 0; w < active; ++w) most = fmaxf(most, __ldcg(part + w * step + kDim));
    float sum = 0, total = 0;
#pragma unroll 8
    for (int w = 0; w < active; ++w) {
      const float weight = exp2f(__ldcg(part + w * step + kDim) - most);
      sum += weight * __ldcg(part + w * step + d);
      total += weight * __ldcg(part + w * step + kDim + 1);
    }
    StoreResult(args, (static_cast<int64_t>(token) * args.heads + head * group + row) * kDim + d, sum / total);
  }
}

// Splits that any token of this launch can have.
int MostSplits(const Attention& args) {
  const int keys = args.table_stride * kKvBlockTokens;
  return std::min((keys + kSplitKeys - 1) / kSplitKeys, kLongSplits / kSplitKeys + 1);
}

template <int kDim>
void Launch(const Launcher& on, const Attention& args) {
  const int kv_heads = args.kv.num_kv_heads, group = args.heads / kv_heads, splits = MostSplits(args);
  const size_t shared = sizeof(float) * kWarps * static_cast<size_t>(group) * (kDim + 2);
  WithKvType(args.kv.k_dtype, [&]<DType kDType>() {
    AllowShared(DecodeAttentionKernel<kDim, kDType>, shared);
    LaunchKernel(on, DecodeAttentionKernel<kDim, kDType>, dim3(splits, kv_heads, args.tokens), dim3(kWarps * 32), shared,
                 args, splits);
  });
}

}  // namespace

size_t AttentionPartialBytes(const Attention& args) {
  return sizeof(float) * static_cast<size_t>(args.tokens) * static_cast<size_t>(args.heads) *
         static_cast<size_t>(MostSplits(args)) * static_cast<size_t>(args.kv.v_dim + 2);
}

bool DecodeAttentionFits(const Attention& args) {
  return args.kv.k_dim == args.kv.v_dim && (args.kv.k_dim == 64 || args.kv.k_dim == 128) &&
         args.kv.k_dtype == args.kv.v_dtype && args.heads / args.kv.num_kv_heads <= kMostGroup && args.tokens <= 65535;
}

void LaunchDecodeAttention(const Launcher& on, const Attention& args) {
  args.kv.k_dim == 64 ? Launch<64>(on, args) : Launch<128>(on, args);
}

}  // namespace lb::cuda
