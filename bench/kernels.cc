// kernel_bench: how near the CPU kernels come to what this machine can do. The walls (read bandwidth,
// int8 dot-product peak) are measured in the same run and printed beside each figure.
//
//   kernel_bench [--threads N] [--isa NAME] [--seconds S] [--types Q4_K,Q6_K] [--tokens 1,8,512] [--cpu-time]
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <functional>
#include <random>

#include "base/memory.h"
#include "bench/clock.h"
#include "kernels/backends.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/cpu/walls.h"

namespace lb {
namespace {

// Seconds of one call: the best of as many as fit in `budget`. The best, since what else runs on the
// machine only ever adds.
double Best(double budget, const std::function<void()>& call) {
  double best = 1e9;
  const double start = Seconds();
  int n = 0;
  do {
    const double begin = Seconds();
    call();
    best = std::min(best, Seconds() - begin);
  } while (++n < 3 || Seconds() - start < budget);
  return best;
}

struct Buffer {
  explicit Buffer(size_t bytes) : memory(AllocateMemory(bytes), &FreeMemory) {}
  float* floats() { return static_cast<float*>(memory.get()); }
  DeviceMemory memory;
};

void FillRandom(float* x, int64_t n) {
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < n; ++i) x[i] = normal(rng);
}

// A weight of random blocks (factors small, so that no value is infinite).
std::unique_ptr<Matrix> RandomMatrix(Ops& ops, DType dtype, int64_t rows, int64_t cols) {
  const int64_t bytes = rows * RowBytes(dtype, cols);
  Buffer raw(static_cast<size_t>(bytes));
  auto* p = static_cast<uint8_t*>(raw.memory.get());
  uint64_t state = 88172645463325252ull;
  for (int64_t i = 0; i < bytes; i += 8) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    // Bit 14 of every 16 off: no fp16 factor of 2 or more.
    const uint64_t v = state & 0xbfffbfffbfffbfffull;
    std::memcpy(p + i, &v, static_cast<size_t>(std::min<int64_t>(8, bytes - i)));
  }
  auto matrix = ops.LoadMatrix(TensorView(p, dtype, {rows, cols}));
  CHECK(matrix.has_value());
  return std::move(matrix).value();
}

struct Shape {
  int64_t rows, cols;
};

