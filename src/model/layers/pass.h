// Pass: one forward pass on its way through a model; what every block works on.
#pragma once

#include <utility>
#include <vector>

#include "kernels/ops.h"
#include "model/forward_batch.h"
#include "model/model.h"
#include "tensor/arena.h"

namespace lb {

// Holds the two activations that live through the whole pass; a block takes what else it needs from
// the arena and gives it back. All of it f32 in the backend's memory. Engine thread only.
class Pass {
 public:
  Pass(Ops& ops_in, const ForwardBatch& batch_in, KvLayers kv_in, Arena& arena_in,
       const Model& model)
      : ops(ops_in),
        batch(batch_in),
        kv(kv_in),
        arena(arena_in),
        model_(model),
        mark_(arena_in),
        runs_(batch_in.adapters.begin(), batch_in.adapters.end()) {
    const int width = model.config().width;
    CHECK_GT(num_tokens(), 0);
    CHECK_EQ(batch.token_ids.size(), batch.sequences.positions.size());
    x = arena.Alloc({num_tokens(), width});
    h = arena.Alloc({num_tokens(), width});
    if (batch.logit_rows.empty() || batch.hidden_rows.empty()) return;
    both_.assign(batch.logit_rows.begin(), batch.logit_rows.end());
    both_.insert(both_.end(), batch.hidden_rows.begin(), batch.hidden_rows.end());
  }

  int num_tokens() const { return batch.sequences.num_tokens(); }
  int num_logit_rows() const { return static_cast<int>(batch.logit_rows.size()); }
  // Tokens whose results are wanted: those with logits, then those with hidden states.
  std::span<const int32_t> output_rows() const {
    if (!both_.empty()) return both_;
    return batch.hidden_rows.empty() ? batch.logit_rows : batch.hidden_rows;
  }
  int num_output_rows() const { return static_cast<int>(output_rows().size()); }

  // After the last attention nothing looks at other tokens any more: from here on x, h and `heads`
  // (the attention's output, [T, n]) hold only the rows whose results are wanted. Rows keep their
  // bits, since no operation depends on the number of rows. Returns the rows of `heads`.
  TensorView KeepOutputRows(const TensorView& heads) {
    const int rows = num_output_rows();
    if (rows == num_tokens() && InOrder()) return heads;
    CHECK_LE(rows, num_tokens());
    const TensorView kept = arena.Alloc({rows, heads.cols()});
    ops.GatherRows(heads, output_rows(), kept);
    const TensorView kept_x(h.data, DType::kF32, {rows, x.cols()});
    ops.GatherRows(x, output_rows(), kept_x);  // h is free here
    h = TensorView(x.data, DType::kF32, {rows, x.cols()});
    x = kept_x;
    KeepOutputRuns();
    return kept;
  }

  // Ops::Matmul, plus what the adapters of each row add. `from` has a row for each row of pass.x, or
  // for the first of them. At most kMostProducts `outs`.
  void Multiply(const TensorView& from, std::span<const MatmulOut> outs);
  // The same for Ops::Embed of all tokens to pass.x.
  void Embed(const Matrix& table, float scale);
  static constexpr int kMostProducts = 3;  // of one input: q, k and v

  static size_t ScratchBytes(int tokens, int width) {
    return 2 * Arena::RoundedBytes({tokens, width});
  }

  Ops& ops;
  const ForwardBatch& batch;
  KvLayers kv;
  Arena& arena;
  TensorView x;  // [rows, width] the residual stream
  TensorView h;  // [rows, width] its norm: what a block reads

 private:
  bool InOrder() const {
    for (int r = 0; r < num_output_rows(); ++r) {
      if (output_rows()[r] != r) return false;
    }
    return true;
  }

  // runs_ of the tokens -> of the output rows.
  void KeepOutputRuns();

  const Model& model_;
  std::vector<int32_t> both_;  // output_rows() when there are both kinds
  Arena::Mark mark_;
  std::vector<AdapterRun> runs_;  // of the rows of x
};

}  // namespace lb
