// Products of few rows of activations: each weight is read once, near the bandwidth of the memory.
#include "kernels/cuda/half_products.cuh"

namespace lb::cuda {
namespace {

// A tile of a short row is one batch of eight warps, so gate's can come before up's.
template <WeightForm kForm, int kWarps, bool kGlu>
void Launch(const Launcher& on, const FewProducts& args) {
  if constexpr (kWarps == 8 && kForm != WeightForm::kHalf) {
    if (HasShortRows(args)) return LaunchHalf<FewShape<kForm, 8, 2, kColumns, kGlu ? Glu::kInTurn : Glu::kNone, 3>, 2>(on, args);
  }
  constexpr int kAhead = (kGlu || kForm == WeightForm::kHalf) ? 1 : (kWarps > 8) ? 3 : 2;
  LaunchHalf<FewShape<kForm, kWarps, (kWarps > 8) ? 1 : 2, kColumns, kGlu ? Glu::kBoth : Glu::kNone, kAhead>, 2>(on, args);
}

}  // namespace

bool FewProductsFit(const DeviceFacts& facts, int cols) {
  return cols % 8 == 0 && RowsOfBlock(facts, cols, sizeof(float) * static_cast<size_t>(cols)) > 0;
}

void LaunchFewProducts(const Launcher& on, const FewProducts& args) {
  if (args.x.form != RowForm::kFloats && args.tokens > RowsOfBlock(on.facts, args.cols, 0)) return LaunchWideProducts(on, args);
  WithForm(args.segments[0].w.form, [&]<WeightForm kForm>() {
    WithBestWarps(on, args, [&]<int kWarps, bool kGlu>() { Launch<kForm, kWarps, kGlu>(on, args); });
  });
}

}  // namespace lb::cuda
