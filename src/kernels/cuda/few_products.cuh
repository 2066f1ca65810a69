// A kernel for products of few rows: its blocks take row tiles in turn, the warps of a block share the columns. How weights and
// activations are multiplied is a parameter: in fp16 (matmul_few.cu) or in bytes (matmul_bytes.cu).
#pragma once

#include <algorithm>

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/fragments.cuh"
#include "kernels/cuda/kernel_launch.cuh"

namespace lb::cuda {

// Gate's and up's tile of the same rows: kBoth reads an activation once for the two, kInTurn leaves registers for more weights on
// their way.
enum class Glu { kNone, kBoth, kInTurn };

// The shape of a kernel: kWarps warps, kTiles row tiles at once, kTokens tokens, kAhead chunks in a batch.
template <WeightForm kFormOf, int kWarpsOf, int kBlocksOf, int kTokensOf, Glu kGluOf, int kAheadOf>
struct FewShape {
  static constexpr WeightForm kForm = kFormOf;
  static constexpr int kWarps = kWarpsOf;  // which share the columns
  static constexpr int kThreads = kWarps * 32;
  static constexpr int kBlocks = kBlocksOf;  // of a multiprocessor
  static constexpr int kTokens = kTokensOf;
  static constexpr bool kGlu = kGluOf != Glu::kNone;
  static constexpr bool kInTurn = kGluOf == Glu::kInTurn;
  static constexpr int kTiles = kGluOf == Glu::kBoth ? 2 : 1;
  static constexpr int kAhead = kAheadOf;
  static constexpr int kRecord = LayoutOf(kForm).record();
  static constexpr int kStep = kWarps * kAhead;  // chunks from a batch to the next
  // Of one half of the double buffer: [warp][tile][token][row].
  static constexpr int kPartial = kWarps * kTiles * kTokens * kTileRows;
  // A tile's bias, and what it is added to, are read when it begins; narrow codes leave no registers for that.
  static constexpr bool kReadsEarly = !kGlu && kForm == WeightForm::k8 && kTokens == kColumns;
  static_assert((!kInTurn && !kReadsEarly) || kTokens * kTileRows <= kThreads);  // a thread keeps one value
};

// The weights of one step of a warp: kAhead chunks of each row tile, kWarps chunks apart, the first of them `c`.
template <typename S, typename Piece>
struct Batch {
  Piece chunk[S::kTiles][S::kAhead];

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

// What a thread has of a tile beside the sums, for the value it writes: read long before, since memory is far away.
struct BesideSums {
  float gate = 0;    // until up's comes
  float bias = 0;    // not of gate and up
  float before = 0;  // what y holds, to be added to
};

// The warps' sums of a row tile, number `local` of its segment (or of gate's and up's), joined in order, to where they belong. `unscale`:
// of the activations.
template <typename S>
__device__ __forceinline__ void WriteTile(const FewProducts& args, int number, int local, const float* partial, int first_token, int tokens,
                                          float unscale, BesideSums& beside) {
  constexpr int kOne = S::kTokens * kTileRows;  // values of a row tile
  const FewSegment& segment = args.segments[number];
  const int rows = segment.w.rows;
#pragma unroll 1
  for (int i = threadIdx.x; i < min(tokens * kTileRows, kOne); i += S::kThreads) {
    const int token = i / kTileRows, row = local * kTileRows + i % kTileRows;
    if (token >= tokens || row >= rows) continue;
    float value[S::kTiles];
#pragma unroll
    for (int tile = 0; tile < S::kTiles; ++tile) {
      const FewSegment& part = S::kTiles == 2 ? args.segments[tile] : segment;
      float v = 0;
#pragma unroll
      for (int w = 0; w < S::kWarps; ++w) v += partial[(w * S::kTiles + tile) * kOne + i];
      v *= part.w.unscale * unscale;
      if (part.bias != nullptr) v += S::kReadsEarly ? beside.bias : part.bias[row];
      value[tile] = v;
    }
    if (S::kInTurn && number == 0) {
      beside.gate = value[0];
    } else if constexpr (S::kGlu) {
      const float of_gate = S::kInTurn ? beside.gate : value[0];
      StoreScaled(args.glu_out, args.glu_form, PlaceOf(args.glu_form, first_token + token, row, rows),
                  Activated(args.act, of_gate) * value[S::kTiles - 1]);
    } else {
      float& y = segment.y[static_cast<int64_t>(first_token + token) * rows + row];
      y = segment.accumulate ? (S::kReadsEarly ? beside.before : y) + value[0] : value[0];
    }
  }
}

// The norm's weights to shared memory, by all threads of a block.
template <typename S>
__device__ __forceinline__ void StageNorm(const FewProducts& args, float* norm) {
#pragma unroll 2
  for (int i = threadIdx.x; i < args.cols / 4; i += S::kThreads) {
    reinterpret_cast<float4*>(norm)[i] = reinterpret_cast<const float4*>(args.norm_weight)[i];
  }
}
inline size_t NormBytes(const FewProducts& args) { return args.norm_weight != nullptr ? sizeof(float) * static_cast<size_t>(args.cols) : 0; }

// Where a warp is: at chunk `c` of a row tile of a segment (kBoth: of gate and up), whose record lies `at`.
template <typename S>
struct Cursor {
  int tile, c, segment;
  const uint8_t* at[S::kTiles];

