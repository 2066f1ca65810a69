// Queries and keys normed and rotated, K and V stored: what lies between the q, k, v products and attention.
#include "kernels/cuda/head_row.cuh"
#include "kernels/cuda/kernel_launch.cuh"

namespace lb::cuda {
namespace {

constexpr int kWarps = 4;

// A warp for each head of each token: first the heads of q, then of k, then of v.
__global__ void RopeStoreKernel(const __grid_constant__ RopeStore args) {
  extern __shared__ float rows[];
  LaunchNext();
  WaitForPrevious();
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int q_heads = args.q != nullptr ? args.q_heads : 0;
  const int k_heads = args.k != nullptr ? args.kv_heads : 0;
  const int head = blockIdx.y * kWarps + warp, token = blockIdx.x;
  const bool is_q = head < q_heads, is_k = !is_q && head < q_heads + k_heads;
  const bool is_v = !is_q && !is_k && args.v != nullptr && head < q_heads + k_heads + args.kv_heads;
  if (!is_q && !is_k && !is_v) return;
  const int h = is_q ? head : is_k ? head - q_heads : head - q_heads - k_heads;
  const int dim = is_v ? args.v_dim : args.k_dim;
  const int heads = is_q ? args.q_heads : args.kv_heads;
  float* global = (is_q ? args.q : is_k ? args.k : const_cast<float*>(args.v)) +
                  (static_cast<int64_t>(token) * heads + h) * dim;
  float* row = rows + warp * max(args.k_dim, args.v_dim);
  const HeadKind kind = is_q ? HeadKind::kQuery : is_k ? HeadKind::kKey : HeadKind::kValue;
  PrepareHead(args, kind, token, global, dim, row, lane);
  if (!is_v) {
    for (int i = lane; i < dim; i += 32) global[i] = row[i];
  }
  if (!is_q && args.v != nullptr) StoreHead(args, kind, token, h, row, lane);
}

}  // namespace

void LaunchRopeStore(const Launcher& on, const RopeStore& args) {
  const int heads = (args.q != nullptr ? args.q_heads : 0) + (args.k != nullptr ? args.kv_heads : 0) +
                    (args.v != nullptr ? args.kv_heads : 0);
  const size_t shared = sizeof(float) * kWarps * static_cast<size_t>(args.k_dim > args.v_dim ? args.k_dim : args.v_dim);
  LaunchKernel(on, RopeStoreKernel, dim3(args.tokens, (heads + kWarps - 1) / kWarps), dim3(kWarps * 32), shared, args);
}

}  // namespace lb::cuda
