// ModelRunner: what turns a batch into logits. The engine knows models by this face only.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "kv/transfer.h"
#include "model/forward_batch.h"
#include "model/model.h"
#include "sampling/sampler.h"

namespace lb {

// Engine thread only.
class ModelRunner {
 public:
  virtual ~ModelRunner() = default;
  virtual int vocab_size() const = 0;
  // One forward pass. Returns [batch.logit_rows.size() * vocab_size] in host memory, valid until
  // the next call. After an error (kComputeFault) the K and V of the batch's tokens are worthless,
  // all others are intact, and the next call may succeed.
  virtual Result<std::span<const float>> Run(const ForwardBatch& batch) = 0;
  // Whether a device computes beside the calling thread. Start begins the pass of which Run, called next with the same batch, waits
  // for the end; masks that the batch says are to come may be missing until then.
  virtual bool runs_apart() const { return false; }
  virtual void Start(const ForwardBatch& /*batch*/) {}
  // After a Start and before its Run: queues the pass of another batch behind that of the first, which does not wait for the host in
  // between. `next` is the same object and differs in what its arrays hold: every sequence is one token further. Its tokens may be
  // missing until Release, which the Run of the first batch comes before; the Run after that is of `next`. False: nothing has happened.
  virtual bool StartNext(const ForwardBatch& /*next*/) { return false; }
  virtual void Release() {}

  // With batch.best > 0 (at most most_best(), which is 0 where whole rows cost nothing) Run returns nothing, and these are the best
  // tokens of each row that its mask lets through, best first: [batch.logit_rows.size() * batch.best], valid until the next call.
  virtual int most_best() const { return 0; }
  virtual int most_masks() const { return 0; }  // that a batch may have
  virtual std::span<const TokenLogit> best() const { return {}; }

  // Vectors. The hidden states that the last Run's batch asked for: [batch.hidden_rows.size(),
  // width()] in host memory, valid until the next Run.
  virtual int width() const = 0;
  virtual std::span<const float> hidden() const = 0;
  // Whether the model has more layers behind this pooling, and what they make of `count` pooled
  // states: [count, vector_width(pooling)], valid until the next call.
  virtual bool has_head(Pooling pooling) const = 0;
  virtual Result<std::span<const float>> Head(Pooling pooling, std::span<const float> pooled,
                                              int count) = 0;
  // Values of a vector, or scores; 0 without pooling.
  virtual int vector_width(std::optional<Pooling> pooling) const = 0;

  // The keys and values of one block of a group, all its layers, as bytes: for the cache file.
  virtual size_t BlockBytes(int group) const = 0;
  virtual void ReadBlock(int group, int block, std::byte* out) = 0;
  virtual void WriteBlock(int group, int block, const std::byte* in) = 0;

  // The host tier: does `transfers` in their order, before all that is run or read from now on; may not wait for the end. After
  // an error (kComputeFault), of this call or the next Run, what they were to fill is worthless and all else intact.
  virtual Result<void> Move(std::span<const kv::Transfer> transfers) = 0;
};

struct RunnerConfig {
  std::vector<int> group_blocks;  // blocks of each KV group of the model
  DType k_dtype = DType::kF16;
  DType v_dtype = DType::kF16;
  int host_slots = 0;              // blocks that the host tier keeps
  int max_batch_tokens = 512;
  int max_logit_rows = 32;   // sequences that may sample in one step
  int max_hidden_rows = 0;   // tokens whose states one step may ask for
  // K and V are wanted within one layer of one pass only, so that all layers share their memory.
  bool scratch_kv = false;
};

// The real one: takes all memory it will ever need (KV pools, host tier, arena, logits) from `ops`, now.
// kOutOfMemory with the sizes when it cannot have it. Model and ops outlive the runner.
Result<std::unique_ptr<ModelRunner>> MakeModelRunner(const Model& model, Ops& ops,
                                                     const RunnerConfig& config);

}  // namespace lb
