#include "api/tools/tool_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/printable.h"

namespace lb::api {
namespace json = boost::json;
namespace {

constexpr size_t kMaxNameBytes = 64;  // OpenAI's

Result<std::string> ParseName(const Fields& function) {
  LB_ASSIGN_OR_RETURN(const auto name, function.String("name"));
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  if (!name || name->empty() || name->size() > kMaxNameBytes ||
      !std::all_of(name->begin(), name->end(), allowed)) {
    return function.Bad("name", "1 to 64 letters, digits, underscores and hyphens");
  }
  return *name;
}

// The parts of a schema that templates and parsers look at themselves.
Result<void> CheckParameters(const json::object& schema, const std::string& at) {
  const Fields fields(schema, at + ".");
  const json::value* type = fields.Find("type");
  if (type != nullptr && !(type->is_string() && type->get_string() == "object")) {
    return fields.Bad("type", "\"object\"");
  }
  LB_ASSIGN_OR_RETURN(const auto* properties, fields.Object("properties"));
  if (properties != nullptr) {
    for (const auto& [key, value] : *properties) {
      if (value.is_object() || value.is_bool()) continue;
      const std::string name = fmt::format("{}.properties.{}", at, Printable(key, 100));
      return BadField(name, fmt::format("{} must be a schema, not {}", name, Describe(value)));
    }
  }
  LB_ASSIGN_OR_RETURN(const auto* required, fields.Array("required"));
  if (required != nullptr) {
    for (const json::value& name : *required) {
      if (!name.is_string()) return fields.Bad("required", "a list of strings");
    }
  }
  return {};
}

Result<Tool> ParseTool(const json::value& value, const std::string& at) {
  LB_ASSIGN_OR_RETURN(const Fields fields, ObjectAt(value, at));
  LB_ASSIGN_OR_RETURN(const auto type, fields.String("type"));
  if (type && *type != "function") {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{}.type: only tools of type \"function\" can be called here, not {}",
                             at, Describe(*fields.Find("type"))),
                 at + ".type"};
  }
  LB_ASSIGN_OR_RETURN(const auto* function, fields.Object("function"));
  if (function == nullptr) return fields.Bad("function", "an object");
  const Fields inner(*function, at + ".function.");
  Tool tool;
  LB_ASSIGN_OR_RETURN(tool.name, ParseName(inner));
  LB_RETURN_IF_ERROR(inner.String("description"));
  LB_RETURN_IF_ERROR(inner.Read("strict", &tool.strict));
  LB_ASSIGN_OR_RETURN(const auto* parameters, inner.Object("parameters"));
  if (parameters != nullptr) {
    LB_RETURN_IF_ERROR(CheckParameters(*parameters, inner.Name("parameters")));
    tool.parameters = *parameters;
  }
  tool.field = inner.Name("parameters");
  return tool;
}

// The name in {type, function: {name}}, or as the Responses API has it, {type, name}.
Result<std::string> ChosenName(const Fields& choice) {
  LB_ASSIGN_OR_RETURN(const auto* function, choice.Object("function"));
  LB_ASSIGN_OR_RETURN(const auto name,
                      function != nullptr
                          ? Fields(*function, choice.Name("function.")).String("name")
                          : choice.String("name"));
  if (!name) return choice.Bad("function", "an object with a name");
  return *name;
}

Result<Tool> FindChosen(const ToolSet& set, const std::string& name, const std::string& field) {
  const Tool* tool = set.Find(name);
  if (tool != nullptr) return *tool;
  return BadField(
      field, fmt::format("{} names the function \"{}\", which is not among the {} tools", field,
                         Printable(name, 100), set.tools().size()));
}

