// Arena: the memory of one forward pass, handed out front to back and taken back all at once.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>

#include "tensor/tensor.h"

namespace lb {

// Device memory a backend hands out (kernels/device.h makes them). Freed by the deleter it brings.
using DeviceMemory = std::unique_ptr<void, void (*)(void*)>;

// Engine thread only. Sized once at start for the largest batch: running out is our bug, hence CHECK.
class Arena {
 public:
  Arena(DeviceMemory memory, size_t bytes) : memory_(std::move(memory)), bytes_(bytes) {}

  // [dims] of f32 (or `dtype`), 64-byte aligned, contents undefined.
  TensorView Alloc(std::initializer_list<int64_t> dims, DType dtype = DType::kF32) {
    TensorView v(static_cast<char*>(memory_.get()) + used_, dtype, dims);
    used_ += RoundedBytes(dims, dtype);
    CHECK_LE(used_, bytes_);
    if (used_ > peak_) peak_ = used_;
    return v;
  }

  // What Alloc of the same arguments takes.
  static size_t RoundedBytes(std::initializer_list<int64_t> dims, DType dtype = DType::kF32) {
    return (static_cast<size_t>(TensorView(nullptr, dtype, dims).num_bytes()) + 63) / 64 * 64;
  }

  // Gives back everything taken after the mark when it goes out of scope.
  class Mark {
   public:
    explicit Mark(Arena& arena) : arena_(arena), used_(arena.used_) {}
    ~Mark() { arena_.used_ = used_; }
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;

   private:
    Arena& arena_;
    size_t used_;
  };

  void Reset() { used_ = 0; }
  size_t bytes() const { return bytes_; }
  size_t peak() const { return peak_; }

 private:
  DeviceMemory memory_;
  size_t bytes_;
  size_t used_ = 0;
  size_t peak_ = 0;
};

}  // namespace lb
