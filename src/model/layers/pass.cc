#include "model/layers/pass.h"

#include <algorithm>
#include <array>

#include "model/adapter.h"

namespace lb {
namespace {

TensorView Rows(const TensorView& x, int64_t first, int64_t end) {
  return TensorView(x.f32_row(first), DType::kF32, {end - first, x.cols()});
}

}  // namespace

// Adapters come after the product and in rising order, whoever is beside a row: its bits are those
// of its own adapters alone.
void Pass::Multiply(const TensorView& from, std::span<const MatmulOut> outs) {
  CHECK_LE(static_cast<int>(outs.size()), kMostProducts);
  // Of models that make vectors all is fine: with 8 bits one outlier among 32 values can cost a short
  // text's vector a hundredth of its cosine.
  const bool fine = !model_.config().generates;
  std::array<MatmulOut, kMostProducts> products;
  std::ranges::copy(outs, products.begin());
  for (MatmulOut& product : products) product.fine = fine;
  ops.Matmul(from, std::span(products).first(outs.size()));
  for (const AdapterRun& run : runs_) {
    const int64_t end = std::min<int64_t>(run.end, from.rows());
    if (run.first >= end) break;
    const TensorView part = Rows(from, run.first, end);
    for (const AdapterUse& use : run.uses) {
      const Adapter& adapter = *model_.adapters()[static_cast<size_t>(use.adapter)];
      const Arena::Mark mark(arena);
      std::vector<MatmulOut> down, up;
      std::vector<float> scales;
      for (const MatmulOut& out : outs) {
        const Adapter::Pair* pair = adapter.Find(out.w);
        if (pair == nullptr) continue;
        down.push_back({pair->a.get(), arena.Alloc({part.rows(), pair->a->rows}), nullptr, false, fine});
        up.push_back({pair->b.get(), Rows(out.y, run.first, end), nullptr, true, fine});
        scales.push_back(use.scale * pair->scale);
      }
      if (down.empty()) continue;
      ops.Matmul(part, down);
      for (size_t i = 0; i < down.size(); ++i) {
        ops.Scale(down[i].y, scales[i]);
        ops.Matmul(down[i].y, std::span(&up[i], 1));
      }
    }
  }
}

void Pass::Embed(const Matrix& table, float scale) {
  ops.Embed(table, batch.token_ids, scale, x);
  for (const AdapterRun& run : runs_) {
    const auto ids = batch.token_ids.subspan(static_cast<size_t>(run.first),
                                             static_cast<size_t>(run.end - run.first));
    for (const AdapterUse& use : run.uses) {
      const Adapter::Pair* pair =
          model_.adapters()[static_cast<size_t>(use.adapter)]->Find(&table);
      if (pair == nullptr) continue;
      const Arena::Mark mark(arena);
      const TensorView row = arena.Alloc({run.end - run.first, pair->a->cols});
      ops.Embed(*pair->a, ids, use.scale * pair->scale * scale, row);
      const MatmulOut up{pair->b.get(), Rows(x, run.first, run.end), nullptr, true};
      ops.Matmul(row, std::span(&up, 1));
    }
  }
}

void Pass::KeepOutputRuns() {
  if (runs_.empty()) return;
  std::vector<AdapterRun> kept;
  for (int r = 0; r < num_output_rows(); ++r) {
    const int token = output_rows()[static_cast<size_t>(r)];
    const auto run = std::ranges::find_if(
        runs_, [&](const AdapterRun& a) { return a.first <= token && token < a.end; });
    if (run == runs_.end()) continue;
    if (!kept.empty() && kept.back().end == r && kept.back().uses.data() == run->uses.data()) {
      ++kept.back().end;
    } else {
      kept.push_back({r, r + 1, run->uses});
    }
  }
  runs_ = std::move(kept);
}

}  // namespace lb
