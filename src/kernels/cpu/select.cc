// The instruction set: the widest the processor has, or the one asked for.
#if defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

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
// The bit of a CPUID leaf's register, for what __builtin_cpu_supports of our compilers does not know.
struct CpuId {
  unsigned eax, ebx = 0, ecx, edx = 0;
  CpuId(unsigned leaf, unsigned sub_leaf) : eax(leaf), ecx(sub_leaf) {
    asm("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  }
};
bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         (CpuId(1, 0).ecx >> 29 & 1) != 0;  // F16C
}
bool HasAvx2Vnni() {
  return HasAvx2() && (CpuId(7, 1).eax >> 4 & 1) != 0;  // AVX-VNNI
}
bool HasAvx512() {
  return HasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
}
// The tile unit, which also needs the system's leave for its large registers, once for the process (Linux:
// Documentation/arch/x86/xstate.rst).
bool HasAmx() {
  constexpr unsigned kAmx = 1u << 24 | 1u << 25;  // AMX-TILE, AMX-INT8
  if (!HasAvx512() || (CpuId(7, 0).edx & kAmx) != kAmx) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  static const bool permitted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return permitted;
}
#endif
bool Always() { return true; }

// Best first.
constexpr IsaRow kIsas[] = {
#if defined(__x86_64__)
    {"amx", &AmxKernels, &HasAmx},
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
  LB_RETURN_IF_ERROR(CheckThreads(options.threads));
  std::string known;
  for (const IsaRow& row : kIsas) {
    if (options.isa.empty() ? row.has() : row.name == options.isa) {
      if (!row.has()) {
        return Fail(ErrorCode::kUnsupported, "this processor has no {}", row.name);
      }
      return std::unique_ptr<Ops>(std::make_unique<CpuOps>(*row.table(), options.threads));
    }
    known += known.empty() ? "" : ", ";
    known += row.name;
  }
  return Fail(ErrorCode::kUnsupported, "no instruction set '{}'; this build has {}", options.isa,
              known);
}

}  // namespace lb
