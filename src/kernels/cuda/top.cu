// The largest logits of each row, so that sampling needs no copy of the vocabulary.
#include <algorithm>

#include "kernels/cuda/fragments.cuh"
#include "kernels/cuda/kernel_launch.cuh"

namespace lb::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kBuffer = 2048;   // candidates a block sorts

// Blocks that share a row: as many as make a second round of at most 1,024 keys.
__host__ __device__ constexpr int PartsFor(int count) { return count <= 16 ? 64 : 1024 / kMostTop; }
static_assert(PartsFor(1) == 64);

using Key = unsigned long long;

// Larger logits, then lower ids, have larger keys; a NaN comes first, so that it is seen.
__device__ __forceinline__ Key KeyOf(float v, int id) {
  const uint32_t bits = __float_as_uint(v + 0.0f);  // -0 equals 0
  uint32_t order = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  if (v != v) order = 0xffffffffu;
  return static_cast<Key>(order) << 32 | static_cast<uint32_t>(~id);
}
__device__ __forceinline__ float ValueOf(Key key) {
  const uint32_t order = static_cast<uint32_t>(key >> 32);
  if (order == 0xffffffffu) return __uint_as_float(0x7fc00000u);
  return __uint_as_float(order & 0x80000000u ? order & 0x7fffffffu : ~order);
}

// Sorts keys[0, n) falling, n a power of two.
__device__ void SortFalling(Key* keys, int n) {
  for (int size = 2; size <= n; size *= 2) {
    for (int step = size / 2; step > 0; step /= 2) {
      __syncthreads();
      for (int i = threadIdx.x; i < n / 2; i += kThreads) {
        const int a = i / step * step * 2 + i % step, b = a + step;
        const bool falling = (a & size) == 0;
        if ((keys[a] < keys[b]) == falling) {
          const Key swap = keys[a];
          keys[a] = keys[b];
          keys[b] = swap;
        }
      }
    }
  }
  __syncthreads();
}

__device__ Key BlockMax(Key v, Key* scratch) {
#pragma unroll
  for (int i = 16; i > 0; i /= 2) {
    const Key other = __shfl_xor_sync(0xffffffff, v, i);
    if (other > v) v = other;
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
  __syncthreads();
  for (int i = 0; i < kThreads / 32; ++i) v = max(v, scratch[i]);
  return v;
}

// One part of one row: its `count` largest keys, falling; 0 where it has fewer.
template <bool kMasked>
__global__ void __launch_bounds__(kThreads) TopOfPartKernel(const TopRows args, int count, Key* out) {
  __shared__ Key keys[kBuffer];
  __shared__ Key scratch[kThreads / 32];
  __shared__ int num;
  const int row = blockIdx.y, part = blockIdx.x, vocab = args.vocab;
  const int begin = static_cast<int>(static_cast<int64_t>(vocab) * part / gridDim.x);
  const int end = static_cast<int>(static_cast<int64_t>(vocab) * (part + 1) / gridDim.x);
  const float* x = args.logits + static_cast<int64_t>(row) * vocab;
  out += (static_cast<int64_t>(row) * gridDim.x + part) * count;
  LaunchNext();
  WaitForPrevious();
  const uint32_t* mask = nullptr;
  if constexpr (kMasked) {
    const int number = args.mask_of[row];
    if (number >= 0) mask = args.masks + static_cast<int64_t>(number) * args.mask_words;
  }
  const auto key_of = [&](int i) -> Key {
    const float v = x[i];
    if constexpr (kMasked) {
      if (mask != nullptr && (mask[i / 32] >> (i % 32) & 1) == 0 && v < INFINITY) return 0;
    }
    return KeyOf(v, i);
  };
  Key most = 0;
  for (int i = begin + threadIdx.x; i < end; i += kThreads) most = max(most, key_of(i));
  if (count == 1) {
    most = BlockMax(most, scratch);
    if (threadIdx.x == 0) out[0] = most;
    return;
  }
  // At least `count` keys reach the count-th largest of the threads' maxima.
  keys[threadIdx.x] = most;
  SortFalling(keys, kThreads);
  const Key bound = max(keys[count - 1], Key{1});
  __syncthreads();
  if (threadIdx.x == 0) num = 0;
  __syncthreads();
  for (int i = begin + threadIdx.x; i < end; i += kThreads) {
    const Key key = key_of(i);
    if (key >= bound) {
      const int at = atomicAdd(&num, 1);
      if (at < kBuffer) keys[at] = key;
    }
  }
  __syncthreads();
  if (num > kBuffer) {
    // All the large ones fell to a few threads: one after the other.
    Key below = ~Key{0};
    for (int n = 0; n < count; ++n) {
      Key best = 0;
      for (int i = begin + threadIdx.x; i < end; i += kThreads) {
        const Key key = key_of(i);
        if (key < below) best = max(best, key);
      }
      below = BlockMax(best, scratch);
      if (threadIdx.x == 0) out[n] = below;
    }
    return;
  }
  int size = 2;
  while (size < num) size *= 2;
  for (int i = num + threadIdx.x; i < size; i += kThreads) keys[i] = 0;
  SortFalling(keys, size);
  for (int i = threadIdx.x; i < count; i += kThreads) out[i] = i < num ? keys[i] : 0;
}

__global__ void __launch_bounds__(kThreads) JoinTopKernel(const Key* parts, int count, float* values, int32_t* ids) {
  __shared__ Key keys[1024];
  LaunchNext();
  WaitForPrevious();
  const int row = blockIdx.x, all = PartsFor(count) * count;
  if (count == 1) {
    if (threadIdx.x >= 32) return;
    Key most = max(parts[static_cast<int64_t>(row) * all + threadIdx.x], parts[static_cast<int64_t>(row) * all + threadIdx.x + 32]);
#pragma unroll
    for (int i = 16; i > 0; i /= 2) most = max(most, __shfl_xor_sync(0xffffffff, most, i));
    if (threadIdx.x == 0) values[row] = ValueOf(most), ids[row] = static_cast<int32_t>(~static_cast<uint32_t>(most));
    return;
  }
  int size = 2;
  while (size < all) size *= 2;
  for (int i = threadIdx.x; i < size; i += kThreads) keys[i] = i < all ? parts[static_cast<int64_t>(row) * all + i] : 0;
  SortFalling(keys, size);
  for (int i = threadIdx.x; i < count; i += kThreads) {
    values[static_cast<int64_t>(row) * count + i] = ValueOf(keys[i]);
    ids[static_cast<int64_t>(row) * count + i] = keys[i] == 0 ? -1 : static_cast<int32_t>(~static_cast<uint32_t>(keys[i]));
  }
}

}  // namespace

size_t TopScratchBytes(int rows, int count) {
  return sizeof(Key) * static_cast<size_t>(rows) * static_cast<size_t>(PartsFor(count) * count);
}

void LaunchTop(const Launcher& on, const TopRows& args, int count, void* scratch, float* values, int32_t* ids) {
  LaunchKernel(on, args.masks != nullptr ? TopOfPartKernel<true> : TopOfPartKernel<false>, dim3(PartsFor(count), args.rows), dim3(kThreads),
               0, args, count, static_cast<Key*>(scratch));
  LaunchKernel(on, JoinTopKernel, dim3(args.rows), dim3(kThreads), 0, static_cast<const Key*>(scratch), count, values, ids);
}

}  // namespace lb::cuda
