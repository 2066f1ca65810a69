// Matmul of the CPU backend: quantise the rows once, then panels over the threads.
#include <algorithm>

#include "kernels/cpu/cpu_ops.h"

namespace lb {
namespace {

int64_t NumGroups(const MatmulOut& out, int64_t panels_each) {
  const auto* w = static_cast<const PackedMatrix*>(out.w);
  return (w->num_panels() + panels_each - 1) / panels_each;
}

int64_t ArrangedGroups(int64_t tokens) { return (tokens + kArrangedTokens - 1) / kArrangedTokens; }
int64_t ArrangedBytes(int64_t tokens, int64_t cols) {
  return ArrangedGroups(tokens) * kArrangedTokens * (cols / 32) * kArrangedBytes;
}

}  // namespace

bool CpuOps::Arranges(int64_t tokens) const { return kernels_.arrange != nullptr && tokens >= kFewestArranged; }

void CpuOps::Quantise(const TensorView& x, bool fine) {
  const int64_t cols = x.cols(), blocks = cols / 32, tokens = x.rows();
  CHECK_EQ(cols % 32, 0);
  const int64_t terms = fine ? 2 : 1;
  const int64_t rows = terms * tokens + kArrangedTokens - 1;  // `arrange` reads whole groups
  q_.resize(std::max(q_.size(), static_cast<size_t>(rows * cols)));
  blocks_.resize(std::max(blocks_.size(), static_cast<size_t>(rows * blocks)));
  OverRows(tokens, cols, [&](int64_t begin, int64_t end) {
    int8_t* q = q_.data() + begin * cols;
    ActBlock* block = blocks_.data() + begin * blocks;
    kernels_.quantise(x.f32() + begin * cols, (end - begin) * blocks, q, block,
                      fine ? q + tokens * cols : nullptr, fine ? block + tokens * blocks : nullptr);
  });
  if (!Arranges(tokens)) return;
  const int64_t groups = ArrangedGroups(tokens), group_bytes = ArrangedBytes(kArrangedTokens, cols);
  arranged_.resize(std::max(arranged_.size(), static_cast<size_t>(terms * groups * group_bytes)));
  OverRows(terms * groups, kArrangedTokens * cols, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const int64_t row = g / groups * tokens + g % groups * kArrangedTokens;
      kernels_.arrange(q_.data() + row * cols, blocks_.data() + row * blocks, cols, arranged_.data() + g * group_bytes);
    }
  });
}

void CpuOps::Matmul(const TensorView& x, std::span<const MatmulOut> outs) {
  const int64_t tokens = x.rows(), cols = x.cols();
  if (tokens == 0) return;
  bool integers = false, fine = false;
  int64_t num_panels = 0;
  int64_t bytes = 0;
  for (const MatmulOut& out : outs) {
    const auto* w = dynamic_cast<const PackedMatrix*>(out.w);
    CHECK(w != nullptr);
    CHECK_EQ(w->cols, cols);
    CHECK_EQ(out.y.rows(), tokens);
    CHECK_EQ(out.y.cols(), w->rows);
    integers = integers || kPackInfo[w->pack()].unit > 1;
    fine = fine || (out.fine && kPackInfo[w->pack()].unit > 1);
    num_panels += w->num_panels();
    bytes += w->bytes;
  }
  if (integers) Quantise(x, fine);
  const bool arranged = integers && Arranges(tokens);
  ReserveScratch(kScratchBytes);

  // A piece of work is a group of neighbouring panels and a run of tokens: as large as a job may be,
  // but enough of them that the threads end together. Runs are multiples of a kernel's token block.
  const int64_t wanted = 8 * pool_.num_threads();
  const int64_t group = std::clamp<int64_t>(num_panels / wanted, 1, kMaxJobPanels);
  int64_t num_groups = 0;
  for (const MatmulOut& out : outs) num_groups += NumGroups(out, group);
  int64_t runs = (tokens + kMaxJobTokens - 1) / kMaxJobTokens;
  if (num_groups * runs < wanted) {
    runs = std::max(runs, std::min(wanted / num_groups, (tokens + 31) / 32));
  }
  const int64_t together = arranged ? kArrangedTokens : 8;
  const int64_t run = std::min((((tokens + runs - 1) / runs) + together - 1) / together * together, kMaxJobTokens);
  runs = (tokens + run - 1) / run;

  const auto work = [&](int64_t begin, int64_t end, int thread) {
    for (int64_t piece = begin; piece < end; ++piece) {
      int64_t g = piece / runs;
      size_t o = 0;
      while (g >= NumGroups(outs[o], group)) g -= NumGroups(outs[o++], group);
      const MatmulOut& out = outs[o];
      const auto* w = static_cast<const PackedMatrix*>(out.w);
      const int64_t t0 = piece % runs * run;
      const int64_t panel = g * group;
      const int64_t row = panel * kPanelRows;
      PanelJob job;
      job.panels = w->panel(panel);
      job.panel_bytes = w->panel_bytes();
      job.num_panels = static_cast<int>(std::min(group, w->num_panels() - panel));
      job.cols = cols;
      job.q = integers ? q_.data() + t0 * cols : nullptr;
      job.blocks = integers ? blocks_.data() + t0 * (cols / 32) : nullptr;
      const uint8_t* arranged_tokens = arranged ? arranged_.data() + ArrangedBytes(t0, cols) : nullptr;
      job.arranged = arranged_tokens;
      job.x = x.f32() + t0 * cols;
      job.num_tokens = std::min(run, tokens - t0);
      job.y = out.y.f32() + t0 * w->rows + row;
      job.y_stride = w->rows;
      job.num_rows = static_cast<int>(std::min<int64_t>(group * kPanelRows, w->rows - row));
      job.bias = out.bias == nullptr ? nullptr : out.bias + row;
      job.accumulate = out.accumulate;
      job.scratch = Scratch(thread, kScratchBytes);
      kernels_.matmul[w->pack()](job);
      if (!out.fine || kPackInfo[w->pack()].unit == 1) continue;
      // What rounding left, while the panels are in a near cache.
      job.q += tokens * cols;
      job.blocks += tokens * (cols / 32);
      if (arranged) job.arranged = arranged_tokens + ArrangedBytes(tokens, cols);
      job.bias = nullptr;
      job.accumulate = true;
      kernels_.matmul[w->pack()](job);
    }
  };
  // Below some 100 KB of weights the threads' waking costs more than they save.
  const int64_t pieces = num_groups * runs;
  pool_.ParallelFor(pieces, bytes * tokens < 100'000 ? pieces : 1, work);
}

}  // namespace lb