  __device__ __forceinline__ void Open(const FewProducts& args, int tile_in, int segment_in, int warp) {
    tile = tile_in;
    c = warp;
    segment = segment_in;
    if constexpr (!S::kGlu) {
      while (segment + 1 < args.num_segments && tile >= args.segments[segment + 1].first_tile) ++segment;
    }
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
      const DeviceWeight& w = args.segments[segment + i].w;
      at[i] = w.data + (static_cast<int64_t>(Local(args)) * w.chunks + warp) * S::kRecord;
    }
  }
  // The tile among those of its segment.
  __device__ __forceinline__ int Local(const FewProducts& args) const { return S::kGlu ? tile : tile - args.segments[segment].first_tile; }
  // To the next batch. False when there is none.
  __device__ __forceinline__ bool Next(const FewProducts& args, int chunks, int warp) {
    c += S::kStep;
    if (c - warp < chunks) {
#pragma unroll
      for (int i = 0; i < S::kTiles; ++i) at[i] += S::kStep * S::kRecord;
      return true;
    }
    if (S::kInTurn && segment == 0) {
      Open(args, tile, 1, warp);
      return true;
    }
    const int next = tile + static_cast<int>(gridDim.x);
    if (next >= args.num_tiles) return false;
    Open(args, next, 0, warp);
    return true;
  }
  // For the tile that begins here: the bias, which never changes, and what y holds.
  __device__ __forceinline__ void ReadBias(const FewProducts& args, BesideSums& beside) const {
    const FewSegment& s = args.segments[segment];
    const int row = Local(args) * kTileRows + static_cast<int>(threadIdx.x) % kTileRows;
    if (S::kReadsEarly && s.bias != nullptr && row < s.w.rows) beside.bias = s.bias[row];
  }
  __device__ __forceinline__ void ReadBefore(const FewProducts& args, int first_token, int tokens, BesideSums& beside) const {
    const FewSegment& s = args.segments[segment];
    const int token = static_cast<int>(threadIdx.x) / kTileRows, row = Local(args) * kTileRows + static_cast<int>(threadIdx.x) % kTileRows;
    if (!S::kReadsEarly || !s.accumulate || token >= tokens || row >= s.w.rows) return;
    beside.before = s.y[static_cast<int64_t>(first_token + token) * s.w.rows + row];
  }
  __device__ __forceinline__ bool IsInTileOf(const Cursor& other) const { return tile == other.tile && segment == other.segment; }
};

// `Way` has Piece, a lane's share of a chunk of weights; kShortCode, whether what follows a batch stands once for both (instructions
// come from memory too, and a layer's kernels should fit where they stay) or twice; Prepare(), what needs no other kernel's results, and
// Stage(), which brings the activations; Multiply(), which adds a batch to its sums; Put(), which writes the sums down and clears them.
// One form of weights in each kernel: with all of them in one the compiler spills.
template <typename S, typename Way>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    FewProductsKernel(const __grid_constant__ FewProducts args) {
  extern __shared__ __align__(16) float shared[];
  float* partial = shared;  // twice
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first_token = blockIdx.y * args.group;
  const int tokens = min(args.group, args.tokens - first_token);
  const int chunks = args.segments[0].w.chunks;

  // The first weights come while the kernel before still runs; they never change.
  Batch<S, typename Way::Piece> batches[2];
  Cursor<S> loading, cursor;
  cursor.Open(args, blockIdx.x, 0, warp);
  loading = cursor;
  batches[0].Load(loading.at, loading.c, chunks, lane);
  bool more = loading.Next(args, chunks, warp);
  if (more) batches[1].Load(loading.at, loading.c, chunks, lane);
  BesideSums beside;
  cursor.ReadBias(args, beside);
  LaunchNext();
  Way way(args, first_token, tokens, shared + 2 * S::kPartial);
  way.Prepare();
  WaitForPrevious();
  cursor.ReadBefore(args, first_token, tokens, beside);
  way.Stage();

  int buffer = 0;
  // Where the batch's registers will be loaded from is found before it is multiplied.
  const auto multiply = [&](Batch<S, typename Way::Piece>& batch) {
    way.Multiply(batch, cursor.c, chunks);
    if (more) batch.Load(loading.at, loading.c, chunks, lane);
  };
  // What follows a batch. False behind the last.
  const auto next = [&] {
    const Cursor<S> here = cursor;
    const bool goes_on = cursor.Next(args, chunks, warp);
    if (goes_on && cursor.IsInTileOf(here)) return true;
    way.Put(partial + buffer * S::kPartial + warp * S::kTiles * S::kTokens * kTileRows);
    __syncthreads();
    WriteTile<S>(args, here.segment, here.Local(args), partial + buffer * S::kPartial, first_token, tokens, Way::kUnscale, beside);
    buffer ^= 1;
    if (goes_on) {
      cursor.ReadBias(args, beside);
      cursor.ReadBefore(args, first_token, tokens, beside);
    }
    return goes_on;
  };
  const auto load_next = [&] {
    if (more) more = loading.Next(args, chunks, warp);
  };
  if constexpr (Way::kShortCode) {
    int turn = 0;
#pragma unroll 1
    do {
      load_next();
      turn == 0 ? multiply(batches[0]) : multiply(batches[1]);
      turn ^= 1;
    } while (next());
  } else {
    const auto step = [&](Batch<S, typename Way::Piece>& batch) {
      load_next();
      multiply(batch);
      return next();
    };
    while (step(batches[0]) && step(batches[1])) {
    }
  }
}

// `rows_bytes`: of shared memory for the activations of a group.
template <typename S, typename Way>
void LaunchFew(const Launcher& on, const FewProducts& args, size_t rows_bytes) {
  const size_t shared = sizeof(float) * 2 * S::kPartial + rows_bytes;
  const int groups = (args.tokens + args.group - 1) / args.group;
  const int at_once = std::max(1, on.facts.num_sms * S::kBlocks / groups);
  const int blocks = std::min(args.num_tiles, at_once);
  AllowShared(FewProductsKernel<S, Way>, shared);
  if (S::kTokens <= kColumns) PreferShared(FewProductsKernel<S, Way>);
  LaunchKernel(on, FewProductsKernel<S, Way>, dim3(blocks, groups), dim3(S::kThreads), shared, args);
}

// What a block's shared memory has room for beside the warps' sums.
inline size_t BytesBesideSums(const DeviceFacts& facts) {
  constexpr size_t kSums = 36 * 1024;
  return static_cast<size_t>(facts.shared_per_block) - kSums;
}

// With few row tiles a multiprocessor has one block, which then needs more warps to keep its schedulers busy.
inline constexpr int kFewTiles = 256;
constexpr int FixedWarps(const FewProducts& args) { return !args.glu && args.num_tiles <= kFewTiles ? 16 : 8; }

inline constexpr int kShortChunks = 8 * 3;  // what eight warps have in one batch (matmul_few.cu)
inline bool HasShortRows(const FewProducts& args) { return args.segments[0].w.chunks <= kShortChunks; }

// Warps of a block, 8 or 16, of which a multiprocessor has 16: what leaves fewer of them without work at the end. Eight have all of a
// short row's bytes on their way at once; then half a multiprocessor is free for the first weights of the kernel behind.
inline int BestWarps(const Launcher& on, const FewProducts& args) {
  if (args.fixed) return FixedWarps(args);
  const DeviceWeight& first = args.segments[0].w;
  if (!HasNarrowCodes(first.form) && HasShortRows(args)) return 8;
  const auto used = [&](int warps) {
    const auto share = [](int work, int workers) { return static_cast<double>(work) / ((work + workers - 1) / workers * workers); };
    return share(first.chunks, warps) * share(args.num_tiles, on.facts.num_sms * 16 / warps);
  };
  return used(16) > used(8) ? 16 : 8;
}
// Calls f with that number, and whether it is gate and up, as constants.
template <typename F>
void WithBestWarps(const Launcher& on, const FewProducts& args, F&& f) {
  const auto call = [&]<int kWarps>() { args.glu ? f.template operator()<kWarps, true>() : f.template operator()<kWarps, false>(); };
  BestWarps(on, args) == 16 ? call.template operator()<16>() : call.template operator()<8>();
}

}  // namespace lb::cuda
