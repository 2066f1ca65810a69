// Products of few rows in fp16: weights become fp16 in registers, sums are fp32.
#pragma once

#include "kernels/cuda/few_products.cuh"
#include "kernels/cuda/stage_rows.cuh"

namespace lb::cuda {

inline constexpr int kWideTiles = 4;  // such tiles of one block when there are many tokens

// Activations are in shared memory for few tokens, else they stay in global memory as fp16. kChains (1 or 2) products run side by
// side for one sum: two where little else hides what they take.
template <typename S, int kChains>
class HalfWay {
 public:
  using Piece = Chunk<S::kForm>;
  static constexpr float kUnscale = 1.0f / kActivationScale;
  static constexpr bool kShortCode = S::kTokens == kColumns;

  __device__ __forceinline__ HalfWay(const FewProducts& args, int first_token, int tokens, float* shared)
      : args_(args), rows_(reinterpret_cast<__half*>(shared)), lane_(threadIdx.x % 32), first_token_(first_token), tokens_(tokens) {}

  __device__ __forceinline__ void Prepare() {
    if (kWide > 1 || args_.norm_weight == nullptr) return;
    norm_ = reinterpret_cast<float*>(rows_ + tokens_ * XStride(args_.segments[0].w.chunks));
    StageNorm<S>(args_, norm_);
  }
  __device__ __forceinline__ void Stage() {
    __shared__ float scratch[kColumns * S::kWarps];
    if constexpr (kWide == 1) {
      stride_ = XStride(args_.segments[0].w.chunks);
      StageRows<S::kThreads>(args_, first_token_, tokens_, stride_, norm_, rows_, scratch);
      __syncthreads();
      row_ = rows_ + lane_ / 4 * stride_ + lane_ % 4 * 8;
    } else {
      const bool fragments = args_.x.form == RowForm::kFragments;
      stride_ = args_.cols;
      step_ = fragments ? kColumns * kFragmentCols : kFragmentCols;
      limit_ = fragments ? (tokens_ + kColumns - 1) / kColumns * kColumns : tokens_;
      row_ = static_cast<const __half*>(args_.x.data) + static_cast<int64_t>(first_token_) * args_.cols +
             (fragments ? lane_ * 8 : lane_ / 4 * args_.cols + lane_ % 4 * 8);
    }
  }
  __device__ __forceinline__ void Multiply(const Batch<S, Piece>& batch, int c, int chunks) {
#pragma unroll
    for (int u = 0; u < S::kAhead; ++u) {
      if (c + u * S::kWarps < chunks) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          uint4 b[kWide];
#pragma unroll
          for (int n = 0; n < kWide; ++n) b[n] = Activations(n, (c + u * S::kWarps) * 2 + half);
#pragma unroll
          for (int i = 0; i < S::kTiles; ++i) {
            uint32_t a[2][4];
            batch.chunk[i][u].Decode(half, a);
#pragma unroll
            for (int n = 0; n < kWide; ++n) {
              Mma(sums_[i][n][half % kChains], a[0], b[n].x, b[n].y);
              Mma(sums_[i][n][half % kChains], a[1], b[n].z, b[n].w);
            }
          }
        }
      }
    }
  }
  __device__ __forceinline__ void Put(float* to) {
    const int g = lane_ / 4, t = lane_ % 4;
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
#pragma unroll
      for (int n = 0; n < kWide; ++n) {
        float* at = to + (i * S::kTokens + n * kColumns) * kTileRows;
#pragma unroll
        for (int v = 0; v < 4; ++v) {
          float sum = sums_[i][n][0][v];
          if constexpr (kChains == 2) sum += sums_[i][n][1][v];
          at[(2 * t + v % 2) * kTileRows + g + v / 2 * 8] = sum;
          sums_[i][n][0][v] = sums_[i][n][kChains - 1][v] = 0;
        }
      }
    }
  }

 private:
  static constexpr int kWide = S::kTokens / kColumns;

  // Of the tokens of a tile, `part`: which 32 columns. Rows in global memory have no padding; what a fragment has behind the last
  // token, if it is no zero, does not come into another's sums.
  __device__ __forceinline__ uint4 Activations(int wide, int part) const {
    const int token = wide * kColumns + lane_ / 4;
    uint4 b = make_uint4(0, 0, 0, 0);
    if constexpr (kWide == 1) {
      if (token < tokens_) b = *reinterpret_cast<const uint4*>(row_ + part * kFragmentCols);
    } else if (token < limit_ && part * kFragmentCols + lane_ % 4 * 8 < args_.cols) {
      b = *reinterpret_cast<const uint4*>(row_ + wide * kColumns * stride_ + part * step_);
    }
    return b;
  }

  const FewProducts& args_;
  __half* rows_;
  float* norm_ = nullptr;
  int lane_, first_token_, tokens_;
  const __half* row_ = nullptr;  // of token lane / 4 of the first tile, moved to the lane's columns
  int stride_ = 0;               // halves from a token to the next; in fragments: of eight, an eighth
  int step_ = 0, limit_ = 0;     // in global memory: halves from 32 columns to the next, tokens that may be read
  float sums_[S::kTiles][kWide][kChains][4] = {};
};

// Rows of activations that a block's memory holds beside the norm's weights, at most kColumns.
inline int RowsOfBlock(const DeviceFacts& facts, int cols, size_t norm_bytes) {
  const size_t row = sizeof(__half) * static_cast<size_t>(XStride((cols + kChunkCols - 1) / kChunkCols));
  const size_t rows = BytesBesideSums(facts) - std::min(BytesBesideSums(facts), norm_bytes);
  return static_cast<int>(std::min<size_t>(kColumns, rows / row));
}

template <typename S, int kChains>
void LaunchHalf(const Launcher& on, FewProducts args) {
  size_t bytes = NormBytes(args);
  args.group = S::kTokens;
  if (S::kTokens == kColumns) {
    args.group = RowsOfBlock(on.facts, args.cols, bytes);
    bytes += sizeof(__half) * static_cast<size_t>(XStride(args.segments[0].w.chunks)) * static_cast<size_t>(std::min(args.group, args.tokens));
  }
  LaunchFew<S, HalfWay<S, kChains>>(on, args, bytes);
}

// Of more than kColumns rows of fp16.
void LaunchWideProducts(const Launcher& on, const FewProducts& args);

}  // namespace lb::cuda
