// Attention of single tokens: the keys are split over blocks at fixed positions, the last block to
// finish joins the parts in order.
#include <algorithm>

#include "kernels/cuda/decode_tile.cuh"
#include "kernels/cuda/head_row.cuh"

namespace lb::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kUnitKeys = 32;  // of a warp at a time
static_assert(kSplitKeys == kWarps * kUnitKeys);
constexpr int kPartExtra = 4;       // behind the values of a part: largest score, sum of weights, two to round up
constexpr int kLongSplits = 16384;  // positions after which splits grow, so that there are at most kMostParts
constexpr int kMostParts = 96;
static_assert(kLongSplits / kSplitKeys + 1 <= kMostParts);

constexpr size_t kMostPartialBytes = size_t{256} << 20;
constexpr int kWholeKeys = 1024;    // with many sequences fewer are one split: joining parts takes longer than reading these

// `whole`: at least so many keys are one split.
__host__ __device__ int KeysOfSplit(int last, int whole) { return last < whole ? whole : kSplitKeys * (1 + last / kLongSplits); }

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

  // Of a block's warps, in shared memory.
  __device__ __forceinline__ void Join(const float* part, int step, int parts, int dim, int d) {
    most = kNothing;
#pragma unroll 8
    for (int w = 0; w < parts; ++w) most = fmaxf(most, part[w * step + dim]);
    sum = make_float4(0, 0, 0, 0);
    total = 0;
#pragma unroll 8
    for (int w = 0; w < parts; ++w) {
      const float weight = exp2f(part[w * step + dim] - most);
      Add(weight, *reinterpret_cast<const float4*>(part + w * step + d));
      total += weight * part[w * step + dim + 1];
    }
  }
  // Of splits that other blocks have written, by a warp: past this one's L1, kAtOnce of them under way at once.
  template <int kAtOnce>
  __device__ __forceinline__ void JoinSplits(const float* part, int step, int parts, int dim, int d, int lane) {
    float weight[kMostParts / 32], all[kMostParts / 32];
    most = kNothing;
#pragma unroll
    for (int i = 0; i < kMostParts / 32; ++i) {
      const int p = lane + 32 * i;
      weight[i] = p < parts ? __ldcg(part + p * step + dim) : kNothing;
      all[i] = p < parts ? __ldcg(part + p * step + dim + 1) : 0.0f;
      most = fmaxf(most, weight[i]);
    }
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, lanes));
    total = 0;
#pragma unroll
    for (int i = 0; i < kMostParts / 32; ++i) {
      weight[i] = exp2f(weight[i] - most);
      total += weight[i] * all[i];
    }
    total = WarpSum(total);
    sum = make_float4(0, 0, 0, 0);
