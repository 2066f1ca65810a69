// The kernels as plain functions: each puts one launch on a stream. All pointers are device memory.
#pragma once

#include <cuda_runtime.h>

#include <span>

#include "kernels/cuda/device.h"
#include "kernels/cuda/weight_layout.h"
#include "kernels/op_types.h"

namespace lb::cuda {

struct Launcher {
  cudaStream_t stream = nullptr;
  DeviceFacts facts;
};

// How activations [rows, cols] lie: f32 rows; fp16 rows, times kActivationScale; or fp16 in the order in which a product of more than
// kColumns rows takes them: for each 8 rows and 32 columns (of which cols is a multiple) what the 32 lanes of a warp have as their operand,
// 8 columns of a row each, one behind the other. So a warp's load is 512 neighbouring bytes.
enum class RowForm : int32_t { kFloats, kHalves, kFragments };
inline constexpr int kColumns = 8;         // rows of activations of a tensor-core tile: its columns
inline constexpr int kFragmentCols = 32;

struct Rows {
  const void* data = nullptr;
  RowForm form = RowForm::kFloats;
};

// ---- products -------------------------------------------------------------------------------------

struct FewSegment {
  DeviceWeight w;
  const float* bias = nullptr;
  float* y = nullptr;  // [tokens, w.rows]
  int first_tile = 0;  // of this segment among all
  bool accumulate = false;
};

// Products of few rows: bandwidth of the weights is the limit. Sums go over 64 columns at a time, a warp's
// chunks in order, then the warps in order.
struct FewProducts {
  FewSegment segments[3];
  int num_segments = 0;
  int num_tiles = 0;
  int tokens = 0;
  int cols = 0;
  Rows x;                             // [tokens, cols]
  const float* norm_weight = nullptr;  // x is normed first (f32 x only)
  float norm_eps = 0;
  // Two segments as gate and up: out = act(gate) * up, no y is written.
  bool glu = false;
  Activation act = Activation::kSilu;
  void* glu_out = nullptr;
  RowForm glu_form = RowForm::kFloats;
  bool fixed = false;  // the bits of a row do not depend on the number of rows
  int group = 0;       // tokens of a block; set by the launch
};
void LaunchFewProducts(const Launcher& on, const FewProducts& args);
constexpr bool HasNarrowCodes(WeightForm form) { return form != WeightForm::k8 && form != WeightForm::kHalf; }
// The same with activations rounded to 8 bits, a scale for 32 columns.
void LaunchByteProducts(const Launcher& on, const FewProducts& args);
// Whether that is the faster one, and takes these rows. Narrow codes take most of a kernel's work when they become fp16, but only large products
// are at that limit: gate and up together, and the vocabulary's. Others, and 8-bit codes, measured no slower in fp16, which is exact.
bool GainsByBytes(const DeviceFacts& facts, const FewProducts& args);
// Whether a row of x fits a block's memory.
bool FewProductsFit(const DeviceFacts& facts, int cols);

// The matrix as fp16 [rows, cols] without its unscale factor, for library products.
void LaunchDecodeWeight(const Launcher& on, const DeviceWeight& w, void* out);

// ---- rows -----------------------------------------------------------------------------------------

void LaunchEmbed(const Launcher& on, const DeviceWeight& table, const int32_t* ids, int tokens,
                 float scale, float* y);
void LaunchToHalf(const Launcher& on, const float* x, int64_t n, void* y);
struct Norm {
  const float* x = nullptr;
  const float* weight = nullptr;
  const float* bias = nullptr;  // a LayerNorm's
  bool layer_norm = false;
  float eps = 0;
  int64_t rows = 0;
  int cols = 0;
  void* y = nullptr;
  RowForm form = RowForm::kFloats;  // of y
};
void LaunchNorm(const Launcher& on, const Norm& args);
// cos and sin [tokens, pairs] of the step's positions.
void LaunchAngles(const Launcher& on, const int32_t* positions, int tokens, const float* inv_freq,
                  int pairs, float magnitude, float* cosines, float* sines);
// Optional norm of each head, rotation, and K and V into the pool, in one launch.
struct RopeStore {
  float* q = nullptr;  // [tokens, q_heads * k_dim], rotated in place; null: none
  float* k = nullptr;  // rotated in place
  const float* v = nullptr;  // null: nothing is stored
  const float* q_norm = nullptr;
  const float* k_norm = nullptr;
  float norm_eps = 0;
  int tokens = 0, q_heads = 0, kv_heads = 0, k_dim = 0, v_dim = 0;
  const float* cosines = nullptr;  // null: no rotation
  const float* sines = nullptr;
  int pairs = 0;
  bool halves = false;
  KvLayer kv;
  const int32_t* slots = nullptr;
};
void LaunchRopeStore(const Launcher& on, const RopeStore& args);
void LaunchGlu(const Launcher& on, Activation act, const void* gate, const void* up, bool half_in, int64_t n,
               void* y, bool half);
void LaunchActivate(const Launcher& on, Activation act, const float* x, int64_t n, float* y);
void LaunchAdd(const Launcher& on, const float* x, int64_t n, float* y);
void LaunchSoftcap(const Launcher& on, float* x, int64_t n, float cap);
void LaunchScale(const Launcher& on, float* x, int64_t n, float factor);
void LaunchGatherRows(const Launcher& on, const Rows& x, const int32_t* rows, int64_t count, int cols, void* y);

// ---- attention ------------------------------------------------------------------------------------

struct Attention {
  const float* q = nullptr;
  KvLayer kv;
  const int32_t* positions = nullptr;    // [tokens]
  const int32_t* query_start = nullptr;  // [sequences + 1]
  const int32_t* context_len = nullptr;  // [sequences]
  const int32_t* sequence_of = nullptr;  // [tokens]
  const int32_t* block_table = nullptr;  // [sequences, table_stride]
  int table_stride = 0;
  int tokens = 0, sequences = 0, heads = 0;
  int most_queries = 0;  // of one sequence
  AttentionParams params;
  void* out = nullptr;
  RowForm form = RowForm::kFloats;  // of out
  float* partial = nullptr;  // AttentionScratch
  int* tickets = nullptr;    // zero between launches
  bool fixed = false;  // decode only: a token's sums are split the same way whatever else is in the step
  // Decode only: q, k and v are as the products left them, and K and V of these tokens are stored on the way.
  bool stores = false;
  RopeStore store;
};
// Bytes of `partial` and `tickets`.
struct AttentionScratch {
  size_t partial = 0, tickets = 0;
};
// What the tensor-core kernels take.
constexpr bool HeadsFit(const KvLayer& kv) {
  return kv.k_dim == kv.v_dim && (kv.k_dim == 64 || kv.k_dim == 128 || kv.k_dim == 256) && kv.k_dtype == kv.v_dtype;
}
// Calls f with the head size, one that fits, as a constant.
template <typename F>
void WithHeadSize(int dim, F&& f) {
  if (dim == 64) return f.template operator()<64>();
  if (dim == 128) return f.template operator()<128>();
  f.template operator()<256>();
}
inline constexpr int kMostGridRows = 65535;  // blocks in the second and third direction
// Each token on its own, its keys split over blocks; kTileHeads of the heads that share a KV head are one block's.
inline constexpr int kTileHeads = 8;
constexpr bool DecodeAttentionFits(const KvLayer& kv, int tokens) { return HeadsFit(kv) && tokens <= kMostGridRows; }
AttentionScratch DecodeAttentionScratch(const Attention& args);
void LaunchDecodeAttention(const Launcher& on, const Attention& args);
// Tiles of neighbouring tokens, the keys of each split where there are few.
constexpr bool PrefillAttentionFits(const KvLayer& kv, int sequences) { return HeadsFit(kv) && sequences <= kMostGridRows; }
AttentionScratch PrefillAttentionScratch(const Attention& args, int sms);
void LaunchPrefillAttention(const Launcher& on, const Attention& args);
// Every shape, type and mask; slow.
void LaunchPlainAttention(const Launcher& on, const Attention& args);

// ---- the host tier --------------------------------------------------------------------------------

// See Ops::MoveKvBlocks. What kept a launch from being made; a fault of the kernel shows where the stream is waited for.
cudaError_t LaunchMoveKvBlocks(const Launcher& on, std::span<const KvBlockPart> parts, const KvHostTier& tier,
                               std::span<const KvBlockMove> moves, bool to_host);

// ---- results --------------------------------------------------------------------------------------

struct TopRows {
  const float* logits = nullptr;  // [rows, vocab]
  int rows = 0, vocab = 0;
  // As ops.h's TokenMasks; null: every token may be chosen.
  const int32_t* mask_of = nullptr;  // [rows]
  const uint32_t* masks = nullptr;   // [M, mask_words]
  int mask_words = 0;
};

// The `count` largest that may be chosen of each row, largest first and the lower id among equals. scratch: TopScratchBytes.
inline constexpr int kMostTop = 128;
size_t TopScratchBytes(int rows, int count);
// values, ids [rows, count], TopResultBytes together; id -1 behind the last when there are fewer.
constexpr size_t TopResultBytes(int rows, int count) { return size_t{8} * static_cast<size_t>(rows) * static_cast<size_t>(count); }
void LaunchTop(const Launcher& on, const TopRows& args, int count, void* scratch, float* values, int32_t* ids);

}  // namespace lb::cuda
