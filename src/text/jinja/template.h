// The engine's front door: source to Template, Template and context to text.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/jinja/runtime.h"
#include "text/jinja/tainted_text.h"
#include "text/jinja/value.h"

namespace lb::text::jinja {

struct Program;

// Immutable after Parse, thread-safe.
class Template {
 public:
  // kInvalidArgument with line and column on a syntax error.
  static Result<std::unique_ptr<Template>> Parse(std::string_view source);
  ~Template();

  // Renders with `context` as the template's variables; `now_unix` is what strftime_now sees.
  // kInvalidArgument when the template calls raise_exception (with its own words), uses what is
  // undefined, or passes a limit (with the line).
  Result<TaintedText> Render(const std::vector<std::pair<std::string, Value>>& context,
                             int64_t now_unix, const Limits& limits = {}) const;

 private:
  explicit Template(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace lb::text::jinja
