// A GGUF file (v2 or v3), mapped and checked. Format: ggml's docs/gguf.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"
#include "gguf/metadata.h"
#include "tensor/tensor.h"

namespace lb::gguf {

// One entry of the tensor directory. `view.data` points into the mapping, which is read-only; data
// of a file (not of Parse) is aligned to at least 8 bytes. Every dtype can be decoded to f32.
struct Tensor {
  std::string name;
  TensorView view;  // outermost dimension first: the reverse of GGUF's order
  int file = 0;     // which part of a split file holds it
};

// Immutable after Open, shared freely. Owns the mappings: every TensorView into it lives as long.
class GgufFile {
 public:
  // Opens `path`; a name that ends in -00001-of-0000N.gguf brings all N parts. Every offset, count,
  // length and shape has been checked when this returns; a file that lies is an Error of one line
  // naming file, key or tensor, value and limit. Allocates at most the file's length and 48 MiB.
  // What a key or a tensor means is not looked at here: a model without an architecture opens.
  static Result<std::unique_ptr<GgufFile>> Open(const std::string& path);
  // The same over bytes that the caller keeps alive (tests, fuzzing). No split files.
  static Result<std::unique_ptr<GgufFile>> Parse(std::span<const uint8_t> bytes, std::string name);

  const std::string& path() const { return path_; }
  uint32_t version() const { return version_; }
  // Of a split file: the first part's.
  const Metadata& metadata() const { return metadata_; }
  // For a caller who knows better than the file (--override-kv), before anybody reads it.
  Metadata* mutable_metadata() { return &metadata_; }
  std::span<const Tensor> tensors() const { return tensors_; }
  // Null when there is none of that name.
  const Tensor* FindTensor(std::string_view name) const;
  // Bytes of all parts on disk.
  int64_t file_bytes() const { return file_bytes_; }
  int num_files() const { return num_files_; }
  // A hint about the tensor's pages: kWillNeed before it is read, kDontNeed once it was copied.
  // Does nothing after Parse.
  void Advise(const Tensor& tensor, MappedFile::Advice advice) const;

  ~GgufFile();

 private:
  GgufFile() = default;
  Result<void> AddPart(std::span<const uint8_t> bytes, const std::string& name);
  Result<void> OpenParts(const std::string& path);
  Result<void> IndexNames();

  std::string path_;
  uint32_t version_ = 0;
  int64_t file_bytes_ = 0;
  int num_files_ = 0;
  Metadata metadata_;
  std::vector<Tensor> tensors_;
  std::vector<int> by_name_;  // indices into tensors_, sorted by name
  std::vector<MappedFile> mappings_;
};

}  // namespace lb::gguf
