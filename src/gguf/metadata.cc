#include "gguf/metadata.h"

#include <limits>

#include "base/printable.h"

namespace lb::gguf {
namespace {

struct TypeRow {
  std::string_view name;
  int bytes;
};
constexpr TypeRow kTypes[kNumValueTypes] = {
    {"u8", 1},   {"i8", 1},     {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
    {"bool", 1}, {"string", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8},
};

}  // namespace

std::string_view ValueTypeName(ValueType type) {
  const auto row = static_cast<uint32_t>(type);
  return row < kNumValueTypes ? kTypes[row].name : std::string_view("unknown");
}

int ValueTypeBytes(ValueType type) {
  const auto row = static_cast<uint32_t>(type);
  return row < kNumValueTypes ? kTypes[row].bytes : 0;
}

std::string DescribeType(const Value& value) {
  if (value.type != ValueType::kArray) {
    const std::string_view name = ValueTypeName(value.type);
    // As one says it: an eye-eight, an eff-32, a you-8.
    return fmt::format("{} {}", name[0] == 'i' || name[0] == 'f' ? "an" : "a", name);
  }
  size_t count = 0;
  if (const auto* ints = std::get_if<std::vector<int64_t>>(&value.data)) count = ints->size();
  if (const auto* floats = std::get_if<std::vector<double>>(&value.data)) count = floats->size();
  if (const auto* strings = std::get_if<std::vector<std::string>>(&value.data)) {
    count = strings->size();
  }
  return fmt::format("an array of {} {}", count, ValueTypeName(value.element_type));
}

const Value* Metadata::Find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

Error Metadata::WrongType(std::string_view key, const Value& value, std::string_view wanted) const {
  return Fail(ErrorCode::kCorrupt, "{}{}key \"{}\" is {}, must be {}", source_,
              source_.empty() ? "" : ": ", Printable(key), DescribeType(value), wanted);
}

Result<std::optional<int64_t>> Metadata::Int(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return std::optional<int64_t>();
  if (const auto* i = std::get_if<int64_t>(&value->data)) return std::optional<int64_t>(*i);
  const auto* u = std::get_if<uint64_t>(&value->data);
  if (u == nullptr) return WrongType(key, *value, "an integer");
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (*u > kMax) {
    return Fail(ErrorCode::kCorrupt, "{}{}key \"{}\" is {}, the limit is {}", source_,
                source_.empty() ? "" : ": ", Printable(key), *u, kMax);
  }
  return std::optional<int64_t>(static_cast<int64_t>(*u));
}

Result<std::optional<double>> Metadata::Float(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return std::optional<double>();
  if (const auto* d = std::get_if<double>(&value->data)) return std::optional<double>(*d);
  if (const auto* i = std::get_if<int64_t>(&value->data)) {
    return std::optional<double>(static_cast<double>(*i));
  }
  if (const auto* u = std::get_if<uint64_t>(&value->data)) {
    return std::optional<double>(static_cast<double>(*u));
  }
  return WrongType(key, *value, "a number");
}

Result<std::optional<bool>> Metadata::Bool(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return std::optional<bool>();
  if (const auto* b = std::get_if<bool>(&value->data)) return std::optional<bool>(*b);
  return WrongType(key, *value, "a bool");
}

Result<std::optional<std::string>> Metadata::String(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return std::optional<std::string>();
  if (const auto* s = std::get_if<std::string>(&value->data)) {
    return std::optional<std::string>(*s);
  }
  return WrongType(key, *value, "a string");
}

Result<const std::vector<int64_t>*> Metadata::IntArray(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return static_cast<const std::vector<int64_t>*>(nullptr);
  if (const auto* a = std::get_if<std::vector<int64_t>>(&value->data)) return a;
  return WrongType(key, *value, "an array of integers");
}

Result<const std::vector<double>*> Metadata::FloatArray(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return static_cast<const std::vector<double>*>(nullptr);
  if (const auto* a = std::get_if<std::vector<double>>(&value->data)) return a;
  return WrongType(key, *value, "an array of floats");
}

Result<const std::vector<std::string>*> Metadata::StringArray(std::string_view key) const {
  const Value* value = Find(key);
  if (value == nullptr) return static_cast<const std::vector<std::string>*>(nullptr);
  if (const auto* a = std::get_if<std::vector<std::string>>(&value->data)) return a;
  return WrongType(key, *value, "an array of strings");
}

}  // namespace lb::gguf
