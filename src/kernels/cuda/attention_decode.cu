// Attention of single tokens: the keys are split over blocks at fixed positions, the last block to
// finish joins the parts in order.
#include <algorithm>

#include "kernels/cuda/decode_tile.cuh"
#include "kernels/cuda/head_row.cuh"

namespace lb::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kPartExtra = 4;  // behind the values of a part: largest score, sum of weights, two to round up
// Keys of a split, which begins at a multiple of them. Twice as many where short ones would be too many at once, and where the choice may not
// depend on who else is in the step.
constexpr int kSplitKeys = 128;
constexpr int kMostSplits = 48;  // full ones of a token; with longer contexts they grow
constexpr int kMostParts = 64;   // that a join takes
static_assert(kMostSplits + 1 <= kMostParts);

constexpr size_t kMostPartialBytes = size_t{256} << 20;
constexpr int kWholeKeys = 1024;  // with many sequences fewer are one split: joining parts takes longer than reading these
// Before the wait, keys and values of up to so many positions are loaded, those of more asked for: loads that take long hold up the
// queries behind them.
constexpr int kLoadedEarly = 2048;

// How a launch is divided.
struct DecodePlan {
  int whole;    // so many keys, if a token has no more, are one split
  int keys;     // of a split else, in contexts that are not long
  int splits;   // of a token, at most
  int sharing;  // heads of a KV head, of which kTileHeads are a block's
  int tiles;    // blocks that share a KV head
};

__host__ __device__ int KeysOfSplit(const DecodePlan& plan, int last) {
  return last < plan.whole ? plan.whole : plan.keys * (1 + last / (kMostSplits * plan.keys));
}

// Asks for a block's keys (the first 16 lanes, a row each) and values (the others).
template <int kDim, DType kDType>
__device__ __forceinline__ void PrefetchBlock(const KvLayer& kv, int block, int head, int lane) {
  if (block < 0) return;
  const char* row = KvRowAt(lane < kKvBlockTokens ? kv.k : kv.v, kDType, kDim, kv.num_kv_heads, block, head, lane % kKvBlockTokens);
#pragma unroll
  for (int i = 0; i < static_cast<int>(KvRowBytes(kDType, kDim)); i += 128) asm volatile("prefetch.global.L2 [%0];" ::"l"(row + i));
}

// Four dimensions of a row, put together from several parts.
struct Joined {
  float4 sum = {};
  float most = kNothing, total = 0;

  // Of a block's warps, in shared memory.
  __device__ __forceinline__ void Join(const float* part, int step, int parts, int dim, int d) {
#pragma unroll 4
    for (int p = 0; p < parts; ++p) most = fmaxf(most, part[p * step + dim]);
#pragma unroll 4
    for (int p = 0; p < parts; ++p) {
      const float weight = Exp2(part[p * step + dim] - most);
      Add(weight, *reinterpret_cast<const float4*>(part + p * step + d));
      total += weight * part[p * step + dim + 1];
    }
  }
  // Of splits that other blocks have written, by a warp: past this one's L1, kAtOnce of them under way at once.
  __device__ __forceinline__ void JoinSplits(const float* part, int step, int parts, int dim, int d, int lane) {
    constexpr int kAtOnce = 8;
    float4 v[kAtOnce];
    const auto load = [&](int first) {
#pragma unroll
      for (int p = 0; p < kAtOnce; ++p) {
        v[p] = first + p < parts && d < dim ? __ldcg(reinterpret_cast<const float4*>(part + (first + p) * step + d)) : float4{};
      }
    };
    constexpr int kEach = kMostParts / 32;  // parts that a lane weighs
    float weight[kEach], all[kEach];
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int p = lane + 32 * i;
      weight[i] = p < parts ? __ldcg(part + p * step + dim) : kNothing;
      all[i] = p < parts ? __ldcg(part + p * step + dim + 1) : 0.0f;
    }
    load(0);
#pragma unroll
    for (int i = 0; i < kEach; ++i) most = fmaxf(most, weight[i]);
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, lanes));
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      weight[i] = Exp2(weight[i] - most);
      total += weight[i] * all[i];
    }
    total = WarpSum(total);
