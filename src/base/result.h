// Result<T>: a value or an Error. Member names follow std::expected (which gcc 12 lacks), so that
// it can become an alias of it one day.
#pragma once

#include <fmt/core.h>

#include <string>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/error.h"

namespace lb {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & {
    CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    CHECK(has_value());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    CHECK(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    CHECK(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  bool has_value() const { return !failed_; }
  explicit operator bool() const { return has_value(); }
  const Error& error() const {
    CHECK(failed_);
    return error_;
  }

 private:
  Error error_;
  bool failed_ = false;
};

// return Fail(ErrorCode::kCorrupt, "{}: tensor {} ends at byte {} of {}", path, name, end, size);
template <typename... Args>
Error Fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...), {}};
}

// Hands the error of `expression` (a Result) to the caller.
#define LB_RETURN_IF_ERROR(expression)                       \
  do {                                                       \
    auto lb_result_ = (expression);                          \
    if (!lb_result_.has_value()) return lb_result_.error();  \
  } while (false)

// LB_ASSIGN_OR_RETURN(auto file, GgufFile::Open(path));
#define LB_ASSIGN_OR_RETURN(target, expression) \
  LB_ASSIGN_OR_RETURN_(target, expression, LB_CONCAT_(lb_result_, __LINE__))
#define LB_ASSIGN_OR_RETURN_(target, expression, name) \
  auto name = (expression);                            \
  if (!name.has_value()) return name.error();          \
  target = std::move(name).value()
#define LB_CONCAT_(a, b) LB_CONCAT2_(a, b)
#define LB_CONCAT2_(a, b) a##b

}  // namespace lb
