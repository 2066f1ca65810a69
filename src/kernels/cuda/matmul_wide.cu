// Products of 9 rows of activations and more: blocks take 32 of them at once.
#include "kernels/cuda/half_products.cuh"

namespace lb::cuda {
namespace {

// Sums of one chain leave registers for a second block, of two are those of few rows, bit for bit.
template <WeightForm kForm, int kWarps, bool kGlu, int kChains>
void Launch(const Launcher& on, const FewProducts& args) {
  constexpr int kBlocks = (kWarps > 8 || (kGlu && kChains == 2)) ? 1 : 2, kAhead = (kGlu || kForm == WeightForm::kHalf) ? 1 : 2;
  LaunchHalf<FewShape<kForm, kWarps, kBlocks, kWideTiles * kColumns, kGlu ? Glu::kBoth : Glu::kNone, kAhead>, kChains>(on, args);
}

// A block of 16 on a multiprocessor where there are no more; else two of 8.
int WideWarps(const Launcher& on, const FewProducts& args) {
  if (args.fixed) return FixedWarps(args);
  const int groups = (args.tokens + kWideTiles * kColumns - 1) / (kWideTiles * kColumns);
  return args.num_tiles * groups <= on.facts.num_sms ? 16 : 8;
}

}  // namespace

void LaunchWideProducts(const Launcher& on, const FewProducts& args) {
  WithForm(args.segments[0].w.form, [&]<WeightForm kForm>() {
    const auto launch = [&]<int kChains>() {
      if (args.glu) {
        Launch<kForm, 8, true, kChains>(on, args);
      } else if (WideWarps(on, args) == 16) {
        Launch<kForm, 16, false, kChains>(on, args);
      } else {
        Launch<kForm, 8, false, kChains>(on, args);
      }
    };
    args.fixed ? launch.template operator()<2>() : launch.template operator()<1>();
  });
}

}  // namespace lb::cuda
