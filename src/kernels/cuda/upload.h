// Weights on their way from the mapped file to a device: packed piece by piece into pinned memory by all threads, each piece sent
// while the next one is packed.
#pragma once

#include "kernels/cpu/thread_pool.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/weight_layout.h"
#include "tensor/tensor.h"

namespace lb::cuda {

// One thread calls. Holds two pieces of pinned memory and the threads, which sleep between calls.
class Upload {
 public:
  Upload();
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  ThreadPool& threads() { return threads_; }
  // All of `raw` as `w`, what PlanWeight made of it, to device memory `to`, on `stream`. `raw` is not needed afterwards, the memory is full when
  // the stream has come so far.
  void Send(const TensorView& raw, const DeviceWeight& w, void* to, cudaStream_t stream);

 private:
  static constexpr size_t kPieceBytes = 16 << 20;
  struct Piece {
    uint8_t* data = nullptr;
    size_t bytes = 0;
    cudaEvent_t sent = nullptr;
  };
  ThreadPool threads_;
  Piece pieces_[2];
  int next_ = 0;
};

}  // namespace lb::cuda
