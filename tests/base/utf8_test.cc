// Proves UTF-8 decoding against a plain encoder over every scalar value, the maximal subparts of
// the Unicode standard's own examples, and that no cut of a text is taken for whole characters.
#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lb {
namespace {

const std::string kMark = "\xEF\xBF\xBD";

std::string Marks(int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += kMark;
  return out;
}

TEST(Utf8, EveryScalarValueRoundTrips) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    AppendUtf8(c, &text);
    const Utf8Char back = DecodeUtf8(text, 0);
    ASSERT_TRUE(back.valid) << static_cast<uint32_t>(c);
    ASSERT_EQ(back.code, c);
    ASSERT_EQ(static_cast<size_t>(back.length), text.size());
    ASSERT_EQ(PreviousUtf8("x" + text, 1 + text.size()), 1u);
    // No proper prefix is whole; each is a tail that may still be completed.
    for (size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_FALSE(IsValidUtf8(text.substr(0, cut)));
      ASSERT_EQ(IncompleteUtf8Tail("a" + text.substr(0, cut)), cut);
    }
    ASSERT_EQ(IncompleteUtf8Tail(text), 0u);
  }
}

TEST(Utf8, SurrogatesOverlongAndTooLargeAreIllFormed) {
  for (const char* bad : {"\xED\xA0\x80", "\xED\xBF\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80",
                          "\xE0\x9F\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\x80", "\xBF"}) {
    EXPECT_FALSE(IsValidUtf8(bad));
    EXPECT_EQ(IncompleteUtf8Tail(bad), 0u);
  }
}

// Tables 3-8 to 3-11 of the Unicode standard.
TEST(Utf8, OneMarkPerMaximalSubpart) {
  EXPECT_EQ(ToValidUtf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), Marks(8) + "A");
  EXPECT_EQ(ToValidUtf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), Marks(8) + "A");
  EXPECT_EQ(ToValidUtf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
            Marks(5) + "A" + Marks(2) + "B");
  EXPECT_EQ(ToValidUtf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), Marks(4) + "A");
}

TEST(Utf8, ValidPrefixStopsAtTheFirstBadByte) {
  const std::string good = "plain ascii over eight bytes, \xC3\xA9, \xE4\xBD\xA0, \xF0\x9F\x98\x80";
  EXPECT_EQ(ValidUtf8Prefix(good), good.size());
  for (size_t at = 0; at <= good.size(); ++at) {
    std::string text = good;
    text.insert(at, 1, '\xFF');
    // A byte put into a character spoils that character from its first byte on.
    size_t expected = at;
    while (expected > 0 && expected < good.size() && (good[expected] & 0xC0) == 0x80) --expected;
    EXPECT_EQ(ValidUtf8Prefix(text), expected) << at;
  }
}

TEST(Utf8, TailOfIllFormedTextIsNotHeldBack) {
  EXPECT_EQ(IncompleteUtf8Tail(""), 0u);
  EXPECT_EQ(IncompleteUtf8Tail("\xF0\x9F\x98"), 3u);
  EXPECT_EQ(IncompleteUtf8Tail("\x80\x80\x80\x80"), 0u);
  EXPECT_EQ(IncompleteUtf8Tail("\xE0\x80"), 0u);   // can never become a character
  EXPECT_EQ(IncompleteUtf8Tail("\xC3\xA9\x80"), 0u);
}

}  // namespace
}  // namespace lb
