// SplitOps: one model on several backends of one kind, each with some of its layers, a step passing from one to the next. What a
// step computes is what one backend alone would compute, bit for bit.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/ops.h"

namespace lb {

// A product or a norm, and with it all that follows, is computed where its weights are; a tensor that was written elsewhere is copied
// there first. Where a layer begins that is the residual stream alone.
// Memory of a layer (BeginLayer) is its part's. All other memory, such as activations, every part has once, and callers know it by
// the address that the first part gave: what the others have of it is kept until the end.
class SplitOps final : public Ops {
 public:
  // `parts`: two or more. Part i has layers first_layers[i] to first_layers[i + 1], the last to the end (`num_layers`); what is of no
  // layer, like the output matrix, the last part has, and the embedding table the first.
  SplitOps(std::vector<std::unique_ptr<Ops>> parts, std::vector<int> first_layers, int num_layers);

  std::string_view name() const override { return name_; }
  Result<DeviceMemory> Allocate(size_t bytes) override;
  void CopyToHost(const TensorView& src, void* dst) override;
  void CopyFromHost(const void* src, const TensorView& dst) override;
  Result<DeviceMemory> AllocateHost(size_t bytes) override { return parts_[0]->AllocateHost(bytes); }
  Result<void> MoveKvBlocks(std::span<const KvBlockPart> parts, const KvHostTier& tier, std::span<const KvBlockMove> moves,
                            bool to_host) override;
  void BeginLayer(int layer) override;
  Result<std::unique_ptr<Matrix>> LoadMatrix(const TensorView& raw) override;
  Result<std::unique_ptr<Matrix>> LoadTable(const TensorView& raw) override;
  Result<DeviceMemory> LoadVector(const TensorView& raw) override;

  void Embed(const Matrix& table, std::span<const int32_t> ids, float scale, const TensorView& y) override;
  void Matmul(const TensorView& x, std::span<const MatmulOut> outs) override;
  void RmsNorm(const TensorView& x, const float* weight, float eps, const TensorView& y) override;
  void LayerNorm(const TensorView& x, const float* weight, const float* bias, float eps, const TensorView& y) override;
  void Rope(const TensorView& x, int head_dim, std::span<const int32_t> positions, const RopeTable& table) override;
  void StoreKv(const TensorView& k, const TensorView& v, const KvLayer& kv, std::span<const int32_t> slots) override;
  void PagedAttention(const TensorView& q, const KvLayer& kv, const SequenceBatch& batch, const KvBatch& blocks,
                      const AttentionParams& params, const TensorView& out) override;
  void GluMul(Activation act, const TensorView& gate, const TensorView& up, const TensorView& y) override;
  void Activate(Activation act, const TensorView& x) override;
  void Add(const TensorView& x, const TensorView& y) override;
  void Scale(const TensorView& x, float factor) override;
  void Softcap(const TensorView& x, float cap) override;
  void GatherRows(const TensorView& x, std::span<const int32_t> rows, const TensorView& y) override;
  int most_top() const override { return parts_[0]->most_top(); }
  int most_masks(int64_t vocab) const override { return parts_[0]->most_masks(vocab); }
  void Top(const TensorView& logits, int count, const TokenMasks& masks, float* values, int32_t* ids) override;

  int64_t free_memory(int64_t beside) const override;
  DeviceWalls MeasureWalls() override { return parts_[0]->MeasureWalls(); }  // one at a time computes
  Result<void> Finish() override;
  bool runs_apart() const override { return parts_[0]->runs_apart(); }
  void Start() override;
  int64_t last_started() const override { return num_started_; }
  bool CanRepeat(int64_t number) const override;
  bool Repeat(int64_t number) override;

 private:
  // Memory that every part has: `bytes` at `first` for the caller and the first part, of others[i] for part i + 1.
  struct Mirror {
    const char* first;
    size_t bytes;
    std::vector<DeviceMemory> others;
  };
  // Bytes of such memory that a part has written, as its first address says, and others have not.
  struct Held {
    const char* begin;
    const char* end;
    size_t part;
  };
  // What a step does between its parts' operations: bytes go from part to part, or, without bytes, `to` goes on where `from` has ended.
  struct Pass {
    size_t from, to;
    int64_t number;  // of what `from` started then
    const char* begin = nullptr;
    size_t bytes = 0;
  };

  size_t PartOfLayer() const;
  // Whose memory of a layer it is.
  std::optional<size_t> OwnerOf(const void* address) const;
  const char* At(const void* address, size_t part) const;
  // Memory of the layer's part, or, with no layer, of each.
  Result<DeviceMemory> Make(size_t bytes, const std::function<Result<DeviceMemory>(Ops&)>& make);
  void ForgetWhatLayAt(const char* begin, size_t bytes);
  void Open();
  void GoTo(size_t part);
  // To the part that has this vector, if it is a layer's: norms too are computed with the layer that they are for.
  void GoToOwner(const float* vector);
  void PassOn(const Pass& pass);
  Ops& here() { return *parts_[part_]; }
  // The tensor where the step is now: with what was written elsewhere; to be written.
  TensorView Read(const TensorView& x);
  TensorView Written(const TensorView& y);
  void Hold(const char* begin, const char* end);
  const float* Here(const float* vector) const { return reinterpret_cast<const float*>(At(vector, part_)); }
  KvLayer Here(const KvLayer& kv) const;

  const std::vector<std::unique_ptr<Ops>> parts_;
  const std::vector<int> first_layers_;
  const int num_layers_;
  std::string name_;
  int layer_ = -1;  // of what is loaded next
  std::map<const char*, Mirror> mirrors_;          // by their first address
  std::map<const char*, std::pair<size_t, size_t>> layer_memory_;  // bytes and part, by address

  size_t part_ = 0;  // where the step is
  bool open_ = false;      // something is recorded and not started
  bool running_ = false;   // something of this step was started
  std::vector<Held> held_;  // of this step, or of the one that has ended
  std::vector<Pass> passes_;      // of what is being recorded
  struct Started {
    int64_t number = 0;
    size_t last_part = 0;
    int64_t last_number = 0;
    std::vector<Pass> passes;
    std::vector<Held> held;
  };
  Started first_;  // what the step, or the one that has ended, started first
  int64_t num_started_ = 0;
};

}  // namespace lb
