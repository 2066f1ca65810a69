// Proves that a file that lies in any one place is refused with one line that names the file, the
// key or tensor, the value and the limit: case 27 of our list of what breaks servers, as a table.
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "gguf/gguf_file.h"
#include "raw_gguf.h"

namespace lb::gguf {
namespace {

using R = RawGguf;

constexpr uint32_t kU8 = 0, kU32 = 4, kF32 = 6, kBool = 7, kString = 8, kArray = 9, kU64 = 10;

struct Lie {
  std::string name;
  std::string bytes;
  ErrorCode code;
  std::vector<std::string> said;  // all of these are in the message
};

// A file with one good tensor of 32 bytes after which `second` follows.
std::string WithSecond(RawTensor second, uint64_t data_bytes = 64) {
  return R().Tensor({.name = "first"}).Tensor(std::move(second)).Data(data_bytes).Build();
}

std::string Alignment(uint32_t type, std::string value) {
  return R().Key("general.alignment", type, std::move(value)).Tensor({}).Data(32).Build();
}

std::vector<Lie> HeaderLies() {
  R big_endian;
  big_endian.version = 0x03000000;
  R v0, v1, v4;
  v0.version = 0;
  v1.version = 1;
  v4.version = 4;
  R keys, tensors;
  keys.num_keys_more = uint64_t{1} << 60;
  tensors.num_tensors_more = uint64_t{1} << 60;
  R key_gone, tensor_gone;
  key_gone.num_keys_more = 1;
  key_gone.Key("a", kU64, R::U64(1)).Key("b", kU64, R::U64(1));
  std::string cut_key = key_gone.Build();
  cut_key[16] = 2;
  cut_key.resize(cut_key.size() - 4);
  return {
      {"Empty", "", ErrorCode::kCorrupt, {"empty file"}},
      {"OneByte", "G", ErrorCode::kCorrupt, {"truncated: needs 24 bytes, has 1"}},
      {"MagicOnly", "GGUF", ErrorCode::kCorrupt, {"truncated: needs 24 bytes, has 4"}},
      {"Zip",
       "PK\x03\x04 and so on and so on and so on",
       ErrorCode::kUnsupported,
       {"not a GGUF file", "PK\\x03\\x04"}},
      {"BigEndian", big_endian.Build(), ErrorCode::kUnsupported, {"big-endian", "version 3"}},
      {"Version0", v0.Build(), ErrorCode::kUnsupported, {"version 0", "2 and 3"}},
      {"Version1", v1.Build(), ErrorCode::kUnsupported, {"version 1", "2 and 3"}},
      {"Version4", v4.Build(), ErrorCode::kUnsupported, {"version 4", "2 and 3"}},
      {"KeyCount",
       keys.Build(),
       ErrorCode::kCorrupt,
       {"1152921504606846976 keys", "truncated: needs 14987979559889010712 bytes, has 24"}},
      {"TensorCount",
       tensors.Build(),
       ErrorCode::kCorrupt,
       {"1152921504606846976 tensors", "truncated: needs 27670116110564327448 bytes, has 24"}},
      {"CutInAKey", cut_key, ErrorCode::kCorrupt, {"truncated", "key \"b\""}},
  };
}

std::vector<Lie> KeyLies() {
  const uint64_t huge = (uint64_t{1} << 63) - 1;
  return {
      {"StringLength",
       R().Key("s", kString, R::U64(huge)).Build(),
       ErrorCode::kCorrupt,
       {"key \"s\"", "truncated: needs 9223372036854775852 bytes, has 45"}},
      {"KeyLength",
       R().Build().replace(16, 8, R::U64(1)) + R::U64(huge) + std::string(20, 'k'),
       ErrorCode::kCorrupt,
       {"truncated", "key 0 of 1"}},
      {"ArrayCount",
       R().Key("a", kArray, R::U32(kU32) + R::U64(uint64_t{1} << 61)).Build(),
       ErrorCode::kCorrupt,
       {"key \"a\"", "array of 2305843009213693952", "truncated: needs 9223372036854775857 bytes"}},
      {"StringArrayCount",
       R().Key("a", kArray, R::U32(kString) + R::U64(~uint64_t{0})).Build(),
       ErrorCode::kCorrupt,
       {"key \"a\"", "array of 18446744073709551615", "truncated"}},
      {"ArrayOfArrays",
       R().Key("a", kArray, R::U32(kArray) + R::U64(1) + R::U32(kU8) + R::U64(1) + "x").Build(),
       ErrorCode::kUnsupported,
       {"key \"a\"", "array of 1 arrays"}},
      {"ValueType",
       R().Key("k", 77, R::U64(1)).Build(),
       ErrorCode::kCorrupt,
       {"key \"k\"", "value type 77", "0 to 12"}},
      {"ArrayType",
       R().Key("k", kArray, R::U32(13) + R::U64(1) + "x").Build(),
       ErrorCode::kCorrupt,
       {"key \"k\"", "value type 13", "0 to 12"}},
      {"Bool",
       R().Key("b", kBool, "\2").Build(),
       ErrorCode::kCorrupt,
       {"key \"b\"", "bool is 2", "0 or 1"}},
      {"BoolInArray",
       R().Key("b", kArray, R::U32(kBool) + R::U64(2) + std::string("\1\5")).Build(),
       ErrorCode::kCorrupt,
       {"key \"b\"", "bool 1 is 5", "0 or 1"}},
      {"HugeIntInArray",
       R().Key("k", kArray, R::U32(kU64) + R::U64(1) + R::U64(~uint64_t{0})).Build(),
       ErrorCode::kCorrupt,
       {"key \"k\"", "18446744073709551615", "9223372036854775807"}},
      {"Alignment0",
       Alignment(kU32, R::U32(0)),
       ErrorCode::kCorrupt,
       {"general.alignment", "is 0", "power of two from 8 to 65536"}},
      {"Alignment3",
       Alignment(kU32, R::U32(3)),
       ErrorCode::kCorrupt,
       {"general.alignment", "is 3", "power of two"}},
      {"Alignment48",
       Alignment(kU32, R::U32(48)),
       ErrorCode::kCorrupt,
       {"general.alignment", "is 48", "power of two"}},
      {"AlignmentTooSmall",
       Alignment(kU32, R::U32(4)),
       ErrorCode::kCorrupt,
       {"general.alignment", "is 4", "from 8"}},
      {"AlignmentHuge",
       Alignment(kU32, R::U32(1u << 31)),
       ErrorCode::kCorrupt,
       {"general.alignment", "is 2147483648", "to 65536"}},
      {"Alignment2To63",
       Alignment(kU64, R::U64(uint64_t{1} << 63)),
       ErrorCode::kCorrupt,
       {"general.alignment", "is 9223372036854775808", "9223372036854775807"}},
      {"AlignmentString",
       Alignment(kString, R::Str("32")),
       ErrorCode::kCorrupt,
       {"general.alignment", "is a string", "must be an integer"}},
      {"DuplicateKey",
       R().Key("a", kU8, "x").Key("a", kU8, "y").Build(),
       ErrorCode::kCorrupt,
       {"key \"a\" occurs twice", "key 1 of 2"}},
      {"EmptyKey",
       R().Key("", kU8, "x").Build(),
       ErrorCode::kCorrupt,
       {"key 0", "is 0 bytes long", "1 to 65535"}},
      {"LongKey",
       R().Key(std::string(1 << 20, 'k'), kU8, "x").Build(),
       ErrorCode::kCorrupt,
       {"key 0", "is 1048576 bytes long", "1 to 65535"}},
      {"KeyWithControlBytes",
       R().Key("a\n\x1b[31m\xff", 77, "x").Build(),
       ErrorCode::kCorrupt,
       {"key \"a\\n\\x1b[31m\\xff\""}},
  };
}

std::vector<Lie> TensorLies() {
  const uint64_t huge = uint64_t{1} << 62;
  R aligned;
  aligned.Key("general.alignment", kU32, R::U32(64)).Tensor({.name = "w", .offset = 32}).Data(64);
  return {
      {"NoDims",
       R().Tensor({.name = "w", .dims = {}}).Data(32).Build(),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "0 dimensions", "1 to 4"}},
      {"NineDims",
       R().Tensor({.name = "w", .dims = std::vector<uint64_t>(9, 1)}).Data(32).Build(),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "9 dimensions", "1 to 4"}},
      {"ZeroDim",
       R().Tensor({.name = "w", .dims = {8, 0}}).Data(32).Build(),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "dimension 1 is 0"}},
      {"ProductOverflow",
       R().Tensor({.name = "w", .dims = {huge, huge}}).Data(32).Build(),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "dimension 1 is 4611686018427387904", "9223372036854775807"}},
      {"DimOverflow",
       R().Tensor({.name = "w", .dims = {~uint64_t{0}}}).Data(32).Build(),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "dimension 0 is 18446744073709551615"}},
      // 2^64 elements that would come out as 0 in 64 bits.
      {"ProductWraps",
       R().Tensor({.name = "w", .dims = {uint64_t{1} << 32, uint64_t{1} << 32}}).Data(32).Build(),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "dimension 1 is 4294967296"}},
      {"BytesOverflow",
       R().Tensor({.name = "w", .dims = {huge}}).Data(32).Build(),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "18446744073709551616 bytes"}},
      {"Type250",
       R().Tensor({.name = "w", .type = 250}).Data(32).Build(),
       ErrorCode::kUnsupported,
       {"tensor \"w\"", "type 250 (unknown)", "Q4_K"}},
      {"RemovedType",
       R().Tensor({.name = "w", .type = 31}).Data(32).Build(),
       ErrorCode::kUnsupported,
       {"tensor \"w\"", "type 31 (Q4_0_4_4, removed from GGUF)"}},
      {"OtherType",
       R().Tensor({.name = "w", .type = 16}).Data(32).Build(),
       ErrorCode::kUnsupported,
       {"tensor \"w\"", "type 16 (IQ2_XXS)"}},
      {"IndexType",
       R().Tensor({.name = "w", .type = 26}).Data(32).Build(),
       ErrorCode::kUnsupported,
       {"tensor \"w\"", "type 26 (I32)"}},
      {"PartBlock",
       R().Tensor({.name = "w", .dims = {48, 2}, .type = 2}).Data(64).Build(),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "rows of 48 values", "multiple of 32", "Q4_0"}},
      {"BeyondTheFile",
       WithSecond({.name = "w", .offset = 1 << 20}),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "truncated: needs 1048704 bytes, has 160"}},
      {"OffsetWraps",
       WithSecond({.name = "w", .offset = ~uint64_t{0} - 31}),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "truncated: needs 18446744073709551712 bytes, has 160"}},
      {"OneByteShort",
       WithSecond({.name = "w", .offset = 32}, 63),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "truncated: needs 160 bytes, has 159"}},
      {"Unaligned",
       WithSecond({.name = "w", .offset = 36}),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "offset 36", "alignment, 32"}},
      {"UnalignedForItsFile",
       aligned.Build(),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "offset 32", "alignment, 64"}},
      {"SameOffset",
       WithSecond({.name = "w", .offset = 0}),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "offset 0", "tensor \"first\"", "overlaps"}},
      {"Overlap",
       R().Tensor({.name = "first", .dims = {9}})
           .Tensor({.name = "w", .offset = 32})
           .Data(64)
           .Build(),
       ErrorCode::kCorrupt,
       {"tensor \"w\"", "offset 32", "tensor \"first\"", "ends at 36"}},
      {"DuplicateTensor",
       WithSecond({.name = "first", .offset = 32}),
       ErrorCode::kCorrupt,
       {"tensor \"first\" occurs twice", "0 and 1 of 2"}},
      {"EmptyName",
       R().Tensor({.name = ""}).Data(32).Build(),
       ErrorCode::kCorrupt,
       {"tensor 0", "0 bytes long", "1 to 64"}},
      {"LongName",
       R().Tensor({.name = std::string(65, 'n')}).Data(32).Build(),
       ErrorCode::kCorrupt,
       {"tensor 0", "65 bytes long", "1 to 64"}},
  };
}

