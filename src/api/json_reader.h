// Reads request bodies: parsing with limits, and typed fields whose every error is a 400 that names
// the field, what it was and what is allowed.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lb::api {

// Containers in containers that a body may hold: far above any tool schema, far below any stack.
inline constexpr int kMaxJsonDepth = 128;

// kInvalidArgument with line and column for anything but one JSON value of valid UTF-8. Of equal
// keys the last one counts.
Result<boost::json::value> ParseJson(std::string_view text);
// The same for a value that must be an object.
Result<boost::json::object> ParseJsonObject(std::string_view text);

// "a string", "the number 1.5", ...: what a value is, for messages; long values cut.
std::string Describe(const boost::json::value& value);

// kInvalidArgument with `param` set.
Error BadField(std::string_view field, std::string message);

// Typed look-ups in one object of a request. A missing key and null are the same: nothing.
class Fields {
 public:
  // `prefix` goes before names in messages ("messages[3]."). `object` must outlive this.
  explicit Fields(const boost::json::object& object, std::string prefix = {})
      : object_(object), prefix_(std::move(prefix)) {}

  const boost::json::value* Find(std::string_view key) const;  // null when missing or null
  std::string Name(std::string_view key) const { return prefix_ + std::string(key); }

  // Integers; a float without a fraction counts as one. Both bounds are allowed values.
  Result<std::optional<int64_t>> Int(std::string_view key, int64_t low, int64_t high) const;
  Result<std::optional<double>> Number(std::string_view key, double low, double high) const;
  Result<std::optional<bool>> Bool(std::string_view key) const;
  Result<std::optional<std::string>> String(std::string_view key) const;
  Result<std::string> RequiredString(std::string_view key) const;
  Result<const boost::json::object*> Object(std::string_view key) const;  // null when missing
  Result<const boost::json::array*> Array(std::string_view key) const;    // null when missing
  // One string or a list of strings; both as a list.
  Result<std::vector<std::string>> Strings(std::string_view key) const;

  // Shorter: overwrite `*out` when the key is there.
  Result<void> Read(std::string_view key, int* out, int64_t low, int64_t high) const;
  Result<void> Read(std::string_view key, float* out, double low, double high) const;
  Result<void> Read(std::string_view key, bool* out) const;
  Result<void> Read(std::string_view key, std::string* out) const;

  Error Bad(std::string_view key, std::string_view wanted) const;  // "x must be <wanted>, not ..."

 private:
  const boost::json::object& object_;
  std::string prefix_;
};

// The fields of a value that must be an object; `at` is its place ("tools[2]"). `value` must
// outlive them.
Result<Fields> ObjectAt(const boost::json::value& value, const std::string& at);

// The integer a JSON number is, if it is one (2.0 is, 2.5 and 1e300 are not).
std::optional<int64_t> AsInt(const boost::json::value& value);
std::optional<double> AsNumber(const boost::json::value& value);

}  // namespace lb::api
