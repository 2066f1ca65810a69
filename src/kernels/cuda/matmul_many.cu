// A packed matrix written out as fp16, for products of many rows by cuBLASLt.
#include "kernels/cuda/fragments.cuh"
#include "kernels/cuda/kernel_launch.cuh"

namespace lb::cuda {
namespace {

// A warp decodes one chunk: 16 rows of 64 columns.
__global__ void DecodeWeightKernel(const DeviceWeight w, __half* out) {
  LaunchNext();
  const int lane = threadIdx.x % 32;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
  const int tile = static_cast<int>(index / w.chunks), c = static_cast<int>(index % w.chunks);
  WaitForPrevious();
  if (tile * kTileRows >= w.rows) return;
  WithForm(w.form, [&]<WeightForm kForm>() {
    Chunk<kForm> chunk;
    chunk.Load(w.data + (static_cast<int64_t>(tile) * w.chunks + c) * LayoutOf(kForm).record(), lane);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t a[2][4];
      chunk.Decode(half, a);
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int row = tile * kTileRows + lane / 4 + r * 8;
        const int col = c * kChunkCols + half * 32 + lane % 4 * 8;
        if (row < w.rows && col < w.cols) {
          __half* to = out + static_cast<int64_t>(row) * w.cols + col;
          const uint4 v = make_uint4(a[0][r], a[0][r + 2], a[1][r], a[1][r + 2]);
          if (col + 8 <= w.cols && w.cols % 8 == 0) {
            *reinterpret_cast<uint4*>(to) = v;
          } else {
            const __half* values = reinterpret_cast<const __half*>(&v);
            for (int i = 0; i < 8 && col + i < w.cols; ++i) to[i] = values[i];
          }
        }
      }
    }
  });
}

}  // namespace

void LaunchDecodeWeight(const Launcher& on, const DeviceWeight& w, void* out) {
  const int64_t chunks = int64_t{w.tiles()} * w.chunks;
  LaunchKernel(on, DecodeWeightKernel, dim3(static_cast<unsigned>((chunks + 7) / 8)), dim3(256), 0, w,
               static_cast<__half*>(out));
}

}  // namespace lb::cuda
