// One row per model family: what registry.cc lists and arch/<family>.cc defines.
#pragma once

#include <memory>

#include "base/result.h"
#include "gguf/gguf_file.h"
#include "model/model.h"

namespace lb {

// Each family gives two functions: its configuration alone, from metadata (cheap; nothing is read
// but the keys and the tensor directory), and the loaded model.
Result<ModelConfig> ReadLlamaConfig(const gguf::GgufFile& file);
Result<std::unique_ptr<Model>> LoadLlama(const gguf::GgufFile& file, Ops& ops,
                                         const LoadProgress& progress);

Result<ModelConfig> ReadQwen2Config(const gguf::GgufFile& file);
Result<std::unique_ptr<Model>> LoadQwen2(const gguf::GgufFile& file, Ops& ops,
                                         const LoadProgress& progress);

Result<ModelConfig> ReadQwen3Config(const gguf::GgufFile& file);
Result<std::unique_ptr<Model>> LoadQwen3(const gguf::GgufFile& file, Ops& ops,
                                         const LoadProgress& progress);

Result<ModelConfig> ReadGemma3Config(const gguf::GgufFile& file);
Result<std::unique_ptr<Model>> LoadGemma3(const gguf::GgufFile& file, Ops& ops,
                                          const LoadProgress& progress);

Result<ModelConfig> ReadGemmaEmbeddingConfig(const gguf::GgufFile& file);
Result<std::unique_ptr<Model>> LoadGemmaEmbedding(const gguf::GgufFile& file, Ops& ops,
                                                  const LoadProgress& progress);

Result<ModelConfig> ReadBertConfig(const gguf::GgufFile& file);
Result<std::unique_ptr<Model>> LoadBert(const gguf::GgufFile& file, Ops& ops,
                                        const LoadProgress& progress);

Result<ModelConfig> ReadNomicBertConfig(const gguf::GgufFile& file);
Result<std::unique_ptr<Model>> LoadNomicBert(const gguf::GgufFile& file, Ops& ops,
                                             const LoadProgress& progress);

}  // namespace lb
