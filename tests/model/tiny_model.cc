#include "tests/model/tiny_model.h"

#include <cmath>
#include <random>

namespace lb::test {
namespace {

class Maker {
 public:
  explicit Maker(const TinySpec& spec) : spec_(spec), random_(spec.seed) {}

  std::vector<uint8_t> Make() {
    Keys();
    Tensors();
    auto bytes = writer_.ToBytes();
    CHECK(bytes.has_value());
    return std::move(*bytes);
  }

 private:
  bool Gemma() const { return spec_.arch == "gemma3"; }

  void Keys() {
    const std::string a = spec_.arch + ".";
    writer_.SetString("general.architecture", spec_.arch);
    writer_.SetUint32(a + "block_count", spec_.layers);
    writer_.SetUint32(a + "context_length", spec_.context);
    writer_.SetUint32(a + "embedding_length", spec_.width);
    writer_.SetUint32(a + "feed_forward_length", spec_.ffn);
    writer_.SetUint32(a + "attention.head_count", spec_.heads);
    writer_.SetUint32(a + "attention.head_count_kv", spec_.kv_heads);
    writer_.SetFloat32(a + "attention.layer_norm_rms_epsilon", 1e-6f);
    writer_.SetFloat32(a + "rope.freq_base", 10000.0f);
    if (spec_.head_dim * spec_.heads != spec_.width) {
      writer_.SetUint32(a + "attention.key_length", spec_.head_dim);
      writer_.SetUint32(a + "attention.value_length", spec_.head_dim);
    }
    if (Gemma()) writer_.SetUint32(a + "attention.sliding_window", spec_.window);
    if (spec_.edit) spec_.edit(writer_);
  }

  void Tensors() {
    const int q = spec_.heads * spec_.head_dim;
    const int kv = spec_.kv_heads * spec_.head_dim;
    AddMatrix("token_embd.weight", spec_.vocab, spec_.width);
    AddNorm("output_norm.weight", spec_.width);
    if (!spec_.tied) AddMatrix("output.weight", spec_.vocab, spec_.width);
    if (!spec_.rope_factors.empty()) {
      AddF32("rope_freqs.weight", {static_cast<int64_t>(spec_.rope_factors.size())},
             spec_.rope_factors);
    }
    for (int l = 0; l < spec_.layers; ++l) {
      const std::string p = "blk." + std::to_string(l) + ".";
      AddNorm(p + "attn_norm.weight", spec_.width);
      AddMatrix(p + "attn_q.weight", q, spec_.width);
      AddMatrix(p + "attn_k.weight", kv, spec_.width);
      AddMatrix(p + "attn_v.weight", kv, spec_.width);
      AddMatrix(p + "attn_output.weight", spec_.width, q);
      if (spec_.biases) {
        AddNormal(p + "attn_q.bias", {q}, 0.5f);
        AddNormal(p + "attn_k.bias", {kv}, 0.5f);
        AddNormal(p + "attn_v.bias", {kv}, 0.5f);
        AddNormal(p + "attn_output.bias", {spec_.width}, 0.5f);
      }
      if (spec_.arch == "qwen3" || Gemma()) {
        AddNorm(p + "attn_q_norm.weight", spec_.head_dim);
        AddNorm(p + "attn_k_norm.weight", spec_.head_dim);
      }
      if (Gemma()) AddNorm(p + "post_attention_norm.weight", spec_.width);
      AddNorm(p + "ffn_norm.weight", spec_.width);
      AddMatrix(p + "ffn_gate.weight", spec_.ffn, spec_.width);
      AddMatrix(p + "ffn_up.weight", spec_.ffn, spec_.width);
      AddMatrix(p + "ffn_down.weight", spec_.width, spec_.ffn);
      if (Gemma()) AddNorm(p + "post_ffw_norm.weight", spec_.width);
    }
  }

  // Hands the tensor to the writer, changed as the spec asks.
  void Add(const std::string& name, DType dtype, std::vector<int64_t> shape,
           std::vector<float> values) {
    if (spec_.without.contains(name)) return;
    if (spec_.reshape) spec_.reshape(name, shape);
    int64_t elements = 1;
    for (int64_t d : shape) elements *= d;
    values.resize(elements, 0.25f);
    std::vector<uint8_t> bytes(RowBytes(dtype, elements));
    Info(dtype).encode(values.data(), bytes.data(), elements);
    writer_.AddTensor(name, dtype, std::move(shape),
                      [bytes] { return Result<std::vector<uint8_t>>(bytes); });
  }
  void AddF32(const std::string& name, std::vector<int64_t> shape, std::vector<float> values) {
    Add(name, DType::kF32, std::move(shape), std::move(values));
  }
  std::vector<float> Normal(int64_t n, float mean, float deviation) {
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> values(n);
    for (float& v : values) v = normal(random_);
    return values;
  }
  void AddNormal(const std::string& name, std::vector<int64_t> shape, float deviation) {
    AddF32(name, shape, Normal(shape[0], 0.0f, deviation));
  }
  void AddNorm(const std::string& name, int64_t size) {
    AddF32(name, {size}, Normal(size, 1.0f, 0.1f));
  }
  void AddMatrix(const std::string& name, int64_t rows, int64_t cols) {
    const float deviation = 1.5f / std::sqrt(static_cast<float>(cols));
    Add(name, spec_.dtype, {rows, cols}, Normal(rows * cols, 0.0f, deviation));
  }

  const TinySpec& spec_;
  std::mt19937_64 random_;
  gguf::GgufWriter writer_;
};

}  // namespace

std::vector<uint8_t> MakeTinyModel(const TinySpec& spec) { return Maker(spec).Make(); }

LoadedModel LoadTiny(const TinySpec& spec, Ops& ops) {
  LoadedModel loaded;
  loaded.bytes = MakeTinyModel(spec);
  auto file = gguf::GgufFile::Parse(loaded.bytes, "tiny.gguf");
  if (!file) CheckFailed(__FILE__, __LINE__, "Parse", file.error().message);
  loaded.file = std::move(*file);
  auto model = LoadModel(*loaded.file, ops, nullptr);
  if (!model) CheckFailed(__FILE__, __LINE__, "LoadModel", model.error().message);
  loaded.model = std::move(*model);
  return loaded;
}

}  // namespace lb::test
