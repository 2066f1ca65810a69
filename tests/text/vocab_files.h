// The vocabularies that the tokenizer tests run over: files under models/vocab and models/.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gguf/gguf_file.h"
#include "text/tokenizer.h"

namespace lb::text {

inline std::filesystem::path ModelsFolder() {
  const char* folder = std::getenv("LLAMABOX_MODELS");
  return folder != nullptr ? folder : "models";
}

// The names X of models/vocab/ggml-vocab-X.gguf, only those with test vectors if `vectors`.
inline std::vector<std::string> VocabNames(bool vectors) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(ModelsFolder() / "vocab", error)) {
    const std::string name = entry.path().filename().string();
    const std::string prefix = "ggml-vocab-", suffix = ".gguf";
    if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
    if (vectors && !std::filesystem::exists(entry.path().string() + ".inp")) continue;
    names.push_back(name.substr(prefix.size(), name.size() - prefix.size() - suffix.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline std::filesystem::path VocabPath(const std::string& name) {
  return ModelsFolder() / "vocab" / ("ggml-vocab-" + name + ".gguf");
}

// Null, with a test failure, if the file cannot be read.
inline std::unique_ptr<Tokenizer> LoadTokenizer(const std::filesystem::path& path) {
  auto file = gguf::GgufFile::Open(path.string());
  if (!file.has_value()) {
    ADD_FAILURE() << file.error().message;
    return nullptr;
  }
  auto tokenizer = Tokenizer::FromMetadata((*file)->metadata());
  if (!tokenizer.has_value()) {
    ADD_FAILURE() << path << ": " << tokenizer.error().message;
    return nullptr;
  }
  return std::move(tokenizer).value();
}

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// One text of a vector file, and its tokens. A mark stands between texts, mostly also at the end.
struct TestVector {
  std::string text;
  std::vector<TokenId> ids;
};

inline std::vector<TestVector> ReadVectors(const std::string& name) {
  const std::string mark = "\n__ggml_vocab_test__\n";
  std::string inputs = ReadFile(VocabPath(name).string() + ".inp");
  std::ifstream outputs(VocabPath(name).string() + ".out");
  std::vector<TestVector> vectors;
  std::string line;
  while (!inputs.empty()) {
    const size_t at = inputs.find(mark);
    TestVector vector{inputs.substr(0, at), {}};
    inputs.erase(0, at == inputs.npos ? inputs.size() : at + mark.size());
    if (!std::getline(outputs, line)) {
      ADD_FAILURE() << name << ": more texts than lines of tokens";
      break;
    }
    std::istringstream numbers(line);
    vector.ids.assign(std::istream_iterator<TokenId>(numbers), {});
    vectors.push_back(std::move(vector));
  }
  EXPECT_FALSE(std::getline(outputs, line) && !line.empty()) << name << ": more lines than texts";
  return vectors;
}

#define SKIP_WITHOUT_VOCABULARIES()                                                    \
  if (VocabNames(false).empty()) {                                                     \
    GTEST_SKIP() << "no vocabularies in " << (ModelsFolder() / "vocab").string()       \
                 << "; ./test.sh fetches them";                                        \
  }                                                                                    \
  static_assert(true)

}  // namespace lb::text
