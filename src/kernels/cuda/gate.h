// A gate on the stream: what is queued behind it waits on the device until the host has said what it did not know before.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"

namespace lb::cuda {

class Gate {
 public:
  static constexpr size_t kInts = size_t{512} << 10;  // of a step's arrays, at most

  Gate();
  // The stream is empty, or the gate open.
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Pinned memory for the arrays of a step, 16-byte aligned. The device may still read those of the step before, which lie elsewhere.
  int32_t* NextArrays();
  // When the gate opens, the first `count` integers of those arrays go to `to`; what is queued afterwards comes behind that.
  void Queue(const Launcher& on, int32_t* to, size_t count);
  void Open();

 private:
  int32_t* arrays_[2];
  int which_ = 0;
  uint32_t* opened_;     // pinned: how many times
  uint32_t queued_ = 0;
};

}  // namespace lb::cuda
