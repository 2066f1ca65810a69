// What registry.cc lists and arch/<family>.cc defines.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "gguf/gguf_file.h"
#include "model/model.h"

namespace lb {

// A model that is read in two steps: its configuration, then its weights.
class FamilyModel : public Model {
 public:
  virtual Result<void> Load(const gguf::GgufFile& file, Ops& ops, const LoadProgress& progress) = 0;
};

// Each family gives one function: the model with its configuration, from metadata alone (cheap:
// nothing is read but the keys and the tensor directory). `arch` is one of its
// general.architecture.
using FamilyRead = Result<std::unique_ptr<FamilyModel>>(const gguf::GgufFile& file,
                                                        std::string_view arch);
FamilyRead ReadLlama;
FamilyRead ReadQwen2;
FamilyRead ReadQwen3;
FamilyRead ReadGemma3;
FamilyRead ReadBert;

}  // namespace lb
