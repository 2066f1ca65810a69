// What a request says its answer must be: response_format (OpenAI), grammar and json_schema
// (llama.cpp), structured_outputs and guided_* (vLLM).
#pragma once

#include "api/json_reader.h"
#include "base/result.h"
#include "grammar/compiler.h"

namespace lb::api {

// Kind::kNone when nothing is asked. Two that ask for something are kInvalidArgument; what cannot
// be enforced is an error with its field, never ignored. Schemas come out normalized; nothing is
// compiled.
Result<grammar::Constraint> ParseConstraint(const Fields& fields);

// One JSON schema of a request, as above; `field` is its name there.
Result<grammar::Constraint> SchemaConstraint(const boost::json::value& schema, std::string field);

}  // namespace lb::api
