// What this instruction set exports: one table, made once.
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/isa/tables.h"

#define LB_STRING_(x) #x
#define LB_STRING(x) LB_STRING_(x)

namespace lb {
namespace LB_ISA {

static CpuKernels Make() {
  CpuKernels k = {};
  k.name = LB_STRING(LB_ISA);
  SetMatmul(&k);
  SetRows(&k);
  SetAttention(&k);
  return k;
}

}  // namespace LB_ISA

const CpuKernels* LB_ISA_EXPORT() {
  static const CpuKernels kernels = LB_ISA::Make();
  return &kernels;
}

}  // namespace lb
