// The instruction set: the widest the processor has, or the one asked for.
#include "kernels/backends.h"
#include "kernels/cpu/cpu_ops.h"

namespace lb {
namespace {

struct IsaRow {
  std::string_view name;
  const CpuKernels* (*table)();
  bool (*has)();  // can this processor (and its system) run it
};

#if defined(__x86_64__)
bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}
// __builtin_cpu_supports of this compiler does not know AVX-VNNI: CPUID leaf 7, sub-leaf 1.
bool HasAvx2Vnni() {
  if (!HasAvx2()) return false;
  unsigned a = 7, b = 0, c = 1, d = 0;
  asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  return (a >> 4 & 1) != 0;
}
bool HasAvx512() {
  return HasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
}
#endif
bool Always() { return true; }

// Best first.
constexpr IsaRow kIsas[] = {
#if defined(__x86_64__)
    {"avx512", &Avx512Kernels, &HasAvx512},
    {"avx2vnni", &Avx2VnniKernels, &HasAvx2Vnni},
    {"avx2", &Avx2Kernels, &HasAvx2},
#elif defined(__aarch64__)
    {"neon", &NeonKernels, &Always},
#endif
    {"portable", &PortableKernels, &Always},
};

}  // namespace

std::vector<std::string> CpuIsas() {
  std::vector<std::string> names;
  for (const IsaRow& row : kIsas) {
    if (row.has()) names.emplace_back(row.name);
  }
  return names;
}

Result<std::unique_ptr<Ops>> MakeCpuOps(const CpuOptions& options) {
  if (options.num_threads < 0) {
    return Fail(ErrorCode::kInvalidArgument, "{} threads; want 1 or more, or 0 for one per core",
                options.num_threads);
  }
  std::string known;
  for (const IsaRow& row : kIsas) {
    if (options.isa.empty() ? row.has() : row.name == options.isa) {
      if (!row.has()) {
        return Fail(ErrorCode::kUnsupported, "this processor has no {}", row.name);
      }
      return std::unique_ptr<Ops>(std::make_unique<CpuOps>(*row.table(), options.num_threads));
    }
    known += known.empty() ? "" : ", ";
    known += row.name;
  }
  return Fail(ErrorCode::kUnsupported, "no instruction set '{}'; this build has {}", options.isa,
              known);
}

}  // namespace lb
