// Small random models of every family, as GGUF bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gguf/gguf_file.h"
#include "gguf/gguf_writer.h"
#include "kernels/ops.h"
#include "model/model.h"

namespace lb::test {

struct TinySpec {
  std::string arch = "llama";
  DType dtype = DType::kF32;  // of matrices
  int layers = 3;
  int width = 64;
  int heads = 4;
  int kv_heads = 2;
  int head_dim = 32;  // written as key only where the family's default differs
  int ffn = 96;
  int vocab = 80;
  int context = 256;
  int window = 24;  // gemma3
  bool tied = false;
  bool biases = false;              // q, k, v and output
  std::vector<float> rope_factors;  // rope_freqs.weight
  uint64_t seed = 1;
  std::function<void(gguf::GgufWriter&)> edit;  // more keys, or other values
  std::set<std::string> without;                // tensors left out
  std::function<void(const std::string& name, std::vector<int64_t>& shape)> reshape;
};

std::vector<uint8_t> MakeTinyModel(const TinySpec& spec);

// The bytes, the file over them and the model, which must all live as long as the model is used.
struct LoadedModel {
  std::vector<uint8_t> bytes;
  std::unique_ptr<gguf::GgufFile> file;
  std::unique_ptr<Model> model;
};
// A model that must load.
LoadedModel LoadTiny(const TinySpec& spec, Ops& ops);

}  // namespace lb::test
