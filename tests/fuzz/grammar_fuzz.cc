// What clients may ask an answer to be: JSON schemas, GBNF, regular expressions. The first byte
// says which. Whatever comes, there is a translation of bounded size or an error of one printable
// line.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api/json_reader.h"
#include "grammar/gbnf.h"
#include "grammar/regex.h"
#include "grammar/schema.h"

namespace {

void Check(const lb::Result<std::string>& result, size_t most) {
  if (result.has_value()) {
    if (result->size() > most) std::abort();
    return;
  }
  const std::string& message = result.error().message;
  if (message.empty() || message.size() > 8000) std::abort();
  for (const char c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) std::abort();
  }
}

lb::Result<std::string> TextOf(lb::Result<lb::grammar::Regex> regex) {
  if (!regex.has_value()) return regex.error();
  if (regex->min_chars < 0 || (regex->max_chars >= 0 && regex->max_chars < regex->min_chars)) {
    std::abort();
  }
  return std::move(regex)->text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0: {
      const auto schema = lb::api::ParseJson(text);
      if (schema.has_value()) {
        Check(lb::grammar::NormalizeSchema(*schema, "schema"), lb::grammar::kMaxSchemaBytes);
      }
      break;
    }
    case 1:
      Check(lb::grammar::TranslateGbnf(text), 64 * size + 1024);
      break;
    case 2:
      Check(TextOf(lb::grammar::ReadRegex(text)), 1024 * size + 1024);
      break;
    default:
      Check(TextOf(lb::grammar::ReadRegexInJsonString(text)), 1024 * size + 1024);
  }
  return 0;
}
