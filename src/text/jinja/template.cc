#include "text/jinja/template.h"

#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"

namespace lb::text::jinja {

Template::Template(std::unique_ptr<Program> program) : program_(std::move(program)) {}
Template::~Template() = default;

Result<std::unique_ptr<Template>> Template::Parse(std::string_view source) {
  LB_ASSIGN_OR_RETURN(std::unique_ptr<Program> program, ParseTemplate(source));
  return std::unique_ptr<Template>(new Template(std::move(program)));
}

Result<TaintedText> Template::Render(const std::vector<std::pair<std::string, Value>>& context,
                                     int64_t now_unix, const Limits& limits) const {
  TaintedText out;
  Runtime rt(limits, program_->symbols, now_unix);
  Interpreter(*program_, rt, context).Run(&out);
  if (rt.ok()) return out;
  if (rt.raised()) return Error{ErrorCode::kInvalidArgument, rt.message(), {}};
  return Fail(ErrorCode::kInvalidArgument, "chat template, line {}: {}", rt.failed_line(),
              rt.message());
}

}  // namespace lb::text::jinja
