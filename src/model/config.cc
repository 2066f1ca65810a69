#include "model/config.h"

#include <fmt/format.h>

#include <algorithm>

namespace lb {
namespace {

// Larger than any model known, small enough that no product of two of them overflows 64 bits and
// no loop over them takes long.
constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxWidth = 1 << 20;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxHeadDim = 1024;
constexpr int64_t kMaxContext = 1 << 30;
constexpr int64_t kMaxVocab = 1 << 24;

std::string FileName(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);  // npos + 1 is 0
}

}  // namespace

void ConfigReader::Fail(ErrorCode code, const std::string& message) {
  FailAs(Error{code, fmt::format("{}: {}", file_.path(), message), {}});
}

void ConfigReader::FailAs(const Error& error) {
  if (ok()) status_ = error;
}

bool ConfigReader::Has(std::string_view key) const {
  return file_.metadata().Find(Key(key)) != nullptr;
}

int ConfigReader::Int(std::string_view key, int64_t min, int64_t max,
                      std::optional<int64_t> fallback) {
  const auto found = file_.metadata().Int(Key(key));
  if (!found) {
    FailAs(found.error());
    return static_cast<int>(min);
  }
  const std::optional<int64_t> value = found->has_value() ? *found : fallback;
  if (!value) {
    Fail(ErrorCode::kInvalidArgument, fmt::format("{} is missing", Key(key)));
  } else if (*value < min || *value > max) {
    Fail(ErrorCode::kInvalidArgument,
         fmt::format("{} is {}; allowed: {} to {}", Key(key), *value, min, max));
  } else {
    return static_cast<int>(*value);
  }
  return static_cast<int>(min);
}

double ConfigReader::Float(std::string_view key, double min, double max,
                           std::optional<double> fallback) {
  const auto found = file_.metadata().Float(Key(key));
  if (!found) {
    FailAs(found.error());
    return min;
  }
  const std::optional<double> value = found->has_value() ? *found : fallback;
  if (!value) {
    Fail(ErrorCode::kInvalidArgument, fmt::format("{} is missing", Key(key)));
  } else if (!(*value >= min && *value <= max)) {
    Fail(ErrorCode::kInvalidArgument,
         fmt::format("{} is {}; allowed: {} to {}", Key(key), *value, min, max));
  } else {
    return *value;
  }
  return min;
}

std::string ConfigReader::String(std::string_view key, std::string_view fallback) {
  auto found = file_.metadata().String(Key(key));
  if (!found) {
    FailAs(found.error());
    return std::string(fallback);
  }
  return found->value_or(std::string(fallback));
}

std::vector<int> ConfigReader::PerLayer(std::string_view key, int num_layers, int64_t min,
                                        int64_t max, std::optional<int64_t> fallback) {
  const gguf::Value* value = file_.metadata().Find(Key(key));
  if (value == nullptr || value->type != gguf::ValueType::kArray) {
    return std::vector<int>(num_layers, Int(key, min, max, fallback));
  }
  std::vector<int> result(num_layers, static_cast<int>(min));
  const auto array = file_.metadata().IntArray(Key(key));
  if (!array) {
    FailAs(array.error());
    return result;
  }
  const std::vector<int64_t>& values = **array;
  if (values.size() != static_cast<size_t>(num_layers)) {
    Fail(ErrorCode::kInvalidArgument, fmt::format("{} has {} entries; {} is {}", Key(key),
                                                  values.size(), Key("block_count"), num_layers));
    return result;
  }
  for (int i = 0; i < num_layers; ++i) {
    if (values[i] < min || values[i] > max) {
      Fail(ErrorCode::kInvalidArgument,
           fmt::format("{}[{}] is {}; allowed: {} to {}", Key(key), i, values[i], min, max));
      return result;
    }
    result[i] = static_cast<int>(values[i]);
  }
  return result;
}

int ConfigReader::SameForAll(std::string_view key, int num_layers, int64_t min, int64_t max,
                             std::optional<int64_t> fallback) {
  const std::vector<int> values = PerLayer(key, num_layers, min, max, fallback);
  const auto other = std::find_if(values.begin(), values.end(),
                                  [&](int value) { return value != values.front(); });
  if (other != values.end()) {
    Fail(ErrorCode::kUnsupported,
         fmt::format("{} differs between layers ({} and {}), which {} cannot have here", Key(key),
                     values.front(), *other, arch_));
  }
  return values.front();
}

