// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace lb {

// Owns the mapping; immutable and thread-safe after Open. Pages come from the page cache when they
// are first read. The file must not be cut short while it is mapped: reading beyond its new end
// is a SIGBUS, as with every mapped file.
class MappedFile {
 public:
  // Errors: kNotFound (no such file), kIo (no permission, a folder, the system refuses). An empty
  // file maps to no bytes. Never waits, whatever `path` names.
  static Result<MappedFile> Open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

  enum class Advice {
    kSequential,  // will be read front to back
    kRandom,      // read-ahead would be wasted
    kWillNeed,    // start reading now
    kDontNeed,    // may leave memory; a later read brings it back from the file
  };
  // A hint about bytes [offset, offset + length), cut to the file. kDontNeed touches only pages
  // that lie wholly inside, the others every page they meet.
  void Advise(size_t offset, size_t length, Advice advice) const;

 private:
  MappedFile(std::string path, const uint8_t* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}
  void Unmap();

  std::string path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace lb