// {type: "allowed_tools", allowed_tools: {mode, tools}}: some of the tools.
Result<void> ParseAllowed(const Fields& choice, ToolOptions* options) {
  LB_ASSIGN_OR_RETURN(const auto* allowed, choice.Object("allowed_tools"));
  if (allowed == nullptr) return choice.Bad("allowed_tools", "an object");
  const Fields fields(*allowed, choice.Name("allowed_tools."));
  LB_ASSIGN_OR_RETURN(const auto mode, fields.String("mode"));
  if (!mode || (*mode != "auto" && *mode != "required")) {
    return fields.Bad("mode", "\"auto\" or \"required\"");
  }
  options->must_call = *mode == "required";
  LB_ASSIGN_OR_RETURN(const auto* tools, fields.Array("tools"));
  if (tools == nullptr || tools->empty()) return fields.Bad("tools", "a list of tools");
  std::vector<Tool> chosen;
  for (size_t i = 0; i < tools->size(); ++i) {
    const std::string at = fmt::format("{}[{}]", fields.Name("tools"), i);
    if (!(*tools)[i].is_object()) return fields.Bad("tools", "a list of objects");
    LB_ASSIGN_OR_RETURN(const std::string name,
                        ChosenName(Fields((*tools)[i].get_object(), at + ".")));
    LB_ASSIGN_OR_RETURN(Tool tool, FindChosen(options->set, name, at));
    chosen.push_back(std::move(tool));
  }
  options->set = ToolSet(std::move(chosen));
  return {};
}

Result<void> ParseChoice(const Fields& fields, ToolOptions* options) {
  const json::value* choice = fields.Find("tool_choice");
  if (choice == nullptr) return {};
  if (choice->is_string()) {
    const std::string_view word = choice->get_string();
    if (word == "none") {
      *options = {};
      return {};
    }
    if (word == "auto" || word == "required") {
      options->must_call = word == "required";
    } else {
      return fields.Bad("tool_choice", "\"none\", \"auto\", \"required\" or an object");
    }
  } else if (choice->is_object()) {
    const Fields object(choice->get_object(), "tool_choice.");
    LB_ASSIGN_OR_RETURN(const auto type, object.String("type"));
    if (type == "allowed_tools") return ParseAllowed(object, options);
    if (type && *type != "function") return object.Bad("type", "\"function\" or \"allowed_tools\"");
    LB_ASSIGN_OR_RETURN(const std::string name, ChosenName(object));
    LB_ASSIGN_OR_RETURN(Tool tool, FindChosen(options->set, name, "tool_choice"));
    options->must_call = true;
    options->set = ToolSet({std::move(tool)});
  } else {
    return fields.Bad("tool_choice", "\"none\", \"auto\", \"required\" or an object");
  }
  if (options->must_call && options->set.empty()) {
    return BadField("tool_choice", "tool_choice \"required\" needs tools");
  }
  return {};
}

}  // namespace

const Tool* ToolSet::Find(std::string_view name) const {
  for (const Tool& tool : tools_) {
    if (tool.name == name) return &tool;
  }
  return nullptr;
}

Result<ToolOptions> ToolsOf(const json::array& tools) {
  ToolOptions options;
  if (tools.empty()) return options;
  std::vector<Tool> list;
  std::unordered_map<std::string, size_t> seen;
  for (size_t i = 0; i < tools.size(); ++i) {
    const std::string at = fmt::format("tools[{}]", i);
    LB_ASSIGN_OR_RETURN(Tool tool, ParseTool(tools[i], at));
    const auto [other, fresh] = seen.emplace(tool.name, i);
    if (!fresh) {
      return BadField(at + ".function.name",
                      fmt::format("{}.function.name is \"{}\", which tools[{}] has already", at,
                                  tool.name, other->second));
    }
    list.push_back(std::move(tool));
  }
  options.set = ToolSet(std::move(list));
  options.shown = tools;
  return options;
}

Result<ToolOptions> ParseTools(const Fields& fields) {
  ToolOptions options;
  LB_ASSIGN_OR_RETURN(const auto* tools, fields.Array("tools"));
  if (tools != nullptr) {
    LB_ASSIGN_OR_RETURN(options, ToolsOf(*tools));
  }
  LB_RETURN_IF_ERROR(fields.Read("parallel_tool_calls", &options.parallel));
  LB_RETURN_IF_ERROR(ParseChoice(fields, &options));
  return options;
}

}  // namespace lb::api
