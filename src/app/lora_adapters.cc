#include "app/lora_adapters.h"

#include <utility>
#include <vector>

#include "base/log.h"
#include "gguf/gguf_file.h"
#include "model/adapter.h"

namespace lb::app {

Result<std::shared_ptr<api::Adapters>> LoadAdapters(const Flags& flags, Ops& ops, Model* model) {
  if (flags.loras.empty()) return std::shared_ptr<api::Adapters>();
  std::vector<api::Adapters::Known> known;
  for (const Flags::Lora& lora : flags.loras) {
    LB_ASSIGN_OR_RETURN(auto file, gguf::GgufFile::Open(lora.path));
    LB_ASSIGN_OR_RETURN(auto adapter, Adapter::Load(std::move(file), *model, ops));
    known.push_back({lora.path, flags.lora_init_without_apply ? 0.0f : lora.scale});
    LogVerbose(1, "adapter {}: {}, {} matrices, rank up to {}, {:.1f} MiB, scale {}",
               known.size() - 1, lora.path, adapter->num_pairs(), adapter->max_rank(),
               static_cast<double>(adapter->bytes()) / (1 << 20), known.back().scale);
    model->AddAdapter(std::move(adapter));
  }
  return std::make_shared<api::Adapters>(std::move(known));
}

}  // namespace lb::app
