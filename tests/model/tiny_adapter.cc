#include "tests/model/tiny_adapter.h"

#include <cmath>
#include <random>

namespace lb::test {
namespace {

class AdapterMaker {
 public:
  explicit AdapterMaker(const TinyAdapterSpec& spec) : spec_(spec), random_(spec.seed) {}

  std::vector<uint8_t> Make() {
    writer_.SetString("general.type", "adapter");
    writer_.SetString("general.architecture", spec_.model.arch);
    writer_.SetString("adapter.type", "lora");
    writer_.SetFloat32("adapter.lora.alpha", spec_.alpha);
    if (spec_.edit) spec_.edit(writer_);
    const TinySpec& m = spec_.model;
    const int q = m.heads * m.head_dim, kv = m.kv_heads * m.head_dim;
    if (spec_.ends && !m.tied) {
      Add("token_embd.weight.lora_a", m.vocab, spec_.rank, 0.3f);
      Add("token_embd.weight.lora_b", m.width, spec_.rank, 0.3f);
      AddPair("output.weight", m.vocab, m.width);
    }
    for (int l = 0; l < m.layers; ++l) {
      const std::string p = "blk." + std::to_string(l) + ".";
      AddPair(p + "attn_q.weight", q, m.width);
      AddPair(p + "attn_k.weight", kv, m.width);
      AddPair(p + "attn_v.weight", kv, m.width);
      AddPair(p + "attn_output.weight", m.width, q);
      AddPair(p + "ffn_gate.weight", m.ffn, m.width);
      AddPair(p + "ffn_up.weight", m.ffn, m.width);
      AddPair(p + "ffn_down.weight", m.width, m.ffn);
    }
    auto bytes = writer_.ToBytes();
    CHECK(bytes.has_value());
    return std::move(*bytes);
  }

 private:
  void AddPair(const std::string& name, int rows, int cols) {
    Add(name + ".lora_a", spec_.rank, cols, 1.0f / std::sqrt(static_cast<float>(cols)));
    Add(name + ".lora_b", rows, spec_.rank, 0.2f);
  }
  void Add(std::string name, int64_t rows, int64_t cols, float deviation) {
    if (spec_.without.contains(name)) return;
    std::vector<int64_t> shape = {rows, cols};
    if (spec_.reshape) spec_.reshape(name, shape);
    int64_t elements = 1;
    for (const int64_t d : shape) elements *= d;
    std::normal_distribution<float> normal(0.0f, deviation);
    std::vector<float> values(static_cast<size_t>(elements));
    for (float& v : values) v = normal(random_);
    std::vector<uint8_t> bytes(static_cast<size_t>(RowBytes(spec_.dtype, elements)));
    Info(spec_.dtype).encode(values.data(), bytes.data(), elements);
    writer_.AddTensor(name, spec_.dtype, std::move(shape),
                      [bytes] { return Result<std::vector<uint8_t>>(bytes); });
  }

  const TinyAdapterSpec& spec_;
  std::mt19937_64 random_;
  gguf::GgufWriter writer_;
};

}  // namespace

std::vector<uint8_t> MakeTinyAdapter(const TinyAdapterSpec& spec) {
  return AdapterMaker(spec).Make();
}

Result<std::unique_ptr<Adapter>> ParseAdapter(std::span<const uint8_t> bytes, const Model& model,
                                              Ops& ops) {
  LB_ASSIGN_OR_RETURN(auto file, gguf::GgufFile::Parse(bytes, "adapter.gguf"));
  return Adapter::Load(std::move(file), model, ops);
}

}  // namespace lb::test
