// Proves that a mapped file shows the file's bytes, that every path that cannot be mapped is an
// error that names it, and that hints never change what is read.
#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace lb {
namespace {

namespace fs = std::filesystem;

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) /
              (std::string("mapped_file_") + info->name() + "_" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  static std::string Text(const MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
  }

  fs::path folder_;
};

TEST_F(MappedFileTest, ShowsTheBytes) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += static_cast<char>(i * 7);
  auto file = MappedFile::Open(Write("f", text));
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(Text(*file), text);
}

TEST_F(MappedFileTest, EmptyFileHasNoBytes) {
  auto file = MappedFile::Open(Write("f", ""));
  ASSERT_TRUE(file.has_value());
  EXPECT_TRUE(file->bytes().empty());
  file->Advise(0, 100, MappedFile::Advice::kWillNeed);
}

TEST_F(MappedFileTest, MovesHandOverTheMapping) {
  auto first = MappedFile::Open(Write("a", "first"));
  auto second = MappedFile::Open(Write("b", "second"));
  ASSERT_TRUE(first.has_value() && second.has_value());
  const uint8_t* data = second->bytes().data();
  *first = std::move(*second);
  EXPECT_EQ(first->bytes().data(), data);
  EXPECT_EQ(Text(*first), "second");
  EXPECT_TRUE(second->bytes().empty());
}

TEST_F(MappedFileTest, MissingFileIsNotFound) {
  const std::string path = (folder_ / "nothing").string();
  auto file = MappedFile::Open(path);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kNotFound);
  EXPECT_NE(file.error().message.find(path), std::string::npos);
}

TEST_F(MappedFileTest, FolderIsRefused) {
  auto file = MappedFile::Open(folder_.string());
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kIo);
  EXPECT_NE(file.error().message.find("a folder"), std::string::npos) << file.error().message;
}

TEST_F(MappedFileTest, PipeIsRefusedWithoutWaiting) {
  const std::string path = (folder_ / "pipe").string();
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  auto file = MappedFile::Open(path);  // would wait for a writer for ever
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kIo);
}

TEST_F(MappedFileTest, HintsChangeNothing) {
  const std::string text(3 * 4096 + 17, 'x');
  auto file = MappedFile::Open(Write("f", text));
  ASSERT_TRUE(file.has_value());
  using Advice = MappedFile::Advice;
  for (Advice advice :
       {Advice::kSequential, Advice::kRandom, Advice::kWillNeed, Advice::kDontNeed}) {
    file->Advise(0, text.size(), advice);
    file->Advise(5000, 3, advice);
    file->Advise(text.size(), 10, advice);
    file->Advise(~size_t{0}, ~size_t{0}, advice);
    file->Advise(4095, ~size_t{0}, advice);
    EXPECT_EQ(Text(*file), text);
  }
}

}  // namespace
}  // namespace lb
