// A panel as all products see it: where its blocks lie, their scales made ready, where its sums go.
#pragma once

#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/isa/block_sum.h"

namespace lb::LB_ISA {

// k unpacked at a time: 8 KB of codes.
static constexpr int64_t kStretch = 512;
static constexpr int64_t kStretchBlocks = kStretch / 32;

// Asks for a line as far as the second-level cache: many more of these than of requests for the first can
// be under way, and only so many keep memory busy (measured: twice the bandwidth).
LB_FN void Ask(const void* line) { __builtin_prefetch(line, 0, 2); }

// Panel `p` from block `b` on.
template <typename F>
struct Source {
  const uint8_t* lines;
  const uint8_t* records;
};
template <typename F>
LB_FN Source<F> SourceAt(const PanelJob& job, int p, int64_t b) {
  const uint8_t* panel = job.panels + p * job.panel_bytes;
  return {panel + b * F::kLineBytes,
          panel + PanelCodeBytes(F::kPack, job.cols) + b * 32 / F::kUnit * F::kRecordBytes};
}

// What is unpacked after panel `p`'s stretch from block `b` on; nulls: nothing.
template <typename F>
LB_FN Source<F> NextSource(const PanelJob& job, int p, int64_t b) {
  if (p + 1 < job.num_panels) return SourceAt<F>(job, p + 1, b);
  if (b + kStretchBlocks < job.cols / 32) return SourceAt<F>(job, 0, b + kStretchBlocks);
  return {nullptr, nullptr};
}
template <typename F>
LB_FN void AskForBlock(const Source<F>& source, int64_t block) {
  if (source.lines == nullptr) return;
  LB_UNROLL for (int i = 0; i < F::kLineBytes; i += 64) Ask(source.lines + block * F::kLineBytes + i);
  Ask(source.records + block * 32 * F::kRecordBytes / F::kUnit);
}

template <typename F>
static constexpr int kSubScales = F::kPer16 ? 16 : 8;

// The integer scales (and minimums, as floats) of one super-block, ready for use.
template <typename F>
struct Prepared {
  alignas(64) uint8_t scales[kSubScales<F> * kScaleBytes];
  alignas(64) float minimums[F::kHasMin ? kSubScales<F> * 16 : 16];
  alignas(64) float d[16];
  alignas(64) float m[16];
};

template <typename F>
LB_FN void Prepare(const uint8_t* record, Prepared<F>* out) {
  LB_UNROLL for (int s = 0; s < kSubScales<F>; ++s) {
    PrepareScale<F>(F::Scale(record, s), out->scales + s * kScaleBytes);
    if constexpr (F::kHasMin) StoreF(out->minimums + s * 16, ToFloat(F::Minimum(record, s)));
  }
  StoreF(out->d, F::D(record));
  if constexpr (F::kHasMin) StoreF(out->m, Sub(Set(0.0f), F::M(record)));
}

// One panel's stretch, ready for any number of tokens.
template <typename F>
struct Unpacked {
  alignas(64) uint8_t codes[kStretchBlocks * 512];
  alignas(64) float d[F::kSuper ? 16 : kStretchBlocks * 16];
  alignas(64) float m[F::kSuper ? 16 : kStretchBlocks * 16];
  Prepared<F> prepared[F::kSuper ? kStretchBlocks / 8 : 1];
};

template <typename F>
LB_FN void Unpack(Source<F> from, int64_t num_blocks, Unpacked<F>* out) {
  for (int64_t b = 0; b < num_blocks; ++b) {
    LB_UNROLL for (int g = 0; g < 8; ++g) {
      StoreB(out->codes + b * 512 + g * 64, FromPanel<F>::Get(from.lines, g));
    }
    from.lines += F::kLineBytes;
    if constexpr (!F::kSuper) {
      StoreF(out->d + b * 16, F::D(from.records));
      if constexpr (F::kHasMin) StoreF(out->m + b * 16, F::M(from.records));
      from.records += F::kRecordBytes;
    } else if (b % 8 == 0) {
      Prepare<F>(from.records, &out->prepared[b / 8]);
      from.records += F::kRecordBytes;
    }
  }
}

// acc -= the minimums of a super-block, each times the sum of the tokens' values. blocks: of the first token, one
// stride apart, where minimums are of 16 values; dsum(t, i), of token t and block i, where they are of 32.
template <typename F, int NT, typename Dsum>
LB_FN void AddMinimums(const Prepared<F>& p, const ActBlock* blocks, int64_t block_stride, const Dsum& dsum, Vf* acc) {
  Vf least[NT];
  LB_UNROLL for (int t = 0; t < NT; ++t) least[t] = Set(0.0f);
  for (int i = 0; i < 8; ++i) {
    if constexpr (F::kPer16) {
      const Vf m0 = LoadF(p.minimums + i * 32), m1 = LoadF(p.minimums + i * 32 + 16);
      LB_UNROLL for (int t = 0; t < NT; ++t) {
        const ActBlock& a = blocks[t * block_stride + i];
        const Vf sum = Fma(m1, Set(static_cast<float>(a.sum[1])),
                           Mul(m0, Set(static_cast<float>(a.sum[0]))));
        least[t] = Fma(sum, Set(a.d), least[t]);
      }
    } else {
      const Vf m = LoadF(p.minimums + i * 16);
      LB_UNROLL for (int t = 0; t < NT; ++t) least[t] = Fma(m, Set(dsum(t, i)), least[t]);
    }
  }
  const Vf m = LoadF(p.m);
  LB_UNROLL for (int t = 0; t < NT; ++t) acc[t] = Fma(least[t], m, acc[t]);
}

LB_FN void Write(const PanelJob& job, int panel, int64_t t, Vf acc) {
  const int row = panel * kPanelRows;
  float* y = job.y + t * job.y_stride + row;
  const float* bias = job.bias == nullptr ? nullptr : job.bias + row;
  if (job.num_rows - row >= kPanelRows) {
    if (bias != nullptr) acc = Add(acc, LoadF(bias));
    StoreF(y, job.accumulate ? Add(LoadF(y), acc) : acc);
    return;
  }
  float v[16];
  StoreF(v, acc);
  for (int r = 0; r < job.num_rows - row; ++r) {
    const float value = bias != nullptr ? v[r] + bias[r] : v[r];
    y[r] = job.accumulate ? y[r] + value : value;
  }
}

}  // namespace lb::LB_ISA
