// Panel times many tokens with the tile unit (Intel AMX): 16 tokens by 16 rows by 32 values of k are one
// product of tiles, whose exact sums then take the same chain of float operations as everywhere.
#include <immintrin.h>

#include "kernels/cpu/amx/tiles.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/isa/panel.h"

namespace lb::LB_ISA {
namespace {

constexpr int kTileTokens = LB_TOKEN_BLOCK;
static_assert(kTileTokens == kArrangedTokens, "");
constexpr int kTileFloats = kTileTokens * kPanelRows;
// Halves of a block that have sums of their own.
template <typename F>
constexpr int kParts = F::kPer16 ? 2 : 1;

// 16 tokens and one block as tiles take them: the values token by token, then every token's d, every one's dsum.
struct Arranged {
  int8_t q[kTileTokens * 32];
  float d[kTileTokens];
  float dsum[kTileTokens];
};
static_assert(sizeof(Arranged) == kTileTokens * kArrangedBytes, "");

// What scratch holds: one panel's stretch, its sums with 16 tokens, the results of all panels.
template <typename F>
struct Stretch {
  Unpacked<F> panel;
  alignas(64) int32_t sums[2][kParts<F>][kTileFloats];
  alignas(64) float acc[kMaxJobPanels * kMaxJobTokens * 16];
};

// What is needed soon, of which each block asks for its own size: other tokens, and the stretch unpacked next.
template <typename F>
struct Soon {
  const Arranged* tokens;
  Source<F> source;
};
template <typename F>
LB_FN void AskFor(const Soon<F>& soon, int64_t b) {
  const auto* lines = reinterpret_cast<const uint8_t*>(soon.tokens + b);
  LB_UNROLL for (size_t i = 0; i < sizeof(Arranged); i += 64) __builtin_prefetch(lines + i);
  AskForBlock(soon.source, b);
}

// One block with 16 tokens: the products are begun early and their sums stored late, the floats of the
// block before are computed meanwhile.
template <typename F>
LB_FN void Begin(const uint8_t* codes, const Arranged& a) {
  _tile_zero(0);
  _tile_loadd(2, a.q, 32);
  _tile_loadd(3, codes, 64);
  _tile_dpbssd(0, 2, 3);
  if constexpr (kParts<F> == 2) {
    _tile_zero(1);
    _tile_loadd(4, a.q + 16, 32);
    _tile_loadd(5, codes + 256, 64);
    _tile_dpbssd(1, 4, 5);
  }
}
template <typename F>
LB_FN void End(int32_t (*sums)[kTileFloats]) {
  _tile_stored(0, sums[0], 64);
  if constexpr (kParts<F> == 2) _tile_stored(1, sums[1], 64);
}

LB_FN Vf SumOf(const int32_t* sums, int t) { return ToFloat(LoadB(sums + t * 16)); }

template <typename F>
LB_FN void RunBlocks(Stretch<F>* s, int64_t num_blocks, const Arranged* a, const Soon<F>& soon,
                     float* acc_out) {
  Vf acc[kTileTokens];
  LB_UNROLL for (int t = 0; t < kTileTokens; ++t) acc[t] = LoadF(acc_out + t * 16);
  Begin<F>(s->panel.codes, a[0]);
  for (int64_t b = 0; b < num_blocks; ++b) {
    AskFor(soon, b);
    End<F>(s->sums[b % 2]);
    if (b + 1 < num_blocks) Begin<F>(s->panel.codes + (b + 1) * 512, a[b + 1]);
    const Vf d = LoadF(s->panel.d + b * 16);
    LB_UNROLL for (int t = 0; t < kTileTokens; ++t) {
      acc[t] = Fma(SumOf(s->sums[b % 2][0], t), Mul(d, Set(a[b].d[t])), acc[t]);
    }
    if constexpr (F::kHasMin) {
      const Vf m = LoadF(s->panel.m + b * 16);
      LB_UNROLL for (int t = 0; t < kTileTokens; ++t) acc[t] = Fma(m, Set(a[b].dsum[t]), acc[t]);
    }
  }
  LB_UNROLL for (int t = 0; t < kTileTokens; ++t) StoreF(acc_out + t * 16, acc[t]);
}

template <typename F>
LB_FN void RunSuper(Stretch<F>* s, int64_t num_blocks, const Arranged* a, const Soon<F>& soon,
                    float* acc_out) {
  static_assert(!(F::kPer16 && F::kHasMin), "sums of 16 values are not arranged");
  Begin<F>(s->panel.codes, a[0]);
  for (int64_t first = 0; first < num_blocks; first += 8) {
    const Prepared<F>& p = s->panel.prepared[first / 8];
    Vf scaled[kTileTokens];
    LB_UNROLL for (int t = 0; t < kTileTokens; ++t) scaled[t] = Set(0.0f);
    for (int64_t b = first; b < first + 8; ++b) {
      AskFor(soon, b);
      End<F>(s->sums[b % 2]);
      if (b + 1 < num_blocks) Begin<F>(s->panel.codes + (b + 1) * 512, a[b + 1]);
      const uint8_t* scales = p.scales + (b - first) * kParts<F> * kScaleBytes;
      LB_UNROLL for (int t = 0; t < kTileTokens; ++t) {
        Vf sum = Mul(SumOf(s->sums[b % 2][0], t), ScaleF(scales));
        if constexpr (kParts<F> == 2) sum = Fma(SumOf(s->sums[b % 2][1], t), ScaleF(scales + kScaleBytes), sum);
        scaled[t] = Fma(sum, Set(a[b].d[t]), scaled[t]);
      }
    }
    const Vf d = LoadF(p.d);
    LB_UNROLL for (int t = 0; t < kTileTokens; ++t) scaled[t] = Fma(scaled[t], d, LoadF(acc_out + t * 16));
    if constexpr (F::kHasMin) {
      AddMinimums<F, kTileTokens>(p, nullptr, 0, [&](int t, int i) { return a[first + i].dsum[t]; }, scaled);
    }
    LB_UNROLL for (int t = 0; t < kTileTokens; ++t) StoreF(acc_out + t * 16, scaled[t]);
  }
}

// Where 16 tokens' results of a panel go is far away: asked for while they are computed.
LB_FN void AskForResults(const PanelJob& job, int panel, int64_t t0) {
  const int64_t end = t0 + kTileTokens < job.num_tokens ? t0 + kTileTokens : job.num_tokens;
  for (int64_t t = t0; t < end; ++t) __builtin_prefetch(job.y + t * job.y_stride + panel * kPanelRows, 1);
}

template <typename F>
void ManyTokens(const PanelJob& job) {
  static_assert(sizeof(Stretch<F>) <= kScratchBytes, "");
  auto* s = static_cast<Stretch<F>*>(job.scratch);
  const auto* arranged = static_cast<const Arranged*>(job.arranged);
  const int64_t num_blocks = job.cols / 32;
  const int64_t tokens = (job.num_tokens + kTileTokens - 1) / kTileTokens * kTileTokens;
  for (int64_t i = 0; i < job.num_panels * tokens; ++i) StoreF(s->acc + i * 16, Set(0.0f));
  constexpr int kBytes = 32 / kParts<F>;  // of a token's values that are summed together
  constexpr TileShape kSums = {kTileTokens, 64}, kTokens = {kTileTokens, kBytes}, kWeights = {kBytes / 4, 64};
  ConfigureTiles({kSums, kSums, kTokens, kWeights, kTokens, kWeights, kSums, kSums});
  for (int64_t b = 0; b < num_blocks; b += kStretchBlocks) {
    const int64_t n = num_blocks - b < kStretchBlocks ? num_blocks - b : kStretchBlocks;
    for (int p = 0; p < job.num_panels; ++p) {
      Unpack<F>(SourceAt<F>(job, p, b), n, &s->panel);
      StoresAreDone();
      Soon<F> soon = {nullptr, NextSource<F>(job, p, b)};
      for (int64_t t = 0; t < tokens; t += kTileTokens) {
        const Arranged* a = arranged + t / kTileTokens * num_blocks + b;
        soon.tokens = t + kTileTokens < tokens ? a + num_blocks : arranged + b;
        float* acc = s->acc + (p * tokens + t) * 16;
        if (b + n == num_blocks) AskForResults(job, p, t);
        if constexpr (F::kSuper) {
          RunSuper<F>(s, n, a, soon, acc);
        } else {
          RunBlocks<F>(s, n, a, soon, acc);
        }
        soon.source = {nullptr, nullptr};
      }
    }
  }
  _tile_release();
  for (int64_t t = 0; t < job.num_tokens; ++t) {
    for (int p = 0; p < job.num_panels; ++p) Write(job, p, t, LoadF(s->acc + (p * tokens + t) * 16));
  }
}

void Arrange(const int8_t* q, const ActBlock* blocks, int64_t cols, void* out) {
  const int64_t num_blocks = cols / 32;
  auto* to = static_cast<Arranged*>(out);
  for (int64_t t = 0; t < kTileTokens; ++t) {
    for (int64_t b = 0; b < num_blocks; ++b) {
      memcpy(to[b].q + t * 32, q + t * cols + b * 32, 32);
      to[b].d[t] = blocks[t * num_blocks + b].d;
      to[b].dsum[t] = blocks[t * num_blocks + b].dsum;
    }
  }
}

template <typename F>
void Multiply(const PanelJob& job) {
  if (job.arranged == nullptr) return Avx512Kernels()->matmul[F::kPack](job);
  ManyTokens<F>(job);
}

template <int... kPacks>
void SetFormats(CpuKernels* k) {
  ((k->matmul[kPacks] = Multiply<Format<kPacks>>), ...);
}

// What is not set here is as without tiles: products of floats, all other operations, and Q2_K, which gains
// nothing, as halves of its blocks have minimums of their own.
CpuKernels Make() {
  CpuKernels k = *Avx512Kernels();
  k.name = "amx";
  k.arrange = Arrange;
  SetFormats<kPackQ4_0, kPackQ4_1, kPackQ5_0, kPackQ5_1, kPackQ8_0, kPackQ3_K, kPackQ4_K, kPackQ5_K, kPackQ6_K,
             kPackIQ4_NL, kPackIQ4_XS, kPackMXFP4>(&k);
  return k;
}

}  // namespace
}  // namespace lb::LB_ISA

namespace lb {

const CpuKernels* LB_ISA_EXPORT() {
  static const CpuKernels kernels = LB_ISA::Make();
  return &kernels;
}

}  // namespace lb
