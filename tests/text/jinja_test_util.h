// Short ways to render in the Jinja tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "text/jinja/template.h"

namespace lb::text::jinja {

using Context = std::vector<std::pair<std::string, Value>>;

inline Result<TaintedText> RenderTainted(const std::string& source, const Context& context = {},
                                         const Limits& limits = {}) {
  LB_ASSIGN_OR_RETURN(const auto program, Template::Parse(source));
  return program->Render(context, 0, limits);
}

// The text, or "error: " and the message.
inline std::string Render(const std::string& source, const Context& context = {},
                          const Limits& limits = {}) {
  const auto text = RenderTainted(source, context, limits);
  return text.has_value() ? text->str() : "error: " + text.error().message;
}

// The text with every stretch of data in «».
inline std::string Marked(const std::string& source, const Context& context) {
  const auto text = RenderTainted(source, context);
  if (!text.has_value()) return "error: " + text.error().message;
  std::string out;
  text->ForEachRun([&](std::string_view run, Origin origin) {
    out += origin == Origin::kData ? "«" + std::string(run) + "»" : std::string(run);
  });
  return out;
}

}  // namespace lb::text::jinja
