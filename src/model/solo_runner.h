// SoloRunner: runs a model over a few token sequences without an engine. For perplexity, tests and
// anything else that wants logits and no serving: no sharing, no eviction, no scheduler.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernels/ops.h"
#include "model/model.h"
#include "tensor/arena.h"

namespace lb {

struct SoloOptions {
  int num_sequences = 1;
  int max_context = 512;       // tokens of one sequence
  int max_batch_tokens = 512;  // of one Run, all sequences together
  int max_logit_rows = 512;    // of one Run
  DType k_dtype = DType::kF16, v_dtype = DType::kF16;
  // Give up blocks that a sliding window has left behind, and overwrite them with NaN.
  bool drop_behind_window = false;
  // 0: blocks in order. Else they are dealt out in an order drawn from this seed.
  uint64_t shuffle_seed = 0;
};

// Tokens to append to one sequence, and which of them want logits (indices into `tokens`).
struct SoloPiece {
  int sequence = 0;
  std::span<const int32_t> tokens;
  std::span<const int32_t> logit_rows;
  std::span<const AdapterUse> adapters = {};
};

// Single thread. Borrows model and ops.
class SoloRunner {
 public:
  static Result<std::unique_ptr<SoloRunner>> Create(const Model& model, Ops& ops,
                                                    const SoloOptions& options);

  // One forward pass over all pieces (each sequence at most once). The logits, [rows asked for,
  // vocab_size] in order, lie in host memory until the next call. Token ids outside the vocabulary
  // and sequences that grow beyond max_context are kInvalidArgument.
  Result<std::span<const float>> Run(std::span<const SoloPiece> pieces);
  // All tokens of one piece for sequence 0; the last one wants logits.
  Result<std::span<const float>> Run(std::span<const int32_t> tokens);

  // Forgets the tokens of a sequence.
  void Reset(int sequence);
  int length(int sequence) const { return length_[sequence]; }
  const Arena& arena() const { return *arena_; }

 private:
  SoloRunner(const Model& model, Ops& ops, const SoloOptions& options)
      : model_(model), ops_(ops), options_(options) {}
  Result<void> AllocateAll();
  void DropBehindWindow(int group, int sequence);

  const Model& model_;
  Ops& ops_;
  SoloOptions options_;
  int blocks_per_sequence_ = 0;
  std::vector<int> length_;                        // [sequences] tokens run
  std::vector<std::vector<int32_t>> block_table_;  // [groups][sequences * blocks_per_sequence]
  std::vector<std::vector<int32_t>> all_blocks_;   // the same with nothing dropped
  std::vector<DeviceMemory> kv_memory_;
  std::vector<KvLayer> kv_layers_;
  std::unique_ptr<Arena> arena_;
  DeviceMemory logits_memory_{nullptr, nullptr};
  std::vector<float> logits_;
};

}  // namespace lb
