// The CUDA backend: records a step's operations, fuses them, and runs them as one graph.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/cuda/gate.h"
#include "kernels/cuda/library_product.h"
#include "kernels/cuda/plugin.h"
#include "kernels/cuda/staging.h"
#include "kernels/cuda/step.h"
#include "kernels/cuda/upload.h"

namespace lb::cuda {

// Memory is the device's. What is recorded runs from Start or Finish on, on one stream. Operations that were seen together before are
// a graph, launched in one call.
class CudaOps final : public Ops {
 public:
  static Result<std::unique_ptr<Ops>> Create(const CudaOptions& options);
  ~CudaOps() override;

  std::string_view name() const override { return name_; }
  Result<DeviceMemory> Allocate(size_t bytes) override;
  void CopyToHost(const TensorView& src, void* dst) override;
  void CopyFromHost(const void* src, const TensorView& dst) override;
  void BeginLayer(int layer) override { layer_ = layer; }
  Result<DeviceMemory> AllocateHost(size_t bytes) override;
  Result<void> MoveKvBlocks(std::span<const KvBlockPart> parts, const KvHostTier& tier, std::span<const KvBlockMove> moves,
                            bool to_host) override;
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
  void Softcap(const TensorView& x, float cap) override;
  void Scale(const TensorView& x, float factor) override;
  void GatherRows(const TensorView& x, std::span<const int32_t> rows, const TensorView& y) override;
  int most_top() const override { return kMostTop; }
  int most_masks(int64_t vocab) const override;
  void Top(const TensorView& logits, int count, const TokenMasks& masks, float* values, int32_t* ids) override;
  int64_t free_memory(int64_t beside) const override;
  DeviceWalls MeasureWalls() override;
  Result<void> Finish() override;
  bool runs_apart() const override { return true; }
  void Start() override;
  int64_t last_started() const override { return num_started_; }
  bool CanRepeat(int64_t number) const override;
  bool Repeat(int64_t number) override;
  bool RepeatAhead(int64_t number, std::span<const int32_t> late) override;
  void Release() override;
  void Receive(Ops& from, const void* src, void* dst, size_t bytes) override;

 private:
  struct Angles {
    const float* inv_freq;
    const int32_t* positions;
    int dims;
    float* cosines;
    float* sines;
  };
  struct CachedGraph {
    std::string key;  // the operations' bytes
    cudaGraphExec_t exec = nullptr;
  };
  // Where results of Top go when they are there.
  struct TopResult {
    int rows, count;
    float* values;
    int32_t* ids;
    size_t at;  // in top_host_: values, then ids
  };
  // What is started in one go: a step, or a part of one.
  struct Unit {
    int64_t number = 0;  // of all that were started
    std::vector<Op> ops;
    std::vector<TopResult> tops;
    Staging::Part staged;
    CachedGraph* graph = nullptr;  // of ops, or of those that were here before
  };

  CudaOps(const CudaOptions& options, const DeviceFacts& facts, std::string name);
  Op& Record(OpKind kind);
  // Of the rows of `x`, to `y`.
  Op& Record(OpKind kind, const TensorView& x, void* y);
  void CopyBytes(const void* src, void* dst, size_t bytes);
  // Device memory as it comes.
  Result<DeviceMemory> TakeDevice(size_t bytes);
  enum class Place { kCard, kHost };
  Result<std::unique_ptr<CudaMatrix>> MakeMatrix(const TensorView& raw, Place place);
  void AddCopy(CudaMatrix* matrix);
  // Makes this backend's device the calling thread's: the engine's is another than the one that loads.
  void Bind() const { LB_CUDA_CHECK(cudaSetDevice(launcher_.facts.index)); }
  // The unit to record in becomes the older of the two.
  void Open();
  void BeginStep();
  Result<void> Launch(Unit& unit, bool repeats);
  // Everything a planned unit needs beside its tensors, before any of it runs.
  bool PrepareScratch(const Unit& unit);
  void Run(const Unit& unit);
  void RunOp(const Op& op);
  // Waits for the device and hands out what Top has found.
  cudaError_t Wait();
  void RunMatmul(const Op& op);
  void RunFewProducts(const Op& op);
  void RunAttention(const Op& op);
  void RunStore(const Op& op);
  RopeStore StoreArgs(const Op& op);
  const Angles& AnglesOf(const Op& op);
  const void* HalfRows(const Op& op);
  // Device memory of at least so many bytes, kept; graphs that hold the old address are dropped.
  struct Buffer {
    void* data = nullptr;
    size_t bytes = 0;
  };
  bool Grow(Buffer* buffer, size_t bytes);
  void DropGraphs();

  static constexpr size_t kStagingBytes = 64 << 20;

  const CudaOptions options_;
  PlanOptions plan_options_;
  Launcher launcher_;
  const std::string name_;
  LibraryProduct library_;
  Staging staging_;
  int layer_ = -1;  // of what is loaded next
  std::unique_ptr<Upload> upload_;  // while weights are loaded
  int64_t num_matrices_ = 0;
  Unit units_[2];          // a step that its masks cut in two has both, and the next one is mostly the same again
  Unit* open_ = nullptr;   // what is being recorded
  bool repeats_ = false;   // it is as it was
  bool running_ = false;   // something of this step was started
  Result<void> fault_;     // what went wrong in that
  int64_t num_started_ = 0;
  std::vector<Angles> angles_;  // of a unit
  std::unordered_map<size_t, CachedGraph> graphs_;  // by hash of the key
  Buffer halves_, weights_, partial_, tickets_, angle_values_, top_;
  size_t angles_used_ = 0;
  std::vector<TopResult> results_;  // that are awaited
  cudaEvent_t done_ = nullptr;      // the end of the step behind which another was queued
  Gate gate_;
  // What was queued behind the step that runs.
  struct Ahead {
    bool queued = false;
    std::vector<TopResult> results;
    std::span<const int32_t> late;  // until Release
    int32_t* late_to = nullptr;
  };
  Ahead ahead_;
  bool can_queue_ahead_ = true;
  char* top_host_ = nullptr;        // the step's: pinned, kernels write here
  size_t top_host_bytes_ = 0, top_host_used_ = 0;
  cudaEvent_t received_ = nullptr;  // what Receive waits for
};

}  // namespace lb::cuda
