#include "api/tools/schema_types.h"

#include <boost/json/value.hpp>

namespace lb::api {
namespace json = boost::json;
namespace {

// Schemas looked at for one property: one that goes round in circles says nothing more.
constexpr int kMaxVisits = 256;

const json::value* Get(const json::object& object, std::string_view key) {
  return object.if_contains(key);
}

void AddName(std::string_view type, SchemaTypes* types) {
  if (type == "string") {
    types->text = true;
  } else if (type == "null") {
    types->null = true;
  } else {
    types->other = true;
  }
}

void AddValue(const json::value& value, SchemaTypes* types) {
  AddName(value.is_string() ? "string" : value.is_null() ? "null" : "other", types);
}

// "#/$defs/NAME" and the like.
const json::value* Resolve(const json::object& root, std::string_view path) {
  if (!path.starts_with("#/")) return nullptr;
  const json::object* object = &root;
  path.remove_prefix(2);
  while (object != nullptr) {
    const size_t slash = path.find('/');
    const json::value* at = Get(*object, path.substr(0, slash));
    if (at == nullptr || slash == std::string_view::npos) return at;
    object = at->if_object();
    path.remove_prefix(slash + 1);
  }
  return nullptr;
}

void Add(const json::object& root, const json::value& schema, int* visits, SchemaTypes* types) {
  const json::object* object = schema.if_object();
  if (object == nullptr || ++*visits > kMaxVisits) return;
  if (const json::value* type = Get(*object, "type")) {
    if (type->is_string()) AddName(type->get_string(), types);
    if (type->is_array()) {
      for (const json::value& one : type->get_array()) {
        if (one.is_string()) AddName(one.get_string(), types);
      }
    }
    return;
  }
  if (const json::value* one = Get(*object, "const")) AddValue(*one, types);
  if (const json::value* list = Get(*object, "enum"); list != nullptr && list->is_array()) {
    for (const json::value& one : list->get_array()) AddValue(one, types);
  }
  for (const char* key : {"anyOf", "oneOf", "allOf"}) {
    const json::value* list = Get(*object, key);
    if (list == nullptr || !list->is_array()) continue;
    for (const json::value& one : list->get_array()) Add(root, one, visits, types);
  }
  if (const json::value* ref = Get(*object, "$ref"); ref != nullptr && ref->is_string()) {
    if (const json::value* found = Resolve(root, ref->get_string())) {
      Add(root, *found, visits, types);
    }
  }
}

}  // namespace

SchemaTypes TypesOfProperty(const json::object& schema, std::string_view property) {
  SchemaTypes types;
  const json::value* properties = Get(schema, "properties");
  if (properties == nullptr || !properties->is_object()) return types;
  if (const json::value* one = Get(properties->get_object(), property)) {
    int visits = 0;
    Add(schema, *one, &visits, &types);
  }
  return types;
}

}  // namespace lb::api
