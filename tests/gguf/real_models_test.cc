// Proves that real model files open whole, that one cut anywhere is called truncated with
// the right numbers, and that a flipped bit anywhere in the header does no more than an error.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "gguf/gguf_file.h"

namespace lb::gguf {
namespace {

namespace fs = std::filesystem;

fs::path ModelFolder() {
  const char* folder = std::getenv("LLAMABOX_MODELS");
  return folder == nullptr ? "models" : folder;
}

std::vector<fs::path> ModelFiles() {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(ModelFolder(), error)) {
    if (entry.path().extension() == ".gguf") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

fs::path SmallModel() { return ModelFolder() / "SmolLM2-135M-Instruct.Q4_1.gguf"; }

#define SKIP_WITHOUT(path) \
  if (!fs::exists(path)) GTEST_SKIP() << path << " is absent; test.sh fetches it"

TEST(RealModels, AllOpen) {
  const std::vector<fs::path> files = ModelFiles();
  if (files.empty()) GTEST_SKIP() << "no .gguf under " << ModelFolder() << "; test.sh fetches them";
  for (const fs::path& path : files) {
    auto file = GgufFile::Open(path.string());
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_TRUE((*file)->metadata().String("general.architecture").value().has_value()) << path;
    EXPECT_EQ((*file)->file_bytes(), static_cast<int64_t>(fs::file_size(path)));
    for (const Tensor& tensor : (*file)->tensors()) {
      ASSERT_EQ((*file)->FindTensor(tensor.name), &tensor) << path;
    }
  }
}

// All of a file in memory, and where its tensor data starts.
struct Loaded {
  std::vector<uint8_t> bytes;
  size_t data_start = 0;
};

Loaded Load(const fs::path& path) {
  Loaded loaded;
  std::ifstream in(path, std::ios::binary);
  loaded.bytes.resize(fs::file_size(path));
  in.read(reinterpret_cast<char*>(loaded.bytes.data()),
          static_cast<std::streamsize>(loaded.bytes.size()));
  auto file = GgufFile::Parse(loaded.bytes, "whole");
  EXPECT_TRUE(file.has_value());
  loaded.data_start = loaded.bytes.size();
  for (const Tensor& t : (*file)->tensors()) {
    const auto start = static_cast<size_t>(t.view.as<uint8_t>() - loaded.bytes.data());
    loaded.data_start = std::min(loaded.data_start, start);
  }
  return loaded;
}

// "needs N bytes" of a message.
size_t Needed(const std::string& message) {
  const size_t at = message.find("needs ");
  return at == std::string::npos ? 0 : std::stoull(message.substr(at + 6));
}

TEST(RealModels, CutAnywhereIsTruncated) {
  SKIP_WITHOUT(SmallModel());
  const Loaded loaded = Load(SmallModel());
  const size_t size = loaded.bytes.size();
  std::vector<size_t> cuts = {
      1, 3, 4, 23, 24, 25, size / 2, size - 1, loaded.data_start - 1, loaded.data_start};
  for (size_t cut = 4096; cut < loaded.data_start; cut += 4096) cuts.push_back(cut);
  ASSERT_GT(cuts.size(), 300u);
  for (size_t cut : cuts) {
    // A copy of the exact length for the header, so that the sanitizer sees any read beyond it.
    const std::span<const uint8_t> part = std::span(loaded.bytes).first(cut);
    std::vector<uint8_t> copy;
    if (cut <= loaded.data_start) copy.assign(part.begin(), part.end());
    auto file = GgufFile::Parse(copy.empty() ? part : std::span<const uint8_t>(copy), "cut.gguf");
    ASSERT_FALSE(file.has_value()) << cut;
    const std::string message = file.error().message;
    ASSERT_EQ(message.rfind("cut.gguf: truncated: needs ", 0), 0u) << message;
    ASSERT_NE(message.find(", has " + std::to_string(cut) + " "), std::string::npos) << message;
    ASSERT_GT(Needed(message), cut) << message;
    ASSERT_LE(Needed(message), size) << message;
    if (cut >= loaded.data_start) {
      ASSERT_EQ(Needed(message), size) << message;
    }
  }
}

void FlipBits(int flips, unsigned seed) {
  Loaded loaded = Load(SmallModel());
  std::mt19937 random(seed);
  int opened = 0;
  for (int i = 0; i < flips; ++i) {
    const size_t at = random() % loaded.data_start;
    const auto bit = static_cast<uint8_t>(1u << random() % 8);
    loaded.bytes[at] ^= bit;
    auto file = GgufFile::Parse(loaded.bytes, "flipped.gguf");
    if (file.has_value()) {
      ++opened;
      for (const Tensor& t : (*file)->tensors()) {
        const auto* first = t.view.as<const uint8_t>();
        ASSERT_GE(first, loaded.bytes.data());
        ASSERT_LE(first + t.view.num_bytes(), loaded.bytes.data() + loaded.bytes.size());
      }
    } else {
      const std::string message = file.error().message;
      ASSERT_EQ(message.rfind("flipped.gguf: ", 0), 0u) << message;
      ASSERT_EQ(message.find('\n'), std::string::npos) << message;
      ASSERT_LT(message.size(), 300u) << message;
    }
    loaded.bytes[at] ^= bit;
  }
  // Most of the header is the text of tokens, where a flip changes a letter; lengths are an eighth.
  EXPECT_GT(opened, flips / 10);
  EXPECT_LT(opened, flips);
}

TEST(RealModels, AFlippedBitIsAnErrorOrHarmless) {
  SKIP_WITHOUT(SmallModel());
  FlipBits(100, 1);
}

TEST(SlowRealModels, TwoThousandFlippedBits) {
  SKIP_WITHOUT(SmallModel());
  FlipBits(2000, 2);
}

// The same where a flip does most harm: the counts, the first keys, and the tensor directory.
TEST(RealModels, AFlippedBitInTheDirectoryIsAnErrorOrHarmless) {
  SKIP_WITHOUT(SmallModel());
  Loaded loaded = Load(SmallModel());
  const std::string_view all(reinterpret_cast<const char*>(loaded.bytes.data()), loaded.data_start);
  const size_t directory = std::min(all.find("output_norm.weight"), all.find("token_embd.weight"));
  ASSERT_NE(directory, std::string_view::npos);
  std::mt19937 random(3);
  for (int i = 0; i < 60; ++i) {
    const size_t at = directory - 8 + random() % (loaded.data_start - directory);
    const auto bit = static_cast<uint8_t>(1u << random() % 8);
    loaded.bytes[at] ^= bit;
    auto file = GgufFile::Parse(loaded.bytes, "flipped.gguf");
    if (!file.has_value()) {
      ASSERT_EQ(file.error().message.find('\n'), std::string::npos) << file.error().message;
    }
    loaded.bytes[at] ^= bit;
  }
}

}  // namespace
}  // namespace lb::gguf
