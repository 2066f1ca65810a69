#include "api/constraint_fields.h"

#include <utility>

#include "grammar/schema.h"

namespace lb::api {
namespace json = boost::json;
namespace {

using grammar::Constraint;

// A schema, or the text of one.
Result<Constraint> SchemaOrText(const json::value& value, const std::string& field) {
  if (!value.is_string()) return SchemaConstraint(value, field);
  Result<json::value> parsed = ParseJson(value.get_string());
  if (!parsed.has_value()) {
    return BadField(
        field, fmt::format("{} is a string that is no JSON: {}", field, parsed.error().message));
  }
  return SchemaConstraint(*parsed, field);
}

Result<Constraint> Choices(const json::array& list, const std::string& field) {
  // Written as a grammar: quotes and backslashes are all that means something in its strings.
  std::string root;
  for (const json::value& choice : list) {
    if (!choice.is_string() || choice.get_string().empty()) {
      return BadField(field, fmt::format("{} must be a list of strings that are not empty, not {}",
                                         field, Describe(choice)));
    }
    root += root.empty() ? "root ::= \"" : " | \"";
    for (const char c : choice.get_string()) {
      if (c == '"' || c == '\\') root += '\\';
      if (c == '\n') {
        root += "\\n";
      } else {
        root += c;
      }
    }
    root += '"';
  }
  if (root.empty()) return BadField(field, fmt::format("{} must have at least one choice", field));
  return Constraint{Constraint::Kind::kGbnf, std::move(root), field};
}

Result<Constraint> OfText(const Fields& fields, std::string_view key, Constraint::Kind kind) {
  LB_ASSIGN_OR_RETURN(auto text, fields.String(key));
  if (!text || text->empty()) return Constraint{};
  return Constraint{kind, std::move(*text), fields.Name(key)};
}

Result<Constraint> OfResponseFormat(const Fields& fields) {
  LB_ASSIGN_OR_RETURN(const auto* format, fields.Object("response_format"));
  if (format == nullptr) return Constraint{};
  const Fields inner(*format, fields.Name("response_format."));
  LB_ASSIGN_OR_RETURN(const auto type, inner.String("type"));
  if (type == "text") return Constraint{};
  if (type == "json_object") {
    const json::value* schema = inner.Find("schema");
    if (schema != nullptr) return SchemaConstraint(*schema, inner.Name("schema"));
    return Constraint{Constraint::Kind::kJsonObject, {}, inner.Name("type")};
  }
  if (type == "json_schema") {
    LB_ASSIGN_OR_RETURN(const auto* named, inner.Object("json_schema"));
    if (named == nullptr) {
      const json::value* bare = inner.Find("schema");
      if (bare == nullptr) return inner.Bad("json_schema", "an object with a schema");
      return SchemaConstraint(*bare, inner.Name("schema"));
    }
    const Fields of_schema(*named, inner.Name("json_schema."));
    const json::value* schema = of_schema.Find("schema");
    if (schema == nullptr) return of_schema.Bad("schema", "a JSON schema");
    return SchemaConstraint(*schema, of_schema.Name("schema"));
  }
  if (type == "regex") return OfText(inner, "pattern", Constraint::Kind::kRegex);
  if (type == "grammar") return OfText(inner, "grammar", Constraint::Kind::kGbnf);
  return inner.Bad("type", "\"text\", \"json_object\", \"json_schema\", \"regex\" or \"grammar\"");
}

// The names after `prefix`: "json", "regex", ...
Result<void> AddVllm(const Fields& fields, const std::string& prefix,
                     std::vector<Constraint>* out) {
  if (const json::value* schema = fields.Find(prefix + "json")) {
    LB_ASSIGN_OR_RETURN(Constraint one, SchemaOrText(*schema, fields.Name(prefix + "json")));
    out->push_back(std::move(one));
  }
  LB_ASSIGN_OR_RETURN(Constraint regex, OfText(fields, prefix + "regex", Constraint::Kind::kRegex));
  out->push_back(std::move(regex));
  LB_ASSIGN_OR_RETURN(Constraint gbnf, OfText(fields, prefix + "grammar", Constraint::Kind::kGbnf));
  out->push_back(std::move(gbnf));
  LB_ASSIGN_OR_RETURN(const auto* choices, fields.Array(prefix + "choice"));
  if (choices != nullptr) {
    LB_ASSIGN_OR_RETURN(Constraint one, Choices(*choices, fields.Name(prefix + "choice")));
    out->push_back(std::move(one));
  }
  LB_ASSIGN_OR_RETURN(const auto any, fields.Bool(prefix + "json_object"));
  if (any == true) {
    out->push_back({Constraint::Kind::kJsonObject, {}, fields.Name(prefix + "json_object")});
  }
  if (fields.Find(prefix + "structural_tag") != nullptr) {
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("{}structural_tag: only JSON schemas, grammars, expressions and choices "
                    "can be enforced",
                    prefix),
        fields.Name(prefix + "structural_tag")};
  }
  return {};
}

}  // namespace

Result<Constraint> SchemaConstraint(const json::value& schema, std::string field) {
  if (!schema.is_object() && !schema.is_bool()) {
    return BadField(field,
                    fmt::format("{} must be a JSON schema, not {}", field, Describe(schema)));
  }
  LB_ASSIGN_OR_RETURN(std::string text, grammar::NormalizeSchema(schema, field));
  return Constraint{Constraint::Kind::kJsonSchema, std::move(text), std::move(field)};
}

Result<Constraint> ParseConstraint(const Fields& fields) {
  std::vector<Constraint> all;
  LB_ASSIGN_OR_RETURN(Constraint format, OfResponseFormat(fields));
  all.push_back(std::move(format));
  LB_ASSIGN_OR_RETURN(Constraint gbnf, OfText(fields, "grammar", Constraint::Kind::kGbnf));
  all.push_back(std::move(gbnf));
  // Clients of llama.cpp's server send "{}" and "" for none.
  const json::value* schema = fields.Find("json_schema");
  if (schema != nullptr && !(schema->is_string() && schema->get_string().empty()) &&
      !(schema->is_object() && schema->get_object().empty())) {
    LB_ASSIGN_OR_RETURN(Constraint one, SchemaOrText(*schema, fields.Name("json_schema")));
    all.push_back(std::move(one));
  }
  LB_RETURN_IF_ERROR(AddVllm(fields, "guided_", &all));
  LB_ASSIGN_OR_RETURN(const auto* outputs, fields.Object("structured_outputs"));
  if (outputs != nullptr) {
    LB_RETURN_IF_ERROR(AddVllm(Fields(*outputs, fields.Name("structured_outputs.")), "", &all));
  }
  LB_ASSIGN_OR_RETURN(const auto lazy, fields.Bool("grammar_lazy"));
  if (lazy == true) {
    return Error{ErrorCode::kUnsupported,
                 "grammar_lazy: a grammar holds from the beginning of the answer",
                 fields.Name("grammar_lazy")};
  }
  Constraint found;
  for (Constraint& one : all) {
    if (one.kind == Constraint::Kind::kNone) continue;
    if (found.kind != Constraint::Kind::kNone) {
      return BadField(one.field,
                      fmt::format("{} and {} both say what the answer must be: only one may",
                                  found.field, one.field));
    }
    found = std::move(one);
  }
  return found;
}

}  // namespace lb::api
