#include "gguf/gguf_writer.h"

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace lb::gguf {
namespace {

using Bytes = std::vector<uint8_t>;

template <typename T>
void Put(Bytes& out, T value) {
  const auto* raw = reinterpret_cast<const uint8_t*>(&value);
  out.insert(out.end(), raw, raw + sizeof value);
}

void PutString(Bytes& out, std::string_view text) {
  Put<uint64_t>(out, text.size());
  out.insert(out.end(), text.begin(), text.end());
}

void PutInt(Bytes& out, ValueType type, int64_t value) {
  switch (ValueTypeBytes(type)) {
    case 1:
      return Put(out, static_cast<uint8_t>(value));
    case 2:
      return Put(out, static_cast<uint16_t>(value));
    case 4:
      return Put(out, static_cast<uint32_t>(value));
    default:
      return Put(out, value);
  }
}

void PutFloat(Bytes& out, ValueType type, double value) {
  if (type == ValueType::kFloat32) return Put(out, static_cast<float>(value));
  Put(out, value);
}

// Each alternative of Value::data.
struct ValuePutter {
  Bytes& out;
  const Value& value;

  void operator()(uint64_t v) const { PutInt(out, value.type, static_cast<int64_t>(v)); }
  void operator()(int64_t v) const { PutInt(out, value.type, v); }
  void operator()(double v) const { PutFloat(out, value.type, v); }
  void operator()(bool v) const { Put<uint8_t>(out, v ? 1 : 0); }
  void operator()(const std::string& v) const { PutString(out, v); }
  void operator()(const std::vector<int64_t>& v) const {
    PutArrayHead(v.size());
    for (int64_t element : v) PutInt(out, value.element_type, element);
  }
  void operator()(const std::vector<double>& v) const {
    PutArrayHead(v.size());
    for (double element : v) PutFloat(out, value.element_type, element);
  }
  void operator()(const std::vector<std::string>& v) const {
    PutArrayHead(v.size());
    for (const std::string& element : v) PutString(out, element);
  }
  void PutArrayHead(size_t count) const {
    Put(out, static_cast<uint32_t>(value.element_type));
    Put<uint64_t>(out, count);
  }
};

int64_t AlignUp(int64_t bytes, int64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace

void GgufWriter::Set(std::string key, Value value) {
  for (auto& [known, old] : values_) {
    if (known == key) {
      old = std::move(value);
      return;
    }
  }
  values_.emplace_back(std::move(key), std::move(value));
}

void GgufWriter::SetUint32(std::string key, uint32_t value) {
  Set(std::move(key), {ValueType::kUint32, {}, uint64_t{value}});
}
void GgufWriter::SetInt32(std::string key, int32_t value) {
  Set(std::move(key), {ValueType::kInt32, {}, int64_t{value}});
}
void GgufWriter::SetUint16(std::string key, uint16_t value) {
  Set(std::move(key), {ValueType::kUint16, {}, uint64_t{value}});
}
void GgufWriter::SetFloat32(std::string key, float value) {
  Set(std::move(key), {ValueType::kFloat32, {}, double{value}});
}
void GgufWriter::SetBool(std::string key, bool value) {
  Set(std::move(key), {ValueType::kBool, {}, value});
}
void GgufWriter::SetString(std::string key, std::string value) {
  Set(std::move(key), {ValueType::kString, {}, std::move(value)});
}
void GgufWriter::SetStrings(std::string key, std::vector<std::string> values) {
  Set(std::move(key), {ValueType::kArray, ValueType::kString, std::move(values)});
}
void GgufWriter::SetInts(std::string key, ValueType element_type, std::vector<int64_t> values) {
  Set(std::move(key), {ValueType::kArray, element_type, std::move(values)});
}
void GgufWriter::SetFloats(std::string key, std::vector<double> values) {
  Set(std::move(key), {ValueType::kArray, ValueType::kFloat32, std::move(values)});
}
void GgufWriter::SetAlignment(uint32_t bytes) {
  CHECK(std::has_single_bit(bytes) && bytes >= 8);
  alignment_ = bytes;
  SetUint32("general.alignment", bytes);
}

void GgufWriter::AddTensor(std::string name, DType dtype, std::vector<int64_t> shape,
                           Producer producer) {
  CHECK(!shape.empty() && shape.size() <= 4);
  for (const Entry& entry : tensors_) CHECK_NE(entry.name, name);
  CHECK_EQ(shape.back() % Info(dtype).block_size, 0);
  int64_t bytes = RowBytes(dtype, shape.back());
  for (size_t i = 0; i + 1 < shape.size(); ++i) bytes *= shape[i];
  tensors_.push_back({std::move(name), dtype, std::move(shape), bytes, std::move(producer)});
}

void GgufWriter::AddTensor(std::string name, const TensorView& view) {
  std::vector<int64_t> shape(view.shape.begin(), view.shape.begin() + view.rank);
  AddTensor(std::move(name), view.dtype, std::move(shape), [view]() -> Result<Bytes> {
    const auto* first = view.as<const uint8_t>();
    return Bytes(first, first + view.num_bytes());
  });
}

std::vector<uint8_t> GgufWriter::MakeDirectory() const {
  Bytes out{'G', 'G', 'U', 'F'};
  Put<uint32_t>(out, 3);
  Put<uint64_t>(out, tensors_.size());
  Put<uint64_t>(out, values_.size());
  for (const auto& [key, value] : values_) {
    PutString(out, key);
    Put(out, static_cast<uint32_t>(value.type));
    std::visit(ValuePutter{out, value}, value.data);
  }
  int64_t offset = 0;
  for (const Entry& entry : tensors_) {
    PutString(out, entry.name);
    Put(out, static_cast<uint32_t>(entry.shape.size()));
    for (size_t i = entry.shape.size(); i-- > 0;) Put(out, entry.shape[i]);
    Put(out, Info(entry.dtype).gguf_id);
    Put(out, offset);
    offset = AlignUp(offset + entry.bytes, alignment_);
  }
  out.resize(AlignUp(static_cast<int64_t>(out.size()), alignment_));
  return out;
}

Result<void> GgufWriter::Write(const Sink& sink) const {
  LB_RETURN_IF_ERROR(sink(MakeDirectory()));
  for (const Entry& entry : tensors_) {
    LB_ASSIGN_OR_RETURN(Bytes data, entry.producer());
    CHECK_EQ(static_cast<int64_t>(data.size()), entry.bytes);
    // The last tensor is padded too: readers differ in whether they ask for it.
    data.resize(AlignUp(entry.bytes, alignment_));
    LB_RETURN_IF_ERROR(sink(data));
  }
  return {};
}

Result<std::vector<uint8_t>> GgufWriter::ToBytes() const {
  Bytes out;
  LB_RETURN_IF_ERROR(Write([&out](std::span<const uint8_t> bytes) -> Result<void> {
    out.insert(out.end(), bytes.begin(), bytes.end());
    return {};
  }));
  return out;
}

Result<void> GgufWriter::WriteFile(const std::string& path) const {
  const std::string draft = path + ".part";
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(draft.c_str(), "wb"),
                                                       &std::fclose);
  if (file == nullptr) {
    return Fail(ErrorCode::kIo, "{}: cannot write: {}", draft, std::strerror(errno));
  }
  const auto failed = [&draft]() {
    return Fail(ErrorCode::kIo, "{}: cannot write: {}", draft, std::strerror(errno));
  };
  Result<void> written = Write([&](std::span<const uint8_t> bytes) -> Result<void> {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) return failed();
    return {};
  });
  // Buffered bytes may meet a full disk only here.
  if (written && std::fflush(file.get()) != 0) written = failed();
  file.reset();
  if (written && std::rename(draft.c_str(), path.c_str()) != 0) written = failed();
  if (!written) std::remove(draft.c_str());
  return written;
}

}  // namespace lb::gguf
