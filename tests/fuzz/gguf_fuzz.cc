// Fuzzes the GGUF reader: any bytes give a file whose every view lies inside them, or an error of
// one line. Seeds: tests/fuzz/seeds/gguf, made by make_gguf_seeds.py.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/check.h"
#include "gguf/gguf_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  auto file = lb::gguf::GgufFile::Parse(bytes, "fuzz.gguf");
  if (!file.has_value()) {
    const std::string& message = file.error().message;
    CHECK(message.starts_with("fuzz.gguf: "));
    CHECK(message.find('\n') == std::string::npos);
    CHECK_LT(message.size(), 400u);
    return 0;
  }
  for (const lb::gguf::Tensor& tensor : (*file)->tensors()) {
    const auto* first = tensor.view.as<const uint8_t>();
    CHECK(first >= data);
    CHECK_LE(tensor.view.num_bytes(), static_cast<int64_t>(data + size - first));
    CHECK((*file)->FindTensor(tensor.name) == &tensor);
    // One block through its decoder: the last one, which ends where the tensor does.
    const lb::DTypeInfo& info = lb::Info(tensor.view.dtype);
    float values[256];
    info.decode(first + tensor.view.num_bytes() - info.block_bytes, values, info.block_size);
  }
  for (const auto& [key, value] : (*file)->metadata().all()) {
    static_cast<void>((*file)->metadata().Int(key));
    static_cast<void>((*file)->metadata().Float(key));
    static_cast<void>((*file)->metadata().StringArray(key));
  }
  return 0;
}
