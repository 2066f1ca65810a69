#include "api/json_reader.h"

#include <algorithm>
#include <boost/json/stream_parser.hpp>
#include <cmath>

#include "api/json_writer.h"
#include "base/printable.h"

namespace lb::api {
namespace json = boost::json;
namespace {

// What went wrong in words, since Boost's texts speak of its own parts.
std::string_view Reason(const json::error_code& ec) {
  if (ec == json::error::incomplete) return "the text ends inside a value";
  if (ec == json::error::extra_data) return "there is more text after the value";
  if (ec == json::error::too_deep) return "containers are nested deeper than the limit of 128";
  if (ec == json::error::expected_hex_digit) return "\\u needs four hex digits";
  if (ec == json::error::expected_utf16_escape || ec == json::error::illegal_leading_surrogate ||
      ec == json::error::illegal_trailing_surrogate) {
    return "half of a surrogate pair";
  }
  return "not JSON (which must be UTF-8)";
}

}  // namespace

Result<json::value> ParseJson(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  unsigned char scratch[4096];
  json::stream_parser parser(json::storage_ptr(), options, scratch, sizeof(scratch));
  json::error_code ec;
  size_t used = parser.write_some(text.data(), text.size(), ec);
  if (!ec && used < text.size()) ec = json::error::extra_data;
  if (!ec) parser.finish(ec);
  if (ec) {
    used = std::min(used, text.size());
    const std::string_view before = text.substr(0, used);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const size_t line_start =
        before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    return Fail(ErrorCode::kInvalidArgument, "body: {} (line {}, column {}, byte {} of {})",
                Reason(ec), line, used - line_start + 1, used, text.size());
  }
  return parser.release();
}

Result<json::object> ParseJsonObject(std::string_view text) {
  LB_ASSIGN_OR_RETURN(json::value value, ParseJson(text));
  if (!value.is_object()) {
    return Fail(ErrorCode::kInvalidArgument, "body must be a JSON object, not {}", Describe(value));
  }
  return std::move(value.get_object());
}

std::string Describe(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::array:
      return "a list";
    case json::kind::object:
      return "an object";
    default:
      break;
  }
  JsonWriter w;
  w.Value(value);
  return Printable(w.Take(), 60);
}

Error BadField(std::string_view field, std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message), std::string(field)};
}

Result<Fields> ObjectAt(const json::value& value, const std::string& at) {
  if (!value.is_object()) {
    return BadField(at, fmt::format("{} must be an object, not {}", at, Describe(value)));
  }
  return Fields(value.get_object(), at + ".");
}

std::optional<int64_t> AsInt(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_double()) {
    const double d = value.get_double();
    if (std::abs(d) < 9007199254740992.0 && d == std::floor(d)) return static_cast<int64_t>(d);
  }
  return std::nullopt;
}

std::optional<double> AsNumber(const json::value& value) {
  if (value.is_double()) return value.get_double();
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  return std::nullopt;
}

const json::value* Fields::Find(std::string_view key) const {
  const json::value* value = object_.if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Error Fields::Bad(std::string_view key, std::string_view wanted) const {
  const json::value* value = object_.if_contains(key);
  return BadField(Name(key), fmt::format("{} must be {}, not {}", Name(key), wanted,
                                         value == nullptr ? "missing" : Describe(*value)));
}

Result<std::optional<int64_t>> Fields::Int(std::string_view key, int64_t low, int64_t high) const {
  const json::value* value = Find(key);
  if (value == nullptr) return std::optional<int64_t>();
  const auto number = AsInt(*value);
  if (!number || *number < low || *number > high) {
    return Bad(key, fmt::format("an integer from {} to {}", low, high));
  }
  return number;
}

Result<std::optional<double>> Fields::Number(std::string_view key, double low, double high) const {
  const json::value* value = Find(key);
  if (value == nullptr) return std::optional<double>();
  const auto number = AsNumber(*value);
  // Negated, so that NaN is refused too.
  if (!number || !(*number >= low && *number <= high)) {
    return Bad(key, fmt::format("a number from {} to {}", low, high));
  }
  return number;
}

Result<std::optional<bool>> Fields::Bool(std::string_view key) const {
  const json::value* value = Find(key);
  if (value == nullptr) return std::optional<bool>();
  if (!value->is_bool()) return Bad(key, "true or false");
  return std::optional<bool>(value->get_bool());
}

Result<std::optional<std::string>> Fields::String(std::string_view key) const {
  const json::value* value = Find(key);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return Bad(key, "a string");
  return std::optional<std::string>(std::string(value->get_string()));
}

Result<std::string> Fields::RequiredString(std::string_view key) const {
  LB_ASSIGN_OR_RETURN(std::optional<std::string> text, String(key));
  if (!text) return Bad(key, "a string");
  return std::move(*text);
}

Result<const json::object*> Fields::Object(std::string_view key) const {
  const json::value* value = Find(key);
  if (value == nullptr) return static_cast<const json::object*>(nullptr);
  if (!value->is_object()) return Bad(key, "an object");
  return &value->get_object();
}

Result<const json::array*> Fields::Array(std::string_view key) const {
  const json::value* value = Find(key);
  if (value == nullptr) return static_cast<const json::array*>(nullptr);
  if (!value->is_array()) return Bad(key, "a list");
  return &value->get_array();
}

Result<std::vector<std::string>> Fields::Strings(std::string_view key) const {
  std::vector<std::string> strings;
  const json::value* value = Find(key);
  if (value == nullptr) return strings;
  if (value->is_string()) {
    strings.emplace_back(value->get_string());
    return strings;
  }
  if (!value->is_array()) return Bad(key, "a string or a list of strings");
  for (size_t i = 0; i < value->get_array().size(); ++i) {
    const json::value& element = value->get_array()[i];
    if (!element.is_string()) {
      const std::string name = fmt::format("{}[{}]", Name(key), i);
      return BadField(name, fmt::format("{} must be a string, not {}", name, Describe(element)));
    }
    strings.emplace_back(element.get_string());
  }
  return strings;
}

Result<void> Fields::Read(std::string_view key, int* out, int64_t low, int64_t high) const {
  LB_ASSIGN_OR_RETURN(const auto value, Int(key, low, high));
  if (value) *out = static_cast<int>(*value);
  return {};
}

Result<void> Fields::Read(std::string_view key, float* out, double low, double high) const {
  LB_ASSIGN_OR_RETURN(const auto value, Number(key, low, high));
  if (value) *out = static_cast<float>(*value);
  return {};
}

Result<void> Fields::Read(std::string_view key, bool* out) const {
  LB_ASSIGN_OR_RETURN(const auto value, Bool(key));
  if (value) *out = *value;
  return {};
}

Result<void> Fields::Read(std::string_view key, std::string* out) const {
  const json::value* value = Find(key);
  if (value == nullptr) return {};
  if (!value->is_string()) return Bad(key, "a string");
  *out = std::string(value->get_string());
  return {};
}

}  // namespace lb::api
