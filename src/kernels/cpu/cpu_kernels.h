// The table of functions an instruction set exports. C headers only: included by units that are
// compiled for wide instruction sets.
#pragma once

#include "kernels/cpu/layout.h"

namespace lb {

// Neighbouring panels of a matrix times a run of tokens.
struct PanelJob {
  const uint8_t* panels;
  int64_t panel_bytes;
  int num_panels;  // at most kMaxJobPanels
  int64_t cols;
  // The tokens: quantised rows [num_tokens, cols] with [num_tokens, cols / 32] blocks, or floats.
  const int8_t* q;
  const ActBlock* blocks;
  const void* arranged;  // the same tokens by `arrange`; null: they are not
  const float* x;
  int64_t num_tokens;  // at most kMaxJobTokens
  // Where it goes: y[t * y_stride + row], row < num_rows; y += when accumulate; bias may be null.
  float* y;
  int64_t y_stride;
  int num_rows;  // of all panels together: the last may be a part of one
  const float* bias;
  bool accumulate;
  void* scratch;  // kScratchBytes, 64-byte aligned, the thread's own
};
// A job's activations for one stretch of k (1 KB a token) and its sums (64 bytes for each panel and
// token) stay in a second-level cache of 512 KB.
static constexpr int64_t kMaxJobTokens = 128;
static constexpr int kMaxJobPanels = 8;
// Tokens that `arrange` takes together, and bytes of each one's 32 values once arranged.
static constexpr int64_t kArrangedTokens = 16;
static constexpr int64_t kArrangedBytes = 40;
// Fewer are not worth arranging: the memory that weights come from is the limit.
static constexpr int64_t kFewestArranged = 9;
static constexpr int64_t kScratchBytes = 96 * 1024;

// K or V of one layer in the pool, as kernels/ops.h lays it out. dtype: a Pack.
struct KvSide {
  const char* base;
  int dtype;
  int dim;
  int64_t row_bytes;
};

// Tokens t0 .. t1 - 1 of one sequence against the keys of one KV head that lie in [kv_begin, kv_end),
// within one split of kSplitTokens positions. Rows are (token, head of the group), token-major.
struct AttentionJob {
  const float* q;    // of token 0 of the batch, head 0 of the group; [T] with stride q_stride
  int64_t q_stride;  // floats from one token to the next
  int group;         // heads of each token, k_dim floats apart
  KvSide k, v;
  int num_kv_heads;
  int kv_head;
  const int32_t* table;      // the sequence's blocks
  const int32_t* positions;  // of the batch's tokens
  int t0, t1;
  int kv_begin, kv_end;  // positions
  float scale;
  int window;
  int ahead;
  float softcap;
  // The state of the rows after the split; a row that saw no key has sum 0.
  float* largest;  // [rows]
  float* sum;      // [rows]
  float* acc;      // [rows, v_pad]: v_dim rounded up to 16
  void* scratch;   // AttentionScratchBytes(k_dim, v_dim)
};
static constexpr int kSplitTokens = 512;
static constexpr int kKeyChunk = 32;  // keys converted and used together
static constexpr int kMaxAttentionRows = 72;  // (t1 - t0) * group is at most
// A chunk as floats and eight rows to transpose from; behind it the transposed queries.
static constexpr int64_t AttentionChunkBytes(int k_dim, int v_dim) {
  const int64_t k_pad = (k_dim + 15) / 16 * 16, v_pad = (v_dim + 15) / 16 * 16;
  return ((k_pad + v_pad) * kKeyChunk + 8 * k_pad) * 4;
}
static constexpr int64_t AttentionScratchBytes(int k_dim, int v_dim) {
  return AttentionChunkBytes(k_dim, v_dim) + int64_t{kMaxAttentionRows} * k_dim * 4;
}

struct CpuKernels {
  const char* name;
  // x [32 * num_blocks] to q and blocks; what that rounding left to q2 and blocks2, unless they are null.
  void (*quantise)(const float* x, int64_t num_blocks, int8_t* q, ActBlock* blocks, int8_t* q2,
                   ActBlock* blocks2);
  // Null where no kernel wants it. Quantised tokens, kArrangedTokens of them (what is behind the last token may be
  // anything), in another order to `out` [kArrangedTokens * cols / 32 * kArrangedBytes].
  void (*arrange)(const int8_t* q, const ActBlock* blocks, int64_t cols, void* out);
  void (*matmul[kNumPacks])(const PanelJob& job);
  void (*rms_norm)(const float* x, const float* weight, float eps, int64_t n, float* y);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, int64_t n,
                     float* y);
  // act: the number of an Activation.
  void (*activate)(int act, float* x, int64_t n);
  void (*glu_mul)(int act, const float* gate, const float* up, int64_t n, float* y);
  void (*add)(const float* x, int64_t n, float* y);
  void (*softcap)(float* x, float cap, int64_t n);
  // One head in place; cosines and sines [dims / 2].
  void (*rope)(float* head, bool halves, int dims, const float* cosines, const float* sines);
  // n f32 to the bytes of a KV row (F32, F16 or BF16).
  void (*store_row)(int dtype, const float* x, int64_t n, void* row);
  // Starts the rows of `job` afresh and runs it over its keys.
  void (*attention_split)(const AttentionJob& job);
  // Joins a split's row to the row so far: (largest, sum, acc) += (l2, s2, a2), n = v_pad.
  void (*attention_merge)(float* largest, float* sum, float* acc, float l2, float s2,
                          const float* a2, int64_t n);
  // y = acc / sum.
  void (*attention_finish)(const float* acc, float sum, int64_t n, float* y);
};

// Null when this build lacks the instruction set.
const CpuKernels* PortableKernels();
const CpuKernels* Avx2Kernels();
const CpuKernels* Avx2VnniKernels();
const CpuKernels* Avx512Kernels();
const CpuKernels* AmxKernels();
const CpuKernels* NeonKernels();

}  // namespace lb