ModelConfig ReadCommonConfig(ConfigReader& keys, std::string_view norm_eps) {
  const gguf::GgufFile& file = keys.file();
  ModelConfig c;
  c.arch = keys.arch();
  const auto name = file.metadata().String("general.name");
  if (!name) keys.FailAs(name.error());
  c.name = name && name->has_value() ? **name : FileName(file.path());

  c.num_layers = keys.Int("block_count", 1, kMaxLayers);
  c.width = keys.Int("embedding_length", 1, kMaxWidth);
  c.context_length = keys.Int("context_length", 1, kMaxContext);
  c.num_heads = keys.SameForAll("attention.head_count", c.num_layers, 1, kMaxHeads);
  c.num_kv_heads =
      keys.PerLayer("attention.head_count_kv", c.num_layers, 1, kMaxHeads, c.num_heads);
  c.ffn_width = keys.SameForAll("feed_forward_length", c.num_layers, 1, kMaxWidth);
  c.rms_eps = static_cast<float>(keys.Float(norm_eps, 1e-14, 1.0));
  c.pooled_width = c.width;
  if (keys.Has("pooling_type")) {
    c.pooling = static_cast<Pooling>(
        keys.Int("pooling_type", static_cast<int>(Pooling::kNone), static_cast<int>(Pooling::kRank)));
  }
  const auto causal = file.metadata().Bool(keys.Key("attention.causal"));
  if (!causal) keys.FailAs(causal.error());
  c.generates = !causal || causal->value_or(true);
  for (int heads : c.num_kv_heads) {
    if (c.num_heads % heads != 0) {
      keys.Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is {}, which does not divide {} = {}",
                            keys.Key("attention.head_count_kv"), heads,
                            keys.Key("attention.head_count"), c.num_heads));
    }
  }
  const bool own_head_dim = keys.Has("attention.key_length") && keys.Has("attention.value_length");
  if (!own_head_dim && c.width % c.num_heads != 0) {
    keys.Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} is {}, not a multiple of {} = {}", keys.Key("embedding_length"),
                          c.width, keys.Key("attention.head_count"), c.num_heads));
  }
  const int head_dim = c.width / c.num_heads;
  c.k_dim = keys.Int("attention.key_length", 1, kMaxHeadDim, head_dim);
  c.v_dim = keys.Int("attention.value_length", 1, kMaxHeadDim, head_dim);

  if (keys.Int("expert_count", 0, 1 << 20, 0) != 0) {
    keys.Fail(ErrorCode::kUnsupported,
              fmt::format("{} is not 0: {} models with experts are not supported",
                          keys.Key("expert_count"), keys.arch()));
  }

  const gguf::Tensor* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr) {
    keys.Fail(ErrorCode::kInvalidArgument, "tensor token_embd.weight is missing");
    return c;
  }
  const int64_t vocab = embedding->view.rows();
  if (vocab < 1 || vocab > kMaxVocab) {
    keys.Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("tensor token_embd.weight has {} rows; allowed: 1 to {}", vocab, kMaxVocab));
    return c;
  }
  c.vocab_size = static_cast<int>(vocab);
  const auto tokens = file.metadata().StringArray("tokenizer.ggml.tokens");
  if (!tokens) {
    keys.FailAs(tokens.error());
  } else if (*tokens != nullptr && (*tokens)->size() > static_cast<size_t>(vocab)) {
    // Fewer tokens than rows is usual: matrices are padded to a round size.
    keys.Fail(ErrorCode::kInvalidArgument,
              fmt::format("tokenizer.ggml.tokens has {} entries, token_embd.weight only {} rows",
                          (*tokens)->size(), vocab));
  }
  for (const gguf::Tensor& tensor : file.tensors()) {
    c.num_parameters += tensor.view.num_elements();
  }
  return c;
}

std::vector<KvGroup> OneKvGroup(int num_layers) {
  KvGroup group;
  for (int l = 0; l < num_layers; ++l) group.layers.push_back(l);
  return {group};
}

}  // namespace lb
