// Attention for every head size, type and mask: one block for each head of each token. The shapes that
// the tensor-core kernels do not take, and their check.
#include "kernels/cuda/attention.cuh"

namespace lb::cuda {
namespace {

constexpr int kThreads = 128;

template <DType kDType>
__device__ __forceinline__ float ValueAt(const char* row, int i) {
  if constexpr (kDType == DType::kF32) {
    return reinterpret_cast<const float*>(row)[i];
  } else if constexpr (kDType == DType::kF16) {
    return __half2float(reinterpret_cast<const __half*>(row)[i]);
  } else if constexpr (kDType == DType::kBF16) {
    return __bfloat162float(reinterpret_cast<const __nv_bfloat16*>(row)[i]);
  } else if constexpr (kDType == DType::kFP8E4M3) {
    return __half2float(__half(__nv_cvt_fp8_to_halfraw(static_cast<__nv_fp8_storage_t>(row[i]), __NV_E4M3)));
  } else if constexpr (kDType == DType::kQ8_0) {
    const char* block = row + i / 32 * 34;
    return __half2float(*reinterpret_cast<const __half*>(block)) * static_cast<int8_t>(block[2 + i % 32]);
  } else {
    const char* block = row + i / 32 * 18;
    const int code = static_cast<uint8_t>(block[2 + i % 16]) >> (i % 32 / 16 * 4) & 15;
    return __half2float(*reinterpret_cast<const __half*>(block)) * static_cast<float>(code - 8);
  }
}

template <DType kK, DType kV>
__global__ void PlainAttentionKernel(const __grid_constant__ Attention args) {
  extern __shared__ float shared[];  // query [k_dim], sums [v_dim]
  __shared__ float weights[kThreads];
  __shared__ float most_of[kThreads / 32];
  float* query = shared;
  float* sum = shared + args.kv.k_dim;
  LaunchNext();
  WaitForPrevious();
  const int token = blockIdx.x, h = blockIdx.y, kv_heads = args.kv.num_kv_heads;
  const int head = h / (args.heads / kv_heads), s = args.sequence_of[token], context = args.context_len[s];
  const Sight sight = SightOf(args.params, args.positions[token], context);
  const int32_t* table = args.block_table + static_cast<int64_t>(s) * args.table_stride;
  const float scale = QueryScale(args.params);
  const float* q = args.q + (static_cast<int64_t>(token) * args.heads + h) * args.kv.k_dim;
  for (int i = threadIdx.x; i < args.kv.k_dim; i += kThreads) query[i] = q[i] * scale;
  for (int i = threadIdx.x; i < args.kv.v_dim; i += kThreads) sum[i] = 0;
  __syncthreads();
  float most = kNothing, total = 0;
  for (int key0 = sight.first; key0 <= sight.last; key0 += kThreads) {
    const int key = key0 + static_cast<int>(threadIdx.x);
    float score = -INFINITY;
    if (key <= sight.last && table[key / kKvBlockTokens] >= 0) {
      const char* row = KvRowAt(args.kv.k, kK, args.kv.k_dim, kv_heads, table[key / kKvBlockTokens], head, key % kKvBlockTokens);
      score = 0;
      for (int i = 0; i < args.kv.k_dim; ++i) score += query[i] * ValueAt<kK>(row, i);
      if (args.params.softcap > 0) score = args.params.softcap * tanhf(score / args.params.softcap) * kLog2E;
    }
    float largest = score;
    for (int i = 16; i > 0; i /= 2) largest = fmaxf(largest, __shfl_xor_sync(0xffffffff, largest, i));
    if (threadIdx.x % 32 == 0) most_of[threadIdx.x / 32] = largest;
    __syncthreads();
    float now = most;
    for (int i = 0; i < kThreads / 32; ++i) now = fmaxf(now, most_of[i]);
    const float keep = exp2f(most - now);
    most = now;
    weights[threadIdx.x] = exp2f(score - now);
    __syncthreads();
    const int count = min(kThreads, sight.last - key0 + 1);
    float added = 0;
    for (int i = 0; i < count; ++i) added += weights[i];
    total = total * keep + added;
    for (int d = threadIdx.x; d < args.kv.v_dim; d += kThreads) {
      float v = sum[d] * keep;
      for (int i = 0; i < count; ++i) {
        const int block = table[(key0 + i) / kKvBlockTokens];
        if (block < 0) continue;
        v += weights[i] * ValueAt<kV>(KvRowAt(args.kv.v, kV, args.kv.v_dim, kv_heads, block, head, (key0 + i) % kKvBlockTokens), d);
      }
      sum[d] = v;
    }
    __syncthreads();
  }
  for (int d = threadIdx.x; d < args.kv.v_dim; d += kThreads) {
    StoreScaled(args.out, args.form, PlaceOf(args.form, token, h * args.kv.v_dim + d, args.heads * args.kv.v_dim), sum[d] / total);
  }
}

}  // namespace

void LaunchPlainAttention(const Launcher& on, const Attention& args) {
  const size_t shared = sizeof(float) * static_cast<size_t>(args.kv.k_dim + args.kv.v_dim);
  WithKvType(args.kv.k_dtype, [&]<DType kK>() {
    WithKvType(args.kv.v_dtype, [&]<DType kV>() {
      LaunchKernel(on, PlainAttentionKernel<kK, kV>, dim3(args.tokens, args.heads), dim3(kThreads), shared, args);
    });
  });
}

}  // namespace lb::cuda
