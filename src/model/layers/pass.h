// Pass: one forward pass on its way through a model; what every block works on.
#pragma once

#include <utility>

#include "kernels/ops.h"
#include "model/forward_batch.h"
#include "model/model.h"
#include "tensor/arena.h"

namespace lb {

// Holds the two activations that live through the whole pass; a block takes what else it needs from
// the arena and gives it back. All of it f32 in the backend's memory. Engine thread only.
class Pass {
 public:
  Pass(Ops& ops_in, const ForwardBatch& batch_in, KvLayers kv_in, Arena& arena_in, int width)
      : ops(ops_in), batch(batch_in), kv(kv_in), arena(arena_in), mark_(arena_in) {
    CHECK_GT(num_tokens(), 0);
    CHECK_EQ(batch.token_ids.size(), batch.sequences.positions.size());
    x = arena.Alloc({num_tokens(), width});
    h = arena.Alloc({num_tokens(), width});
  }

  int num_tokens() const { return batch.sequences.num_tokens(); }
  int num_logit_rows() const { return static_cast<int>(batch.logit_rows.size()); }

  // After the last attention nothing looks at other tokens any more: from here on x, h and `heads`
  // (the attention's output, [T, n]) hold only the R rows whose logits are wanted. Rows keep their
  // bits, since no operation depends on the number of rows. Returns the rows of `heads`.
  TensorView KeepLogitRows(const TensorView& heads) {
    const int rows = num_logit_rows();
    if (rows == num_tokens() && InOrder()) return heads;
    CHECK_LE(rows, num_tokens());
    const TensorView kept = arena.Alloc({rows, heads.cols()});
    ops.GatherRows(heads, batch.logit_rows, kept);
    const TensorView kept_x(h.data, DType::kF32, {rows, x.cols()});
    ops.GatherRows(x, batch.logit_rows, kept_x);  // h is free here
    h = TensorView(x.data, DType::kF32, {rows, x.cols()});
    x = kept_x;
    return kept;
  }

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
    for (int r = 0; r < num_logit_rows(); ++r) {
      if (batch.logit_rows[r] != r) return false;
    }
    return true;
  }

  Arena::Mark mark_;
};

}  // namespace lb
