// Attention of single tokens: the keys are split over blocks at fixed positions, the last block to
// finish joins the parts in order.
#include <algorithm>

#include "kernels/cuda/decode_tile.cuh"
#include "kernels/cuda/head_row.cuh"

namespace lb::cuda {
namespace {

constexpr int kWarps = 8;
static_assert(kSplitKeys == kWarps * kUnitKeys);
constexpr int kPartExtra = 4;       // behind the values of a part: largest score, sum of weights, two to round up
constexpr int kLongSplits = 16384;  // positions after which splits grow, so that there are at most 64

__host__ __device__ int KeysOfSplit(int last) { return kSplitKeys * (1 + last / kLongSplits); }

// Asks for 32 keys and values, a row for each lane.
template <int kDim, DType kDType>
__device__ __forceinline__ void PrefetchKeys(const KvLayer& kv, const int32_t* table, int head, int key0, int last, int lane) {
  const int key = key0 + lane;
  if (key > last) return;
  const int block = table[key / kKvBlockTokens];
  if (block < 0) return;
  for (const void* base : {kv.k, kv.v}) {
    const char* row = KvRowAt(const_cast<void*>(base), kDType, kDim, kv.num_kv_heads, block, head, key % kKvBlockTokens);
    for (int64_t i = 0; i < KvRowBytes(kDType, kDim); i += 128) asm volatile("prefetch.global.L2 [%0];" ::"l"(row + i));
  }
}

// Four dimensions of one row over several parts.
struct Joined {
  float4 sum;
  float most, total;

