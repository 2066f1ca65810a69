// Writes GGUF v3 files: metadata, then tensors, which are made one at a time so that a file may be
// larger than memory.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "gguf/metadata.h"
#include "tensor/tensor.h"

namespace lb::gguf {

// One thread. Misuse (a tensor whose bytes do not match its shape, a name given twice) is a CHECK.
class GgufWriter {
 public:
  // Keys are written in the order of their first Set; a second Set replaces the value.
  void Set(std::string key, Value value);
  void SetUint32(std::string key, uint32_t value);
  void SetInt32(std::string key, int32_t value);
  void SetUint16(std::string key, uint16_t value);
  void SetFloat32(std::string key, float value);
  void SetBool(std::string key, bool value);
  void SetString(std::string key, std::string value);
  void SetStrings(std::string key, std::vector<std::string> values);
  void SetInts(std::string key, ValueType element_type, std::vector<int64_t> values);
  void SetFloats(std::string key, std::vector<double> values);  // as f32
  // Where tensors start: a power of two from 8 on. Also sets the key.
  void SetAlignment(uint32_t bytes);

  // Makes a tensor's bytes when its turn comes.
  using Producer = std::function<Result<std::vector<uint8_t>>()>;
  void AddTensor(std::string name, DType dtype, std::vector<int64_t> shape, Producer producer);
  // Copies from `view` when written: its memory must live until then.
  void AddTensor(std::string name, const TensorView& view);

  // Leaves no half-written file under `path`: it is written beside it and renamed.
  Result<void> WriteFile(const std::string& path) const;
  Result<std::vector<uint8_t>> ToBytes() const;

 private:
  struct Entry {
    std::string name;
    DType dtype;
    std::vector<int64_t> shape;  // outermost first
    int64_t bytes;
    Producer producer;
  };
  using Sink = std::function<Result<void>(std::span<const uint8_t>)>;

  std::vector<uint8_t> MakeDirectory() const;
  Result<void> Write(const Sink& sink) const;

  int64_t alignment_ = 32;
  std::vector<std::pair<std::string, Value>> values_;
  std::vector<Entry> tensors_;
};

}  // namespace lb::gguf
