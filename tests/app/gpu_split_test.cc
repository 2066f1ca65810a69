// Proves how layers are shared among GPUs, and that shares which cannot be are refused with what is wrong.
#include "app/gpu_split.h"

#include <gtest/gtest.h>

namespace lb::app {
namespace {

using Shares = std::vector<double>;
using Layers = std::vector<int>;

TEST(ParseShares, NumbersBetweenCommasOrSlashes) {
  EXPECT_EQ(ParseShares("3,1").value(), (Shares{3, 1}));
  EXPECT_EQ(ParseShares("0.5/0.25/0").value(), (Shares{0.5, 0.25, 0}));
  EXPECT_EQ(ParseShares("7").value(), (Shares{7}));
  for (const char* bad : {"", ",", "1,", "1;2", "1,-1", "nan,1", "inf", "a", "1 2"}) {
    const auto shares = ParseShares(bad);
    ASSERT_FALSE(shares.has_value()) << bad;
    EXPECT_EQ(shares.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(shares.error().message.find(std::string("--tensor-split ") + bad), std::string::npos);
  }
  EXPECT_EQ(ParseShares("0,0").error().message, "--tensor-split 0,0: no device gets anything");
}

TEST(ShareLayers, AllLayersAreSomebodys) {
  EXPECT_EQ(ShareLayers(Shares{1, 1}, 28), (Layers{14, 14}));
  EXPECT_EQ(ShareLayers(Shares{3, 1}, 28), (Layers{21, 7}));
  EXPECT_EQ(ShareLayers(Shares{1, 1, 1}, 28), (Layers{9, 10, 9}));
  EXPECT_EQ(ShareLayers(Shares{1, 0, 1}, 5), (Layers{3, 0, 2}));
  EXPECT_EQ(ShareLayers(Shares{1000, 1}, 28), (Layers{28, 0}));
  EXPECT_EQ(ShareLayers(Shares{80e9, 24e9}, 32), (Layers{25, 7}));
}

}  // namespace
}  // namespace lb::app
