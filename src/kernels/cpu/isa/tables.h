// The parts a unit's table is filled from.
#pragma once

#include "kernels/cpu/cpu_kernels.h"

namespace lb::LB_ISA {

void SetMatmul(CpuKernels* kernels);
void SetRows(CpuKernels* kernels);
void SetAttention(CpuKernels* kernels);

}  // namespace lb::LB_ISA
