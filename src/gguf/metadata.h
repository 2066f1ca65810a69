// The key/value part of a GGUF file, typed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace lb::gguf {

enum class ValueType : uint32_t {
  kUint8 = 0, kInt8, kUint16, kInt16, kUint32, kInt32, kFloat32, kBool, kString, kArray,
  kUint64, kInt64, kFloat64,
};
inline constexpr uint32_t kNumValueTypes = 13;

// "u32", "string": for messages.
std::string_view ValueTypeName(ValueType type);
// Bytes of a value in the file; 0 for strings and arrays, whose size varies.
int ValueTypeBytes(ValueType type);

// One value. `data` holds, by type: unsigned integers uint64_t, signed ones int64_t, floats double,
// bool, string; an array is one of three: integers and bools of any width, floats of any width,
// strings. Arrays of arrays are legal GGUF that no model uses: refused by name.
struct Value {
  ValueType type = ValueType::kUint32;
  ValueType element_type = ValueType::kUint32;  // of an array
  std::variant<uint64_t, int64_t, double, bool, std::string, std::vector<int64_t>,
               std::vector<double>, std::vector<std::string>>
      data;
};

// "a u32", "an array of 3 strings": for messages.
std::string DescribeType(const Value& value);

// Typed look-ups. A key of another type is an error that names the file, the key, what it is and
// what it should be; integers of any width and sign read as each other where the value fits.
class Metadata {
 public:
  const Value* Find(std::string_view key) const;
  const std::map<std::string, Value, std::less<>>& all() const { return values_; }
  void Set(std::string key, Value value) { values_[std::move(key)] = std::move(value); }

  // A missing key gives nothing; a key of the wrong type gives an error.
  Result<std::optional<int64_t>> Int(std::string_view key) const;
  Result<std::optional<double>> Float(std::string_view key) const;  // reads integers too
  Result<std::optional<bool>> Bool(std::string_view key) const;
  Result<std::optional<std::string>> String(std::string_view key) const;
  // Null when missing. Borrowed from this object.
  Result<const std::vector<int64_t>*> IntArray(std::string_view key) const;  // bools too
  Result<const std::vector<double>*> FloatArray(std::string_view key) const;
  Result<const std::vector<std::string>*> StringArray(std::string_view key) const;

  // What the errors call the file; nothing until set.
  const std::string& source() const { return source_; }
  void set_source(std::string source) { source_ = std::move(source); }

 private:
  Error WrongType(std::string_view key, const Value& value, std::string_view wanted) const;

  std::string source_;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace lb::gguf
