#include "grammar/schema.h"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <set>
#include <vector>

#include "base/printable.h"
#include "grammar/schema_merge.h"
#include "grammar/schema_types.h"

namespace lb::grammar {
namespace json = boost::json;
namespace {

std::string Below(const std::string& path, std::string_view name) {
  return path + "/" + Printable(name);
}

// Adds the values in `value` to `*count`, and stops above the limit.
void CountValues(const json::value& value, int64_t* count) {
  if (++*count > kMaxSchemaValues) return;
  if (value.is_array()) {
    for (const json::value& one : value.get_array()) CountValues(one, count);
  } else if (value.is_object()) {
    for (const auto& [key, one] : value.get_object()) CountValues(one, count);
  }
}

class Normalizer {
 public:
  explicit Normalizer(const json::value& root) : root_(root) {}

  Result<json::value> Root() {
    LB_ASSIGN_OR_RETURN(json::value out, Node(root_, "#", 0));
    FindFinite();
    if (!IsFinite(out)) {
      return Fail(ErrorCode::kInvalidArgument,
                  "the schema has no finite instance: it needs itself within itself");
    }
    if (defs_.empty()) return out;
    if (!out.is_object()) return out;
    out.get_object()["$defs"] = defs_;
    return out;
  }

 private:
  Error Cannot(std::string_view keyword, const std::string& path, std::string_view why = "") const {
    return Fail(ErrorCode::kUnsupported, "the schema keyword {} at {} cannot be enforced{}{}",
                Printable(keyword), path, why.empty() ? "" : ": ", why);
  }
  Error Bad(const std::string& path, std::string_view what) const {
    return Fail(ErrorCode::kInvalidArgument, "the schema at {} {}", path, what);
  }
  // The error of a part, told with its place.
  static Error At(Error error, const std::string& path) {
    error.message = fmt::format("the schema at {} has {}", path, error.message);
    return error;
  }

  Result<json::value> Node(const json::value& schema, const std::string& path, int depth) {
    if (depth > kMaxSchemaDepth) {
      return Fail(ErrorCode::kUnsupported, "the schema is nested more than {} deep at {}",
                  kMaxSchemaDepth, path);
    }
    if (++nodes_ > kMaxSchemaNodes) {
      return Fail(ErrorCode::kUnsupported, "the schema has more than {} schemas in it",
                  kMaxSchemaNodes);
    }
    if (schema.is_bool()) {
      if (!schema.get_bool()) return Bad(path, "is false: nothing is an instance of it");
      return json::value(json::object());
    }
    if (!schema.is_object()) return Bad(path, "is neither an object nor a boolean");
    return Object(schema.get_object(), path, depth);
  }

  Result<json::value> Object(const json::object& schema, const std::string& path, int depth) {
    json::object rest;  // what says something
    for (const auto& [key, value] : schema) {
      if (key == "$id" && path != "#") return Cannot(key, path, "only the root may have one");
      if (!IsAnnotation(key)) rest[key] = value;
    }
    if (rest.contains("$ref")) return Reference(rest, path, depth);
    if (const json::value* all = rest.if_contains("allOf")) {
      if (!all->is_array() || all->get_array().empty()) {
        return Bad(path, "has an allOf that is no list of schemas");
      }
      if (all->get_array().size() > kMaxJoined) {
        return Cannot("allOf", path, fmt::format("it has more than {} schemas", kMaxJoined));
      }
      json::object merged = rest;
      merged.erase("allOf");
      for (const json::value& one : all->get_array()) {
        LB_ASSIGN_OR_RETURN(const json::object part, Resolved(one, path + "/allOf", depth));
        LB_ASSIGN_OR_RETURN(merged, Merged(merged, part, path + "/allOf"));
      }
      return Again(merged, path, depth);
    }
    for (const char* key : {"anyOf", "oneOf"}) {
      if (rest.contains(key)) return Alternatives(rest, key, path, depth);
    }
    for (const auto& [key, value] : rest) {
      if (!IsEnforced(key)) return Cannot(key, path);
    }
    if (rest.contains("const") || rest.contains("enum")) return Values(rest, path);
    return Typed(rest, path, depth);
  }

