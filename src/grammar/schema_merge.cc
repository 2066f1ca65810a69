#include "grammar/schema_merge.h"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <set>
#include <vector>

#include "base/printable.h"

namespace lb::grammar {
namespace json = boost::json;
namespace {

constexpr std::array<std::string_view, 22> kAnnotations = {
    "title",           "description", "default",
    "examples",        "example",     "deprecated",
    "readOnly",        "writeOnly",   "$comment",
    "$schema",         "$id",         "id",
    "$anchor",         "$defs",       "definitions",
    "contentEncoding", "nullable",    "discriminator",
    "externalDocs",    "xml",         "contentMediaType",
    "strict"};

Error CannotMerge(std::string_view keyword) {
  return Fail(ErrorCode::kUnsupported, "two schemas that must both hold, each with its own {}",
              Printable(keyword));
}

std::vector<std::string> TypesOf(const json::object& schema) {
  std::vector<std::string> types;
  const json::value* type = schema.if_contains("type");
  if (type == nullptr) return types;
  if (type->is_string()) types.emplace_back(type->get_string());
  if (type->is_array()) {
    for (const json::value& one : type->get_array()) {
      if (one.is_string()) types.emplace_back(one.get_string());
    }
  }
  return types;
}

json::value MergeTypes(const json::object& a, const json::object& b) {
  json::array both;
  const auto add = [&](std::string_view type) {
    for (const json::value& there : both) {
      if (there.as_string() == type) return;
    }
    both.emplace_back(type);
  };
  for (const std::string& x : TypesOf(a)) {
    for (const std::string& y : TypesOf(b)) {
      if (x == y) add(x);
      if ((x == "integer" && y == "number") || (x == "number" && y == "integer")) add("integer");
    }
  }
  return both;
}

// Keywords of which the larger (or smaller) of two numbers holds for both.
bool TakesLarger(std::string_view key) {
  return key == "minimum" || key == "exclusiveMinimum" || key == "minLength" || key == "minItems" ||
         key == "minProperties";
}
bool TakesSmaller(std::string_view key) {
  return key == "maximum" || key == "exclusiveMaximum" || key == "maxLength" || key == "maxItems" ||
         key == "maxProperties";
}

json::array BothEnums(const json::array& a, const json::array& b) {
  json::array out;
  for (const json::value& value : a) {
    if (std::find(b.begin(), b.end(), value) != b.end()) out.push_back(value);
  }
  return out;
}

json::value BothSchemas(const json::value& a, const json::value& b) {
  if (a == b) return a;
  return json::object{{"allOf", json::array{a, b}}};
}

bool IsOpen(const json::object& schema) {
  const json::value* rest = schema.if_contains("additionalProperties");
  return rest == nullptr || (rest->is_bool() && rest->get_bool()) ||
         (rest->is_object() && rest->get_object().empty());
}

// What `closed` says of undeclared properties must hold for those that only `other` declares.
Result<void> CheckClosed(const json::object& closed, const json::object& other) {
  if (IsOpen(closed)) return {};
  const json::value* theirs = other.if_contains("properties");
  if (other.contains("patternProperties")) return CannotMerge("patternProperties");
  if (theirs == nullptr || !theirs->is_object()) return {};
  const json::value* ours = closed.if_contains("properties");
  for (const auto& [name, unused] : theirs->get_object()) {
    if (ours == nullptr || !ours->is_object() || !ours->get_object().contains(name)) {
      return CannotMerge("additionalProperties");
    }
  }
  return {};
}

// The values that a schema names one by one; empty: it does not.
json::array Values(const json::object& schema) {
  if (const json::value* value = schema.if_contains("const")) return {*value};
  const json::value* values = schema.if_contains("enum");
  return values != nullptr && values->is_array() ? values->get_array() : json::array();
}

}  // namespace

bool IsAnnotation(std::string_view keyword) {
  return keyword.starts_with("x-") ||
         std::find(kAnnotations.begin(), kAnnotations.end(), keyword) != kAnnotations.end();
}

bool IsOfType(const json::value& value, std::string_view type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_bool();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  if (type == "number") return value.is_number();
  if (type != "integer") return false;
  return value.is_int64() || value.is_uint64() ||
         (value.is_double() && value.get_double() == std::floor(value.get_double()));
}

Result<json::object> MergeSchemas(const json::object& a, const json::object& b) {
  LB_RETURN_IF_ERROR(CheckClosed(a, b));
  LB_RETURN_IF_ERROR(CheckClosed(b, a));
  json::object out;
  for (const auto& [key, value] : a) {
    if (!IsAnnotation(key)) out[key] = value;
  }
  for (const auto& [key, theirs] : b) {
    if (IsAnnotation(key)) continue;
    json::value* ours = out.if_contains(key);
    if (ours == nullptr) {
      out[key] = theirs;
    } else if (*ours == theirs) {
      continue;
    } else if (key == "type") {
      *ours = MergeTypes(a, b);
    } else if (key == "allOf" && ours->is_array() && theirs.is_array()) {
      for (const json::value& one : theirs.get_array()) ours->get_array().push_back(one);
    } else if (key == "required" && ours->is_array() && theirs.is_array()) {
      for (const json::value& name : theirs.get_array()) {
        json::array& names = ours->get_array();
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      }
    } else if (key == "properties" && ours->is_object() && theirs.is_object()) {
      for (const auto& [name, schema] : theirs.get_object()) {
        json::value* there = ours->get_object().if_contains(name);
        if (there == nullptr) {
          ours->get_object()[name] = schema;
        } else {
          *there = BothSchemas(*there, schema);
        }
      }
    } else if (key == "items" || key == "additionalProperties" || key == "propertyNames") {
      *ours = BothSchemas(*ours, theirs);
    } else if ((TakesLarger(key) || TakesSmaller(key)) && ours->is_number() && theirs.is_number()) {
      const bool replace =
          (theirs.to_number<double>() > ours->to_number<double>()) == TakesLarger(key);
      if (replace) *ours = theirs;
    } else if (key == "enum" && ours->is_array() && theirs.is_array()) {
      *ours = BothEnums(ours->get_array(), theirs.get_array());
    } else if (key == "uniqueItems" && ours->is_bool() && theirs.is_bool()) {
      *ours = true;
    } else {
      return CannotMerge(key);
    }
  }
  return out;
}

bool AreDisjoint(const json::object& a, const json::object& b) {
  const json::array values_a = Values(a), values_b = Values(b);
  if (!values_a.empty() && !values_b.empty()) return BothEnums(values_a, values_b).empty();
  const std::vector<std::string> types_a = TypesOf(a), types_b = TypesOf(b);
  const auto none_of = [](const json::array& values, const std::vector<std::string>& types) {
    return !types.empty() &&
           std::none_of(values.begin(), values.end(), [&](const json::value& value) {
             return std::any_of(types.begin(), types.end(),
                                [&](const std::string& type) { return IsOfType(value, type); });
           });
  };
  if (!values_a.empty()) return none_of(values_a, types_b);
  if (!values_b.empty()) return none_of(values_b, types_a);
  if (types_a.empty() || types_b.empty()) return false;
  if (MergeTypes(a, b).as_array().empty()) return true;
  // Objects that a required property tells apart.
  if (types_a != std::vector<std::string>{"object"} || types_b != types_a) return false;
  const auto part = [](const json::object& schema, std::string_view key) -> const json::value* {
    return schema.if_contains(key);
  };
  const json::value *of_a = part(a, "properties"), *of_b = part(b, "properties");
  const json::value *needs_a = part(a, "required"), *needs_b = part(b, "required");
  if (!of_a || !of_b || !needs_a || !needs_b) return false;
  for (const json::value& name : needs_a->as_array()) {
    const json::array& theirs = needs_b->as_array();
    if (std::find(theirs.begin(), theirs.end(), name) == theirs.end()) continue;
    const json::value* x = of_a->as_object().if_contains(name.as_string());
    const json::value* y = of_b->as_object().if_contains(name.as_string());
    if (x && y && x->is_object() && y->is_object() &&
        AreDisjoint(x->get_object(), y->get_object())) {
      return true;
    }
  }
  return false;
}

}  // namespace lb::grammar
