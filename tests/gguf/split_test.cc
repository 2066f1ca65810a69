// Proves that a split file opens as one, and that parts that are missing, swapped, of another set
// or given in the wrong order are named.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "gguf/gguf_file.h"
#include "gguf/gguf_writer.h"
#include "gguf/split_name.h"

namespace lb::gguf {
namespace {

namespace fs = std::filesystem;

TEST(SplitName, IsParsedAndMade) {
  const auto name = ParseSplitName("/m/big-00002-of-00013.gguf");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->prefix, "/m/big");
  EXPECT_EQ(name->number, 2);
  EXPECT_EQ(name->count, 13);
  EXPECT_EQ(MakeSplitName("/m/big", 2, 13), "/m/big-00002-of-00013.gguf");
  for (const char* other :
       {"big.gguf", "big-0002-of-0013.gguf", "big-00000-of-00013.gguf", "big-00014-of-00013.gguf",
        "big-00001-of-00002.bin", "big-000a1-of-00002.gguf", "big-+0001-of-00002.gguf",
        "-00001-of-00002.gguf", "big_00001-of-00002.gguf", "big-00001_of_00002.gguf", ""}) {
    EXPECT_FALSE(ParseSplitName(other).has_value()) << other;
  }
}

class Split : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) /
              (std::string("split_") + info->name() + "_" + std::to_string(getpid()));
    fs::create_directories(folder_);
    for (int number = 1; number <= 3; ++number) WritePart(number, number - 1, 3, 3);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Path(int number) { return MakeSplitName((folder_ / "m").string(), number, 3); }

  // Each part holds one tensor "t<number>" full of its number.
  void WritePart(int number, uint16_t split_no, uint16_t split_count, int32_t tensors,
                 std::string tensor = "") {
    GgufWriter w;
    if (number == 1) w.SetString("general.architecture", "llama");
    w.SetUint16("split.no", split_no);
    w.SetUint16("split.count", split_count);
    w.SetInt32("split.tensors.count", tensors);
    if (tensor.empty()) tensor = "t" + std::to_string(number);
    w.AddTensor(tensor, DType::kF32, {8}, [number]() -> Result<std::vector<uint8_t>> {
      return std::vector<uint8_t>(32, static_cast<uint8_t>(number));
    });
    ASSERT_TRUE(w.WriteFile(Path(number)).has_value());
  }

  void ExpectRefused(const std::string& path, ErrorCode code, std::vector<std::string> said) {
    auto file = GgufFile::Open(path);
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code, code) << file.error().message;
    for (const std::string& part : said) {
      EXPECT_NE(file.error().message.find(part), std::string::npos)
          << "no \"" << part << "\" in: " << file.error().message;
    }
  }

  fs::path folder_;
};

TEST_F(Split, AllPartsAreOneFile) {
  auto opened = GgufFile::Open(Path(1));
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  const GgufFile& file = **opened;
  EXPECT_EQ(file.num_files(), 3);
  EXPECT_EQ(*file.metadata().String("general.architecture").value(), "llama");
  ASSERT_EQ(file.tensors().size(), 3u);
  int64_t bytes = 0;
  for (int number = 1; number <= 3; ++number) {
    const Tensor* t = file.FindTensor("t" + std::to_string(number));
    ASSERT_NE(t, nullptr);
    EXPECT_EQ(t->file, number - 1);
    EXPECT_EQ(t->view.as<uint8_t>()[31], number);
    file.Advise(*t, MappedFile::Advice::kDontNeed);
    EXPECT_EQ(t->view.as<uint8_t>()[0], number);
    bytes += static_cast<int64_t>(fs::file_size(Path(number)));
  }
  EXPECT_EQ(file.file_bytes(), bytes);
}

TEST_F(Split, MissingPartIsNamed) {
  fs::remove(Path(3));
  ExpectRefused(Path(1), ErrorCode::kNotFound, {"part 3 of 3 is missing", Path(3)});
}

TEST_F(Split, LaterPartAsksForTheFirst) {
  ExpectRefused(Path(2), ErrorCode::kInvalidArgument, {"part 2 of 3", "give the first", Path(1)});
}

TEST_F(Split, RenamedPartIsRefused) {
  fs::rename(Path(1), folder_ / "model.gguf");
  ExpectRefused((folder_ / "model.gguf").string(), ErrorCode::kInvalidArgument,
                {"one of 3 parts", "-00001-of-00003.gguf"});
}

TEST_F(Split, SwappedPartsAreRefused) {
  fs::rename(Path(2), folder_ / "x");
  fs::rename(Path(3), Path(2));
  fs::rename(folder_ / "x", Path(3));
  ExpectRefused(Path(1), ErrorCode::kCorrupt, {Path(2), "\"split.no\" is 2, must be 1"});
}

TEST_F(Split, PartOfAnotherSetIsRefused) {
  WritePart(2, 1, 5, 3);
  ExpectRefused(Path(1), ErrorCode::kCorrupt, {Path(2), "\"split.count\" is 5, must be 3"});
}

TEST_F(Split, NameAgainstKeyIsRefused) {
  WritePart(1, 0, 2, 3);
  ExpectRefused(Path(1), ErrorCode::kCorrupt, {Path(1), "\"split.count\" is 2, must be 3"});
}

TEST_F(Split, PartWithoutKeysIsRefused) {
  GgufWriter w;
  w.SetString("general.architecture", "llama");
  ASSERT_TRUE(w.WriteFile(Path(1)).has_value());
  ExpectRefused(Path(1), ErrorCode::kCorrupt, {"\"split.count\" is missing, must be 3"});
}

TEST_F(Split, TensorCountIsChecked) {
  WritePart(1, 0, 3, 4);
  ExpectRefused(Path(1), ErrorCode::kCorrupt, {"\"split.tensors.count\" is 4, must be 3"});
}

TEST_F(Split, TensorInTwoPartsIsRefused) {
  WritePart(3, 2, 3, 3, "t2");
  ExpectRefused(Path(1), ErrorCode::kCorrupt, {"tensor \"t2\" occurs twice"});
}

TEST_F(Split, BrokenPartIsNamed) {
  fs::resize_file(Path(2), 100);
  ExpectRefused(Path(1), ErrorCode::kCorrupt, {Path(2), "truncated"});
}

TEST_F(Split, BytesAloneCannotBeAPart) {
  GgufWriter w;
  w.SetUint16("split.count", 2);
  const auto bytes = w.ToBytes();
  ASSERT_TRUE(bytes.has_value());
  auto file = GgufFile::Parse(*bytes, "x");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace lb::gguf
