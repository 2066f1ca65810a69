// Writes JSON text. Own, because Boost.JSON prints 1.0 as 1E0 and lets ill-formed UTF-8 out.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace lb::api {

// Compact JSON, keys in the order they are written. The caller keeps the nesting right: a value
// after each Key, an End for each Begin. What comes out is valid UTF-8 whatever strings go in (an
// ill-formed byte becomes U+FFFD), on one line, and never NaN or infinite (null).
class JsonWriter {
 public:
  JsonWriter& BeginObject() { return Open('{'); }
  JsonWriter& EndObject() { return Close('}'); }
  JsonWriter& BeginArray() { return Open('['); }
  JsonWriter& EndArray() { return Close(']'); }
  JsonWriter& Key(std::string_view key);

  JsonWriter& String(std::string_view text);
  JsonWriter& Int(int64_t value);
  JsonWriter& Float(float value);    // shortest decimal that reads back as the same float
  JsonWriter& Double(double value);  // likewise
  JsonWriter& Bool(bool value);
  JsonWriter& Null();
  // `json` is JSON already.
  JsonWriter& Raw(std::string_view json);
  JsonWriter& Value(const boost::json::value& value);

  const std::string& text() const { return text_; }
  std::string Take() { return std::move(text_); }

 private:
  JsonWriter& Open(char bracket);
  JsonWriter& Close(char bracket);
  void Separate();

  std::string text_;
  bool comma_ = false;  // the next key or element needs one before it
};

// Appends `text` as a JSON string, quotes included.
void AppendJsonString(std::string* out, std::string_view text);

// The length of the longest prefix of `text` that is valid UTF-8.
size_t ValidUtf8Prefix(std::string_view text);

}  // namespace lb::api