  Result<json::value> Again(const json::object& schema, const std::string& path, int depth) {
    return Node(json::value(schema), path, depth + 1);
  }

  Result<json::object> Merged(const json::object& a, const json::object& b,
                              const std::string& path) {
    Result<json::object> both = MergeSchemas(a, b);
    if (!both.has_value()) return At(both.error(), path);
    return both;
  }

  // The schema that a local pointer names.
  Result<const json::value*> Target(const json::object& schema, const std::string& path) const {
    const json::value& ref = schema.at("$ref");
    if (!ref.is_string()) return Bad(path, "has a $ref that is no string");
    const std::string_view uri(ref.get_string());
    if (uri != "#" && !uri.starts_with("#/")) {
      return Cannot("$ref", path,
                    fmt::format("{} is not in this schema; only #/... is", Printable(uri)));
    }
    const json::value* at = &root_;
    std::string_view left = uri.substr(1);
    while (!left.empty()) {
      left.remove_prefix(1);
      const size_t end = std::min(left.find('/'), left.size());
      std::string name;
      for (size_t i = 0; i < end; ++i) {
        if (left[i] == '%') return Cannot("$ref", path, "escapes with % are not read");
        if (left[i] == '~' && i + 1 < end) {
          name += left[++i] == '1' ? '/' : '~';
        } else {
          name += left[i];
        }
      }
      left.remove_prefix(end);
      const json::value* next = nullptr;
      if (at->is_object()) next = at->get_object().if_contains(name);
      if (at->is_array() && !name.empty() && name.size() < 6 &&
          name.find_first_not_of("0123456789") == std::string::npos) {
        next = at->get_array().if_contains(static_cast<size_t>(std::stoul(name)));
      }
      if (next == nullptr) {
        return Bad(path, fmt::format("refers to {}, which is not there", Printable(uri)));
      }
      at = next;
    }
    return at;
  }

  Result<json::value> Reference(const json::object& schema, const std::string& path, int depth) {
    if (schema.size() > 1) {
      // Both must hold: as if it were in an allOf.
      json::object others = schema;
      others.erase("$ref");
      LB_ASSIGN_OR_RETURN(const json::object target, Resolved(json::value(schema), path, depth));
      LB_ASSIGN_OR_RETURN(const json::object both, Merged(target, others, path));
      return Again(both, path, depth);
    }
    LB_ASSIGN_OR_RETURN(const json::value* target, Target(schema, path));
    const auto [it, is_new] = names_.try_emplace(target, fmt::format("d{}", names_.size()));
    const std::string name = it->second;
    if (is_new) {
      const std::string_view uri(schema.at("$ref").get_string());
      LB_ASSIGN_OR_RETURN(json::value made, Node(*target, Printable(uri), depth + 1));
      defs_[name] = std::move(made);
    }
    return json::value(json::object{{"$ref", "#/$defs/" + name}});
  }

  // Follows references until there is a schema without one at its top.
  Result<json::object> Resolved(const json::value& schema, const std::string& path, int depth) {
    const json::value* at = &schema;
    json::object out;
    for (int i = 0; i < kMaxSchemaDepth; ++i) {
      if (at->is_bool() && at->get_bool()) return out;
      if (!at->is_object()) return Bad(path, "is no schema that others can be joined with");
      json::object others = at->get_object();
      others.erase("$ref");
      LB_ASSIGN_OR_RETURN(out, Merged(out, others, path));
      if (!at->get_object().contains("$ref")) return out;
      LB_ASSIGN_OR_RETURN(at, Target(at->get_object(), path));
    }
    return Cannot("$ref", path, "it refers to itself");
  }

