// The operations a model is made of. All work on whole batches; T is the number of tokens in the
// step, S the number of sequences, R the number of rows that need logits.
//
// kernels/ref is their specification: plain loops, always built, every other backend is tested
// against it. Activations are f32, row-major, in the backend's memory; an argument may alias
// another only where it says so. Every op obeys the fixed-order rule (docs/contracts/kernels.md):
// an output element is accumulated in one order that depends on neither T, S nor the number of threads.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "base/result.h"
#include "kernels/op_types.h"
#include "tensor/arena.h"
#include "tensor/tensor.h"

namespace lb {

// A weight matrix [rows = output features, cols = input features] in the form its backend wants
// (repacked on a CPU, aligned planes on a GPU). Immutable; made by Ops::LoadMatrix.
class Matrix {
 public:
  virtual ~Matrix() = default;
  int64_t rows = 0;
  int64_t cols = 0;
  DType dtype = DType::kF32;  // as in the file
  int64_t bytes = 0;          // memory held
};

// One product of a Matmul: y[t, :] = x[t, :] * W^T (+ bias) (+ y[t, :] when accumulate).
struct MatmulOut {
  const Matrix* w = nullptr;
  TensorView y;                 // [T, w->rows] f32
  const float* bias = nullptr;  // [w->rows] or null
  bool accumulate = false;      // add to what y holds: the residual stream
  // Where weights of integers meet activations rounded to 8 bits: what the rounding left is rounded,
  // too, and its product added. Twice the work, 15 bits. Backends that do not round take no notice.
  bool fine = false;
};

enum class RopeStyle {
  kInterleaved,  // pairs (0,1), (2,3), ...: the llama family as GGUF stores it
  kHalves,       // pairs (i, i + dims/2): NeoX, qwen, gemma
};

// What rotates a head: made once per model by model/layers/rope.
struct RopeTable {
  RopeStyle style = RopeStyle::kHalves;
  int dims = 0;                      // leading values of a head that are rotated; the rest pass
  const float* inv_freq = nullptr;   // [dims / 2], radians per position
  float magnitude = 1.0f;            // YaRN's factor on both cos and sin
};

// Where the tokens of a step live, for the layers of one group (all layers with full attention, or
// all with a sliding window). Arrays are in host memory; backends copy what they need.
struct KvBatch {
  std::span<const int32_t> slots;        // [T] block id * kKvBlockTokens + offset: K and V of token t go there
  std::span<const int32_t> block_table;  // [S, max_blocks]; entry i holds positions 16 i .. 16 i + 15;
                                         // -1 where a window has dropped the block
  int max_blocks = 0;
};

// Which tokens belong to which sequence. Tokens of a sequence are neighbours, in rising position.
struct SequenceBatch {
  std::span<const int32_t> positions;    // [T]
  std::span<const int32_t> query_start;  // [S + 1]: sequence s has tokens query_start[s] .. [s+1]
  std::span<const int32_t> context_len;  // [S] tokens visible to the last of them, itself included
  int num_tokens() const { return static_cast<int>(positions.size()); }
  int num_sequences() const { return static_cast<int>(context_len.size()); }
};

// Which tokens may be chosen in the rows of logits of a step. Host memory, as above.
struct TokenMasks {
  std::span<const int32_t> rows;   // [R] number of the row's mask; -1: every token may be. Empty: no row has one
  std::span<const uint32_t> bits;  // [M, words(vocab)]: bit t % 32 of word t / 32 is set when token t may be
  static constexpr int64_t words(int64_t vocab) { return (vocab + 31) / 32; }
};

// One backend. Engine thread only, except where a method says otherwise.
class Ops {
 public:
  virtual ~Ops() = default;
  virtual std::string_view name() const = 0;