class Hostile : public testing::TestWithParam<Lie> {};

TEST_P(Hostile, IsRefusedInOneClearLine) {
  const Lie& lie = GetParam();
  // A copy of the exact length, so that the sanitizer sees any read beyond it.
  const std::vector<uint8_t> bytes(lie.bytes.begin(), lie.bytes.end());
  auto file = GgufFile::Parse(bytes, "some.gguf");
  ASSERT_FALSE(file.has_value());
  const std::string message = file.error().message;
  EXPECT_EQ(file.error().code, lie.code) << message;
  EXPECT_EQ(message.rfind("some.gguf: ", 0), 0u) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_LT(message.size(), 300u) << message;
  for (const std::string& part : lie.said) {
    EXPECT_NE(message.find(part), std::string::npos) << "no \"" << part << "\" in: " << message;
  }
}

void PrintTo(const Lie& lie, std::ostream* out) { *out << lie.name; }

std::string NameOf(const testing::TestParamInfo<Lie>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Header, Hostile, testing::ValuesIn(HeaderLies()), NameOf);
INSTANTIATE_TEST_SUITE_P(Keys, Hostile, testing::ValuesIn(KeyLies()), NameOf);
INSTANTIATE_TEST_SUITE_P(Tensors, Hostile, testing::ValuesIn(TensorLies()), NameOf);

