// Request JSON as template values.
#pragma once

#include <boost/json/value.hpp>

#include "base/result.h"
#include "text/jinja/value.h"

namespace lb::text::jinja {

// Key order kept; every string is data, but for `origin` kTemplate. Numbers over int64 become
// doubles. kInvalidArgument when values nest deeper than `max_depth`.
Result<Value> FromJson(const boost::json::value& json, Origin origin = Origin::kData,
                       int max_depth = 100);

}  // namespace lb::text::jinja
