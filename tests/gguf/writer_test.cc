// Proves that what the writer writes the reader reads back: every value type, tensors of several
// formats and ranks, alignment, version 2, and files on disk.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "gguf/gguf_file.h"
#include "gguf/gguf_writer.h"

namespace lb::gguf {
namespace {

std::vector<uint8_t> Pattern(int64_t bytes, int seed) {
  std::vector<uint8_t> data(bytes);
  for (int64_t i = 0; i < bytes; ++i) data[i] = static_cast<uint8_t>(i * 31 + seed);
  return data;
}

GgufWriter Sample() {
  GgufWriter w;
  w.SetString("general.architecture", "llama");
  w.Set("u8", {ValueType::kUint8, {}, uint64_t{255}});
  w.Set("i8", {ValueType::kInt8, {}, int64_t{-128}});
  w.SetUint16("u16", 65535);
  w.Set("i16", {ValueType::kInt16, {}, int64_t{-32768}});
  w.SetUint32("u32", 4294967295u);
  w.SetInt32("i32", -2147483647 - 1);
  w.SetFloat32("f32", 0.1f);
  w.SetBool("yes", true);
  w.SetBool("no", false);
  w.SetString("string", "a \xe2\x82\xac sign");
  w.Set("u64", {ValueType::kUint64, {}, ~uint64_t{0}});
  w.Set("i64", {ValueType::kInt64, {}, int64_t{-1} - INT64_MAX});
  w.Set("f64", {ValueType::kFloat64, {}, 0.1});
  w.SetStrings("strings", {"", "one", std::string(1000, 'x')});
  w.SetInts("i8s", ValueType::kInt8, {-128, 0, 127});
  w.SetInts("u16s", ValueType::kUint16, {0, 65535});
  w.SetInts("i32s", ValueType::kInt32, {-5, 5});
  w.SetInts("u64s", ValueType::kUint64, {INT64_MAX});
  w.SetInts("bools", ValueType::kBool, {1, 0, 1});
  w.SetFloats("floats", {0.5, -1.25});
  w.SetInts("none", ValueType::kInt32, {});
  w.AddTensor("a", DType::kF32, {3, 5}, [] { return Pattern(60, 1); });
  w.AddTensor("b", DType::kQ4_K, {2, 2, 256}, [] { return Pattern(576, 2); });
  w.AddTensor("c", DType::kF16, {7}, [] { return Pattern(14, 3); });
  w.AddTensor("d", DType::kQ8_0, {1, 2, 1, 32}, [] { return Pattern(68, 4); });
  return w;
}

void ExpectSample(const GgufFile& file) {
  const Metadata& m = file.metadata();
  EXPECT_EQ(*m.String("general.architecture").value(), "llama");
  EXPECT_EQ(*m.Int("u8").value(), 255);
  EXPECT_EQ(*m.Int("i8").value(), -128);
  EXPECT_EQ(*m.Int("u16").value(), 65535);
  EXPECT_EQ(*m.Int("i16").value(), -32768);
  EXPECT_EQ(*m.Int("u32").value(), 4294967295);
  EXPECT_EQ(*m.Int("i32").value(), -2147483648ll);
  EXPECT_EQ(*m.Float("f32").value(), double{0.1f});
  EXPECT_EQ(*m.Bool("yes").value(), true);
  EXPECT_EQ(*m.Bool("no").value(), false);
  EXPECT_EQ(*m.String("string").value(), "a \xe2\x82\xac sign");
  EXPECT_EQ(std::get<uint64_t>(m.Find("u64")->data), ~uint64_t{0});
  EXPECT_EQ(*m.Int("i64").value(), INT64_MIN);
  EXPECT_EQ(*m.Float("f64").value(), 0.1);
  EXPECT_EQ(*m.StringArray("strings").value(),
            (std::vector<std::string>{"", "one", std::string(1000, 'x')}));
  EXPECT_EQ(*m.IntArray("i8s").value(), (std::vector<int64_t>{-128, 0, 127}));
  EXPECT_EQ(*m.IntArray("u16s").value(), (std::vector<int64_t>{0, 65535}));
  EXPECT_EQ(*m.IntArray("i32s").value(), (std::vector<int64_t>{-5, 5}));
  EXPECT_EQ(*m.IntArray("u64s").value(), (std::vector<int64_t>{INT64_MAX}));
  EXPECT_EQ(*m.IntArray("bools").value(), (std::vector<int64_t>{1, 0, 1}));
  EXPECT_EQ(m.Find("bools")->element_type, ValueType::kBool);
  EXPECT_EQ(*m.FloatArray("floats").value(), (std::vector<double>{0.5, -1.25}));
  EXPECT_TRUE(m.IntArray("none").value()->empty());

  ASSERT_EQ(file.tensors().size(), 4u);
  int seed = 0;
  for (const Tensor& tensor : file.tensors()) {
    const std::vector<uint8_t> wanted = Pattern(tensor.view.num_bytes(), ++seed);
    EXPECT_EQ(std::memcmp(tensor.view.data, wanted.data(), wanted.size()), 0) << tensor.name;
    EXPECT_EQ(file.FindTensor(tensor.name), &tensor);
  }
  const TensorView& b = file.FindTensor("b")->view;
  EXPECT_EQ(b.dtype, DType::kQ4_K);
  EXPECT_EQ(b.rank, 3);
  EXPECT_EQ(b.cols(), 256);
  EXPECT_EQ(b.rows(), 4);
  const TensorView& d = file.FindTensor("d")->view;
  EXPECT_EQ(d.rank, 4);
  EXPECT_EQ(d.shape, (std::array<int64_t, 4>{1, 2, 1, 32}));
  EXPECT_EQ(file.FindTensor("e"), nullptr);
  EXPECT_EQ(file.FindTensor(""), nullptr);
}

TEST(GgufWriter, ReaderReadsItBack) {
  const auto bytes = Sample().ToBytes();
  ASSERT_TRUE(bytes.has_value());
  auto file = GgufFile::Parse(*bytes, "x");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ((*file)->version(), 3u);
  EXPECT_EQ((*file)->file_bytes(), static_cast<int64_t>(bytes->size()));
  ExpectSample(**file);
}

TEST(GgufWriter, Version2ReadsTheSame) {
  auto bytes = Sample().ToBytes();
  ASSERT_TRUE(bytes.has_value());
  (*bytes)[4] = 2;
  auto file = GgufFile::Parse(*bytes, "x");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ((*file)->version(), 2u);
  ExpectSample(**file);
}

TEST(GgufWriter, AlignmentIsKept) {
  for (uint32_t alignment : {8u, 256u, 4096u}) {
    GgufWriter w = Sample();
    w.SetAlignment(alignment);
    const auto bytes = w.ToBytes();
    ASSERT_TRUE(bytes.has_value());
    auto file = GgufFile::Parse(*bytes, "x");
    ASSERT_TRUE(file.has_value()) << file.error().message;
    ExpectSample(**file);
    for (const Tensor& t : (*file)->tensors()) {
      EXPECT_EQ((t.view.as<const uint8_t>() - bytes->data()) % alignment, 0) << t.name;
    }
  }
}

TEST(GgufWriter, LaterSetReplaces) {
  GgufWriter w;
  w.SetUint32("a", 1);
  w.SetString("a", "two");
  const auto bytes = w.ToBytes();
  ASSERT_TRUE(bytes.has_value());
  auto file = GgufFile::Parse(*bytes, "x");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(*(*file)->metadata().String("a").value(), "two");
  EXPECT_EQ((*file)->metadata().all().size(), 1u);
}

TEST(GgufWriter, WritesAFileThatOpens) {
  const std::string path = testing::TempDir() + "/writer_" + std::to_string(getpid()) + ".gguf";
  ASSERT_TRUE(Sample().WriteFile(path).has_value());
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));
  auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  ExpectSample(**file);
  for (const Tensor& t : (*file)->tensors()) {
    (*file)->Advise(t, MappedFile::Advice::kWillNeed);
    (*file)->Advise(t, MappedFile::Advice::kDontNeed);
  }
  ExpectSample(**file);
  std::filesystem::remove(path);
}

TEST(GgufWriter, FailuresLeaveNothingBehind) {
  const std::string path = testing::TempDir() + "/fails_" + std::to_string(getpid()) + ".gguf";
  GgufWriter w;
  w.AddTensor("a", DType::kF32, {4}, []() -> Result<std::vector<uint8_t>> {
    return Fail(ErrorCode::kIo, "the source is gone");
  });
  const Result<void> written = w.WriteFile(path);
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().message, "the source is gone");
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path + ".part"));

  const Result<void> nowhere = Sample().WriteFile("/nowhere/at/all.gguf");
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_EQ(nowhere.error().code, ErrorCode::kIo);
}

TEST(GgufWriterDeathTest, MisuseEndsTheProcess) {
  GgufWriter w;
  const auto none = [] { return std::vector<uint8_t>(); };
  w.AddTensor("a", DType::kF32, {4}, none);
  EXPECT_DEATH(w.AddTensor("a", DType::kF32, {4}, none), "CHECK failed");
  EXPECT_DEATH(w.AddTensor("b", DType::kQ4_0, {33}, none), "CHECK failed");
  EXPECT_DEATH(static_cast<void>(w.ToBytes()), "CHECK failed.*0 vs 16");
}

}  // namespace
}  // namespace lb::gguf