  // ---- memory ------------------------------------------------------------------------------------
  virtual Result<DeviceMemory> Allocate(size_t bytes) = 0;  // zeroed, 64-byte aligned or better
  virtual void CopyToHost(const TensorView& src, void* dst) = 0;
  virtual void CopyFromHost(const void* src, const TensorView& dst) = 0;

  // ---- the host tier of the KV cache ----------------------------------------------------------------
  // Host memory that the device reads and writes by itself: pinned where that means something. 64-byte aligned.
  virtual Result<DeviceMemory> AllocateHost(size_t bytes) = 0;
  // The `parts` of every block of `moves` to its slot (to_host) or from there, after everything that was asked for before and before
  // everything that is asked for after. May not wait for the device: a fault is told here or by the next Finish (kComputeFault).
  // No two moves are to one place.
  virtual Result<void> MoveKvBlocks(std::span<const KvBlockPart> parts, const KvHostTier& tier, std::span<const KvBlockMove> moves,
                                    bool to_host) = 0;

  // ---- weights (at start-up) ------------------------------------------------------------------------
  // What is loaded or allocated next belongs to layer `layer`, or to none of them (-1). A GPU may leave the weights of later layers in
  // host memory; several share the layers.
  virtual void BeginLayer(int /*layer*/) {}
  // `raw` views the mapped file and is not needed afterwards.
  virtual Result<std::unique_ptr<Matrix>> LoadMatrix(const TensorView& raw) = 0;
  // An embedding table [vocab, width], for Embed only. A CPU keeps the view, so the file stays mapped.
  virtual Result<std::unique_ptr<Matrix>> LoadTable(const TensorView& raw) = 0;
  // A vector or small tensor, decoded to f32.
  virtual Result<DeviceMemory> LoadVector(const TensorView& raw) = 0;

  // ---- compute ---------------------------------------------------------------------------------------
  // y[t, :] = table[ids[t], :] * scale.  y [T, width]
  virtual void Embed(const Matrix& table, std::span<const int32_t> ids, float scale,
                     const TensorView& y) = 0;
  // Several products of one input, so that it is quantised once.  x [T, cols]
  virtual void Matmul(const TensorView& x, std::span<const MatmulOut> outs) = 0;
  // y = x / rms(x) * weight, row by row; y may be x.  x, y [rows, cols], weight [cols].
  // One sum over the row in f32 blocks of fixed width; eps inside the root.
  virtual void RmsNorm(const TensorView& x, const float* weight, float eps, const TensorView& y) = 0;
  // y = (x - mean) / sqrt(variance + eps) * weight + bias, row by row; y may be x. weight and bias
  // [cols]. Sums as in RmsNorm: first the mean's, then the squares of the differences.
  virtual void LayerNorm(const TensorView& x, const float* weight, const float* bias, float eps,
                         const TensorView& y) = 0;
  // x [T, heads * head_dim] in place; heads of `head_dim` values, positions [T].
  virtual void Rope(const TensorView& x, int head_dim, std::span<const int32_t> positions,
                    const RopeTable& table) = 0;
  // k [T, kv_heads * k_dim], v [T, kv_heads * v_dim] into the pool.
  virtual void StoreKv(const TensorView& k, const TensorView& v, const KvLayer& kv,
                       std::span<const int32_t> slots) = 0;
  // Attention of every query over its own sequence's blocks (StoreKv has run): causal, but for
  // params.ahead.
  // q [T, heads * k_dim], out [T, heads * v_dim]; heads is a multiple of kv.num_kv_heads.
  virtual void PagedAttention(const TensorView& q, const KvLayer& kv, const SequenceBatch& batch,
                              const KvBatch& blocks, const AttentionParams& params,
                              const TensorView& out) = 0;
  // y = act(gate) * up; y may be either.
  virtual void GluMul(Activation act, const TensorView& gate, const TensorView& up,
                      const TensorView& y) = 0;
  virtual void Activate(Activation act, const TensorView& x) = 0;       // x = act(x)
  virtual void Add(const TensorView& x, const TensorView& y) = 0;       // y += x
  virtual void Scale(const TensorView& x, float factor) = 0;            // x *= factor
  virtual void Softcap(const TensorView& x, float cap) = 0;             // x = cap * tanh(x / cap)
  // y[r, :] = x[rows[r], :].  y [R, cols]
  virtual void GatherRows(const TensorView& x, std::span<const int32_t> rows, const TensorView& y) = 0;

