#include "text/jinja/params.h"

#include <algorithm>

#include "text/jinja/operators.h"

namespace lb::text::jinja {

Params::Params(Runtime& rt, std::string_view function, const Arguments& args,
               std::initializer_list<std::string_view> names, size_t required)
    : rt_(rt), function_(function), values_(names.size()), given_(names.size()) {
  if (args.positional.size() > names.size()) {
    rt.Fail("{}() takes at most {} arguments ({} given)", function, names.size(),
            args.positional.size());
    return;
  }
  for (size_t i = 0; i < args.positional.size(); ++i) {
    values_[i] = args.positional[i];
    given_[i] = true;
  }
  for (const auto& [name, value] : args.named) {
    const size_t i = std::find(names.begin(), names.end(), name.view()) - names.begin();
    if (i == names.size()) {
      rt.Fail("{}() got an unexpected keyword argument", function);
      return;
    }
    if (given_[i]) {
      rt.Fail("{}() got multiple values for argument '{}'", function, names.begin()[i]);
      return;
    }
    values_[i] = value;
    given_[i] = true;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!given_[i]) {
      rt.Fail("{}() missing required argument '{}'", function, names.begin()[i]);
      return;
    }
  }
  ok_ = rt.ok();
}

int64_t Params::Int(size_t i, int64_t missing) {
  if (!given_[i]) return missing;
  if (values_[i].is_integral()) return values_[i].integer();
  if (values_[i].is_undefined()) {
    rt_.FailUndefined(values_[i]);
  } else {
    rt_.Fail("{}(): '{}' object cannot be interpreted as an integer", function_,
             TypeName(values_[i]));
  }
  ok_ = false;
  return missing;
}

bool Params::Bool(size_t i, bool missing) const { return given_[i] ? Truthy(values_[i]) : missing; }

const TaintedText* Params::Text(size_t i) {
  if (!given_not_none(i)) return nullptr;
  if (values_[i].is_string()) return &values_[i].text();
  if (values_[i].is_undefined()) {
    rt_.FailUndefined(values_[i]);
  } else {
    rt_.Fail("{}(): expected str, got {}", function_, TypeName(values_[i]));
  }
  ok_ = false;
  return nullptr;
}

}  // namespace lb::text::jinja
