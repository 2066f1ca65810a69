// JSON Schema, held to what can be kept. XGrammar compiles keywords that it then does not enforce;
// what comes out of here holds only what it does.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lb::grammar {

// Limits that no schema written by people meets; above them compiling takes seconds.
inline constexpr int kMaxSchemaDepth = 48;
inline constexpr int64_t kMaxSchemaNodes = 4'000;  // schemas in the schema, references once each
inline constexpr int64_t kMaxSchemaRepeats = 100'000;  // all lengths and counts together
inline constexpr int64_t kMaxSchemaBytes = 512 * 1024;
inline constexpr int64_t kMaxSchemaValues = 100'000;  // JSON values in the schema as it came
inline constexpr int kMaxJoined = 256;                // schemas in one allOf

// A schema whose every instance is an instance of `schema`: narrower where the grammar cannot do
// all that the schema allows (properties come in their declared order; objects that declare
// properties have no others unless additionalProperties says so; a pattern is the whole string),
// never wider. kUnsupported for a keyword, or a combination, that cannot be enforced,
// kInvalidArgument for what is no schema or has no instance; the message names keyword and place
// (#/properties/tags), `param` is `field`.
Result<std::string> NormalizeSchema(const boost::json::value& schema, std::string_view field);

}  // namespace lb::grammar