#pragma unroll 1
    for (int first = 0; first < parts; first += kAtOnce) {
      float here = 0;
#pragma unroll
      for (int i = 0; i < kEach; ++i) here = first / 32 == i ? weight[i] : here;
#pragma unroll
      for (int p = 0; p < kAtOnce; ++p) Add(__shfl_sync(0xffffffff, here, (first + p) % 32), v[p]);
      load(first + kAtOnce);
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

// The queries of a block's heads, and the new key and value where these are its own, to shared memory as attention wants them: `rows`
// [group + 2][kDim]; `stored`: key and value as the pool has them, 16-byte aligned, where they go too.
template <int kDim, DType kDType>
struct NewRows {
  static constexpr int kBytes = static_cast<int>(KvRowBytes(kDType, kDim));
  static constexpr int kStride = (kBytes + 15) / 16 * 16;

  static __device__ __forceinline__ void Make(const Attention& args, int token, int head, const float* q, int group, bool own, float* rows,
                                              char* stored, int warp, int lane) {
#pragma unroll 1
    for (int i = warp; i < (own ? group + 2 : group); i += kWarps) {
      const HeadKind kind = i < group ? HeadKind::kQuery : i == group ? HeadKind::kKey : HeadKind::kValue;
      const int64_t at = (static_cast<int64_t>(token) * args.kv.num_kv_heads + head) * kDim;
      const float* from = i < group ? q + i * kDim : (i == group ? args.store.k : args.store.v) + at;
      float* row = rows + i * kDim;
      PrepareHead(args.store, kind, token, from, kDim, row, lane);
      if (i < group) continue;
      char* bytes = stored + (i - group) * kStride;
      StoreKvRow(kDType, row, kDim, bytes, lane);
      __syncwarp();
      const int slot = args.store.slots[token];
      char* to = KvRowAt(i == group ? args.kv.k : args.kv.v, kDType, kDim, args.kv.num_kv_heads, slot / kKvBlockTokens, head, slot % kKvBlockTokens);
#pragma unroll 1
      for (int w = lane; w < kBytes / 4; w += 32) reinterpret_cast<uint32_t*>(to)[w] = reinterpret_cast<const uint32_t*>(bytes)[w];
    }
  }
};

// Parts lie as [token][kv head][split][row]{kDim values, most, total}. The code is short: most of it runs once, and comes from memory
// as data does. Many, of heads of up to 128: two blocks of a multiprocessor, so that one waits for memory while the other computes.
template <int kDim, DType kDType, bool kMany>
__global__ void __launch_bounds__(kWarps * 32, kMany ? 2 : 1)
    DecodeAttentionKernel(const __grid_constant__ Attention args, const DecodePlan plan) {
  extern __shared__ __align__(16) float shared[];  // [warp][group][kPart], the new rows
  using New = NewRows<kDim, kDType>;
  constexpr int kPart = kDim + kPartExtra, kStep = kWarps * kKvBlockTokens;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int split = blockIdx.x, token = blockIdx.z;
  const int head = plan.tiles == 1 ? blockIdx.y : blockIdx.y / plan.tiles, tile_of_head = plan.tiles == 1 ? 0 : blockIdx.y % plan.tiles;
  const int first_head = head * plan.sharing + tile_of_head * kTileHeads, group = min(kTileHeads, (head + 1) * plan.sharing - first_head);
  LaunchNext();
  // Positions and blocks came before the step began.
  const int s = args.stores ? token : args.sequence_of[token];  // each token has a sequence of its own there
  const int context = args.context_len[s], position = args.positions[token];
  const Sight sight = SightOf(args.params, position, context);
  const int keys = KeysOfSplit(plan, sight.last);
  const int first_split = sight.first / keys, active = sight.last / keys - first_split + 1;
  const bool idle = split >= active;
  const int from = (first_split + split) * keys, end = idle ? from : min(from + keys, sight.last + 1);
  const int32_t* table = args.block_table + static_cast<int64_t>(s) * args.table_stride;
  if (!args.stores) WaitForPrevious();  // these may be of this step
  KvPiece<kDim> piece;
  int key0 = from + warp * kKvBlockTokens;
  while (key0 + kKvBlockTokens <= sight.first) key0 += kStep;
  // The keys of earlier steps came before it too: they are on their way before the wait.
  const bool early = !kMany && args.stores && sight.last < kLoadedEarly;
  const auto load = [&] {
    if (key0 < end) piece.template Load<kDType>(args.kv, table[key0 / kKvBlockTokens], head, lane);
  };
  if (early) load();
#pragma unroll 1
  for (int next = early ? key0 + kStep : key0; next < (kMany ? min(end, key0 + 1) : end); next += kStep) {
    PrefetchBlock<kDim, kDType>(args.kv, table[next / kKvBlockTokens], head, lane);
  }
  WaitForPrevious();
  if (idle) return;
  const float* q = args.q + (static_cast<int64_t>(token) * args.heads + first_head) * kDim;
  if (args.stores) {
    float* rows = shared + kWarps * group * kPart;
    char* stored = reinterpret_cast<char*>(rows + (group + 2) * kDim);
    New::Make(args, token, head, q, group, position >= from && position < end, rows, stored, warp, lane);
    __syncthreads();
    q = rows;
    if (early && position >= key0 && position < key0 + kKvBlockTokens) {
      piece.template Replace<kDType>(position - key0, stored, stored + New::kStride, lane);
    }
  }
  if (!early) load();
  DecodeTile<kDim> tile;
  tile.Clear();
  tile.LoadQuery(g < group ? q + g * kDim : nullptr, QueryScale(args.params), t);
#pragma unroll 1
  while (key0 < end) {
    tile.Add(piece, key0, sight, args.params.softcap, lane);
    key0 += kStep;
    load();
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
  float* parts = args.partial + (static_cast<int64_t>(token) * args.heads + first_head) * plan.splits * kPart;
  // The warps' parts in order, four dimensions a thread; a warp without keys has nothing to add.
  const int warps = min(kWarps, (end - 1 - from) / kKvBlockTokens + 1);
  float* out_part = parts + static_cast<int64_t>(split) * group * kPart;
#pragma unroll 1
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
#pragma unroll 1
  for (int row = warp; row < group; row += kWarps) {
#pragma unroll 1
    for (int d = lane * 4; d < kDim + lane * 4; d += 128) {
      Joined joined;
      joined.JoinSplits(parts + row * kPart, group * kPart, active, kDim, d, lane);
      if (d < kDim) joined.Store(args, token, (first_head + row) * kDim + d);
    }
  }
}

int HeadTiles(const Attention& args) {
  const int sharing = args.heads / args.kv.num_kv_heads;
  return args.kv.num_kv_heads * ((sharing + kTileHeads - 1) / kTileHeads);
}

// Splits that any token of this launch can have.
int MostSplits(const Attention& args, int whole, int keys) {
  const int all = args.table_stride * kKvBlockTokens;
  return all <= whole ? 1 : std::min((all + keys - 1) / keys, kMostSplits + 1);
}

size_t PartialBytesOfToken(const Attention& args) {  // at most
  return sizeof(float) * static_cast<size_t>(args.heads) * static_cast<size_t>(MostSplits(args, 0, kSplitKeys)) *
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
  const size_t shared = sizeof(float) * (kWarps * static_cast<size_t>(group) * (kDim + kPartExtra) + static_cast<size_t>(group + 2) * kDim) +
                        2 * static_cast<size_t>(KvRowBytes(args.kv.k_dtype, kDim) + 15);
  // What is chosen by the number of tokens has no place where bits may not depend on it.
  const int blocks = args.tokens * HeadTiles(args), sms = on.facts.num_sms;
  const int whole = !args.fixed && blocks >= sms ? kWholeKeys : 0;
  const bool many = !args.fixed && 4 * blocks >= sms;
  // Short splits are read sooner, but are more to join, and must not be more than the card takes at once.
  const bool short_splits = !args.fixed && blocks * MostSplits(args, whole, kSplitKeys) <= sms;
  const int keys = short_splits ? kSplitKeys : 2 * kSplitKeys;
  const DecodePlan plan = {whole, keys, MostSplits(args, whole, keys), sharing, (sharing + kTileHeads - 1) / kTileHeads};
  const int at_once = TokensAtOnce(args);
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
        if (!kMany) PreferShared(DecodeAttentionKernel<kDim, kDType, kMany>);
        LaunchKernel(on, DecodeAttentionKernel<kDim, kDType, kMany>, dim3(plan.splits, HeadTiles(args), some.tokens), dim3(kWarps * 32), shared,
                     some, plan);
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
