// Panel times tokens. Few tokens: codes are unpacked in registers, weights come once from memory. Many:
// a stretch of the panel is unpacked into scratch that fits the first-level cache and serves all tokens.
// Either way an output is the same chain of operations (docs/contracts/kernels.md).
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/isa/panel.h"
#include "kernels/cpu/isa/tables.h"

namespace lb::LB_ISA {
namespace {

// Tokens a register block takes.
constexpr int kTokenBlock = LB_TOKEN_BLOCK;
// Up to so many tokens, codes are unpacked in registers, again for each register block: where that has
// eight tokens to serve, it costs less than the way through scratch. Codes of 8 bits need no unpacking.
template <typename F>
constexpr int64_t kFewTokens = F::kLineBytes == 512 ? kMaxJobTokens : kTokenBlock > 4 ? 32 : 4;
// A panel that is used as it comes from memory is taken in steps of so many 32s of k, and asked for some
// steps before: 9 KB, what memory delivers in a few times its latency.
constexpr int64_t kStepBlocks = 8;
constexpr int kPrefetchBytes = 9 * 1024;
template <typename F>
constexpr int kStepBytes = kStepBlocks * (F::kLineBytes + F::kRecordBytes * 32 / F::kUnit);
template <typename F>
constexpr int kStepsAhead = kPrefetchBytes / kStepBytes<F>;

// Some tokens, at some k.
struct Tokens {
  const int8_t* q;
  int64_t q_stride;
  const ActBlock* blocks;
  int64_t block_stride;
  // Lines and records that are needed soon, as many as those in hand; null: none.
  const uint8_t* ahead = nullptr;
  const uint8_t* records_ahead = nullptr;
};

// Asks for what is needed after the 32 values in hand, so that memory is busy meanwhile.
template <typename F>
LB_FN void Prefetch(const Tokens& tok, int64_t block) {
  AskForBlock(Source<F>{tok.ahead, tok.records_ahead}, block);
}

template <typename F>
LB_FN void Advance(Tokens* tok, int64_t blocks) {
  tok->q += 32 * blocks;
  tok->blocks += blocks;
  if (tok->ahead == nullptr) return;
  tok->ahead += blocks * F::kLineBytes;
  tok->records_ahead += blocks * 32 * F::kRecordBytes / F::kUnit;
}

// ---- 32 values with their own scale ----

// d and m of a block: from its record, or from scratch.
template <typename F>
struct PanelFactors {
  const uint8_t* records;
  LB_FN Vf D(PanelFactors f, int64_t b) { return F::D(f.records + b * F::kRecordBytes); }
  LB_FN Vf M(PanelFactors f, int64_t b) { return F::M(f.records + b * F::kRecordBytes); }
};
struct ScratchFactors {
  const float* d;
  const float* m;
  LB_FN Vf D(ScratchFactors f, int64_t b) { return LoadF(f.d + b * 16); }
  LB_FN Vf M(ScratchFactors f, int64_t b) { return LoadF(f.m + b * 16); }
};

template <typename F, typename From, int NT, typename Factors>
LB_FN void RunBlocks(const uint8_t* lines, Factors factors, int64_t num_blocks, Tokens tok, Vf* acc) {
  for (int64_t b = 0; b < num_blocks; ++b) {
    Prefetch<F>(tok, 0);
    Vf sum[NT];
    BlockSum<F, From, NT>(lines, tok.q, tok.q_stride, tok.blocks, tok.block_stride, nullptr, sum);
    const Vf d = Factors::D(factors, b);
    LB_UNROLL for (int t = 0; t < NT; ++t) {
      const ActBlock& a = tok.blocks[t * tok.block_stride];
      acc[t] = Fma(sum[t], Mul(d, Set(a.d)), acc[t]);
    }
    if constexpr (F::kHasMin) {
      const Vf m = Factors::M(factors, b);
      LB_UNROLL for (int t = 0; t < NT; ++t) {
        acc[t] = Fma(m, Set(tok.blocks[t * tok.block_stride].dsum), acc[t]);
      }
    }
    lines += From::kBytes;
    Advance<F>(&tok, 1);
  }
}

// ---- super-blocks of 256 ----

template <typename F, typename From, int NT>
LB_FN void RunSuper(const uint8_t* lines, const Prepared<F>& p, Tokens tok, Vf* acc) {
  constexpr int kPerBlock = kSubScales<F> / 8;
  Vf scaled[NT];
  LB_UNROLL for (int t = 0; t < NT; ++t) scaled[t] = Set(0.0f);
  const uint8_t* scales = p.scales;
  const int8_t* q = tok.q;
  for (int i = 0; i < 8; ++i) {
    Prefetch<F>(tok, i);
    Vf sum[NT];
    BlockSum<F, From, NT>(lines, q, tok.q_stride, tok.blocks + i, tok.block_stride, scales, sum);
    LB_UNROLL for (int t = 0; t < NT; ++t) {
      scaled[t] = Fma(sum[t], Set(tok.blocks[t * tok.block_stride + i].d), scaled[t]);
    }
    lines += From::kBytes;
    scales += kPerBlock * kScaleBytes;
    q += 32;
  }
  const Vf d = LoadF(p.d);
  LB_UNROLL for (int t = 0; t < NT; ++t) acc[t] = Fma(scaled[t], d, acc[t]);
  if constexpr (F::kHasMin) {
    AddMinimums<F, NT>(p, tok.blocks, tok.block_stride,
                       [&](int t, int i) { return tok.blocks[t * tok.block_stride + i].dsum; }, acc);
  }
}

// ---- a panel ----

LB_FN Tokens TokensAt(const PanelJob& job, int64_t t, int64_t block) {
  const int64_t blocks = job.cols / 32;
  return {job.q + t * job.cols + block * 32, job.cols, job.blocks + t * blocks + block, blocks,
          nullptr, nullptr};
}

// What comes kStepsAhead after step `step` of panel `p`; nulls behind the job's last panel.
template <typename F>
LB_FN Source<F> SourceAhead(const PanelJob& job, int p, int64_t step) {
  const int64_t steps = (job.cols / 32 + kStepBlocks - 1) / kStepBlocks;
  step += kStepsAhead<F>;
  while (step >= steps && p < job.num_panels) {
    step -= steps;
    ++p;
  }
  if (p >= job.num_panels) return {nullptr, nullptr};
  return SourceAt<F>(job, p, step * kStepBlocks);
}

template <typename F, int NT>
void OnePanel(const PanelJob& job, int panel, int64_t t0) {
  const int64_t num_blocks = job.cols / 32;
  Vf acc[NT];
  LB_UNROLL for (int t = 0; t < NT; ++t) acc[t] = Set(0.0f);
  Tokens tok = TokensAt(job, t0, 0);
  for (int64_t b = 0; b < num_blocks; b += kStepBlocks) {
    const Source<F> source = SourceAt<F>(job, panel, b);
    const Source<F> ahead = SourceAhead<F>(job, panel, b / kStepBlocks);
    tok.ahead = ahead.lines;
    tok.records_ahead = ahead.records;
    if constexpr (!F::kSuper) {
      const int64_t n = num_blocks - b < kStepBlocks ? num_blocks - b : kStepBlocks;
      RunBlocks<F, FromPanel<F>, NT>(source.lines, PanelFactors<F>{source.records}, n, tok, acc);
    } else {
      Prepared<F> prepared;
      Prepare<F>(source.records, &prepared);
      RunSuper<F, FromPanel<F>, NT>(source.lines, prepared, tok, acc);
    }
    tok.q += 32 * kStepBlocks;
    tok.blocks += kStepBlocks;
  }
  LB_UNROLL for (int t = 0; t < NT; ++t) Write(job, panel, t0 + t, acc[t]);
}

// Panel by panel: from the second pass on it comes from a near cache.
template <typename F>
void FewTokens(const PanelJob& job) {
  for (int p = 0; p < job.num_panels; ++p) {
    int64_t t = 0;
    for (; t + kTokenBlock <= job.num_tokens; t += kTokenBlock) OnePanel<F, kTokenBlock>(job, p, t);
    if constexpr (kTokenBlock > 4) {
      if (t + 4 <= job.num_tokens) {
        OnePanel<F, 4>(job, p, t);
        t += 4;
      }
    }
    if (t + 2 <= job.num_tokens) {
      OnePanel<F, 2>(job, p, t);
      t += 2;
    }
    if (t < job.num_tokens) OnePanel<F, 1>(job, p, t);
  }
}

// What scratch holds while panels meet many tokens: one panel's stretch, and the sums of all.
template <typename F>
struct Stretch {
  Unpacked<F> panel;
  alignas(64) float acc[kMaxJobPanels * kMaxJobTokens * 16];
};

template <typename F, int NT>
void RunStretch(const Unpacked<F>& s, int64_t num_blocks, Tokens tok, float* acc_out) {
  Vf acc[NT];
  LB_UNROLL for (int t = 0; t < NT; ++t) acc[t] = LoadF(acc_out + t * 16);
  if constexpr (!F::kSuper) {
    RunBlocks<F, FromScratch<F>, NT>(s.codes, ScratchFactors{s.d, s.m}, num_blocks, tok, acc);
  } else {
    for (int64_t b = 0; b < num_blocks; b += 8) {
      RunSuper<F, FromScratch<F>, NT>(s.codes + b * 512, s.prepared[b / 8], tok, acc);
      Advance<F>(&tok, 8);
    }
  }
  LB_UNROLL for (int t = 0; t < NT; ++t) StoreF(acc_out + t * 16, acc[t]);
}

// `next` is unpacked after this.
template <typename F>
void StretchTokens(const PanelJob& job, const Unpacked<F>& s, int64_t b, int64_t n,
                   const Source<F>& next, float* acc) {
  int64_t t = 0;
  for (; t + kTokenBlock <= job.num_tokens; t += kTokenBlock) {
    Tokens tok = TokensAt(job, t, b);
    if (t == 0) {
      tok.ahead = next.lines;
      tok.records_ahead = next.records;
    }
    RunStretch<F, kTokenBlock>(s, n, tok, acc + t * 16);
  }
  if constexpr (kTokenBlock > 4) {
    if (t + 4 <= job.num_tokens) {
      RunStretch<F, 4>(s, n, TokensAt(job, t, b), acc + t * 16);
      t += 4;
    }
  }
  for (; t + 2 <= job.num_tokens; t += 2) {
    RunStretch<F, 2>(s, n, TokensAt(job, t, b), acc + t * 16);
  }
  if (t < job.num_tokens) RunStretch<F, 1>(s, n, TokensAt(job, t, b), acc + t * 16);
}

template <typename F>
void ManyTokens(const PanelJob& job) {
  static_assert(sizeof(Stretch<F>) <= kScratchBytes, "");
  auto* s = static_cast<Stretch<F>*>(job.scratch);
  const int64_t num_blocks = job.cols / 32;
  for (int64_t i = 0; i < job.num_panels * job.num_tokens; ++i) StoreF(s->acc + i * 16, Set(0.0f));
  // Stretch by stretch over all panels: its activations are read again while they are near.
  for (int64_t b = 0; b < num_blocks; b += kStretchBlocks) {
    const int64_t n = num_blocks - b < kStretchBlocks ? num_blocks - b : kStretchBlocks;
    for (int p = 0; p < job.num_panels; ++p) {
      Unpack<F>(SourceAt<F>(job, p, b), n, &s->panel);
      StretchTokens<F>(job, s->panel, b, n, NextSource<F>(job, p, b), s->acc + p * job.num_tokens * 16);
    }
  }
  // Token by token: what lies together in memory is written together.
  for (int64_t t = 0; t < job.num_tokens; ++t) {
    for (int p = 0; p < job.num_panels; ++p) {
      Write(job, p, t, LoadF(s->acc + (p * job.num_tokens + t) * 16));
    }
  }
}

template <typename F>
void MultiplyInt(const PanelJob& job) {
  if (job.num_tokens <= kFewTokens<F>) return FewTokens<F>(job);
  ManyTokens<F>(job);
}

// ---- float weights ----

constexpr int64_t kFloatChunk = 128;

template <int kPack>
LB_FN Vf LoadWeights(const uint8_t* p) {
  if constexpr (kPack == kPackF32) return LoadF(reinterpret_cast<const float*>(p));
  if constexpr (kPack == kPackF16) return LoadHalf(p);
  return LoadBf16(p);
}

template <int kPack, int NT>
void FloatTokens(const PanelJob& job, int panel, int64_t t0) {
  constexpr int kBytes = kPanelRows * (kPack == kPackF32 ? 4 : 2);
  const float* x = job.x + t0 * job.cols;
  const uint8_t* w = job.panels + panel * job.panel_bytes;
  Vf acc[NT];
  LB_UNROLL for (int t = 0; t < NT; ++t) acc[t] = Set(0.0f);
  for (int64_t begin = 0; begin < job.cols; begin += kFloatChunk) {
    const int64_t end = begin + kFloatChunk < job.cols ? begin + kFloatChunk : job.cols;
    Vf sum[NT];
    LB_UNROLL for (int t = 0; t < NT; ++t) sum[t] = Set(0.0f);
    for (int64_t k = begin; k < end; ++k) {
      if (k % (64 / (kBytes < 64 ? kBytes : 64)) == 0) Ask(w + kPrefetchBytes);
      const Vf v = LoadWeights<kPack>(w);
      LB_UNROLL for (int t = 0; t < NT; ++t) sum[t] = Fma(v, Set(x[t * job.cols + k]), sum[t]);
      w += kBytes;
    }
    LB_UNROLL for (int t = 0; t < NT; ++t) acc[t] = Add(acc[t], sum[t]);
  }
  LB_UNROLL for (int t = 0; t < NT; ++t) Write(job, panel, t0 + t, acc[t]);
}

template <int kPack>
void MultiplyFloat(const PanelJob& job) {
  for (int p = 0; p < job.num_panels; ++p) {
    int64_t t = 0;
    for (; t + 4 <= job.num_tokens; t += 4) FloatTokens<kPack, 4>(job, p, t);
    if (t + 2 <= job.num_tokens) {
      FloatTokens<kPack, 2>(job, p, t);
      t += 2;
    }
    if (t < job.num_tokens) FloatTokens<kPack, 1>(job, p, t);
  }
}

}  // namespace

void SetMatmul(CpuKernels* k) {
  k->matmul[kPackF32] = MultiplyFloat<kPackF32>;
  k->matmul[kPackF16] = MultiplyFloat<kPackF16>;
  k->matmul[kPackBF16] = MultiplyFloat<kPackBF16>;
  k->matmul[kPackQ4_0] = MultiplyInt<Format<kPackQ4_0>>;
  k->matmul[kPackQ4_1] = MultiplyInt<Format<kPackQ4_1>>;
  k->matmul[kPackQ5_0] = MultiplyInt<Format<kPackQ5_0>>;
  k->matmul[kPackQ5_1] = MultiplyInt<Format<kPackQ5_1>>;
  k->matmul[kPackQ8_0] = MultiplyInt<Format<kPackQ8_0>>;
  k->matmul[kPackQ2_K] = MultiplyInt<Format<kPackQ2_K>>;
  k->matmul[kPackQ3_K] = MultiplyInt<Format<kPackQ3_K>>;
  k->matmul[kPackQ4_K] = MultiplyInt<Format<kPackQ4_K>>;
  k->matmul[kPackQ5_K] = MultiplyInt<Format<kPackQ5_K>>;
  k->matmul[kPackQ6_K] = MultiplyInt<Format<kPackQ6_K>>;
  k->matmul[kPackIQ4_NL] = MultiplyInt<Format<kPackIQ4_NL>>;
  k->matmul[kPackIQ4_XS] = MultiplyInt<Format<kPackIQ4_XS>>;
  k->matmul[kPackMXFP4] = MultiplyInt<Format<kPackMXFP4>>;
}

}  // namespace lb::LB_ISA
