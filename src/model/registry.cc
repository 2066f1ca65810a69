// The table of model families: general.architecture -> arch/<family>.cc.
#include <string>
#include <string_view>

#include "base/printable.h"
#include "model/arch/arch.h"
#include "model/model.h"

namespace lb {
namespace {

struct Family {
  std::string_view arch;  // general.architecture
  FamilyRead* read;
};

constexpr Family kFamilies[] = {
    {"llama", &ReadLlama},
    {"qwen2", &ReadQwen2},
    {"qwen3", &ReadQwen3},
    {"gemma3", &ReadGemma3},
    {"gemma-embedding", &ReadGemma3},
    {"bert", &ReadBert},
    {"nomic-bert", &ReadBert},
};

Result<std::unique_ptr<FamilyModel>> Read(const gguf::GgufFile& file) {
  const auto arch = file.metadata().String("general.architecture");
  if (!arch) return arch.error();
  if (!arch->has_value()) {
    return Fail(ErrorCode::kInvalidArgument, "{}: general.architecture is missing", file.path());
  }
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.arch == **arch) return family.read(file, family.arch);
    known += (known.empty() ? "" : ", ") + std::string(family.arch);
  }
  return Fail(ErrorCode::kUnsupported, "{}: general.architecture is \"{}\"; supported: {}",
              file.path(), Printable(**arch), known);
}

}  // namespace

Result<ModelConfig> ReadModelConfig(const gguf::GgufFile& file) {
  LB_ASSIGN_OR_RETURN(const auto model, Read(file));
  return model->config();
}

void Model::Head(Ops&, Pooling, const TensorView&, Arena&, const TensorView&) const {
  CHECK(false);  // nobody asks a model that has none
}

Result<std::unique_ptr<Model>> LoadModel(const gguf::GgufFile& file, Ops& ops,
                                         const LoadProgress& progress) {
  LB_ASSIGN_OR_RETURN(auto model, Read(file));
  LB_RETURN_IF_ERROR(model->Load(file, ops, progress));
  return std::unique_ptr<Model>(std::move(model));
}

}  // namespace lb
