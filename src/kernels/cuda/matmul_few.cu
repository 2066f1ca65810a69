// Products of few rows of activations: each weight is read once, near the bandwidth of the memory.
#include "kernels/cuda/half_products.cuh"

namespace lb::cuda {
namespace {

template <WeightForm kForm, int kWarps, bool kGlu>
void Launch(const Launcher& on, const FewProducts& args) {
  constexpr int kAhead = (kGlu || kForm == WeightForm::kHalf) ? 1 : (kWarps > 8) ? 3 : 2;
  LaunchHalf<FewShape<kForm, kWarps, (kWarps > 8) ? 1 : 2, kColumns, kGlu, kAhead>, 2>(on, args);
}

}  // namespace

bool FewProductsFit(const DeviceFacts& facts, int cols) {
  const int chunks = (cols + kChunkCols - 1) / kChunkCols;
  const size_t rows = sizeof(__half) * static_cast<size_t>(XStride(chunks)) * kColumns;
  return cols % 8 == 0 && rows + sizeof(float) * static_cast<size_t>(cols) + 36 * 1024 <= static_cast<size_t>(facts.shared_per_block);
}

void LaunchFewProducts(const Launcher& on, const FewProducts& args) {
  if (args.tokens > kColumns && args.x.half) return LaunchWideProducts(on, args);
  WithForm(args.segments[0].w.form, [&]<WeightForm kForm>() {
    WithBestWarps(on, args, [&]<int kWarps, bool kGlu>() { Launch<kForm, kWarps, kGlu>(on, args); });
  });
}

}  // namespace lb::cuda
