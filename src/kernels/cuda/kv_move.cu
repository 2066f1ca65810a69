// KV blocks between the pool and pinned host memory, read and written by the kernel itself.
#include <algorithm>

#include "kernels/cuda/launch.h"

namespace lb::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kAtOnce = 4;  // 16-byte loads of a thread under way: the bus has a long way
// What one launch takes: its arguments are bytes of the launch, so nothing has to be kept for it.
constexpr int kMostParts = 64;
constexpr int kMostMoves = 256;

struct Moves {
  KvBlockPart parts[kMostParts];
  KvBlockMove moves[kMostMoves];
  char* memory;
  int64_t slot_bytes;
};
static_assert(sizeof(Moves) <= 4000, "kernel arguments end at 4 KiB");

// A block of threads: one part of one block.
template <bool kToHost>
__global__ void __launch_bounds__(kThreads) MoveBlocks(const __grid_constant__ Moves m) {
  const KvBlockPart& part = m.parts[blockIdx.y];
  const KvBlockMove move = m.moves[blockIdx.x];
  auto* pool = reinterpret_cast<uint4*>(static_cast<char*>(part.pool) + move.block * part.bytes);
  auto* slot = reinterpret_cast<uint4*>(m.memory + move.slot * m.slot_bytes + part.offset);
  const uint4* from = kToHost ? pool : slot;
  uint4* to = kToHost ? slot : pool;
  const int count = static_cast<int>(part.bytes / 16);
  for (int first = static_cast<int>(threadIdx.x); first < count; first += kThreads * kAtOnce) {
    uint4 values[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i * kThreads < count) values[i] = from[first + i * kThreads];
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i * kThreads < count) to[first + i * kThreads] = values[i];
    }
  }
}

}  // namespace

cudaError_t LaunchMoveKvBlocks(const Launcher& on, std::span<const KvBlockPart> parts, const KvHostTier& tier,
                               std::span<const KvBlockMove> moves, bool to_host) {
  Moves args = {};
  args.memory = static_cast<char*>(tier.memory);
  args.slot_bytes = tier.slot_bytes;
  for (size_t p = 0; p < parts.size(); p += kMostParts) {
    const auto some_parts = parts.subspan(p, std::min<size_t>(kMostParts, parts.size() - p));
    std::copy(some_parts.begin(), some_parts.end(), args.parts);
    for (size_t i = 0; i < moves.size(); i += kMostMoves) {
      const auto some = moves.subspan(i, std::min<size_t>(kMostMoves, moves.size() - i));
      std::copy(some.begin(), some.end(), args.moves);
      const dim3 grid(static_cast<unsigned>(some.size()), static_cast<unsigned>(some_parts.size()));
      // Not as LaunchKernel does: it does not begin before all before it has ended.
      if (to_host) {
        MoveBlocks<true><<<grid, kThreads, 0, on.stream>>>(args);
      } else {
        MoveBlocks<false><<<grid, kThreads, 0, on.stream>>>(args);
      }
      if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) return error;
    }
  }
  return cudaSuccess;
}

}  // namespace lb::cuda
