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
  enum class Use { kValues, kTable, kSequences };
  // An array of the step and where it is.
  struct Place {
    Use use;
    std::span<const int32_t> from;
    int width, stride;  // of a table
    size_t size;        // integers, on the device
    size_t at;
  };

  explicit Staging(size_t bytes);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // The arrays of one part of a step.
  struct Part {
    std::vector<Place> places;    // a dozen
    size_t begin = 0, end = 0;    // integers
  };
  // What is put from now on is of `part`, and lies behind what the step has staged so far.
  void Begin(Part* part);
  // Where `values` will be on the device; the same place for the same host array again in one part. Parts that begin in the same place
  // and stage arrays of the same sizes in the same order find them in the same places.
  const int32_t* Put(std::span<const int32_t> values);
  // A table of rows of `width`, on the device of `stride`; what is behind a row's end is -1.
  const int32_t* PutTable(std::span<const int32_t> values, int width, int stride);
  // For each token the number of its sequence.
  const int32_t* PutSequences(std::span<const int32_t> query_start);

  bool full() const { return full_; }  // something did not fit: this step cannot run
  void Send(const Part& part, cudaStream_t stream) const;
  // Whether the arrays of `part` can be staged where they were: the step has staged as much before them as it had then.
  bool CanRepeat(const Part& part) const { return part.begin == used_; }
  // Reads its arrays once more, with what they hold now.
  void Again(const Part& part);
  void Reset();
  // The arrays of `part`, with what they hold now, to `to`: for what is at begin on the device.
  void CopyTo(const Part& part, int32_t* to) const;
  // Where the array `from` lies among those of `part`, in integers; -1: it does not.
  static int64_t OffsetOf(const Part& part, std::span<const int32_t> from);
  int32_t* device(const Part& part) const { return device_ + part.begin; }

 private:
  const int32_t* PlaceOf(Use use, std::span<const int32_t> from, int width, int stride, size_t size);
  static void Fill(const Place& place, int32_t* to);

  int32_t* host_ = nullptr;
  int32_t* device_ = nullptr;
  size_t capacity_;  // integers
  size_t used_ = 0;
  bool full_ = false;
  Part* part_ = nullptr;
};

}  // namespace lb::cuda
