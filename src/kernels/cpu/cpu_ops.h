// The fast CPU backend: splits each operation over the threads and calls the kernels of the chosen
// instruction set. Engine thread only.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/packed_matrix.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/host_ops.h"

namespace lb {

class CpuOps : public HostOps {
 public:
  CpuOps(const CpuKernels& kernels, const ThreadOptions& threads);

  std::string_view name() const override { return name_; }
  Result<std::unique_ptr<Matrix>> LoadMatrix(const TensorView& raw) override;
  void Embed(const Matrix& table, std::span<const int32_t> ids, float scale,
             const TensorView& y) override;
  void Matmul(const TensorView& x, std::span<const MatmulOut> outs) override;
  void RmsNorm(const TensorView& x, const float* weight, float eps, const TensorView& y) override;
  void LayerNorm(const TensorView& x, const float* weight, const float* bias, float eps,
                 const TensorView& y) override;
  void Rope(const TensorView& x, int head_dim, std::span<const int32_t> positions,
            const RopeTable& table) override;
  void StoreKv(const TensorView& k, const TensorView& v, const KvLayer& kv,
               std::span<const int32_t> slots) override;
  void PagedAttention(const TensorView& q, const KvLayer& kv, const SequenceBatch& batch,
                      const KvBatch& blocks, const AttentionParams& params,
                      const TensorView& out) override;
  void GluMul(Activation act, const TensorView& gate, const TensorView& up,
              const TensorView& y) override;
  void Activate(Activation act, const TensorView& x) override;
  void Add(const TensorView& x, const TensorView& y) override;
  void Softcap(const TensorView& x, float cap) override;

 private:
  // cos and sin of the last batches, kept over the layers of a step. A model has at most two tables.
  struct Angles {
    const float* inv_freq = nullptr;
    int dims = 0;
    float magnitude = 0;
    std::vector<float> frequencies;
    std::vector<int32_t> positions;
    std::vector<float> cosines;
    std::vector<float> sines;
  };

  const Angles& AnglesOf(const RopeTable& table, std::span<const int32_t> positions);
  // Whether products of so many tokens take them arranged.
  bool Arranges(int64_t tokens) const;
  // x to q_ and blocks_ (and arranged_); behind them, when `fine`, what that left.
  void Quantise(const TensorView& x, bool fine);
  // `bytes` of 64-byte aligned memory for `thread`.
  void* Scratch(int thread, int64_t bytes);
  void ReserveScratch(int64_t bytes);
  // fn(begin, end) over the rows of a cheap operation; by the caller alone when they are few, since
  // waking a thread costs microseconds.
  template <typename Fn>
  void OverRows(int64_t rows, int64_t cols, const Fn& fn) {
    constexpr int64_t kNumbers = 16 * 1024;  // a thread should have at least
    const int64_t grain = std::max<int64_t>(1, kNumbers / std::max<int64_t>(1, cols));
    pool_.ParallelFor(rows, grain, [&fn](int64_t begin, int64_t end, int) { fn(begin, end); });
  }

  const CpuKernels& kernels_;
  ThreadPool pool_;
  std::string name_;
  DeviceMemory scratch_;
  int64_t scratch_bytes_ = 0;  // of one thread
  // The quantised input of a Matmul, and the partial states of an attention. Grown, never shrunk.
  std::vector<int8_t> q_;
  std::vector<ActBlock> blocks_;
  std::vector<uint8_t> arranged_;  // the same by the kernels' `arrange`, if they have one
  std::vector<float> partial_;
  std::array<Angles, 4> angles_;
  size_t next_angles_ = 0;
};

}  // namespace lb