// The honest twins of the files above open, so that none is refused for another reason.
TEST(HonestTwins, Open) {
  for (const std::string& text :
       {R().Build(), WithSecond({.name = "w", .offset = 32}), Alignment(kU32, R::U32(32)),
        WithSecond({.name = "w", .offset = 64}, 96), Alignment(kU64, R::U64(8)),
        R().Tensor({.name = std::string(64, 'n')}).Data(32).Build(),
        R().Tensor({.dims = {64, 2}, .type = 2}).Data(72).Build(),
        R().Key(std::string(65535, 'k'), kF32, R::U32(0)).Build(),
        R().Key("a", kArray, R::U32(kBool) + R::U64(2) + std::string("\1\0", 2)).Build()}) {
    const std::vector<uint8_t> bytes(text.begin(), text.end());
    auto file = GgufFile::Parse(bytes, "some.gguf");
    EXPECT_TRUE(file.has_value()) << file.error().message;
  }
}

// What a file may make us allocate is bounded by its length, whatever it expands to.
TEST(HonestTwins, ExpansionIsBounded) {
  const uint64_t count = 8 << 20;
  const std::string empty_strings(count * 8, '\0');
  const std::string text =
      R().Key("a", kArray, R::U32(kString) + R::U64(count) + empty_strings).Build();
  const std::vector<uint8_t> bytes(text.begin(), text.end());
  auto file = GgufFile::Parse(bytes, "some.gguf");
  ASSERT_FALSE(file.has_value());
  EXPECT_NE(file.error().message.find("key \"a\" needs 268435456 bytes of memory"),
            std::string::npos)
      << file.error().message;
}

}  // namespace
}  // namespace lb::gguf