#pragma unroll
    for (int i = 0; i < kMostParts / 32; ++i) {
#pragma unroll 1
      for (int first = 0; first < min(parts - 32 * i, 32); first += kAtOnce) {
        float4 v[kAtOnce];
#pragma unroll
        for (int p = 0; p < kAtOnce; ++p) {
          const int from = 32 * i + first + p;
          v[p] = from < parts && d < dim ? __ldcg(reinterpret_cast<const float4*>(part + from * step + d)) : make_float4(0, 0, 0, 0);
        }
#pragma unroll
        for (int p = 0; p < kAtOnce; ++p) Add(__shfl_sync(0xffffffff, weight[i], first + p), v[p]);
      }
    }
  }
  __device__ __forceinline__ void Add(float weight, float4 v) {
    sum.x += weight * v.x, sum.y += weight * v.y, sum.z += weight * v.z, sum.w += weight * v.w;
  }
  __device__ __forceinline__ void Store(const Attention& args, int token, int col) const {
    const float inverse = 1.0f / total;
    const int64_t at = PlaceOf(args.form, token, col, args.heads * args.kv.v_dim);
    if (args.form != RowForm::kFloats) {
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
// Many, of heads of up to 128: two blocks of a multiprocessor, each warp with the keys of a block at a time, so that one waits for
// memory while the other computes. Else two blocks of keys at a time.
template <int kDim, DType kDType, bool kMany>
__global__ void __launch_bounds__(kWarps * 32, kMany ? 2 : 1)
    DecodeAttentionKernel(const __grid_constant__ Attention args, int splits, int whole) {
  extern __shared__ float shared[];  // [warp][group][kPart], then heads [group + 2][kDim]
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
  const int keys = KeysOfSplit(sight.last, whole);
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
  for (int unit = from + warp * kUnitKeys; unit < from + keys && unit <= sight.last; unit += kSplitKeys) {
    const int end = min(unit + kUnitKeys - 1, sight.last);
    constexpr int kBlocks = kMany || kDim > 128 ? 1 : kUnitKeys / kKvBlockTokens;
#pragma unroll
    for (int key0 = unit; key0 < unit + kUnitKeys; key0 += kBlocks * kKvBlockTokens) {
      if (key0 > end || key0 + kBlocks * kKvBlockTokens <= sight.first) continue;
      int32_t block[kBlocks];
#pragma unroll
      for (int m = 0; m < kBlocks; ++m) block[m] = key0 + m * kKvBlockTokens <= end ? table[key0 / kKvBlockTokens + m] : -1;
      if (kBlocks > 1 || block[0] >= 0) tile.template Add<kDType>(args.kv, block, head, key0, sight, args.params.softcap, lane);
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
    Joined joined;
    joined.Join(shared + row * kPart, group * kPart, warps, kDim, d);
    if (active == 1) {
      joined.Store(args, token, (first_head + row) * kDim + d);
    } else {
      *reinterpret_cast<float4*>(out_part + row * kPart + d) = joined.sum;
      if (d == 0) out_part[row * kPart + kDim] = joined.most, out_part[row * kPart + kDim + 1] = joined.total;
    }
  }
  if (active == 1) return;
  if (!IsLastOf(active, args.tickets + item)) return;
  for (int row = warp; row < group; row += kWarps) {
#pragma unroll
    for (int d = lane * 4; d < kDim + lane * 4; d += 128) {
      Joined joined;
      joined.template JoinSplits<kMany ? 8 : 16>(parts + row * kPart, group * kPart, active, kDim, d, lane);
      if (d < kDim) joined.Store(args, token, (first_head + row) * kDim + d);
    }
  }
}

int HeadTiles(const Attention& args) {
  const int sharing = args.heads / args.kv.num_kv_heads;
  return args.kv.num_kv_heads * ((sharing + kTileHeads - 1) / kTileHeads);
}

// Splits that any token of this launch can have.
int MostSplits(const Attention& args, int whole) {
  const int keys = args.table_stride * kKvBlockTokens;
  return keys <= whole ? 1 : std::min((keys + kSplitKeys - 1) / kSplitKeys, kLongSplits / kSplitKeys + 1);
}

size_t PartialBytesOfToken(const Attention& args) {  // at most
  return sizeof(float) * static_cast<size_t>(args.heads) * static_cast<size_t>(MostSplits(args, 0)) *
         static_cast<size_t>(args.kv.v_dim + kPartExtra);
}

// Tokens of one launch, a multiple of a fragment's: the parts of more would take too much memory. (Tokens that store are few, one of each sequence.)
int TokensAtOnce(const Attention& args) {
  if (args.stores) return args.tokens;
  const size_t most = kMostPartialBytes / PartialBytesOfToken(args) / kColumns * kColumns;
  return static_cast<int>(std::min(std::max<size_t>(most, kColumns), static_cast<size_t>(args.tokens)));
}

template <int kDim>
void Launch(const Launcher& on, const Attention& args) {
  const int sharing = args.heads / args.kv.num_kv_heads, group = std::min(kTileHeads, sharing);
  const size_t shared = sizeof(float) * (kWarps * static_cast<size_t>(group) * (kDim + kPartExtra) + static_cast<size_t>(group + 2) * kDim);
  // What is chosen by the number of tokens has no place where bits may not depend on it.
  const int blocks = args.tokens * HeadTiles(args), sms = on.facts.num_sms;
  const int whole = !args.fixed && blocks >= sms ? kWholeKeys : 0;
  const bool many = !args.fixed && 4 * blocks >= sms;
  const int splits = MostSplits(args, whole), at_once = TokensAtOnce(args);
  for (int first = 0; first < args.tokens; first += at_once) {
    Attention some = args;
    some.tokens = std::min(at_once, args.tokens - first);
    const int64_t values = int64_t{first} * args.heads * kDim;
    some.q += values;
    some.out = static_cast<char*>(args.out) + values * (args.form == RowForm::kFloats ? 4 : 2);
    some.positions += first;
    if (some.sequence_of != nullptr) some.sequence_of += first;
    WithKvType(args.kv.k_dtype, [&]<DType kDType>() {
      const auto launch = [&]<bool kMany>() {
        AllowShared(DecodeAttentionKernel<kDim, kDType, kMany>, shared);
        LaunchKernel(on, DecodeAttentionKernel<kDim, kDType, kMany>, dim3(splits, HeadTiles(args), some.tokens), dim3(kWarps * 32), shared,
                     some, splits, whole);
      };
      if constexpr (kDim <= 128) {
        if (many) return launch.template operator()<true>();
      }
      launch.template operator()<false>();
    });
  }
}

}  // namespace

AttentionScratch DecodeAttentionScratch(const Attention& args) {
  const auto tokens = static_cast<size_t>(TokensAtOnce(args));
  return {tokens * PartialBytesOfToken(args), sizeof(int) * tokens * static_cast<size_t>(HeadTiles(args))};
}

void LaunchDecodeAttention(const Launcher& on, const Attention& args) {
  WithHeadSize(args.kv.k_dim, [&]<int kDim>() { Launch<kDim>(on, args); });
}

}  // namespace lb::cuda