  Result<json::value> Alternatives(const json::object& schema, std::string_view key,
                                   const std::string& path, int depth) {
    const json::value& list = schema.at(key);
    if (!list.is_array() || list.get_array().empty()) {
      return Bad(path, fmt::format("has an {} that is no list of schemas", key));
    }
    json::object others = schema;
    others.erase(key);
    json::array out;
    std::vector<json::object> branches;
    for (size_t i = 0; i < list.get_array().size(); ++i) {
      const std::string at = fmt::format("{}/{}/{}", path, key, i);
      const json::value& branch = list.get_array()[i];
      if (branch.is_bool() && !branch.get_bool()) continue;
      if (key == "oneOf" || !others.empty()) {
        LB_ASSIGN_OR_RETURN(json::object resolved, Resolved(branch, at, depth));
        LB_ASSIGN_OR_RETURN(resolved, Merged(resolved, others, at));
        branches.push_back(std::move(resolved));
      }
      // A branch of its own can stay a reference.
      const json::value whole = others.empty() ? branch : json::value(branches.back());
      const json::value* type =
          whole.is_object() ? whole.get_object().if_contains("type") : nullptr;
      if (type != nullptr && type->is_array() && type->get_array().empty()) continue;
      LB_ASSIGN_OR_RETURN(json::value made, Node(whole, at, depth + 1));
      out.push_back(std::move(made));
    }
    if (key == "oneOf") {
      for (size_t i = 0; i < branches.size(); ++i) {
        for (size_t k = 0; k < i; ++k) {
          if (AreDisjoint(branches[k], branches[i])) continue;
          return Cannot("oneOf", path,
                        fmt::format("a value may be an instance of both branch {} and branch {}; "
                                    "anyOf would allow that",
                                    k, i));
        }
      }
    }
    if (out.empty()) return Bad(path, "has no instance");
    return json::value(json::object{{"anyOf", std::move(out)}});
  }

  Result<json::value> Values(const json::object& schema, const std::string& path) {
    json::array values;
    const json::value* list = schema.if_contains("enum");
    if (list != nullptr) {
      if (!list->is_array()) return Bad(path, "has an enum that is no list");
      values = list->get_array();
    }
    if (const json::value* one = schema.if_contains("const")) {
      if (list != nullptr && std::find(values.begin(), values.end(), *one) == values.end()) {
        values.clear();
      } else {
        values = {*one};
      }
    }
    std::vector<std::string> types;
    LB_RETURN_IF_ERROR(ReadTypes(schema, path, &types));
    json::array kept;
    for (const json::value& value : values) {
      const bool fits =
          types.empty() || std::any_of(types.begin(), types.end(),
                                       [&](const auto& t) { return IsOfType(value, t); });
      if (fits && std::find(kept.begin(), kept.end(), value) == kept.end()) kept.push_back(value);
    }
    for (const auto& [key, unused] : schema) {
      if (key == "enum" || key == "const" || key == "type") continue;
      return Cannot(key, path, "beside enum or const");
    }
    if (kept.empty()) return Bad(path, "has no instance: no value of its enum fits");
    nodes_ += static_cast<int64_t>(kept.size());
    return json::value(json::object{{"enum", std::move(kept)}});
  }

  Result<void> ReadTypes(const json::object& schema, const std::string& path,
                         std::vector<std::string>* types) const {
    const json::value* type = schema.if_contains("type");
    if (type == nullptr) return {};
    const auto add = [&](const json::value& one) -> Result<void> {
      if (!one.is_string() || !IsTypeName(one.get_string())) {
        return Bad(path, fmt::format("has the type {}, which is none of JSON Schema",
                                     Printable(json::serialize(one))));
      }
      types->emplace_back(one.get_string());
      return {};
    };
    if (!type->is_array()) return add(*type);
    if (type->get_array().empty()) return Bad(path, "has no instance: no type fits");
    for (const json::value& one : type->get_array()) LB_RETURN_IF_ERROR(add(one));
    return {};
  }

  Result<json::value> Typed(const json::object& schema, const std::string& path, int depth) {
    std::vector<std::string> types;
    LB_RETURN_IF_ERROR(ReadTypes(schema, path, &types));
    if (types.empty()) types = TypesOfKeywords(schema);
    if (types.empty()) return json::value(json::object());  // anything
    json::array branches;
    for (const std::string& type : types) {
      LB_ASSIGN_OR_RETURN(json::value branch, OfType(schema, type, path, depth));
      branches.push_back(std::move(branch));
    }
    if (branches.size() == 1) return std::move(branches.front());
    return json::value(json::object{{"anyOf", std::move(branches)}});
  }

