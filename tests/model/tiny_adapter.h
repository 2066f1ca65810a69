// Small random LoRA adapters for the tiny models, as GGUF bytes.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "model/adapter.h"
#include "tests/model/tiny_model.h"

namespace lb::test {

struct TinyAdapterSpec {
  TinySpec model = {};
  int rank = 5;
  float alpha = 10.0f;
  DType dtype = DType::kF32;
  uint64_t seed = 1;
  bool ends = true;               // output.weight and, where the model is not tied, token_embd.weight
  std::function<void(gguf::GgufWriter&)> edit = {};  // more keys, or other values
  std::set<std::string> without = {};  // tensors left out, by their whole name
  std::function<void(std::string& name, std::vector<int64_t>& shape)> reshape = {};
};

std::vector<uint8_t> MakeTinyAdapter(const TinyAdapterSpec& spec);

// The bytes must live as long as what is loaded from them.
Result<std::unique_ptr<Adapter>> ParseAdapter(std::span<const uint8_t> bytes, const Model& model,
                                              Ops& ops);

}  // namespace lb::test
