// The specification: every operation in plain loops, one thread. Private to kernels/.
#pragma once

#include "kernels/host_ops.h"

namespace lb {

class RefOps : public HostOps {
 public:
  std::string_view name() const override { return "ref"; }
  Result<std::unique_ptr<Matrix>> LoadMatrix(const TensorView& raw) override;
  void Matmul(const TensorView& x, std::span<const MatmulOut> outs) override;
  void RmsNorm(const TensorView& x, const float* weight, float eps, const TensorView& y) override;
  void LayerNorm(const TensorView& x, const float* weight, const float* bias, float eps,
                 const TensorView& y) override;
  void Rope(const TensorView& x, int head_dim, std::span<const int32_t> positions,
            const RopeTable& table) override;
  void PagedAttention(const TensorView& q, const KvLayer& kv, const SequenceBatch& batch,
                      const KvBatch& blocks, const AttentionParams& params,
                      const TensorView& out) override;
  void GluMul(Activation act, const TensorView& gate, const TensorView& up,
              const TensorView& y) override;
  void Activate(Activation act, const TensorView& x) override;
  void Add(const TensorView& x, const TensorView& y) override;
  void Softcap(const TensorView& x, float cap) override;
};

}  // namespace lb
