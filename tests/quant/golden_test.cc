// The C++ half of test_quant.py, which runs this program: converts the files that the Python half
// wrote, so that it can compare the results with the `gguf` package bit by bit.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "quant/dtype.h"

namespace lb {
namespace {

template <typename T>
std::vector<T> ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::vector<T> values(bytes.size() / sizeof(T));
  std::copy(bytes.begin(), bytes.begin() + values.size() * sizeof(T),
            reinterpret_cast<char*>(values.data()));
  return values;
}

template <typename T>
void WriteAll(const std::string& path, const std::vector<T>& values) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  ASSERT_TRUE(out.good()) << path;
}

TEST(Golden, ConvertsTheFilesOfTheFolder) {
  const char* folder = std::getenv("LLAMABOX_QUANT_GOLDEN");
  if (folder == nullptr) GTEST_SKIP() << "run by tests/quant/test_quant.py";
  for (const DTypeInfo& info : AllDTypes()) {
    if (info.gguf_id == kNotInGguf) continue;
    const std::string base = std::string(folder) + "/" + std::string(info.name);
    if (info.decode != nullptr) {
      const auto blocks = ReadAll<uint8_t>(base + ".blocks");
      ASSERT_FALSE(blocks.empty()) << base;
      ASSERT_EQ(blocks.size() % info.block_bytes, 0u) << base;
      const int64_t n = static_cast<int64_t>(blocks.size()) / info.block_bytes * info.block_size;
      std::vector<float> values(n);
      info.decode(blocks.data(), values.data(), n);
      WriteAll(base + ".decoded", values);
    }
    if (info.encode != nullptr) {
      const auto values = ReadAll<float>(base + ".values");
      ASSERT_FALSE(values.empty()) << base;
      const auto n = static_cast<int64_t>(values.size());
      std::vector<uint8_t> blocks(RowBytes(info.dtype, n));
      info.encode(values.data(), blocks.data(), n);
      WriteAll(base + ".encoded", blocks);
    }
  }
}

}  // namespace
}  // namespace lb
