// What a JSON schema says about the type of a property.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

namespace lb::api {

struct SchemaTypes {
  bool text = false, null = false, other = false;
};

// Of a property of `schema`, by its type, enum, const, anyOf, oneOf, allOf and $ref within
// `schema`. Nothing where the schema says nothing.
SchemaTypes TypesOfProperty(const boost::json::object& schema, std::string_view property);

}  // namespace lb::api
