#include "app/model_card.h"

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace lb::app {
namespace {

// The names of GGUF's general.file_type, by its number (ggml's docs/gguf.md and llama.cpp's
// llama_ftype); "" where there is none.
constexpr std::array<std::string_view, 39> kFileTypes = {
    "F32",    "F16",    "Q4_0",  "Q4_1",    "",       "",       "",       "Q8_0",
    "Q5_0",   "Q5_1",   "Q2_K",  "Q3_K_S",  "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M",
    "Q5_K_S", "Q5_K_M", "Q6_K",  "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS",
    "IQ1_S",  "IQ4_NL", "IQ3_S", "IQ3_M",   "IQ2_S",  "IQ2_M",  "IQ4_XS", "IQ1_M",
    "BF16",   "",       "",      "",        "TQ1_0",  "TQ2_0",  "MXFP4"};

std::string QuantizationOf(const gguf::Metadata& metadata) {
  const auto type = metadata.Int("general.file_type");
  const size_t index = type.has_value() ? static_cast<size_t>(type->value_or(-1)) : SIZE_MAX;
  const bool known = index < kFileTypes.size() && !kFileTypes[index].empty();
  return known ? std::string(kFileTypes[index]) : "unknown";
}

}  // namespace

api::ModelCard MakeModelCard(const Flags& flags, const ModelConfig& model,
                             const gguf::GgufFile& file) {
  api::ModelCard card;
  card.alias =
      flags.alias.empty() ? std::filesystem::path(flags.model).filename().string() : flags.alias;
  card.path = flags.model;
  card.arch = model.arch;
  card.name = model.name;
  card.created_unix = api::NowUnix();
  card.trained_context = model.context_length;
  card.width = model.width;
  card.num_parameters = model.num_parameters;
  card.size_bytes = file.file_bytes();
  card.version = LLAMABOX_VERSION;
  card.quantization = QuantizationOf(file.metadata());
  struct stat status = {};
  if (stat(flags.model.c_str(), &status) == 0) card.modified_unix = status.st_mtime;
  return card;
}

}  // namespace lb::app
