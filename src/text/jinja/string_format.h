// The two ways Python fills values into a string: "%s" % x and "{}".format(x).
#pragma once

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace lb::text::jinja {

// format % values: a tuple gives several, a dict the named ones.
Value PercentFormat(Runtime& rt, const Value& format, const Value& values);
// format.format(*args.positional, **args.named)
Value BraceFormat(Runtime& rt, const Value& format, const Arguments& args);

// One value under a format specification ("", ">8", ".2f", ...). Fails on a bad one.
TaintedText FormatWithSpec(Runtime& rt, const Value& value, std::string_view spec);

}  // namespace lb::text::jinja
