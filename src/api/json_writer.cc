#include "api/json_writer.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <cmath>
#include <iterator>

namespace lb::api {
namespace {

template <typename Real>
void AppendReal(std::string* out, Real value) {
  if (!std::isfinite(value)) {
    out->append("null");
    return;
  }
  const size_t start = out->size();
  fmt::format_to(std::back_inserter(*out), "{}", value);
  // A reader that tells integers from floats must see a float.
  if (out->find_first_of(".e", start) == std::string::npos) out->append(".0");
}

}  // namespace

void AppendJsonString(std::string* out, std::string_view text) {
  out->push_back('"');
  size_t plain = 0;  // start of the bytes not yet copied
  size_t i = 0;
  const auto copy = [&] { out->append(text.substr(plain, i - plain)); };
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      utf8proc_int32_t codepoint;
      const auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + i,
                                      static_cast<utf8proc_ssize_t>(text.size() - i), &codepoint);
      if (n > 0) {
        i += static_cast<size_t>(n);
        continue;
      }
      copy();
      out->append("\xEF\xBF\xBD");
      plain = ++i;
      continue;
    }
    if (c >= 0x20 && c != '"' && c != '\\') {
      ++i;
      continue;
    }
    copy();
    switch (c) {
      case '"':
        out->append("\\\"");
        break;
      case '\\':
        out->append("\\\\");
        break;
      case '\n':
        out->append("\\n");
        break;
      case '\r':
        out->append("\\r");
        break;
      case '\t':
        out->append("\\t");
        break;
      default:
        fmt::format_to(std::back_inserter(*out), "\\u{:04x}", c);
    }
    plain = ++i;
  }
  copy();
  out->push_back('"');
}

size_t ValidUtf8Prefix(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    utf8proc_int32_t codepoint;
    const auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + i,
                                    static_cast<utf8proc_ssize_t>(text.size() - i), &codepoint);
    if (n <= 0) break;
    i += static_cast<size_t>(n);
  }
  return i;
}

void JsonWriter::Separate() {
  if (comma_) text_.push_back(',');
  comma_ = true;
}

JsonWriter& JsonWriter::Open(char bracket) {
  Separate();
  text_.push_back(bracket);
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::Close(char bracket) {
  text_.push_back(bracket);
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::Key(std::string_view key) {
  Separate();
  AppendJsonString(&text_, key);
  text_.push_back(':');
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::String(std::string_view text) {
  Separate();
  AppendJsonString(&text_, text);
  return *this;
}

JsonWriter& JsonWriter::Int(int64_t value) {
  Separate();
  fmt::format_to(std::back_inserter(text_), "{}", value);
  return *this;
}

JsonWriter& JsonWriter::Float(float value) {
  Separate();
  AppendReal(&text_, value);
  return *this;
}

JsonWriter& JsonWriter::Double(double value) {
  Separate();
  AppendReal(&text_, value);
  return *this;
}

JsonWriter& JsonWriter::Bool(bool value) { return Raw(value ? "true" : "false"); }

JsonWriter& JsonWriter::Null() { return Raw("null"); }

JsonWriter& JsonWriter::Raw(std::string_view json) {
  Separate();
  text_.append(json);
  return *this;
}

// Recursion is bounded: values come from ParseJson, which limits nesting.
JsonWriter& JsonWriter::Value(const boost::json::value& value) {
  using boost::json::kind;
  switch (value.kind()) {
    case kind::null:
      return Null();
    case kind::bool_:
      return Bool(value.get_bool());
    case kind::int64:
      return Int(value.get_int64());
    case kind::uint64:
      return Raw(fmt::format("{}", value.get_uint64()));
    case kind::double_:
      return Double(value.get_double());
    case kind::string:
      return String(value.get_string());
    case kind::array:
      BeginArray();
      for (const auto& element : value.get_array()) Value(element);
      return EndArray();
    case kind::object:
      BeginObject();
      for (const auto& [key, element] : value.get_object()) {
        Key(key);
        Value(element);
      }
      return EndObject();
  }
  return *this;
}

}  // namespace lb::api
