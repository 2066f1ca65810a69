// How fast a model could run at most on a machine whose walls are known.
#pragma once

#include <cstdint>

#include "app/bench/plan.h"
#include "engine/kv_sizing.h"
#include "gguf/gguf_file.h"
#include "kernels/cpu/walls.h"
#include "model/model.h"

namespace lb::app {

// What one forward pass costs.
struct ModelCost {
  int64_t layer_bytes = 0;   // weights of all layers' matrices: read once in a step
  int64_t layer_values = 0;  // each is a product and a sum for every token
  int64_t output_bytes = 0;  // the output matrix: for the tokens that sample only
  int64_t output_values = 0;
};
// The output matrix is output.weight, or the embeddings where there is none.
ModelCost CostOf(const gguf::GgufFile& file);

struct BenchLimit {
  double tokens_per_second = 0;  // 0: unknown
  const char* wall = "";         // what it is: "memory" or "compute"
};
// Memory: every weight, and the K and V of every token seen, once a step. Compute: the integer
// products at the int8 peak plus attention at the f32 peak.
BenchLimit LimitOf(const BenchTest& test, const BenchOptions& options, const ModelCost& cost,
                   const ModelConfig& model, KvDTypes kv, const Walls& walls);

}  // namespace lb::app
