// Proves that files written by the `gguf` Python package (the seeds of the fuzz target) read as
// what tests/fuzz/make_gguf_seeds.py put into them.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "gguf/gguf_file.h"

namespace lb::gguf {
namespace {

const std::string kFolder = "tests/fuzz/seeds/gguf/";

TEST(PythonWriter, EveryValueType) {
  auto opened = GgufFile::Open(kFolder + "values.gguf");
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  const Metadata& m = (*opened)->metadata();
  EXPECT_EQ(*m.String("general.architecture").value(), "llama");
  const struct {
    const char* key;
    ValueType type;
    int64_t value;
  } ints[] = {{"a", ValueType::kUint8, 1},  {"b", ValueType::kInt8, -1},
              {"c", ValueType::kUint16, 2}, {"d", ValueType::kInt16, -2},
              {"e", ValueType::kUint32, 3}, {"f", ValueType::kInt32, -3},
              {"h", ValueType::kUint64, 4}, {"i", ValueType::kInt64, -4}};
  for (const auto& [key, type, value] : ints) {
    EXPECT_EQ(*m.Int(key).value(), value) << key;
    EXPECT_EQ(m.Find(key)->type, type) << key;
  }
  EXPECT_EQ(*m.Float("g").value(), 0.5);
  EXPECT_EQ(*m.Float("j").value(), 0.25);
  EXPECT_EQ(*m.Bool("k").value(), true);
  EXPECT_EQ(*m.String("l").value(), "text");
  EXPECT_EQ(*m.StringArray("m").value(), (std::vector<std::string>{"a", "bc", "def"}));
  EXPECT_EQ(*m.IntArray("n").value(), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(*m.FloatArray("o").value(), (std::vector<double>{0.5, 1.5}));
  EXPECT_EQ(*m.IntArray("p").value(), (std::vector<int64_t>{1, 0}));
}

TEST(PythonWriter, EveryTensorType) {
  for (const char* name : {"tensors.gguf", "aligned.gguf"}) {
    auto opened = GgufFile::Open(kFolder + name);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    std::set<DType> seen;
    for (const Tensor& t : (*opened)->tensors()) {
      seen.insert(t.view.dtype);
      EXPECT_EQ(DTypeFromName(t.name), t.view.dtype) << t.name;
      if (t.view.dtype == DType::kF32) {
        EXPECT_EQ(t.view.rank, 2);
        EXPECT_EQ(t.view.shape[0], 2);
        EXPECT_EQ(t.view.shape[1], 3);
        for (int i = 0; i < 6; ++i) EXPECT_EQ(t.view.f32()[i], 1.0f);
      } else if (t.view.dtype == DType::kF16) {
        EXPECT_EQ(t.view.rank, 4);
        EXPECT_EQ(t.view.shape, (std::array<int64_t, 4>{2, 1, 3, 2}));
      } else {
        for (int64_t i = 0; i < t.view.num_bytes(); ++i) {
          ASSERT_EQ(t.view.as<const uint8_t>()[i], static_cast<uint8_t>(i)) << t.name;
        }
      }
    }
    EXPECT_EQ(seen.size(), static_cast<size_t>(kNumDTypes) - 2) << "all but I32 and FP8";
  }
}

}  // namespace
}  // namespace lb::gguf
