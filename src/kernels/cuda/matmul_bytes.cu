// Products of a few rows of activations rounded to 8 bits with integer codes of weights, each read once, near the bandwidth of the
// memory.
#include "kernels/cuda/byte_rows.cuh"
#include "kernels/cuda/few_products.cuh"

namespace lb::cuda {
namespace {

constexpr int kByteTokens = 4;     // at most
constexpr int kLargeTiles = 1024;  // row tiles

template <typename S>
class ByteWay {
 public:
  using Piece = ByteChunk<S::kForm>;
  static constexpr float kUnscale = 1;
  static constexpr bool kShortCode = false;  // batches are so short that the branch would show

  __device__ __forceinline__ ByteWay(const FewProducts& args, int /*first_token*/, int tokens, float* shared)
      : args_(args), rows_(reinterpret_cast<uint8_t*>(shared)), lane_(threadIdx.x % 32), tokens_(tokens) {}

  __device__ __forceinline__ void Prepare() {
    if (args_.norm_weight == nullptr) return;
    norm_ = reinterpret_cast<float*>(rows_ + ByteRowsBytes(args_.segments[0].w.chunks, tokens_));
    StageNorm<S>(args_, norm_);
  }
  __device__ __forceinline__ void Stage() {
    __shared__ float scratch[S::kTokens * S::kWarps];
    const int chunks = args_.segments[0].w.chunks;
    ByteGroup* groups = reinterpret_cast<ByteGroup*>(rows_ + tokens_ * ByteStride(chunks));
    for (int n = 0; n < tokens_; ++n) {
      uint8_t* row = rows_ + n * ByteStride(chunks);
      const int64_t at = static_cast<int64_t>(n) * args_.cols;
      if (args_.x.form == RowForm::kHalves) {
        StageHalfBytes<S::kThreads>(args_, static_cast<const __half*>(args_.x.data) + at, chunks, row, groups + n * GroupsOf(chunks));
      } else {
        StageFloatBytes<S::kThreads>(args_, static_cast<const float*>(args_.x.data) + at, norm_, chunks, row, groups + n * GroupsOf(chunks),
                                     scratch + n * S::kWarps);
      }
    }
    __syncthreads();
    x_ = rows_ + min(lane_ / 8, tokens_ - 1) * ByteStride(chunks) + lane_ % 4 * 8;
    groups_ = groups + min(lane_ % 4, tokens_ - 1) * GroupsOf(chunks);
  }
  __device__ __forceinline__ void Multiply(const Batch<S, Piece>& batch, int c, int chunks) {
#pragma unroll
    for (int u = 0; u < S::kAhead; ++u) {
      const int at = c + u * S::kWarps;
      if (at < chunks) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const uint2 x = *reinterpret_cast<const uint2*>(x_ + at * kChunkCols + half * 32);
          const ByteGroup group = groups_[at * 2 + half];
#pragma unroll
          for (int i = 0; i < S::kTiles; ++i) batch.chunk[i][u].Add(half, x, group, lane_, sums_[i][half]);
        }
      }
    }
  }
  __device__ __forceinline__ void Put(float* to) {
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
      float* at = to + (i * S::kTokens + lane_ % 4) * kTileRows + lane_ / 4;
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        at[r * 8] = sums_[i][0][r] + sums_[i][1][r];
        sums_[i][0][r] = sums_[i][1][r] = 0;
      }
    }
  }

 private:
  const FewProducts& args_;
  uint8_t* rows_;
  float* norm_ = nullptr;
  int lane_, tokens_;
  const uint8_t* x_ = nullptr;         // codes of token lane / 8, moved to the lane's columns
  const ByteGroup* groups_ = nullptr;  // of token lane % 4
  float sums_[S::kTiles][2][2] = {};   // by parity of the 32 columns; rows lane / 4 and 8 below
};

template <WeightForm kForm, int kWarps, bool kGlu>
void Launch(const Launcher& on, FewProducts args) {
  constexpr bool kMoreScales = ScalesBy16(kForm);  // which take registers
  constexpr int kAhead = kGlu ? (kMoreScales ? 1 : 2) : (kWarps > 8 && !kMoreScales) ? 4 : 3;
  using S = FewShape<kForm, kWarps, (kWarps > 8) ? 1 : 2, kByteTokens, kGlu ? Glu::kBoth : Glu::kNone, kAhead>;
  args.group = S::kTokens;
  LaunchFew<S, ByteWay<S>>(on, args, ByteRowsBytes(args.segments[0].w.chunks, args.tokens) + NormBytes(args));
}

}  // namespace

bool GainsByBytes(const DeviceFacts& facts, const FewProducts& args) {
  const size_t bytes = ByteRowsBytes((args.cols + kChunkCols - 1) / kChunkCols, kByteTokens) + sizeof(float) * static_cast<size_t>(args.cols);
  const bool large = args.glu || args.num_tiles >= kLargeTiles;
  return !args.fixed && args.tokens <= kByteTokens && HasNarrowCodes(args.segments[0].w.form) && large && bytes <= BytesBesideSums(facts);
}

void LaunchByteProducts(const Launcher& on, const FewProducts& args) {
  WithForm(args.segments[0].w.form, [&]<WeightForm kForm>() {
    if constexpr (HasNarrowCodes(kForm)) {
      WithBestWarps(on, args, [&]<int kWarps, bool kGlu>() { Launch<kForm, kWarps, kGlu>(on, args); });
    }
  });
}

}  // namespace lb::cuda
