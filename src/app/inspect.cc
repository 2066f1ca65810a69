#include "app/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>

#include "base/printable.h"
#include "base/system_memory.h"
#include "engine/kv_sizing.h"
#include "gguf/gguf_file.h"
#include "gguf/report.h"
#include "kernels/cuda_loader.h"
#include "model/model.h"

namespace lb::app {
namespace {

using Out = std::back_insert_iterator<std::string>;

// What a process takes besides weights and cache; docs/performance.md has what was measured.
constexpr int64_t kBesides = int64_t{64} << 20;

std::string Heads(const ModelConfig& model) {
  if (model.num_kv_heads.empty()) return "0";
  const auto [least, most] = std::ranges::minmax(model.num_kv_heads);
  return least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most);
}

void AddShape(const ModelConfig& model, Out out) {
  fmt::format_to(out, "\nShape ({})\n", model.arch);
  fmt::format_to(out, "  layers      {}\n  width       {}, feed-forward {}\n", model.num_layers, model.width, model.ffn_width);
  fmt::format_to(out, "  attention   {} heads, {} of keys and values, of {} and {} values\n", model.num_heads, Heads(model),
                 model.k_dim, model.v_dim);
  fmt::format_to(out, "  vocabulary  {}\n  context     {} tokens\n", model.vocab_size, model.context_length);
  for (const KvGroup& group : model.kv_groups) {
    if (group.window > 0) fmt::format_to(out, "  window      {} tokens in {} of the layers\n", group.window, group.layers.size());
  }
  if (!model.generates) fmt::format_to(out, "  it makes vectors of {} values, no answers\n", model.pooled_width);
  if (model.num_scores > 0) fmt::format_to(out, "  it scores documents\n");
}

void AddTemplate(const gguf::GgufFile& file, Out out) {
  const auto text = file.metadata().String("tokenizer.chat_template");
  if (!text.has_value() || !text->has_value()) {
    fmt::format_to(out, "\nChat template: none in the file\n");
    return;
  }
  fmt::format_to(out, "\nChat template\n");
  std::string_view rest = **text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    fmt::format_to(out, "  {}\n", Printable(line, line.size() * 4 + 4));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
}

// What fits beside the weights, in memory that is free now, of `where`.
void AddFit(const gguf::GgufFile& file, const ModelConfig& model, const std::string& where, int64_t available, Out out) {
  if (available == 0) return;  // unknown
  int64_t weights = 0;
  for (const gguf::Tensor& tensor : file.tensors()) weights += tensor.view.num_bytes();
  const auto human = [](int64_t bytes) { return gguf::HumanBytes(static_cast<double>(bytes)); };
  fmt::format_to(out, "\nOn {}, which has {} to give\n", where, human(available));
  const int64_t rest = available - weights - kBesides;
  if (rest <= 0) {
    fmt::format_to(out, "  the weights and {} of scratch do not fit: {} are missing\n", human(kBesides), human(-rest));
    return;
  }
  if (!model.generates) {
    fmt::format_to(out, "  it fits; texts of up to {} tokens\n", model.context_length);
    return;
  }
  fmt::format_to(out, "  {} are left for the cache\n  {:<8} {:>14} {:>20}  {}\n", human(rest), "type", "bytes a token",
                 "tokens that fit", "requests of the model's whole context");
  for (const DType type : {DType::kF16, DType::kQ8_0, DType::kQ4_0}) {
    const int64_t bytes = BytesPerToken(model, {type, type});
    const DTypeInfo& info = Info(type);
    if (model.k_dim % info.block_size != 0 || model.v_dim % info.block_size != 0) {
      fmt::format_to(out, "  {:<8} heads of {} and {} values do not divide into its blocks of {}\n", info.name, model.k_dim,
                     model.v_dim, info.block_size);
      continue;
    }
    const int64_t tokens = rest / bytes / kv::kBlockTokens * kv::kBlockTokens;
    fmt::format_to(out, "  {:<8} {:>14} {:>20}  {}\n", info.name, bytes, tokens, tokens / std::max(1, model.context_length));
  }
  KvSizing sizing;
  sizing.available_bytes = rest;
  if (const auto plan = PlanKv(model, sizing); plan.has_value()) {
    fmt::format_to(out, "  without -c a server here makes a cache of {} tokens ({}); one request may have {}\n", plan->pool_tokens,
                   human(plan->pool_bytes), plan->max_request_tokens);
  } else {
    fmt::format_to(out, "  {}\n", plan.error().message);
  }
}

}  // namespace

Result<std::string> InspectReport(const std::string& path) {
  LB_ASSIGN_OR_RETURN(const std::unique_ptr<gguf::GgufFile> file, gguf::GgufFile::Open(path));
  std::string text = gguf::Report(*file);
  const Out out(text);
  AddTemplate(*file, out);
  const Result<ModelConfig> model = ReadModelConfig(*file);
  if (!model.has_value()) {
    fmt::format_to(out, "\nThis program cannot run it: {}\n", model.error().message);
    return text;
  }
  AddShape(*model, out);
  AddFit(*file, *model, "this machine", AvailableMemory(), out);
  for (const CudaDevice& gpu : CudaDevices()) {
    AddFit(*file, *model, fmt::format("GPU {} ({})", gpu.index, gpu.name), CudaFreeBytes(gpu), out);
  }
  return text;
}

}  // namespace lb::app