  Result<json::value> OfType(const json::object& schema, std::string_view type,
                             const std::string& path, int depth) {
    Result<json::object> out = json::object();
    if (type == "string") {
      out = StringSchema(schema, &repeats_);
    } else if (type == "integer" || type == "number") {
      out = NumberSchema(schema, type == "integer");
    } else if (type == "array") {
      out = ArraySchema(schema, &repeats_, [&](const json::value& part, std::string_view name) {
        return Node(part, Below(path, name), depth + 1);
      });
    } else if (type == "object") {
      out = ObjectSchema(schema, &repeats_, [&](const json::value& part, std::string_view name) {
        return Node(part, Below(path, name), depth + 1);
      });
    } else {
      out = json::object{{"type", type}};
    }
    if (!out.has_value()) {
      Error error = out.error();
      // Errors of schemas inside have their place already.
      if (error.message.find(" at #") == std::string::npos) error = At(std::move(error), path);
      return error;
    }
    if (repeats_ > kMaxSchemaRepeats) {
      return Fail(
          ErrorCode::kUnsupported,
          "the lengths and counts of the schema come to {} at {}; at most {} together can be "
          "enforced",
          repeats_, path, kMaxSchemaRepeats);
    }
    return json::value(std::move(out).value());
  }

  // Whether a normalized schema has an instance that ends, as far as those in finite_ are known to.
  bool IsFinite(const json::value& schema) const {
    if (!schema.is_object()) return true;
    const json::object& object = schema.get_object();
    if (const json::value* ref = object.if_contains("$ref")) {
      return finite_.contains(std::string(ref->get_string()).substr(8));
    }
    if (const json::value* any = object.if_contains("anyOf")) {
      const json::array& branches = any->get_array();
      return std::any_of(branches.begin(), branches.end(),
                         [&](const json::value& branch) { return IsFinite(branch); });
    }
    if (const json::value* required = object.if_contains("required")) {
      for (const json::value& name : required->get_array()) {
        if (!IsFinite(object.at("properties").at(name.get_string()))) return false;
      }
    }
    const json::value* least = object.if_contains("minItems");
    const json::value* items = object.if_contains("items");
    if (least != nullptr && items != nullptr && least->get_int64() > 0 && !IsFinite(*items)) {
      return false;
    }
    if (const json::value* prefix = object.if_contains("prefixItems")) {
      for (const json::value& item : prefix->get_array()) {
        if (!IsFinite(item)) return false;
      }
    }
    return true;
  }

  // Grows finite_ until nothing is added.
  void FindFinite() {
    size_t before = 0;
    do {
      before = finite_.size();
      for (const auto& [name, schema] : defs_) {
        if (IsFinite(schema)) finite_.insert(std::string(name));
      }
    } while (finite_.size() > before);
  }

  const json::value& root_;
  std::map<const json::value*, std::string> names_;  // of what is referred to
  json::object defs_;
  std::set<std::string> finite_;  // of defs_, those known to have an instance that ends
  int64_t nodes_ = 0, repeats_ = 0;
};

}  // namespace

Result<std::string> NormalizeSchema(const json::value& schema, std::string_view field) {
  int64_t values = 0;
  CountValues(schema, &values);
  if (values > kMaxSchemaValues) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("the schema has more than {} JSON values in it", kMaxSchemaValues),
                 std::string(field)};
  }
  Result<json::value> out = Normalizer(schema).Root();
  if (!out.has_value()) {
    Error error = out.error();
    error.param = field;
    return error;
  }
  std::string text = json::serialize(*out);
  if (static_cast<int64_t>(text.size()) > kMaxSchemaBytes) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("the schema is {} bytes long; at most {} can be enforced", text.size(),
                             kMaxSchemaBytes),
                 std::string(field)};
  }
  return text;
}

}  // namespace lb::grammar
