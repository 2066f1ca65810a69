// Binds the arguments of a call to named parameters, as a Python function does.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "text/jinja/runtime.h"

namespace lb::text::jinja {

class Params {
 public:
  // Fails for too many, unknown or doubled arguments, and when one of the first `required` is
  // missing. `function` names the callee in messages.
  Params(Runtime& rt, std::string_view function, const Arguments& args,
         std::initializer_list<std::string_view> names, size_t required);

  bool ok() const { return ok_; }
  bool given(size_t i) const { return given_[i]; }
  const Value& operator[](size_t i) const { return values_[i]; }  // none when not given
  bool given_not_none(size_t i) const { return given_[i] && !values_[i].is_none(); }

  // With a default for what is not given; fail on a wrong type.
  int64_t Int(size_t i, int64_t missing);
  bool Bool(size_t i, bool missing) const;
  // nullptr when not given or none.
  const TaintedText* Text(size_t i);

 private:
  Runtime& rt_;
  std::string_view function_;
  bool ok_ = false;
  std::vector<Value> values_;
  std::vector<bool> given_;
};

}  // namespace lb::text::jinja
