// Proves the memory estimate against numbers worked out by hand, and that the report shows what is
// in the file, cut to size, with nothing in it that a terminal would obey.
#include "gguf/report.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "gguf/gguf_writer.h"
#include "gguf/kv_estimate.h"

namespace lb::gguf {
namespace {

Metadata Llama() {
  Metadata m;
  m.set_source("m.gguf");
  m.Set("general.architecture", {ValueType::kString, {}, std::string("llama")});
  m.Set("llama.block_count", {ValueType::kUint32, {}, uint64_t{30}});
  m.Set("llama.context_length", {ValueType::kUint32, {}, uint64_t{2048}});
  m.Set("llama.embedding_length", {ValueType::kUint32, {}, uint64_t{576}});
  m.Set("llama.attention.head_count", {ValueType::kUint32, {}, uint64_t{9}});
  m.Set("llama.attention.head_count_kv", {ValueType::kUint32, {}, uint64_t{3}});
  return m;
}

void SetInt(Metadata& m, const std::string& key, uint64_t value) {
  m.Set(key, {ValueType::kUint32, {}, value});
}

Metadata Without(const Metadata& m, std::string_view gone) {
  Metadata out;
  out.set_source(m.source());
  for (const auto& [key, value] : m.all()) {
    if (key != gone) out.Set(key, value);
  }
  return out;
}

TEST(KvEstimate, SmolLm) {
  const auto e = EstimateKv(Llama());
  ASSERT_TRUE(e.has_value()) << e.error().message;
  EXPECT_EQ(e->bytes_per_token, 30 * 3 * (64 + 64) * 2);
  EXPECT_EQ(e->context_length, 2048);
  EXPECT_EQ(e->num_layers, 30);
  EXPECT_EQ(e->sliding_window, 0);
}

TEST(KvEstimate, OwnLengthsOfKeysAndValues) {
  Metadata m = Llama();
  SetInt(m, "llama.attention.key_length", 192);
  SetInt(m, "llama.attention.value_length", 128);
  EXPECT_EQ(EstimateKv(m)->bytes_per_token, 30 * 3 * (192 + 128) * 2);
  // Only one given: the other follows from the width.
  EXPECT_EQ(EstimateKv(Without(m, "llama.attention.key_length"))->bytes_per_token,
            30 * 3 * (64 + 128) * 2);
  // Both given: the width is not needed.
  EXPECT_TRUE(EstimateKv(Without(m, "llama.embedding_length")).has_value());
}

TEST(KvEstimate, HeadsThatDifferByLayer) {
  Metadata m = Llama();
  SetInt(m, "llama.block_count", 4);
  m.Set("llama.attention.head_count_kv",
        {ValueType::kArray, ValueType::kInt32, std::vector<int64_t>{3, 0, 1, 2}});
  EXPECT_EQ(EstimateKv(m)->bytes_per_token, (3 + 0 + 1 + 2) * 128 * 2);
}

TEST(KvEstimate, WithoutKvHeadsEveryHeadHasItsOwn) {
  EXPECT_EQ(EstimateKv(Without(Llama(), "llama.attention.head_count_kv"))->bytes_per_token,
            30 * 9 * 128 * 2);
}

TEST(KvEstimate, ModelsWithoutACacheNeedNone) {
  Metadata m = Llama();
  m.Set("llama.attention.causal", {ValueType::kBool, {}, false});
  EXPECT_EQ(EstimateKv(m)->bytes_per_token, 0);
}

TEST(KvEstimate, SaysWhatIsMissingOrWrong) {
  const auto message = [](const Metadata& m) {
    const auto e = EstimateKv(m);
    return e.has_value() ? std::string("no error") : e.error().message;
  };
  for (const char* key : {"general.architecture", "llama.block_count", "llama.embedding_length",
                          "llama.attention.head_count"}) {
    EXPECT_EQ(message(Without(Llama(), key)),
              "m.gguf: key \"" + std::string(key) + "\" is missing");
  }
  Metadata m = Llama();
  SetInt(m, "llama.block_count", uint64_t{1} << 30);
  EXPECT_EQ(message(m), "m.gguf: key \"llama.block_count\" is 1073741824, must be 1 to 100000");
  m = Llama();
  SetInt(m, "llama.attention.head_count_kv", uint64_t{1} << 62);
  EXPECT_EQ(message(m),
            "m.gguf: key \"llama.attention.head_count_kv\" is 4611686018427387904, "
            "must be 0 to 1000000");
  m = Llama();
  m.Set("llama.attention.head_count_kv",
        {ValueType::kArray, ValueType::kInt32, std::vector<int64_t>{3, 3}});
  EXPECT_EQ(message(m),
            "m.gguf: key \"llama.attention.head_count_kv\" holds 2 numbers for 30 "
            "layers");
  m = Llama();
  m.Set("llama.attention.head_count", {ValueType::kString, {}, std::string("9")});
  EXPECT_EQ(message(m),
            "m.gguf: key \"llama.attention.head_count\" is a string, must be an "
            "integer");
  // Zero heads divide nothing.
  m = Llama();
  SetInt(m, "llama.attention.head_count", 0);
  EXPECT_EQ(EstimateKv(m)->bytes_per_token, 0);
}

TEST(HumanBytes, ChoosesTheUnit) {
  EXPECT_EQ(HumanBytes(0), "0 bytes");
  EXPECT_EQ(HumanBytes(1023), "1023 bytes");
  EXPECT_EQ(HumanBytes(1024), "1.0 KiB");
  EXPECT_EQ(HumanBytes(98362432), "93.8 MiB");
  EXPECT_EQ(HumanBytes(0x1p72), "4096.0 EiB");
}

std::string ReportOf(const GgufWriter& w) {
  const auto bytes = w.ToBytes();
  EXPECT_TRUE(bytes.has_value());
  auto file = GgufFile::Parse(*bytes, "tiny.gguf");
  EXPECT_TRUE(file.has_value());
  return Report(**file);
}

#define EXPECT_SAYS(text, part) \
  EXPECT_NE((text).find(part), std::string::npos) << "no \"" << (part) << "\" in:\n" << (text)

GgufWriter Tiny() {
  GgufWriter w;
  w.SetString("general.architecture", "llama");
  w.SetUint32("llama.block_count", 2);
  w.SetUint32("llama.context_length", 8192);
  w.SetUint32("llama.embedding_length", 64);
  w.SetUint32("llama.attention.head_count", 2);
  w.SetUint32("llama.attention.sliding_window", 512);
  w.SetFloat32("llama.rms", 1e-5f);
  w.SetFloats("floats", {0.1f, 10000.5});
  w.SetStrings("tokens", std::vector<std::string>(1000, "abc"));
  w.SetString("template", std::string(5000, 'x'));
  w.SetString("evil", "\x1b[2J\r\nnew line");
  w.AddTensor("w", DType::kQ8_0, {3, 64}, [] { return std::vector<uint8_t>(3 * 68); });
  w.AddTensor("n", DType::kF32, {64}, [] { return std::vector<uint8_t>(256); });
  return w;
}

TEST(Report, ShowsWhatIsInTheFile) {
  const std::string text = ReportOf(Tiny());
  EXPECT_SAYS(text, "tiny.gguf\n  GGUF version 3");
  EXPECT_SAYS(text, "256 parameters (256)");
  EXPECT_SAYS(text, "Metadata: 11 keys");
  EXPECT_SAYS(text, "\"llama\"");
  EXPECT_SAYS(text, "1e-05\n");
  EXPECT_SAYS(text, "2 f32: 0.1 10000.5\n");
  EXPECT_SAYS(text, "1000 string: \"abc\" \"abc\"");
  EXPECT_SAYS(text, "Tensors: 2");
  EXPECT_SAYS(text, "[3, 64]");
  EXPECT_SAYS(text, "weights  460 bytes");
  EXPECT_SAYS(text, "512 bytes a token (f16, 2 layers)");  // 2 layers x 2 heads x (32 + 32) x 2
  EXPECT_SAYS(text, "512 tokens at most");
  EXPECT_SAYS(text, "8192      4.0 MiB        4.0 MiB  (the model's own)");
  EXPECT_SAYS(text, "32768     16.0 MiB");
}

TEST(Report, LongValuesAreCut) {
  const std::string text = ReportOf(Tiny());
  size_t start = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', start)) {
    EXPECT_LT(end - start, 200u) << text.substr(start, end - start);
    start = end + 1;
  }
  EXPECT_EQ(start, text.size()) << "ends in a newline";
}

TEST(Report, NothingATerminalObeys) {
  for (char c : ReportOf(Tiny())) {
    EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << static_cast<int>(c);
  }
}

TEST(Report, SaysWhyThereIsNoEstimate) {
  GgufWriter w;
  w.SetString("general.architecture", "llama");
  EXPECT_SAYS(ReportOf(w), "cannot be told: tiny.gguf: key \"llama.block_count\" is missing");
}

TEST(Report, RealModel) {
  const char* folder = std::getenv("LLAMABOX_MODELS");
  const std::string path =
      std::string(folder == nullptr ? "models" : folder) + "/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent; test.sh fetches it";
  auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const std::string text = Report(**file);
  EXPECT_SAYS(text, "134515008 parameters (134.5 million)");
  EXPECT_SAYS(text, "23040 bytes a token (f16, 30 layers)");
  EXPECT_SAYS(text, "Tensors: 272");
}

}  // namespace
}  // namespace lb::gguf
