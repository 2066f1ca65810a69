// Proves the typed look-ups: what reads as what, and what an error says.
#include "gguf/metadata.h"

#include <gtest/gtest.h>

namespace lb::gguf {
namespace {

Metadata Sample() {
  Metadata m;
  m.set_source("m.gguf");
  m.Set("u", {ValueType::kUint32, {}, uint64_t{7}});
  m.Set("i", {ValueType::kInt8, {}, int64_t{-7}});
  m.Set("huge", {ValueType::kUint64, {}, ~uint64_t{0}});
  m.Set("f", {ValueType::kFloat32, {}, 0.5});
  m.Set("b", {ValueType::kBool, {}, true});
  m.Set("s", {ValueType::kString, {}, std::string("text")});
  m.Set("ints", {ValueType::kArray, ValueType::kInt32, std::vector<int64_t>{1, -2}});
  m.Set("floats", {ValueType::kArray, ValueType::kFloat32, std::vector<double>{1.5}});
  m.Set("strings", {ValueType::kArray, ValueType::kString, std::vector<std::string>{"a"}});
  return m;
}

TEST(Metadata, ReadsEachType) {
  const Metadata m = Sample();
  EXPECT_EQ(*m.Int("u").value(), 7);
  EXPECT_EQ(*m.Int("i").value(), -7);
  EXPECT_EQ(*m.Float("f").value(), 0.5);
  EXPECT_EQ(*m.Float("u").value(), 7.0);
  EXPECT_EQ(*m.Float("i").value(), -7.0);
  EXPECT_EQ(*m.Bool("b").value(), true);
  EXPECT_EQ(*m.String("s").value(), "text");
  EXPECT_EQ(*m.IntArray("ints").value(), (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(*m.FloatArray("floats").value(), std::vector<double>{1.5});
  EXPECT_EQ(*m.StringArray("strings").value(), std::vector<std::string>{"a"});
}

TEST(Metadata, MissingKeysAreNothing) {
  const Metadata m = Sample();
  EXPECT_EQ(m.Find("x"), nullptr);
  EXPECT_FALSE(m.Int("x").value().has_value());
  EXPECT_FALSE(m.Float("x").value().has_value());
  EXPECT_FALSE(m.Bool("x").value().has_value());
  EXPECT_FALSE(m.String("x").value().has_value());
  EXPECT_EQ(m.IntArray("x").value(), nullptr);
  EXPECT_EQ(m.FloatArray("x").value(), nullptr);
  EXPECT_EQ(m.StringArray("x").value(), nullptr);
}

TEST(Metadata, WrongTypesAreNamed) {
  const Metadata m = Sample();
  EXPECT_EQ(m.Int("s").error().message, "m.gguf: key \"s\" is a string, must be an integer");
  EXPECT_EQ(m.Int("f").error().message, "m.gguf: key \"f\" is an f32, must be an integer");
  EXPECT_EQ(m.Float("b").error().message, "m.gguf: key \"b\" is a bool, must be a number");
  EXPECT_EQ(m.Bool("u").error().message, "m.gguf: key \"u\" is a u32, must be a bool");
  EXPECT_EQ(m.String("i").error().message, "m.gguf: key \"i\" is an i8, must be a string");
  EXPECT_EQ(m.StringArray("ints").error().message,
            "m.gguf: key \"ints\" is an array of 2 i32, must be an array of strings");
  EXPECT_EQ(m.IntArray("u").error().message,
            "m.gguf: key \"u\" is a u32, must be an array of integers");
  EXPECT_FALSE(m.FloatArray("ints").has_value());
  EXPECT_EQ(m.Int("s").error().code, ErrorCode::kCorrupt);
}

TEST(Metadata, IntegersBeyondInt64AreRefused) {
  const auto huge = Sample().Int("huge");
  ASSERT_FALSE(huge.has_value());
  EXPECT_EQ(huge.error().message,
            "m.gguf: key \"huge\" is 18446744073709551615, the limit is 9223372036854775807");
}

}  // namespace
}  // namespace lb::gguf
