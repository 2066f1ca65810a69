// Attention of many tokens of a sequence: a block has 128 rows (heads of neighbouring tokens that share a KV head), 16 a warp, and takes
// the keys through shared memory, the next ones on their way while these are computed with. When that makes few
// blocks, the keys of a tile are split over several, and the last of them joins the parts in order.
#include <algorithm>

#include "kernels/cuda/prefill_tile.cuh"

namespace lb::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;
constexpr int kBlockRows = kWarps * kWarpRows;
constexpr int kStages = 2;
constexpr int kMostSplits = 16;
constexpr int kLeastUnits = 2;  // of a split: fewer are not worth joining

constexpr size_t SharedBytes(int dim) {
  return static_cast<size_t>(dim) * 2 * (kStages * 2 * UnitKeys(dim) + (QueryInRegisters(dim) ? 0 : kBlockRows));
}

// Brings units of keys and values to shared memory: each thread the same piece of every kRows-th row.
template <int kDim, DType kDType>
struct UnitLoader {
  static constexpr int kKeys = UnitKeys(kDim), kPieces = kDim / 8, kRows = kThreads / kPieces, kLoads = kKeys / kRows;
  static_assert(kRows % kKvBlockTokens == 0 || kKvBlockTokens % kRows == 0);
  const KvLayer& kv;
  const int32_t* table;
  int head, written, row, piece;
  int block[kLoads];  // of the unit that comes next; below 0: none

  __device__ __forceinline__ UnitLoader(const KvLayer& layer, const int32_t* blocks, int kv_head, int context)
      : kv(layer), table(blocks), head(kv_head), written(context), row(threadIdx.x / kPieces), piece(threadIdx.x % kPieces) {}

  __device__ __forceinline__ void Look(int key0) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int key = key0 + row + i * kRows;
      block[i] = key < written ? table[key / kKvBlockTokens] : -1;
    }
  }
  // What is not there becomes zeros: what a block held before may be NaNs.
  __device__ __forceinline__ void Load(uint32_t k, uint32_t v) const {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const bool there = block[i] >= 0;
      const int64_t at = (static_cast<int64_t>(there ? block[i] : 0) * kv.num_kv_heads + head) * kKvBlockTokens +
                         (row + i * kRows) % kKvBlockTokens;
      const uint32_t to = PieceAt<kDim>(row + i * kRows, piece);
      const char* from_k = static_cast<const char*>(kv.k) + at * KvRowBytes(kDType, kDim);
      const char* from_v = static_cast<const char*>(kv.v) + at * KvRowBytes(kDType, kDim);
      if constexpr (kDType == DType::kF16) {
        CopyAsync16(k + to, from_k + piece * 16, there);
        CopyAsync16(v + to, from_v + piece * 16, there);
      } else {
        const uint4 nothing = make_uint4(0, 0, 0, 0);
        Store16(k + to, there ? LoadKv8<kDType>(from_k, piece) : nothing);
        Store16(v + to, there ? LoadKv8<kDType>(from_v, piece) : nothing);
      }
    }
  }
};

