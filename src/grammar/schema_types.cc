#include "grammar/schema_types.h"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "base/printable.h"
#include "grammar/formats.h"
#include "grammar/regex.h"
#include "grammar/schema_merge.h"

namespace lb::grammar {
namespace json = boost::json;
namespace {

constexpr std::array<std::string_view, 7> kTypes = {"object",  "array",   "string", "number",
                                                    "integer", "boolean", "null"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 23> kKeywords = {{
    {"minLength", "string"},
    {"maxLength", "string"},
    {"pattern", "string"},
    {"format", ""},
    {"minimum", "number"},
    {"maximum", "number"},
    {"exclusiveMinimum", "number"},
    {"exclusiveMaximum", "number"},
    {"multipleOf", "number"},
    {"items", "array"},
    {"prefixItems", "array"},
    {"additionalItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"uniqueItems", "array"},
    {"properties", "object"},
    {"patternProperties", "object"},
    {"additionalProperties", "object"},
    {"propertyNames", "object"},
    {"required", "object"},
    {"minProperties", "object"},
    {"maxProperties", "object"},
    {"type", ""},
}};
constexpr int64_t kNoLimit = -1;
constexpr int64_t kMaxLength = 20'000;  // of a string
constexpr size_t kMaxNameBytes = 1024;  // of a property
// XGrammar's own, above which it drops the keyword.
constexpr int64_t kMaxMultipleOf = 1024;
constexpr int64_t kMaxMultipleOfRange = 10'000;

Error Cannot(std::string_view keyword, std::string_view why) {
  return Fail(ErrorCode::kUnsupported, "a {} that cannot be enforced: {}", keyword, why);
}
Error Bad(std::string_view what) { return Fail(ErrorCode::kInvalidArgument, "{}", what); }

Result<int64_t> Count(const json::object& schema, std::string_view key, int64_t fallback) {
  const json::value* value = schema.if_contains(key);
  if (value == nullptr) return fallback;
  const double number = value->is_number() ? value->to_number<double>() : -1;
  if (number < 0 || number != std::floor(number) || number > 1e15) {
    return Bad(fmt::format("a {} that is no count: {}", key, Printable(json::serialize(*value))));
  }
  return static_cast<int64_t>(number);
}

Result<std::optional<double>> Bound(const json::object& schema, std::string_view key) {
  const json::value* value = schema.if_contains(key);
  if (value == nullptr || value->is_bool()) return std::optional<double>();
  if (!value->is_number()) return Bad(fmt::format("a {} that is no number", key));
  return std::optional<double>(value->to_number<double>());
}

// Draft 4 said whether `minimum` itself is out by a boolean.
bool IsTrue(const json::object& schema, std::string_view key) {
  const json::value* value = schema.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

struct Bounds {
  std::optional<double> least, most;
  bool least_out = false, most_out = false;  // the bound itself is not allowed
};

Result<Bounds> ReadBounds(const json::object& schema) {
  Bounds b;
  LB_ASSIGN_OR_RETURN(b.least, Bound(schema, "minimum"));
  LB_ASSIGN_OR_RETURN(b.most, Bound(schema, "maximum"));
  b.least_out = IsTrue(schema, "exclusiveMinimum");
  b.most_out = IsTrue(schema, "exclusiveMaximum");
  LB_ASSIGN_OR_RETURN(const auto above, Bound(schema, "exclusiveMinimum"));
  LB_ASSIGN_OR_RETURN(const auto below, Bound(schema, "exclusiveMaximum"));
  if (above && (!b.least || *above >= *b.least)) b.least = above, b.least_out = true;
  if (below && (!b.most || *below <= *b.most)) b.most = below, b.most_out = true;
  return b;
}

Result<json::object> IntegerSchema(const Bounds& bounds, std::optional<double> multiple) {
  // Doubles hold whole numbers exactly up to here.
  constexpr double kExact = 9007199254740992.0;
  json::object out{{"type", "integer"}};
  std::optional<int64_t> low, high;
  if (bounds.least) {
    const double least = std::ceil(*bounds.least);
    if (std::abs(least) > kExact) return Cannot("minimum", "integers go to 2^53 on either side");
    low = static_cast<int64_t>(least) + (bounds.least_out && least == *bounds.least ? 1 : 0);
    out["minimum"] = *low;
  }
  if (bounds.most) {
    const double most = std::floor(*bounds.most);
    if (std::abs(most) > kExact) return Cannot("maximum", "integers go to 2^53 on either side");
    high = static_cast<int64_t>(most) - (bounds.most_out && most == *bounds.most ? 1 : 0);
    out["maximum"] = *high;
  }
  if (low && high && *low > *high) return Bad("no instance: no integer lies between its bounds");
  if (!multiple || *multiple == 1) return out;
  if (*multiple > kMaxMultipleOf) {
    return Cannot("multipleOf", fmt::format("it is above {}", kMaxMultipleOf));
  }
  if (low.has_value() != high.has_value()) {
    return Cannot("multipleOf", "beside it there must be both a minimum and a maximum, or none");
  }
  if (low && *high - *low > kMaxMultipleOfRange) {
    return Cannot("multipleOf",
                  fmt::format("minimum and maximum are more than {} apart", kMaxMultipleOfRange));
  }
  out["multipleOf"] = static_cast<int64_t>(*multiple);
  return out;
}

Result<Regex> KeyPattern(std::string_view pattern, const char* keyword) {
  Result<Regex> regex = ReadRegexInJsonString(pattern);
  if (!regex.has_value()) {
    return Fail(regex.error().code, "a {} that cannot be enforced: {}", keyword,
                regex.error().message);
  }
  return regex;
}

// What propertyNames says of names: a list of them, or one pattern.
struct NameRule {
  json::array names;
  std::string pattern;
};
Result<NameRule> ReadNameRule(const json::value& schema) {
  if (!schema.is_object()) return Cannot("propertyNames", "it is no object");
  NameRule rule;
  json::object strings;
  for (const auto& [key, value] : schema.get_object()) {
    if (IsAnnotation(key) || key == "type") continue;
    if (key == "enum" && value.is_array()) {
      rule.names = value.get_array();
      continue;
    }
    if (key == "pattern" && value.is_string()) {
      rule.pattern = value.get_string();
      continue;
    }
    return Cannot("propertyNames", "only a pattern or an enum in it is");
  }
  if (!rule.names.empty() && !rule.pattern.empty()) {
    return Cannot("propertyNames", "it has both a pattern and an enum");
  }
  for (const json::value& name : rule.names) {
    if (!name.is_string()) return Bad("a propertyNames with a name that is no string");
  }
  return rule;
}

}  // namespace

bool IsTypeName(std::string_view name) {
  return std::find(kTypes.begin(), kTypes.end(), name) != kTypes.end();
}

bool IsEnforced(std::string_view keyword) {
  if (keyword == "enum" || keyword == "const") return true;
  return std::any_of(kKeywords.begin(), kKeywords.end(),
                     [&](const auto& entry) { return entry.first == keyword; });
}

std::vector<std::string> TypesOfKeywords(const json::object& schema) {
  std::vector<std::string> types;
  for (const auto& [key, unused] : schema) {
    for (const auto& [keyword, type] : kKeywords) {
      if (keyword != key || (type.empty() && keyword != "format")) continue;
      const std::string name(type.empty() ? "string" : type);
      if (std::find(types.begin(), types.end(), name) == types.end()) types.push_back(name);
    }
  }
  return types;
}

Result<json::object> StringSchema(const json::object& schema, int64_t* repeats) {
  LB_ASSIGN_OR_RETURN(const int64_t least, Count(schema, "minLength", 0));
  LB_ASSIGN_OR_RETURN(const int64_t most, Count(schema, "maxLength", kNoLimit));
  if (most != kNoLimit && most < least) return Bad("no instance: maxLength is below minLength");
  std::string pattern;
  const char* keyword = "pattern";
  if (const json::value* value = schema.if_contains("pattern")) {
    if (!value->is_string()) return Bad("a pattern that is no string");
    pattern = value->get_string();
  }
  if (const json::value* value = schema.if_contains("format")) {
    if (!value->is_string()) return Bad("a format that is no string");
    const auto of_format = FormatPattern(value->get_string());
    if (!of_format) {
      return Cannot("format", fmt::format("{} is not known", Printable(value->get_string())));
    }
    if (!of_format->empty()) {
      if (!pattern.empty()) return Cannot("format", "there is a pattern beside it");
      pattern = *of_format;
      keyword = "format";
    }
  }
  if (pattern.empty() && least == 0 && most == kNoLimit) return json::object{{"type", "string"}};
  if (pattern.empty()) {
    if (std::max(least, most) > kMaxLength) {
      return Cannot(least > kMaxLength ? "minLength" : "maxLength",
                    fmt::format("it is above {}", kMaxLength));
    }
    // Counted by XGrammar, which then has no escapes in the string.
    json::object out{{"type", "string"}};
    if (least > 0) out["minLength"] = least;
    if (most != kNoLimit) out["maxLength"] = most;
    *repeats += std::max(least, most);
    return out;
  }
  LB_ASSIGN_OR_RETURN(const Regex regex, KeyPattern(pattern, keyword));
  const bool short_enough =
      most == kNoLimit || (regex.max_chars != kNoLimit && regex.max_chars <= most);
  if (regex.min_chars < least || !short_enough) {
    return Cannot(short_enough ? "minLength" : "maxLength",
                  fmt::format("the {} beside it has texts of other lengths", keyword));
  }
  *repeats += regex.size;
  return json::object{{"type", "string"}, {"pattern", regex.text}};
}

Result<json::object> NumberSchema(const json::object& schema, bool integer) {
  LB_ASSIGN_OR_RETURN(Bounds bounds, ReadBounds(schema));
  LB_ASSIGN_OR_RETURN(std::optional<double> multiple, Bound(schema, "multipleOf"));
  if (multiple && *multiple <= 0) return Bad("a multipleOf that is not above 0");
  if (const json::value* format = schema.if_contains("format")) {
    if (!format->is_string()) return Bad("a format that is no string");
    const std::string_view name(format->get_string());
    if (name == "int32") {
      bounds.least = std::max(bounds.least.value_or(-2147483648.0), -2147483648.0);
      bounds.most = std::min(bounds.most.value_or(2147483647.0), 2147483647.0);
    } else if (name != "int64" && name != "float" && name != "double" && name != "integer" &&
               name != "number" && name != "decimal" && name != "timestamp") {
      return Cannot("format", fmt::format("{} is not known", Printable(name)));
    }
  }
  if (multiple && *multiple != std::floor(*multiple)) {
    return Cannot("multipleOf", "it is no whole number");
  }
  // Multiples of a whole number are whole numbers.
  if (integer || multiple) return IntegerSchema(bounds, multiple);
  json::object out{{"type", "number"}};
  if (bounds.least && bounds.most &&
      (*bounds.least > *bounds.most ||
       (*bounds.least == *bounds.most && (bounds.least_out || bounds.most_out)))) {
    return Bad("no instance: no number lies between its bounds");
  }
  for (const auto& bound : {bounds.least, bounds.most}) {
    if (bound && std::abs(*bound) > 1e12) return Cannot("minimum or maximum", "it is beyond 1e12");
  }
  if (bounds.least) out[bounds.least_out ? "exclusiveMinimum" : "minimum"] = *bounds.least;
  if (bounds.most) out[bounds.most_out ? "exclusiveMaximum" : "maximum"] = *bounds.most;
  return out;
}

Result<json::object> ArraySchema(const json::object& schema, int64_t* repeats,
                                 const InnerSchema& inner) {
  LB_ASSIGN_OR_RETURN(int64_t least, Count(schema, "minItems", 0));
  LB_ASSIGN_OR_RETURN(const int64_t most, Count(schema, "maxItems", kNoLimit));
  if (most != kNoLimit && most < least) return Bad("no instance: maxItems is below minItems");
  if (IsTrue(schema, "uniqueItems") && (most == kNoLimit || most > 1)) {
    return Cannot("uniqueItems", "items are not compared with each other");
  }
  const json::value* prefix = schema.if_contains("prefixItems");
  const json::value* items = schema.if_contains("items");
  if (items != nullptr && items->is_array()) {  // before 2020
    prefix = items;
    items = schema.if_contains("additionalItems");
  }
  if (prefix != nullptr && !prefix->is_array()) return Bad("prefixItems that are no list");
  json::object out{{"type", "array"}};
  json::array first;
  if (prefix != nullptr) {
    for (size_t i = 0; i < prefix->get_array().size(); ++i) {
      if (most != kNoLimit && static_cast<int64_t>(i) >= most) break;
      LB_ASSIGN_OR_RETURN(json::value item,
                          inner(prefix->get_array()[i], fmt::format("prefixItems/{}", i)));
      first.push_back(std::move(item));
    }
  }
  const auto num_first = static_cast<int64_t>(first.size());
  const bool closed = items != nullptr && items->is_bool() && !items->get_bool();
  if (closed && least > num_first) return Bad("no instance: minItems is above what items allow");
  const bool full = most != kNoLimit && num_first >= most;
  if (closed || full || (items == nullptr && num_first > 0 && least <= num_first)) {
    out["items"] = false;
  } else {
    LB_ASSIGN_OR_RETURN(json::value item,
                        inner(items == nullptr ? json::value(json::object()) : *items, "items"));
    out["items"] = std::move(item);
    if (least > 0) out["minItems"] = least;
    if (most != kNoLimit) out["maxItems"] = most;
  }
  if (num_first > 0) out["prefixItems"] = std::move(first);
  *repeats += std::max(least, std::max<int64_t>(most, 0));
  return out;
}

Result<json::object> ObjectSchema(const json::object& schema, int64_t* repeats,
                                  const InnerSchema& inner) {
  LB_ASSIGN_OR_RETURN(const int64_t least, Count(schema, "minProperties", 0));
  LB_ASSIGN_OR_RETURN(const int64_t most, Count(schema, "maxProperties", kNoLimit));
  if (most != kNoLimit && most < least)
    return Bad("no instance: maxProperties is below minProperties");
  json::object declared;
  if (const json::value* value = schema.if_contains("properties")) {
    if (!value->is_object()) return Bad("properties that are no object");
    declared = value->get_object();
  }
  const json::value* rest = schema.if_contains("additionalProperties");
  if (rest != nullptr && !rest->is_bool() && !rest->is_object()) {
    return Bad("additionalProperties that are no schema");
  }
  json::object patterns;
  if (const json::value* value = schema.if_contains("patternProperties")) {
    if (!value->is_object()) return Bad("patternProperties that are no object");
    patterns = value->get_object();
  }
  if (const json::value* value = schema.if_contains("propertyNames")) {
    LB_ASSIGN_OR_RETURN(const NameRule rule, ReadNameRule(*value));
    const bool says_something = !rule.names.empty() || !rule.pattern.empty();
    if (says_something && (!declared.empty() || !patterns.empty())) {
      return Cannot("propertyNames", "there are properties beside it");
    }
    // The same said with what is enforced.
    const json::value any = rest != nullptr ? *rest : json::value(true);
    if (says_something && !(any.is_bool() && !any.get_bool())) {
      for (const json::value& name : rule.names) declared[name.get_string()] = any;
      if (!rule.pattern.empty()) patterns[rule.pattern] = any;
      rest = nullptr;
    }
  }

  std::vector<std::string> required;
  if (const json::value* value = schema.if_contains("required")) {
    if (!value->is_array()) return Bad("a required that is no list");
    for (const json::value& name : value->get_array()) {
      if (!name.is_string()) return Bad("a required name that is no string");
      const std::string text(name.get_string());
      if (std::find(required.begin(), required.end(), text) == required.end()) {
        required.push_back(text);
      }
    }
  }
  const bool forbidden_rest = rest != nullptr && rest->is_bool() && !rest->get_bool();
  const bool undeclared_free = declared.empty() && patterns.empty() && required.empty();
  for (const std::string& name : required) {
    if (declared.contains(name)) continue;
    if (forbidden_rest) {
      return Bad(fmt::format("no instance: {} is required, and additionalProperties forbids it",
                             Printable(name)));
    }
    if (!patterns.empty()) {
      return Cannot("required", fmt::format("{} is not in properties, and may be one of "
                                            "patternProperties",
                                            Printable(name)));
    }
    declared[name] = rest != nullptr ? *rest : json::value(true);
  }

  json::object properties;
  for (const auto& [name, value] : declared) {
    if (name.size() > kMaxNameBytes) {
      return Cannot("properties", fmt::format("a name of more than {} bytes", kMaxNameBytes));
    }
    if (value.is_bool() && !value.get_bool()) {
      const bool open = rest != nullptr && !forbidden_rest;
      if (open) return Cannot("properties", "a forbidden one beside additionalProperties");
      if (std::find(required.begin(), required.end(), std::string(name)) != required.end()) {
        return Bad(fmt::format("no instance: {} is required and forbidden", Printable(name)));
      }
      continue;
    }
    LB_ASSIGN_OR_RETURN(properties[name],
                        inner(value, fmt::format("properties/{}", std::string_view(name))));
  }
  const auto num_declared = static_cast<int64_t>(properties.size());
  if (patterns.size() > 1) return Cannot("patternProperties", "there is more than one pattern");
  if (!patterns.empty() && (!properties.empty() || (rest != nullptr && !forbidden_rest))) {
    return Cannot("patternProperties", "there are properties or additionalProperties beside it");
  }

  json::object out{{"type", "object"}};
  // Counting is XGrammar's for names it makes up; of declared ones all or none can be counted.
  const bool open = patterns.empty() && !forbidden_rest &&
                    (rest != nullptr || undeclared_free || least > num_declared);
  if (!properties.empty() && (least > static_cast<int64_t>(required.size()) ||
                              (most != kNoLimit && (open || most < num_declared)))) {
    if (static_cast<int64_t>(required.size()) > most && most != kNoLimit) {
      return Bad("no instance: more properties are required than maxProperties allows");
    }
    if (open)
      return Cannot(least > 0 ? "minProperties" : "maxProperties",
                    "there are both declared and other properties");
  }
  if (!properties.empty()) out["properties"] = std::move(properties);
  if (!required.empty()) {
    json::array names;
    for (const std::string& name : required) names.emplace_back(name);
    out["required"] = std::move(names);
  }
  if (!patterns.empty()) {
    const auto& [pattern, value] = *patterns.begin();
    LB_ASSIGN_OR_RETURN(const Regex regex, KeyPattern(pattern, "patternProperties"));
    LB_ASSIGN_OR_RETURN(json::value made, inner(value, "patternProperties"));
    out["patternProperties"] = json::object{{regex.text, std::move(made)}};
    *repeats += regex.size;
  }
  if (open) {
    LB_ASSIGN_OR_RETURN(
        out["additionalProperties"],
        inner(rest == nullptr ? json::value(json::object()) : *rest, "additionalProperties"));
  } else {
    out["additionalProperties"] = false;
  }
  if (least > 0) out["minProperties"] = least;
  if (most != kNoLimit) out["maxProperties"] = most;
  *repeats += std::max(least, std::max<int64_t>(most, 0));
  return out;
}

}  // namespace lb::grammar
