#include "gguf/value_reader.h"

#include <limits>

#include "base/printable.h"

namespace lb::gguf {
namespace {

std::string KeyName(std::string_view key) { return fmt::format("key \"{}\"", Printable(key)); }

// A number of the file's type T, as the wider type that Value keeps.
template <typename T, typename Wide>
bool TakeAs(Cursor& cursor, Wide* value) {
  T narrow{};
  if (!cursor.Take(&narrow)) return false;
  *value = static_cast<Wide>(narrow);
  return true;
}

template <typename T, typename Wide>
void TakeMany(Cursor& cursor, uint64_t count, std::vector<Wide>* values) {
  values->resize(count);
  for (Wide& value : *values) TakeAs<T>(cursor, &value);
}

// All of an integer array, whose bytes are known to be there.
void TakeInts(Cursor& cursor, ValueType type, uint64_t count, std::vector<int64_t>* values) {
  switch (type) {
    case ValueType::kUint8:
    case ValueType::kBool:
      return TakeMany<uint8_t>(cursor, count, values);
    case ValueType::kInt8:
      return TakeMany<int8_t>(cursor, count, values);
    case ValueType::kUint16:
      return TakeMany<uint16_t>(cursor, count, values);
    case ValueType::kInt16:
      return TakeMany<int16_t>(cursor, count, values);
    case ValueType::kUint32:
      return TakeMany<uint32_t>(cursor, count, values);
    case ValueType::kInt32:
      return TakeMany<int32_t>(cursor, count, values);
    default:
      return TakeMany<int64_t>(cursor, count, values);
  }
}

Result<void> ReadStrings(ParseContext& context, uint64_t count, std::string_view key,
                         std::vector<std::string>* strings) {
  constexpr size_t kInline = 15;  // what std::string keeps without an allocation
  strings->reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    std::string_view text;
    if (!context.cursor.TakeString(&text)) {
      return context.Truncated(fmt::format("{}, string {} of {}", KeyName(key), i, count));
    }
    if (text.size() > kInline) {
      LB_RETURN_IF_ERROR(context.Spend(1, text.size() + 1, KeyName(key)));
    }
    strings->emplace_back(text);
  }
  return {};
}

Result<Value> ReadArray(ParseContext& context, std::string_view key) {
  Cursor& cursor = context.cursor;
  uint32_t raw_type = 0;
  uint64_t count = 0;
  if (!cursor.Take(&raw_type) || !cursor.Take(&count)) return context.Truncated(KeyName(key));
  if (raw_type >= kNumValueTypes) {
    return Fail(ErrorCode::kCorrupt, "{}: {}: array of value type {}, the types are 0 to {}",
                context.file, KeyName(key), raw_type, kNumValueTypes - 1);
  }
  Value value{ValueType::kArray, static_cast<ValueType>(raw_type), {}};
  if (value.element_type == ValueType::kArray) {
    return Fail(ErrorCode::kUnsupported,
                "{}: {}: an array of {} arrays; arrays hold only numbers, "
                "bools or strings here",
                context.file, KeyName(key), count);
  }
  const bool strings = value.element_type == ValueType::kString;
  // In the file a string is at least its u64 length.
  const int bytes_each = strings ? 8 : ValueTypeBytes(value.element_type);
  if (!cursor.Fits(count, bytes_each)) {
    return context.Truncated(fmt::format("{}, array of {}", KeyName(key), count));
  }
  LB_RETURN_IF_ERROR(context.Spend(count, strings ? sizeof(std::string) : 8, KeyName(key)));
  if (strings) {
    LB_RETURN_IF_ERROR(
        ReadStrings(context, count, key, &value.data.emplace<std::vector<std::string>>()));
  } else if (value.element_type == ValueType::kFloat32) {
    TakeMany<float>(cursor, count, &value.data.emplace<std::vector<double>>());
  } else if (value.element_type == ValueType::kFloat64) {
    TakeMany<double>(cursor, count, &value.data.emplace<std::vector<double>>());
  } else {
    auto& ints = value.data.emplace<std::vector<int64_t>>();
    TakeInts(cursor, value.element_type, count, &ints);
    for (uint64_t i = 0; i < count; ++i) {
      if (value.element_type == ValueType::kBool && ints[i] > 1) {
        return Fail(ErrorCode::kCorrupt, "{}: {}: bool {} is {}, must be 0 or 1", context.file,
                    KeyName(key), i, ints[i]);
      }
      if (value.element_type == ValueType::kUint64 && ints[i] < 0) {
        return Fail(ErrorCode::kCorrupt, "{}: {}: element {} is {}, the limit is {}", context.file,
                    KeyName(key), i, static_cast<uint64_t>(ints[i]),
                    std::numeric_limits<int64_t>::max());
      }
    }
  }
  return value;
}

// A value of a fixed size; false where the file ends.
bool TakeScalar(Cursor& cursor, Value* value) {
  auto& data = value->data;
  switch (value->type) {
    case ValueType::kUint8:
      return TakeAs<uint8_t>(cursor, &data.emplace<uint64_t>());
    case ValueType::kInt8:
      return TakeAs<int8_t>(cursor, &data.emplace<int64_t>());
    case ValueType::kUint16:
      return TakeAs<uint16_t>(cursor, &data.emplace<uint64_t>());
    case ValueType::kInt16:
      return TakeAs<int16_t>(cursor, &data.emplace<int64_t>());
    case ValueType::kUint32:
      return TakeAs<uint32_t>(cursor, &data.emplace<uint64_t>());
    case ValueType::kInt32:
      return TakeAs<int32_t>(cursor, &data.emplace<int64_t>());
    case ValueType::kFloat32:
      return TakeAs<float>(cursor, &data.emplace<double>());
    case ValueType::kUint64:
      return TakeAs<uint64_t>(cursor, &data.emplace<uint64_t>());
    case ValueType::kInt64:
      return TakeAs<int64_t>(cursor, &data.emplace<int64_t>());
    default:
      return TakeAs<double>(cursor, &data.emplace<double>());
  }
}

}  // namespace

