// Two schemas that must both hold, as one.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lb::grammar {

// Says nothing about which values are instances: title, description, ... and unknown "x-" keys.
bool IsAnnotation(std::string_view keyword);

// Exactly the instances of both. No $ref at the top of either. kUnsupported where the two cannot
// become one schema (two patterns, say), naming the keyword.
Result<boost::json::object> MergeSchemas(const boost::json::object& a,
                                         const boost::json::object& b);

// No value can be an instance of both; false: one may be.
bool AreDisjoint(const boost::json::object& a, const boost::json::object& b);

// Whether a value is of a JSON Schema type ("integer": also 2.0).
bool IsOfType(const boost::json::value& value, std::string_view type);

}  // namespace lb::grammar
