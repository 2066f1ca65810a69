#include "kernels/cpu/walls.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/check.h"
#include "base/memory.h"
#include "kernels/backends.h"
#include "kernels/cpu/amx/tiles.h"

namespace lb {
namespace {

using Seconds = double (*)();

// Rounds per second of `fn` on all threads at once: the best of several runs.
template <typename Fn>
double Rate(ThreadPool& pool, Seconds seconds, const Fn& fn) {
  double best = 0;
  for (int run = 0; run < 6; ++run) {
    const double begin = seconds();
    pool.ParallelFor(pool.num_threads(), 1, [&](int64_t, int64_t, int thread) { fn(thread); });
    best = std::max(best, 1.0 / (seconds() - begin));
  }
  return best;
}

// Sums 8 independent streams of each thread's part, so that only memory can be the limit; asks for it
// ahead, without which one thread does not reach what memory gives.
double ReadRate(ThreadPool& pool, Seconds seconds) {
  const int64_t bytes = int64_t{384} << 20;
  auto* data = static_cast<uint64_t*>(AllocateMemory(static_cast<size_t>(bytes)));
  CHECK(data != nullptr);
  const int64_t words = bytes / 8;
  for (int64_t i = 0; i < words; i += 256) data[i] = static_cast<uint64_t>(i);
  volatile uint64_t sink = 0;
  // Small pieces, claimed as threads get to them, as the kernels do.
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    const double begin = seconds();
    pool.ParallelFor(words, 64 * 1024, [&](int64_t from, int64_t to, int) {
      uint64_t sum[8] = {};
      for (int64_t i = from; i + 8 <= to; i += 8) {
        __builtin_prefetch(data + i + 1024, 0, 2);
        for (int j = 0; j < 8; ++j) sum[j] += data[i + j];
      }
      for (uint64_t s : sum) sink = sink + s;
    });
    best = std::max(best, static_cast<double>(bytes) /
                              (seconds() - begin));
  }
  FreeMemory(data);
  return best;
}

constexpr int64_t kRounds = 4'000'000;  // some 10 ms

#if defined(__x86_64__)
// In assembly: the compiler would find a shorter way to the same nothing.
#define LB_REPEAT_10(op)                                                                    \
  op("0") op("1") op("2") op("3") op("4") op("5") op("6") op("7") op("8") op("9")

// Denormal numbers left over in a register would make a multiply-add a hundred times slower.
#define LB_CLEAR_REGISTERS()                                                                        \
  asm volatile("vzeroall" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
               "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

__attribute__((target("avx2,fma"))) void FmaRounds() {
  LB_CLEAR_REGISTERS();
#define LB_FMA(n) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" n "\n"
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile(LB_REPEAT_10(LB_FMA) ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                 "xmm7", "xmm8", "xmm9");
  }
}
// vpdpbusd of 256 bits: processors with AVX-VNNI.
__attribute__((target("avx2"))) void Vnni256Rounds() {
#define LB_DOT256(n) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" n "\n"
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile(LB_REPEAT_10(LB_DOT256) ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                 "xmm7", "xmm8", "xmm9");
  }
}
// vpmaddubsw with its sum in 16 bits: what a processor without a dot product can do at best.
__attribute__((target("avx2"))) void MaddRounds() {
#define LB_MADD(n) "vpmaddubsw %%ymm14, %%ymm15, %%ymm13\n vpaddw %%ymm13, %%ymm" n ", %%ymm" n "\n"
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile(LB_REPEAT_10(LB_MADD) ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                 "xmm7", "xmm8", "xmm9", "xmm13");
  }
}
void Vnni512Rounds() {
#define LB_DOT(n) "vpdpbusd %%zmm14, %%zmm15, %%zmm" n "\n"
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile(LB_REPEAT_10(LB_DOT) ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                 "xmm7", "xmm8", "xmm9");
  }
}
// Sixteen cycles each, so fewer of them.
constexpr int64_t kTileRounds = kRounds / 32;
void TileRounds() {
  constexpr TileShape kWhole = {16, 64};
  ConfigureTiles({kWhole, kWhole, kWhole, kWhole, kWhole, kWhole, kWhole, kWhole});
  for (int64_t i = 0; i < kTileRounds; ++i) {
    asm volatile(
        "tdpbssd %tmm7, %tmm6, %tmm0\n tdpbssd %tmm7, %tmm6, %tmm1\n"
        "tdpbssd %tmm7, %tmm6, %tmm2\n tdpbssd %tmm7, %tmm6, %tmm3\n");
  }
  asm volatile("tilerelease");
}
void Fma512Rounds() {
  LB_CLEAR_REGISTERS();
#define LB_FMA512(n) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" n "\n"
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile(LB_REPEAT_10(LB_FMA512) ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                 "xmm7", "xmm8", "xmm9");
  }
}
#endif

}  // namespace

double WallSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Walls MeasureWalls(ThreadPool& pool, Seconds seconds) {
  Walls w;
  w.read_gbs = ReadRate(pool, seconds) * 1e-9;
#if defined(__x86_64__)
  const std::string isa = CpuIsas().front();
  const double all = 10.0 * kRounds * pool.num_threads() * 1e-9;
  if (isa == "amx" || isa == "avx512") {
    if (isa == "amx") {
      const double tiles = 4.0 * kTileRounds * pool.num_threads() * 1e-9;
      w.int8_gops = Rate(pool, seconds, [](int) { TileRounds(); }) * tiles * 2 * 16 * 16 * 64;
      w.int8_how = "tdpbssd";
    } else {
      w.int8_gops = Rate(pool, seconds, [](int) { Vnni512Rounds(); }) * all * 128;
      w.int8_how = "vpdpbusd zmm";
    }
    w.f32_gflops = Rate(pool, seconds, [](int) { Fma512Rounds(); }) * all * 32;
  } else if (isa == "avx2vnni") {
    w.int8_gops = Rate(pool, seconds, [](int) { Vnni256Rounds(); }) * all * 64;
    w.int8_how = "vpdpbusd ymm";
    w.f32_gflops = Rate(pool, seconds, [](int) { FmaRounds(); }) * all * 16;
  } else if (isa == "avx2") {
    w.int8_gops = Rate(pool, seconds, [](int) { MaddRounds(); }) * all * 64;
    w.int8_how = "vpmaddubsw ymm, sums in 16 bits";
    w.f32_gflops = Rate(pool, seconds, [](int) { FmaRounds(); }) * all * 16;
  }
#endif
  return w;
}

}  // namespace lb