Error ParseContext::Truncated(std::string_view what) const {
  return Fail(ErrorCode::kCorrupt, "{}: truncated: needs {} bytes, has {} ({})", file,
              cursor.needed(), cursor.size(), what);
}

Result<void> ParseContext::Spend(uint64_t count, uint64_t bytes_each, std::string_view what) {
  const auto wanted = static_cast<Cursor::Wide>(count) * bytes_each;
  if (wanted > budget_bytes) {
    return Fail(ErrorCode::kCorrupt,
                "{}: {} needs {} bytes of memory, {} are left of the limit for a file of {}", file,
                what, wanted, budget_bytes, cursor.size());
  }
  budget_bytes -= static_cast<uint64_t>(wanted);
  return {};
}

Result<Value> ReadValue(ParseContext& context, std::string_view key) {
  Cursor& cursor = context.cursor;
  uint32_t raw_type = 0;
  if (!cursor.Take(&raw_type)) return context.Truncated(KeyName(key));
  if (raw_type >= kNumValueTypes) {
    return Fail(ErrorCode::kCorrupt, "{}: {}: value type {}, the types are 0 to {}", context.file,
                KeyName(key), raw_type, kNumValueTypes - 1);
  }
  Value value;
  value.type = static_cast<ValueType>(raw_type);
  switch (value.type) {
    case ValueType::kArray:
      return ReadArray(context, key);
    case ValueType::kString: {
      std::string_view text;
      if (!cursor.TakeString(&text)) return context.Truncated(KeyName(key));
      LB_RETURN_IF_ERROR(context.Spend(1, text.size(), KeyName(key)));
      value.data.emplace<std::string>(text);
      return value;
    }
    case ValueType::kBool: {
      uint8_t byte = 0;
      if (!cursor.Take(&byte)) return context.Truncated(KeyName(key));
      if (byte > 1) {
        return Fail(ErrorCode::kCorrupt, "{}: {}: bool is {}, must be 0 or 1", context.file,
                    KeyName(key), byte);
      }
      value.data = byte != 0;
      return value;
    }
    default:
      if (!TakeScalar(cursor, &value)) return context.Truncated(KeyName(key));
      return value;
  }
}

}  // namespace lb::gguf
