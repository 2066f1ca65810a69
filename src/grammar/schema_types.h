// The keywords of each type of a JSON Schema, as far as they can be enforced.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lb::grammar {

bool IsTypeName(std::string_view name);
// A keyword that can be enforced, alone at least.
bool IsEnforced(std::string_view keyword);
// The types that the keywords of a schema without a type speak of; empty: any.
std::vector<std::string> TypesOfKeywords(const boost::json::object& schema);

// Each makes the schema for values of one type, with nothing in it but what XGrammar keeps.
// Keywords of other types say nothing about it. Errors name the keyword, not the place. `*repeats`
// grows by the lengths and counts.
Result<boost::json::object> StringSchema(const boost::json::object& schema, int64_t* repeats);
Result<boost::json::object> NumberSchema(const boost::json::object& schema, bool integer);

// Normalizes a schema inside; the name is its place below this one.
using InnerSchema = std::function<Result<boost::json::value>(const boost::json::value& schema,
                                                             std::string_view name)>;
Result<boost::json::object> ArraySchema(const boost::json::object& schema, int64_t* repeats,
                                        const InnerSchema& inner);
Result<boost::json::object> ObjectSchema(const boost::json::object& schema, int64_t* repeats,
                                         const InnerSchema& inner);

}  // namespace lb::grammar