void MatmulRows(Ops& ops, DType dtype, const Shape& shape, const std::vector<int64_t>& tokens,
                const Walls& walls, double budget) {
  const double load_start = Seconds();
  auto matrix = RandomMatrix(ops, dtype, shape.rows, shape.cols);
  const double load = Seconds() - load_start;
  // Decode reads every weight once a token: copies enough that none stays in a cache.
  std::vector<std::unique_ptr<Matrix>> copies;
  const bool small = matrix->bytes < (64 << 20);
  if (small) {
    for (int64_t total = 0; total < (96 << 20); total += matrix->bytes) {
      copies.push_back(RandomMatrix(ops, dtype, shape.rows, shape.cols));
    }
  }
  for (const int64_t t : tokens) {
    if (shape.rows > 100'000 && t > 16) continue;  // the output matrix sees few rows
    Buffer x(static_cast<size_t>(t * shape.cols * 4)), y(static_cast<size_t>(t * shape.rows * 4));
    FillRandom(x.floats(), t * shape.cols);
    const TensorView xv(x.floats(), DType::kF32, {t, shape.cols});
    const TensorView yv(y.floats(), DType::kF32, {t, shape.rows});
    double seconds;
    if (small && t <= 32) {
      seconds = Best(budget, [&] {
        for (const auto& m : copies) {
          const MatmulOut out{m.get(), yv, nullptr, false};
          ops.Matmul(xv, {&out, 1});
        }
      }) / static_cast<double>(copies.size());
    } else {
      seconds = Best(budget, [&] {
        const MatmulOut out{matrix.get(), yv, nullptr, false};
        ops.Matmul(xv, {&out, 1});
      });
    }
    const double gbs = static_cast<double>(matrix->bytes) / seconds * 1e-9;
    const double gops =
        2.0 * static_cast<double>(shape.rows * shape.cols * t) / seconds * 1e-9;
    std::printf("%-7s %6lld x %5lld  T %4lld  %9.3f ms  %6.2f GB/s (%3.0f %%)  %7.1f GOP/s (%3.0f %%)",
                std::string(Info(dtype).name).c_str(), static_cast<long long>(shape.rows),
                static_cast<long long>(shape.cols), static_cast<long long>(t), seconds * 1e3, gbs,
                100 * gbs / walls.read_gbs, gops, 100 * gops / walls.int8_gops);
    if (t == tokens.front()) std::printf("  load %.0f ms", load * 1e3);
    std::printf("\n");
    std::fflush(stdout);
  }
}

void AttentionRow(Ops& ops, DType dtype, int heads, int kv_heads, int dim, int tokens, int context,
                  const Walls& walls, double budget) {
  const int blocks = (context + kKvBlockTokens - 1) / kKvBlockTokens;
  const int64_t rows = int64_t{blocks} * kKvBlockTokens * kv_heads;
  const int64_t side = rows * RowBytes(dtype, dim);
  Buffer k(static_cast<size_t>(side)), v(static_cast<size_t>(side));
  Buffer q(static_cast<size_t>(tokens) * heads * dim * 4), out(static_cast<size_t>(tokens) * heads * dim * 4);
  FillRandom(q.floats(), int64_t{tokens} * heads * dim);
  std::vector<float> noise(static_cast<size_t>(dim));
  FillRandom(noise.data(), dim);
  for (int64_t r = 0; r < rows; ++r) {
    Info(dtype).encode(noise.data(), static_cast<char*>(k.memory.get()) + r * RowBytes(dtype, dim), dim);
    Info(dtype).encode(noise.data(), static_cast<char*>(v.memory.get()) + r * RowBytes(dtype, dim), dim);
  }
  std::vector<int32_t> table, positions, start{0, tokens}, contexts{context}, slots;
  for (int i = 0; i < blocks; ++i) table.push_back(blocks - 1 - i);
  for (int i = 0; i < tokens; ++i) positions.push_back(context - tokens + i);
  const KvLayer layer{k.memory.get(), v.memory.get(), dtype, dtype, kv_heads, dim, dim, blocks};
  const TensorView qv(q.floats(), DType::kF32, {tokens, int64_t{heads} * dim});
  const TensorView ov(out.floats(), DType::kF32, {tokens, int64_t{heads} * dim});
  const AttentionParams params{0.08f, 0, 0.0f};
  const double seconds = Best(budget, [&] {
    ops.PagedAttention(qv, layer, {positions, start, contexts}, {slots, table, blocks}, params, ov);
  });
  const double pairs = static_cast<double>(tokens) * (context - (tokens - 1) / 2.0) * heads;
  const double gflops = 4 * pairs * dim / seconds * 1e-9;
  const double gbs = 2.0 * static_cast<double>(side) / seconds * 1e-9;
  std::printf("attention %-5s heads %2d/%d x %3d  T %4d  context %5d  %9.3f ms  %6.2f GB/s (%3.0f %%)  %6.1f GFLOP/s (%3.0f %% of f32 peak)\n",
              std::string(Info(dtype).name).c_str(), heads, kv_heads, dim, tokens, context,
              seconds * 1e3, gbs, 100 * gbs / walls.read_gbs, gflops, 100 * gflops / walls.f32_gflops);
  std::fflush(stdout);
}

int Main(int argc, char** argv) {
  CLI::App app("How near the CPU kernels come to this machine's walls");
  int threads = 0;
  std::string isa;
  double budget = 0.3;
  std::vector<std::string> types{"Q4_K", "Q6_K", "Q5_0", "Q8_0", "Q4_1"};
  std::vector<int64_t> tokens{1, 2, 4, 8, 16, 512};
  bool only_attention = false, only_matmul = false, all_shapes = false;
  app.add_option("--threads", threads, "threads; 0: one per core");
  app.add_option("--isa", isa, "instruction set; empty: the best");
  app.add_option("--seconds", budget, "time for each figure");
  app.add_option("--types", types, "weight types")->delimiter(',');
  app.add_option("--tokens", tokens, "rows of activations")->delimiter(',');
  app.add_flag("--attention", only_attention, "attention only");
  app.add_flag("--matmul", only_matmul, "products only");
  app.add_flag("--all-shapes", all_shapes, "every shape of Qwen2.5-1.5B, not one");
  app.add_flag("--cpu-time", g_cpu_time, "with --threads 1 on a busy machine: count CPU time only");
  CLI11_PARSE(app, argc, argv);
  auto made = MakeCpuOps({{threads}, isa});
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().message.c_str());
    return 1;
  }
  Ops& ops = **made;
  ThreadPool pool(threads);
  const Walls walls = MeasureWalls(pool, &Seconds);
  std::printf("%s: read %.1f GB/s, int8 %.0f GOP/s (%s), f32 %.0f GFLOP/s\n",
              std::string(ops.name()).c_str(), walls.read_gbs, walls.int8_gops, walls.int8_how,
              walls.f32_gflops);
  std::vector<Shape> shapes{{8960, 1536}};
  if (all_shapes) shapes = {{1536, 1536}, {256, 1536}, {8960, 1536}, {1536, 8960}, {151936, 1536}};
  if (!only_attention) {
    for (const std::string& name : types) {
      const auto dtype = DTypeFromName(name);
      if (!dtype) {
        std::fprintf(stderr, "no type %s\n", name.c_str());
        return 1;
      }
      for (const Shape& shape : shapes) MatmulRows(ops, *dtype, shape, tokens, walls, budget);
    }
  }
  if (!only_matmul) {
    for (const DType dtype : {DType::kF16, DType::kQ8_0, DType::kQ4_0}) {
      // The heads of Qwen2.5-1.5B and of SmolLM2-135M; 85 tokens are a turn of a chat.
      for (const auto& [heads, kv_heads, dim] : {std::array{12, 2, 128}, std::array{9, 3, 64}}) {
        if (dim == 64 && dtype != DType::kF16) continue;
        for (const auto& [tokens, context] :
             {std::pair{1, 512}, {1, 8192}, {85, 1800}, {512, 512}, {512, 4096}}) {
          AttentionRow(ops, dtype, heads, kv_heads, dim, tokens, context, walls, budget);
        }
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace lb

int main(int argc, char** argv) { return lb::Main(argc, argv); }
