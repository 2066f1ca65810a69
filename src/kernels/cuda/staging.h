// The integers of a step on their way to the device: collected in pinned memory as the operations come,
// sent in one copy before the first kernel.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cuda/device.h"

namespace lb::cuda {

class Staging {
 public:
  explicit Staging(size_t bytes);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Where `values` will be on the device; the same place for the same host array again. Steps that stage
  // arrays of the same sizes in the same order find them in the same places.
  const int32_t* Put(std::span<const int32_t> values);
  // A table of rows of `width`, on the device of `stride`; what is behind a row's end is -1.
  const int32_t* PutTable(std::span<const int32_t> values, int width, int stride);
  // For each token the number of its sequence.
  const int32_t* PutSequences(std::span<const int32_t> query_start);

  bool full() const { return full_; }  // something did not fit: this step cannot run
  void Send(cudaStream_t stream) const;
  // Reads the arrays of this step once more: their contents are those of the next.
  void Again();
  void Reset();

 private:
  enum class Use { kValues, kTable, kSequences };
  // An array of the step and where it is.
  struct Place {
    Use use;
    std::span<const int32_t> from;
    int width, stride;  // of a table
    size_t size;        // integers, on the device
    size_t at;
  };
  const int32_t* PlaceOf(Use use, std::span<const int32_t> from, int width, int stride, size_t size);
  void Fill(const Place& place);

  int32_t* host_ = nullptr;
  int32_t* device_ = nullptr;
  size_t capacity_;  // integers
  size_t used_ = 0;
  bool full_ = false;
  std::vector<Place> places_;  // a dozen
};

}  // namespace lb::cuda
