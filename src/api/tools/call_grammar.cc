#include "api/tools/call_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "api/json_writer.h"
#include "grammar/schema.h"

namespace lb::api {
namespace {

using grammar::Constraint;
using Parts = std::vector<std::string>;  // each a format of XGrammar's structural tags, as JSON

// White space between the parts of a JSON value: room for any reasonable indentation, and an end.
constexpr int kMaxWhitespace = 24;

std::string Const(std::string_view text) {
  JsonWriter w;
  w.BeginObject().Key("type").String("const_string").Key("value").String(text);
  return w.EndObject().Take();
}

std::string List(std::string_view type, const Parts& parts) {
  if (parts.size() == 1) return parts[0];
  JsonWriter w;
  w.BeginObject().Key("type").String(type).Key("elements").BeginArray();
  for (const std::string& part : parts) w.Raw(part);
  return w.EndArray().EndObject().Take();
}

std::string Around(std::string_view type, const std::string& content) {
  JsonWriter w;
  return w.BeginObject().Key("type").String(type).Key("content").Raw(content).EndObject().Take();
}

std::string Tag(std::string_view begin, const std::string& content, std::string_view end) {
  JsonWriter w;
  w.BeginObject().Key("type").String("tag").Key("begin").String(begin);
  w.Key("content").Raw(content).Key("end").String(end);
  return w.EndObject().Take();
}

std::string Schema(std::string_view schema, CallShape::Arguments style) {
  JsonWriter w;
  w.BeginObject().Key("type").String("json_schema").Key("json_schema").Raw(schema);
  w.Key("max_whitespace_cnt").Int(kMaxWhitespace);
  switch (style) {
    case CallShape::Arguments::kJson:
      break;
    case CallShape::Arguments::kQwenXml:
      w.Key("style").String("qwen_xml");
      break;
    case CallShape::Arguments::kGlmXml:
      w.Key("style").String("glm_xml");
      break;
    case CallShape::Arguments::kMiniMaxXml:
      w.Key("style").String("minimax_xml");
      break;
    case CallShape::Arguments::kDeepSeekXml:
      w.Key("style").String("deepseek_xml");
      break;
  }
  return w.EndObject().Take();
}

// "const_string" of nothing is left out.
void Add(std::string_view text, Parts* parts) {
  if (!text.empty()) parts->push_back(Const(text));
}

// The arguments of one tool.
Result<std::string> ArgumentsOf(const Tool& tool, bool bound, CallShape::Arguments style) {
  if (!bound) return Schema(R"({"type":"object","additionalProperties":true})", style);
  boost::json::object schema = tool.parameters;
  // Without a schema there are no arguments.
  if (schema.empty()) schema["additionalProperties"] = false;
  if (!schema.contains("type")) schema["type"] = "object";
  LB_ASSIGN_OR_RETURN(const std::string text, grammar::NormalizeSchema(schema, tool.field));
  return Schema(text, style);
}

// Free text in which a call is bound from its mark on.
std::string FreeText(const CallShape& shape, const Parts& begins, const Parts& contents,
                     std::string_view end) {
  JsonWriter w;
  w.BeginObject().Key("type").String("triggered_tags");
  w.Key("triggers").BeginArray().String(shape.trigger).EndArray();
  w.Key("tags").BeginArray();
  for (size_t i = 0; i < begins.size(); ++i) w.Raw(Tag(begins[i], contents[i], end));
  w.EndArray();
  return w.EndObject().Take();
}

}  // namespace

Result<Constraint> CallGrammar(const ToolFormat& format, const ToolOptions& tools,
                               const CallGrammarOptions& options) {
  const CallShape& shape = format.shape;
  const std::vector<Tool>& list = tools.set.tools();
  const bool strict =
      std::any_of(list.begin(), list.end(), [](const Tool& tool) { return tool.strict; });
  const bool other = options.answer.kind != Constraint::Kind::kNone;
  if (!tools.must_call && !strict && !other) return Constraint{};
  const std::string field = tools.must_call ? "tool_choice"
                            : other         ? options.answer.field
                                            : "tools";
  if (shape.before_name.empty()) {
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("{}: calls of the format \"{}\" cannot be enforced", field, format.name),
        field};
  }
  if (!tools.must_call && other && options.answer.kind != Constraint::Kind::kJsonObject &&
      options.answer.kind != Constraint::Kind::kJsonSchema) {
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("{}: beside tools an answer can be bound to a JSON schema only", field), field};
  }

  Parts names, arguments;  // of one call
  for (const Tool& tool : list) {
    LB_ASSIGN_OR_RETURN(std::string one,
                        ArgumentsOf(tool, tools.must_call || tool.strict, shape.arguments));
    names.push_back(shape.before_name + tool.name + shape.after_name);
    arguments.push_back(std::move(one));
  }
  Parts calls;
  for (size_t i = 0; i < list.size(); ++i) {
    calls.push_back(Tag(names[i], arguments[i], shape.after_arguments));
  }
  const std::string call = List("or", calls);
  const bool many = tools.parallel && !shape.one;

  // The answer as nothing but calls.
  Parts whole;
  if (options.channels && options.thinks) {
    whole.push_back(Around("optional", List("sequence", {Tag("<|channel|>analysis<|message|>",
                                                             R"({"type":"any_text"})", "<|end|>"),
                                                         Const("<|start|>assistant")})));
  }
  Add(shape.before_all, &whole);
  whole.push_back(call);
  if (many) {
    Parts next;
    Add(shape.between, &next);
    next.push_back(call);
    whole.push_back(Around("star", List("sequence", next)));
  }
  Add(shape.after_all, &whole);
  std::string root = List("sequence", whole);

  if (!tools.must_call && other) {
    const bool any = options.answer.kind == Constraint::Kind::kJsonObject;
    std::string schema = Schema(any ? R"({"type":"object","additionalProperties":true})"
                                    : std::string_view(options.answer.text),
                                CallShape::Arguments::kJson);
    root = List("or", {std::move(root), std::move(schema)});
  } else if (!tools.must_call && shape.trigger.empty()) {
    // Nothing but its beginning tells a call from words.
    root = List("or",
                {std::move(root), List("sequence", {R"({"type":"regex","pattern":"[^{\\[`\\s]"})",
                                                    R"({"type":"any_text"})"})});
  } else if (!tools.must_call) {
    const std::string begin = shape.before_all + shape.before_name;
    const size_t at = begin.find(shape.trigger);
    if (shape.before_all.empty()) {
      Parts begins;
      for (const Tool& tool : list)
        begins.push_back((begin + tool.name + shape.after_name).substr(at));
      root = FreeText(shape, begins, arguments, shape.after_arguments);
    } else {
      Parts inside = {call};
      if (many) {
        Parts next;
        Add(shape.between, &next);
        next.push_back(call);
        inside.push_back(Around("star", List("sequence", next)));
      }
      root = FreeText(shape, {shape.before_all}, {List("sequence", inside)}, shape.after_all);
    }
  }
  JsonWriter w;
  w.BeginObject().Key("type").String("structural_tag").Key("format").Raw(root).EndObject();
  return Constraint{Constraint::Kind::kStructuralTag, w.Take(), field};
}

}  // namespace lb::api
