// Proves that text from outside is shown on one line and never longer than asked, whatever its bytes.
#include "base/printable.h"

#include <gtest/gtest.h>

#include <string>

namespace lb {
namespace {

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("a\nb\tc\x01\x7f"), "a\\nb\\tc\\x01\\x7f");
  EXPECT_EQ(Printable("\xff\xc2\x85\xc3\xa9"), "\\xff\\u0085\xc3\xa9");
}

TEST(Printable, CountsWhatIsShown) {
  // Four characters for each byte: sixteen of them fit into 64.
  EXPECT_EQ(Printable(std::string(16, '\0')).size(), 64u);
  EXPECT_EQ(Printable(std::string(17, '\0')).size(), 64u + 3u);
  EXPECT_EQ(Printable(std::string(64, 'a')), std::string(64, 'a'));
  EXPECT_EQ(Printable(std::string(65, 'a')), std::string(64, 'a') + "...");
}

TEST(Printable, NeverSplitsACharacter) { EXPECT_EQ(Printable("ab\xc3\xa9", 3), "ab..."); }

}  // namespace
}  // namespace lb