template <int kDim, DType kDType>
__global__ void __launch_bounds__(kThreads, 1) PrefillAttentionKernel(const __grid_constant__ Attention args, int splits) {
  extern __shared__ uint4 shared[];
  constexpr int kKeys = UnitKeys(kDim), kTileBytes = kKeys * kDim * 2;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int kv_heads = args.kv.num_kv_heads, group = args.heads / kv_heads;
  const int head = blockIdx.y, s = blockIdx.z;
  LaunchNext();
  WaitForPrevious();
  const int begin = args.query_start[s], rows = (args.query_start[s + 1] - begin) * group;
  // The tiles with the most keys first.
  const int split = blockIdx.x % splits;
  const int tile_row = (gridDim.x / splits - 1 - blockIdx.x / splits) * kBlockRows;
  if (tile_row >= rows) return;
  const int context = args.context_len[s];
  // Rows rise in position: the first row sees the earliest key, the last one the latest.
  const auto sight_of = [&](int row) { return SightOf(args.params, args.positions[begin + min(row, rows - 1) / group], context); };
  const int first_unit = sight_of(tile_row).first / kKeys;
  const int units = max(0, sight_of(tile_row + kBlockRows - 1).last / kKeys + 1 - first_unit);
  const int active = max(1, min(splits, units / kLeastUnits));
  if (split >= active) return;
  const int from = first_unit + units * split / active, to = first_unit + units * (split + 1) / active;

  const uint32_t tiles = SharedAddress(shared);
  const auto k_tile = [&](int stage) { return tiles + static_cast<uint32_t>(stage * 2 * kTileBytes); };
  UnitLoader<kDim, kDType> loader(args.kv, args.block_table + static_cast<int64_t>(s) * args.table_stride, head, context);
  loader.Look(from * kKeys);
  if (from < to) loader.Load(k_tile(0), k_tile(0) + kTileBytes);
  if (from + 1 < to) loader.Look((from + 1) * kKeys);

  const int first_row = tile_row + warp * kWarpRows;
  const float scale = QueryScale(args.params);
  const uint32_t q_tile = k_tile(kStages) + static_cast<uint32_t>(warp * kWarpRows * kDim * 2);
  PrefillTile<kDim> tile;
  tile.Clear();
  Sight sight[2];
  int of_token[2], of_head[2];  // the row's; -1: there is none
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first_row + g + 8 * r;
    of_token[r] = of_head[r] = -1;
    sight[r] = {0, -1};
    const float* q = nullptr;
    if (row < rows) {
      const int token = begin + row / group;
      sight[r] = SightOf(args.params, args.positions[token], context);
      of_token[r] = token;
      of_head[r] = head * group + row % group;
      q = args.q + (static_cast<int64_t>(token) * args.heads + of_head[r]) * kDim;
    }
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i) {
      if constexpr (QueryInRegisters(kDim)) {
        tile.LoadQuery(q, scale, i, t, &tile.q[i][r], &tile.q[i][r + 2]);
      } else {
        uint32_t low, high;
        tile.LoadQuery(q, scale, i, t, &low, &high);
        const uint32_t swizzled = PieceAt<kDim>(g + 8 * r, 2 * i) + t * 4, next = PieceAt<kDim>(g + 8 * r, 2 * i + 1) + t * 4;
        asm volatile("st.shared.u32 [%0], %1;" ::"r"(q_tile + swizzled), "r"(low) : "memory");
        asm volatile("st.shared.u32 [%0], %1;" ::"r"(q_tile + next), "r"(high) : "memory");
      }
    }
  }
  const bool has_rows = first_row < rows;
  const Sight early = sight_of(min(first_row, rows - 1)), late = sight_of(first_row + kWarpRows - 1);
  const bool all_rows = first_row + kWarpRows <= rows;
  for (int unit = from; unit < to; ++unit) {
    const uint32_t k = k_tile((unit - from) % kStages);
    AwaitCopies();
    __syncthreads();
    if (unit + 1 < to) {
      const uint32_t next = k_tile((unit + 1 - from) % kStages);
      loader.Load(next, next + kTileBytes);
      if (unit + 2 < to) loader.Look((unit + 2) * kKeys);
    }
    const int key0 = unit * kKeys;
    if (!has_rows || key0 > late.last || key0 + kKeys <= early.first) continue;
    float scores[kKeys / 8][4];
    tile.Scores(scores, k, q_tile, lane);
    if (args.params.softcap > 0) {
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) scores[n][i] = args.params.softcap * tanhf(scores[n][i] / args.params.softcap) * kLog2E;
      }
    }
    if (!all_rows || key0 < late.first || key0 + kKeys - 1 > early.last) {
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int key = key0 + n * 8 + 2 * t + i % 2;
          if (key < sight[i / 2].first || key > sight[i / 2].last) scores[n][i] = -INFINITY;
        }
      }
    }
    tile.Weigh(scores);
    tile.AddValues(scores, k + kTileBytes, lane);
  }

  if (active > 1) {
    // Parts lie as [tile][kv head][split][warp][vector][lane]; the tiles of earlier sequences are at most so many.
    const int64_t item = static_cast<int64_t>(begin * group / kBlockRows + s + tile_row / kBlockRows) * kv_heads + head;
    constexpr int kPart = PartVectors(kDim) * 32;
    float4* parts = reinterpret_cast<float4*>(args.partial) + item * splits * kWarps * kPart;
    tile.StorePart(parts + (split * kWarps + warp) * kPart, lane);
    if (!IsLastOf(active, args.tickets + item)) return;
    tile.Clear();
    for (int part = 0; part < active; ++part) tile.AddPart(parts + (part * kWarps + warp) * kPart, lane);
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float inverse = 1.0f / tile.Total(r);
    if (of_token[r] < 0) continue;
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) {
      const int64_t at = PlaceOf(args.form, of_token[r], of_head[r] * kDim + i * 8 + 2 * t, args.heads * kDim);
      const float a = tile.o[i][2 * r] * inverse, b = tile.o[i][2 * r + 1] * inverse;
      if (args.form != RowForm::kFloats) {
        *reinterpret_cast<uint32_t*>(static_cast<__half*>(args.out) + at) = PackHalves(a * kActivationScale, b * kActivationScale);
      } else {
        *reinterpret_cast<float2*>(static_cast<float*>(args.out) + at) = make_float2(a, b);
      }
    }
  }
}

// Blocks of the step whose keys are not split, at most.
int BlocksOf(const Attention& args) {
  const int group = args.heads / args.kv.num_kv_heads;
  return (args.tokens * group / kBlockRows + args.sequences) * args.kv.num_kv_heads;
}

// Blocks that share the keys of a tile: so many that each multiprocessor has one.
int SplitsOf(const Attention& args, int sms) {
  const int units = args.table_stride * kKvBlockTokens / UnitKeys(args.kv.k_dim);
  return std::clamp(std::min(sms / BlocksOf(args), units / kLeastUnits), 1, kMostSplits);
}

template <int kDim>
void Launch(const Launcher& on, const Attention& args) {
  const int splits = SplitsOf(args, on.facts.num_sms), group = args.heads / args.kv.num_kv_heads;
  const int tiles = (args.most_queries * group + kBlockRows - 1) / kBlockRows;
  WithKvType(args.kv.k_dtype, [&]<DType kDType>() {
    AllowShared(PrefillAttentionKernel<kDim, kDType>, SharedBytes(kDim));
    LaunchKernel(on, PrefillAttentionKernel<kDim, kDType>, dim3(tiles * splits, args.kv.num_kv_heads, args.sequences), dim3(kThreads),
                 SharedBytes(kDim), args, splits);
  });
}

}  // namespace

AttentionScratch PrefillAttentionScratch(const Attention& args, int sms) {
  const int splits = SplitsOf(args, sms);
  if (splits == 1) return {};
  const auto blocks = static_cast<size_t>(BlocksOf(args));
  const size_t part = sizeof(float4) * 32 * kWarps * static_cast<size_t>(PartVectors(args.kv.k_dim));
  return {blocks * static_cast<size_t>(splits) * part, blocks * sizeof(int)};
}

void LaunchPrefillAttention(const Launcher& on, const Attention& args) {
  WithHeadSize(args.kv.k_dim, [&]<int kDim>() { Launch<kDim>(on, args); });
}

}  // namespace lb::cuda