  template <bool kOthers>  // written by other blocks: past this one's L1
  __device__ __forceinline__ void Join(const float* part, int step, int parts, int dim, int d) {
    const auto load = [](const float* p) { return kOthers ? __ldcg(p) : *p; };
    most = kNothing;
#pragma unroll 8
    for (int w = 0; w < parts; ++w) most = fmaxf(most, load(part + w * step + dim));
    sum = make_float4(0, 0, 0, 0);
    total = 0;
#pragma unroll 8
    for (int w = 0; w < parts; ++w) {
      const float weight = exp2f(load(part + w * step + dim) - most);
      const float4* at = reinterpret_cast<const float4*>(part + w * step + d);
      const float4 v = kOthers ? __ldcg(at) : *at;
      sum.x += weight * v.x, sum.y += weight * v.y, sum.z += weight * v.z, sum.w += weight * v.w;
      total += weight * load(part + w * step + dim + 1);
    }
  }
  __device__ __forceinline__ void Store(const Attention& args, int64_t at) const {
    const float inverse = 1.0f / total;
    if (args.half) {
      const uint2 halves = make_uint2(PackHalves(sum.x * inverse * kActivationScale, sum.y * inverse * kActivationScale),
                                      PackHalves(sum.z * inverse * kActivationScale, sum.w * inverse * kActivationScale));
      *reinterpret_cast<uint2*>(static_cast<__half*>(args.out) + at) = halves;
    } else {
      *reinterpret_cast<float4*>(static_cast<float*>(args.out) + at) =
          make_float4(sum.x * inverse, sum.y * inverse, sum.z * inverse, sum.w * inverse);
    }
  }
};

// Parts lie as [token][kv head][split][row]{kDim values, most, total}.
template <int kDim, DType kDType>
__global__ void __launch_bounds__(kWarps * 32) DecodeAttentionKernel(const __grid_constant__ Attention args, int splits) {
  extern __shared__ float shared[];  // [warp][group][kPart], then heads [group + 2][kDim]
  __shared__ bool is_last;
  constexpr int kPart = kDim + kPartExtra;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  // Of the heads that share a KV head, kTileHeads are a block's.
  const int kv_heads = args.kv.num_kv_heads, sharing = args.heads / kv_heads, tiles = (sharing + kTileHeads - 1) / kTileHeads;
  const int split = blockIdx.x, head = blockIdx.y / tiles, token = blockIdx.z;
  const int first_head = head * sharing + blockIdx.y % tiles * kTileHeads;
  const int group = min(kTileHeads, (head + 1) * sharing - first_head);
  LaunchNext();
  // Positions and blocks came before the step began, as did the keys of earlier steps: nothing to wait for.
  const int s = args.stores ? token : args.sequence_of[token];  // each token has a sequence of its own there
  const int context = args.context_len[s], position = args.positions[token];
  const Sight sight = SightOf(args.params, position, context);
  const int keys = KeysOfSplit(sight.last);
  const int first_split = sight.first / keys, active = sight.last / keys - first_split + 1;
  const bool idle = split >= active;
  const int from = (first_split + split) * keys;
  const int32_t* table = args.block_table + static_cast<int64_t>(s) * args.table_stride;
  if (!idle) PrefetchKeys<kDim, kDType>(args.kv, table, head, from + warp * kUnitKeys, sight.last, lane);
  WaitForPrevious();
  if (idle) return;

  DecodeTile<kDim> tile;
  tile.Clear();
  const float scale = QueryScale(args.params);
  const float* q = args.q + (static_cast<int64_t>(token) * args.heads + first_head) * kDim;
  if (args.stores) {
    float* rows = shared + kWarps * group * kPart;
    const int tasks = group + (position >= from && position < from + keys ? 2 : 0);
    for (int i = warp; i < tasks; i += kWarps) {
      const HeadKind kind = i < group ? HeadKind::kQuery : i == group ? HeadKind::kKey : HeadKind::kValue;
      const int64_t at = (static_cast<int64_t>(token) * kv_heads + head) * kDim;
      const float* global = i < group ? q + i * kDim : (i == group ? args.store.k : args.store.v) + at;
      PrepareHead(args.store, kind, token, global, kDim, rows + i * kDim, lane);
      if (i >= group) StoreHead(args.store, kind, token, head, rows + i * kDim, lane);
    }
    __syncthreads();
    q = rows;
  }
  tile.LoadQuery(g < group ? q + g * kDim : nullptr, scale, t);
  for (int key0 = from + warp * kUnitKeys; key0 < from + keys && key0 <= sight.last; key0 += kSplitKeys) {
    if (key0 + kUnitKeys > sight.first) {
      tile.template Add<kDType>(args.kv, table, head, key0, sight, args.params.softcap, lane);
    }
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const float total = tile.Total(h);
    const int row = 2 * t + h;
    if (row >= group) continue;
    float* part = shared + (warp * group + row) * kPart;
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i) {
      *reinterpret_cast<float2*>(part + i / 4 * 64 + g * 8 + i % 4 * 2) = make_float2(tile.o[i][h], tile.o[i][h + 2]);
    }
    if (g == 0) part[kDim] = tile.most[h], part[kDim + 1] = total;
  }
  __syncthreads();
  const int64_t item = static_cast<int64_t>(token) * gridDim.y + blockIdx.y;
  float* parts = args.partial + (static_cast<int64_t>(token) * args.heads + first_head) * splits * kPart;
  // The warps' parts in order, four dimensions a thread; a warp without keys has nothing to add.
  const int last = min(from + keys, sight.last + 1) - 1;
  const int warps = min(kWarps, (last - from) / kUnitKeys + 1);
  float* out_part = parts + static_cast<int64_t>(split) * group * kPart;
  for (int i = threadIdx.x; i < group * kDim / 4; i += kWarps * 32) {
    const int row = i / (kDim / 4), d = i % (kDim / 4) * 4;
    const float* part = shared + row * kPart;
    Joined joined;
    joined.Join<false>(part, group * kPart, warps, kDim, d);
    if (active == 1) {
      joined.Store(args, (static_cast<int64_t>(token) * args.heads + first_head + row) * kDim + d);
    } else {
      *reinterpret_cast<float4*>(out_part + row * kPart + d) = joined.sum;
      if (d == 0) out_part[row * kPart + kDim] = joined.most, out_part[row * kPart + kDim + 1] = joined.total;
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
  for (int i = threadIdx.x; i < group * kDim / 4; i += kWarps * 32) {
    const int row = i / (kDim / 4), d = i % (kDim / 4) * 4;
    Joined joined;
    joined.Join<true>(parts + row * kPart, group * kPart, active, kDim, d);
    joined.Store(args, (static_cast<int64_t>(token) * args.heads + first_head + row) * kDim + d);
  }
}

// Splits that any token of this launch can have.
int MostSplits(const Attention& args) {
  const int keys = args.table_stride * kKvBlockTokens;
  return std::min((keys + kSplitKeys - 1) / kSplitKeys, kLongSplits / kSplitKeys + 1);
}

template <int kDim>
void Launch(const Launcher& on, const Attention& args) {
  const int kv_heads = args.kv.num_kv_heads, sharing = args.heads / kv_heads, splits = MostSplits(args);
  const int group = std::min(kTileHeads, sharing), tiles = (sharing + kTileHeads - 1) / kTileHeads;
  const size_t shared = sizeof(float) * (kWarps * static_cast<size_t>(group) * (kDim + kPartExtra) + static_cast<size_t>(group + 2) * kDim);
  WithKvType(args.kv.k_dtype, [&]<DType kDType>() {
    AllowShared(DecodeAttentionKernel<kDim, kDType>, shared);
    LaunchKernel(on, DecodeAttentionKernel<kDim, kDType>, dim3(splits, kv_heads * tiles, args.tokens), dim3(kWarps * 32), shared,
                 args, splits);
  });
}

}  // namespace

size_t AttentionPartialBytes(const Attention& args) {
  return sizeof(float) * static_cast<size_t>(args.tokens) * static_cast<size_t>(args.heads) *
         static_cast<size_t>(MostSplits(args)) * static_cast<size_t>(args.kv.v_dim + kPartExtra);
}

void LaunchDecodeAttention(const Launcher& on, const Attention& args) {
  args.kv.k_dim == 64 ? Launch<64>(on, args) : Launch<128>(on, args);
}

}  // namespace lb::cuda
