#include "kernels/cuda/upload.h"

#include <algorithm>

#include "kernels/cuda/pack_weight.h"

namespace lb::cuda {
namespace {

ThreadOptions Threads() {
  ThreadOptions options;
  options.poll = 0;
  return options;
}

}  // namespace

Upload::Upload() : threads_(Threads()) {
  for (Piece& piece : pieces_) LB_CUDA_CHECK(cudaEventCreateWithFlags(&piece.sent, cudaEventDisableTiming));
}

Upload::~Upload() {
  for (Piece& piece : pieces_) {
    cudaEventSynchronize(piece.sent);
    cudaEventDestroy(piece.sent);
    cudaFreeHost(piece.data);
  }
}

void Upload::Send(const TensorView& raw, const DeviceWeight& w, void* to, cudaStream_t stream) {
  const int64_t tile_bytes = w.tile_bytes();
  const int64_t at_once = std::max<int64_t>(1, static_cast<int64_t>(kPieceBytes) / tile_bytes);
  for (int64_t first = 0; first < w.tiles(); first += at_once) {
    Piece& piece = pieces_[next_];
    next_ = 1 - next_;
    const int64_t count = std::min(at_once, w.tiles() - first);
    const auto bytes = static_cast<size_t>(count * tile_bytes);
    LB_CUDA_CHECK(cudaEventSynchronize(piece.sent));
    if (piece.bytes < bytes) {
      cudaFreeHost(piece.data);
      piece.bytes = std::max(bytes, kPieceBytes);
      LB_CUDA_CHECK(cudaMallocHost(reinterpret_cast<void**>(&piece.data), piece.bytes));
    }
    PackTiles(raw, w, first, count, piece.data, threads_);
    LB_CUDA_CHECK(cudaMemcpyAsync(static_cast<uint8_t*>(to) + first * tile_bytes, piece.data, bytes, cudaMemcpyHostToDevice, stream));
    LB_CUDA_CHECK(cudaEventRecord(piece.sent, stream));
  }
}

}  // namespace lb::cuda
