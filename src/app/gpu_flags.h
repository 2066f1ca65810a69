// The flags that choose between GPU and CPU, and what they come to on this machine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gguf/gguf_file.h"
#include "kernels/backends.h"
#include "model/model.h"

namespace CLI {
class App;  // its header takes seconds to compile
}

namespace lb::app {

struct GpuOptions {
  int layers = -1;       // in a GPU's memory; 0: the CPU computes; -1: what fits
  std::string device;    // "": the one of main_gpu, more when it is too small; "none": CPU; "CUDA1" or a list
  int main_gpu = 0;
  std::string split_mode;        // "": as needed; "none", "layer", "row"
  std::vector<double> shares;    // of the layers, for each device; empty: as memory is free
  bool deterministic = false;
};

void AddGpuFlags(CLI::App& app, GpuOptions* gpu);

// How many layers of a model, from the first on, fit into `room` bytes of a card beside what belongs to none of them. Narrow codes lie a little
// wider there than in the file, which is counted for all.
int LayersThatFit(const gguf::GgufFile& file, int num_layers, int64_t room);

// The backend for a model: the GPU's when flags, machine and sizes agree, else the CPU's. Says in the log which and why.
// kInvalidArgument for a device that is not there.
Result<std::unique_ptr<Ops>> ChooseOps(const GpuOptions& gpu, const CpuOptions& cpu, const gguf::GgufFile& file,
                                       const ModelConfig& model);

}  // namespace lb::app