  // The `count` (1 to most_top()) largest of each row of `logits` [R, vocab] that its mask lets through, largest first, the
  // lower id among equals, to values and ids [R, count] in host memory; they are there after Finish. A NaN counts as largest, and
  // no mask hides it or +infinity, so that they are seen. Where a row has fewer than `count` the rest have id -1. most_top() is 0
  // where logits are in host memory anyway.
  virtual int most_top() const { return 0; }
  // Most masks that a step can have.
  virtual int most_masks(int64_t /*vocab*/) const { return 0; }
  virtual void Top(const TensorView& /*logits*/, int /*count*/, const TokenMasks&, float* /*values*/, int32_t* /*ids*/) { CHECK(false); }

  // Memory of the backend's own that is free for layers' memory, in bytes, when `beside` of each of its devices are for other things;
  // -1: it computes in the host's.
  virtual int64_t free_memory(int64_t /*beside*/ = 0) const { return -1; }

  // What the device can do at most, measured now (seconds; bench): reading memory, and products of fp16 matrices.
  // Zeros: a host backend, whose walls kernels/cpu/walls.h measures.
  struct DeviceWalls {
    double read_gbs = 0;
    double product_gflops = 0;
  };
  virtual DeviceWalls MeasureWalls() { return {}; }

  // Ends a step: waits for the device and says what went wrong in it (kComputeFault), if anything.
  virtual Result<void> Finish() = 0;

  // Whether operations run beside the calling thread, from Start or Finish on. False: each is done when its call returns.
  virtual bool runs_apart() const { return false; }
  // Begins what was asked for since the last Start or Finish and does not wait for it; the step may go on with more. The host arrays
  // may change then. What goes wrong is told by Finish.
  virtual void Start() {}
  // The number of what was started last, by Start or Finish.
  virtual int64_t last_started() const { return 0; }
  // Instead of recording operations: those that were started as `number`, one of the last two, again. They read the same host arrays,
  // with what these hold now, and leave their results where they did. False: record them.
  virtual bool Repeat(int64_t /*number*/) { return false; }
  virtual bool CanRepeat(int64_t /*number*/) const { return false; }
  // Repeat and Start in one, behind the step that runs now, whose Finish is still to come: `number` is all of that step. The host arrays
  // are read now, but for `late`, which is read by Release: what comes before Release must not wait for the device, but for the Finish of
  // the step before. The Finish after that ends this one. False: nothing has happened.
  virtual bool RepeatAhead(int64_t /*number*/, std::span<const int32_t> /*late*/) { return false; }
  virtual void Release() {}

  // For several backends of one kind that compute a step one after the other: `bytes` at `src`, memory of `from`, to `dst`, memory of
  // this one, after everything that `from` has started and before everything that this one will start. Nothing to copy: the order alone.
  virtual void Receive(Ops& /*from*/, const void* src, void* dst, size_t bytes) {
    if (bytes > 0) std::memcpy(dst, src, bytes);
  }
};

// While it lives, what is loaded or allocated belongs to a layer (Ops::BeginLayer), then to none.
class OfLayer {
 public:
  OfLayer(Ops& ops, int layer) : ops_(ops) { ops_.BeginLayer(layer); }
  ~OfLayer() { ops_.BeginLayer(-1); }
  OfLayer(const OfLayer&) = delete;
  OfLayer& operator=(const OfLayer&) = delete;

 private:
  Ops& ops_;
};

}  // namespace lb
