#include "text/jinja/from_json.h"

#include <utility>
#include <vector>

namespace lb::text::jinja {
namespace {

Value String(const boost::json::string& text, Origin origin) {
  return Value::String(std::string(text.data(), text.size()), origin);
}

}  // namespace

Result<Value> FromJson(const boost::json::value& json, Origin origin, int max_depth) {
  if (max_depth < 0) return Fail(ErrorCode::kInvalidArgument, "JSON values nest too deep");
  switch (json.kind()) {
    case boost::json::kind::null:
      return Value();
    case boost::json::kind::bool_:
      return Value::Bool(json.get_bool());
    case boost::json::kind::int64:
      return Value::Int(json.get_int64());
    case boost::json::kind::uint64:
      return Value::Double(static_cast<double>(json.get_uint64()));
    case boost::json::kind::double_:
      return Value::Double(json.get_double());
    case boost::json::kind::string:
      return String(json.get_string(), origin);
    case boost::json::kind::array: {
      std::vector<Value> items;
      items.reserve(json.get_array().size());
      for (const boost::json::value& element : json.get_array()) {
        LB_ASSIGN_OR_RETURN(Value item, FromJson(element, origin, max_depth - 1));
        items.push_back(std::move(item));
      }
      return Value::List(std::move(items));
    }
    case boost::json::kind::object: {
      std::vector<std::pair<Value, Value>> entries;
      entries.reserve(json.get_object().size());
      for (const auto& [key, element] : json.get_object()) {
        LB_ASSIGN_OR_RETURN(Value value, FromJson(element, origin, max_depth - 1));
        entries.emplace_back(Value::String(std::string(key.data(), key.size()), origin),
                             std::move(value));
      }
      return Value::Dict(std::move(entries));
    }
  }
  return Value();
}

}  // namespace lb::text::jinja
