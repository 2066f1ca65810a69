#include "gguf/kv_estimate.h"

#include <optional>
#include <string>
#include <vector>

namespace lb::gguf {
namespace {

// Far above any model, and low enough that no product of them leaves 64 bits.
constexpr int64_t kMaxLayers = 100'000;
constexpr int64_t kMaxWidth = 1'000'000;

Result<int64_t> InRange(const Metadata& metadata, const std::string& key, int64_t value,
                        int64_t least, int64_t most) {
  if (value >= least && value <= most) return value;
  return Fail(ErrorCode::kCorrupt, "{}: key \"{}\" is {}, must be {} to {}", metadata.source(), key,
              value, least, most);
}

Result<int64_t> Required(const Metadata& metadata, const std::string& key, int64_t most) {
  LB_ASSIGN_OR_RETURN(const std::optional<int64_t> value, metadata.Int(key));
  if (!value) {
    return Fail(ErrorCode::kCorrupt, "{}: key \"{}\" is missing", metadata.source(), key);
  }
  return InRange(metadata, key, *value, 1, most);
}

// One number for each layer, of a key that holds either one for all or an array of them.
Result<std::optional<std::vector<int64_t>>> PerLayer(const Metadata& metadata,
                                                     const std::string& key, int64_t layers) {
  using Found = std::optional<std::vector<int64_t>>;
  const Value* value = metadata.Find(key);
  if (value == nullptr) return Found();
  std::vector<int64_t> numbers;
  if (value->type == ValueType::kArray) {
    LB_ASSIGN_OR_RETURN(const std::vector<int64_t>* array, metadata.IntArray(key));
    if (static_cast<int64_t>(array->size()) != layers) {
      return Fail(ErrorCode::kCorrupt, "{}: key \"{}\" holds {} numbers for {} layers",
                  metadata.source(), key, array->size(), layers);
    }
    numbers = *array;
  } else {
    LB_ASSIGN_OR_RETURN(const std::optional<int64_t> number, metadata.Int(key));
    numbers.assign(layers, *number);
  }
  for (int64_t number : numbers) {
    // 0 is a layer without attention.
    LB_RETURN_IF_ERROR(InRange(metadata, key, number, 0, kMaxWidth));
  }
  return Found(std::move(numbers));
}

}  // namespace

Result<KvEstimate> EstimateKv(const Metadata& metadata) {
  LB_ASSIGN_OR_RETURN(const auto architecture, metadata.String("general.architecture"));
  if (!architecture) {
    return Fail(ErrorCode::kCorrupt, "{}: key \"general.architecture\" is missing",
                metadata.source());
  }
  const std::string prefix = *architecture + ".";
  const std::string attention = prefix + "attention.";
  KvEstimate estimate;
  LB_ASSIGN_OR_RETURN(estimate.num_layers, Required(metadata, prefix + "block_count", kMaxLayers));
  LB_ASSIGN_OR_RETURN(const auto context, metadata.Int(prefix + "context_length"));
  estimate.context_length = context.value_or(0);
  LB_ASSIGN_OR_RETURN(const auto window, metadata.Int(attention + "sliding_window"));
  estimate.sliding_window = window.value_or(0);
  LB_ASSIGN_OR_RETURN(const auto causal, metadata.Bool(attention + "causal"));
  if (!causal.value_or(true)) return estimate;

  LB_ASSIGN_OR_RETURN(const auto heads,
                      PerLayer(metadata, attention + "head_count", estimate.num_layers));
  LB_ASSIGN_OR_RETURN(auto kv_heads,
                      PerLayer(metadata, attention + "head_count_kv", estimate.num_layers));
  if (!kv_heads) kv_heads = heads;
  if (!kv_heads) {
    return Fail(ErrorCode::kCorrupt, "{}: key \"{}head_count\" is missing", metadata.source(),
                attention);
  }
  LB_ASSIGN_OR_RETURN(const auto key_length, metadata.Int(attention + "key_length"));
  LB_ASSIGN_OR_RETURN(const auto value_length, metadata.Int(attention + "value_length"));
  int64_t width = 0;
  if (!key_length || !value_length) {
    LB_ASSIGN_OR_RETURN(width, Required(metadata, prefix + "embedding_length", kMaxWidth));
    if (!heads) {
      return Fail(ErrorCode::kCorrupt, "{}: key \"{}head_count\" is missing", metadata.source(),
                  attention);
    }
  }
  constexpr int64_t kF16Bytes = 2;
  for (int64_t layer = 0; layer < estimate.num_layers; ++layer) {
    const int64_t of_width = heads && (*heads)[layer] > 0 ? width / (*heads)[layer] : 0;
    LB_ASSIGN_OR_RETURN(const int64_t k, InRange(metadata, attention + "key_length",
                                                 key_length.value_or(of_width), 0, kMaxWidth));
    LB_ASSIGN_OR_RETURN(const int64_t v, InRange(metadata, attention + "value_length",
                                                 value_length.value_or(of_width), 0, kMaxWidth));
    estimate.bytes_per_token += (*kv_heads)[layer] * (k + v) * kF16Bytes;
  }
  return estimate;
}

}  // namespace lb::gguf
