// What every backend that computes in host memory does alike: memory, tables, vectors, row copies.
#pragma once

#include <vector>

#include "kernels/ops.h"

namespace lb {

class HostOps : public Ops {
 public:
  Result<DeviceMemory> Allocate(size_t bytes) override;
  void CopyToHost(const TensorView& src, void* dst) override;
  void CopyFromHost(const void* src, const TensorView& dst) override;
  Result<DeviceMemory> AllocateHost(size_t bytes) override { return Allocate(bytes); }
  Result<void> MoveKvBlocks(std::span<const KvBlockPart> parts, const KvHostTier& tier, std::span<const KvBlockMove> moves,
                            bool to_host) override;
  // The view is kept: the mapped file must outlive the table.
  Result<std::unique_ptr<Matrix>> LoadTable(const TensorView& raw) override;
  Result<DeviceMemory> LoadVector(const TensorView& raw) override;
  void Embed(const Matrix& table, std::span<const int32_t> ids, float scale,
             const TensorView& y) override;
  void StoreKv(const TensorView& k, const TensorView& v, const KvLayer& kv,
               std::span<const int32_t> slots) override;
  void GatherRows(const TensorView& x, std::span<const int32_t> rows,
                  const TensorView& y) override;
  void Scale(const TensorView& x, float factor) override;
  Result<void> Finish() override { return {}; }
};

// A weight as [rows, cols], or why it cannot be one.
Result<void> CheckWeight(const TensorView& raw);
// Whether it can be decoded to f32.
Result<void> CheckVector(const TensorView& raw);

// The bytes of one K (or V) row in the pool, and where row `i` of head `h` of block `b` begins.
inline char* KvRow(void* base, DType dtype, int dim, int num_kv_heads, int64_t block, int head,
                   int i) {
  return static_cast<char*>(base) +
         ((block * num_kv_heads + head) * kKvBlockTokens + i) * RowBytes(dtype, dim);
}

// cos and sin of every token and pair, times the table's magnitude: [T, dims / 2] each. Angles in
// double, since a position of 100,000 leaves a float three digits.
void RopeAngles(const RopeTable& table, std::span<const int32_t> positions, float* cosines,
                float* sines);

}  // namespace lb
