// The table of model families: general.architecture -> arch/<family>.cc.
#include <string>
#include <string_view>

#include "base/printable.h"
#include "model/arch/arch.h"
#include "model/model.h"

namespace lb {
namespace {

struct Family {
  std::string_view name;
  Result<ModelConfig> (*read_config)(const gguf::GgufFile& file);
  Result<std::unique_ptr<Model>> (*load)(const gguf::GgufFile& file, Ops& ops,
                                         const LoadProgress& progress);
};

constexpr Family kFamilies[] = {
    {"llama", &ReadLlamaConfig, &LoadLlama},
    {"qwen2", &ReadQwen2Config, &LoadQwen2},
    {"qwen3", &ReadQwen3Config, &LoadQwen3},
    {"gemma3", &ReadGemma3Config, &LoadGemma3},
    {"gemma-embedding", &ReadGemmaEmbeddingConfig, &LoadGemmaEmbedding},
    {"bert", &ReadBertConfig, &LoadBert},
    {"nomic-bert", &ReadNomicBertConfig, &LoadNomicBert},
};

Result<const Family*> FindFamily(const gguf::GgufFile& file) {
  const auto arch = file.metadata().String("general.architecture");
  if (!arch) return arch.error();
  if (!arch->has_value()) {
    return Fail(ErrorCode::kInvalidArgument, "{}: general.architecture is missing", file.path());
  }
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.name == **arch) return &family;
    known += (known.empty() ? "" : ", ") + std::string(family.name);
  }
  return Fail(ErrorCode::kUnsupported, "{}: general.architecture is \"{}\"; supported: {}",
              file.path(), Printable(**arch), known);
}

}  // namespace

Result<ModelConfig> ReadModelConfig(const gguf::GgufFile& file) {
  LB_ASSIGN_OR_RETURN(const Family* family, FindFamily(file));
  return family->read_config(file);
}

void Model::Head(Ops&, Pooling, const TensorView&, Arena&, const TensorView&) const {
  CHECK(false);  // nobody asks a model that has none
}

Result<std::unique_ptr<Model>> LoadModel(const gguf::GgufFile& file, Ops& ops,
                                         const LoadProgress& progress) {
  LB_ASSIGN_OR_RETURN(const Family* family, FindFamily(file));
  return family->load(file, ops, progress);
}

}  // namespace lb
