// Proves that a Result hands on its value or its error, and that the macros return early.
#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace lb {
namespace {

Result<int> Half(int x) {
  if (x % 2 != 0) return Fail(ErrorCode::kInvalidArgument, "{} is odd", x);
  return x / 2;
}

Result<int> Quarter(int x) {
  LB_ASSIGN_OR_RETURN(const int half, Half(x));
  return Half(half);
}

Result<void> Check4(int x) {
  LB_RETURN_IF_ERROR(Quarter(x));
  return {};
}

TEST(Result, CarriesValue) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_TRUE(Check4(8).has_value());
}

TEST(Result, CarriesError) {
  EXPECT_EQ(Quarter(6).error().message, "3 is odd");
  EXPECT_EQ(Check4(6).error().code, ErrorCode::kInvalidArgument);
}

TEST(Result, HoldsMoveOnlyValues) {
  Result<std::unique_ptr<int>> r = std::make_unique<int>(7);
  std::unique_ptr<int> p = std::move(r).value();
  EXPECT_EQ(*p, 7);
}

}  // namespace
}  // namespace lb
