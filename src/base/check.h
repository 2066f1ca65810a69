// CHECK: a bug of ours ends the process and prints both operands. Never reachable from user input:
// what depends on a user, a file or the network is a Result.
#pragma once

#include <fmt/core.h>

#include <string>

namespace lb {

[[noreturn]] void CheckFailed(const char* file, int line, const char* what,
                              const std::string& operands);

}  // namespace lb

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) [[unlikely]]                                        \
      ::lb::CheckFailed(__FILE__, __LINE__, #condition, std::string());   \
  } while (false)

#define LB_CHECK_OP_(a, op, b)                                                      \
  do {                                                                              \
    const auto& lb_a_ = (a);                                                        \
    const auto& lb_b_ = (b);                                                        \
    if (!(lb_a_ op lb_b_)) [[unlikely]]                                             \
      ::lb::CheckFailed(__FILE__, __LINE__, #a " " #op " " #b,                      \
                        fmt::format("{} vs {}", lb_a_, lb_b_));                     \
  } while (false)

#define CHECK_EQ(a, b) LB_CHECK_OP_(a, ==, b)
#define CHECK_NE(a, b) LB_CHECK_OP_(a, !=, b)
#define CHECK_LT(a, b) LB_CHECK_OP_(a, <, b)
#define CHECK_LE(a, b) LB_CHECK_OP_(a, <=, b)
#define CHECK_GT(a, b) LB_CHECK_OP_(a, >, b)
#define CHECK_GE(a, b) LB_CHECK_OP_(a, >=, b)

#ifdef NDEBUG
#define DCHECK(condition) static_cast<void>(0)
#define DCHECK_LT(a, b) static_cast<void>(0)
#else
#define DCHECK(condition) CHECK(condition)
#define DCHECK_LT(a, b) CHECK_LT(a, b)
#endif
