// Numbers and text under a width, a precision and flags: what both ways of formatting share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/jinja/text_ops.h"

namespace lb::text::jinja {

struct FormatSpec {
  std::string fill = " ";  // one character
  char align = 0;          // < > ^ =, or 0: the type's own
  char sign = '-';         // + - or space
  bool alternate = false;  // #
  char grouping = 0;       // , or _
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
};

// false when the text is not a specification.
bool ParseFormatSpec(std::string_view text, FormatSpec* spec);

// `type`: d b o x X c n, or 0. false for a type that integers do not have.
bool FormatInteger(int64_t value, const FormatSpec& spec, std::string* out);
// `type`: e E f F g G %, or 0 (like repr without a precision).
bool FormatNumber(double value, const FormatSpec& spec, std::string* out);
// Cuts to the precision, pads to the width.
TaintedText FormatText(const TaintedText& text, const FormatSpec& spec);

}  // namespace lb::text::jinja
