// The backends this build has, by name.
#pragma once

#include <memory>
#include <string>

#include "kernels/ops.h"

namespace lb {

struct CpuOptions {
  int num_threads = 0;   // 0: one per core
  std::string isa;       // "", "avx2", "avx512", "portable": force an instruction set (tests)
};

// The plain specification, one thread.
std::unique_ptr<Ops> MakeRefOps();
// The fast CPU backend; kUnsupported when the machine lacks the instruction set asked for.
Result<std::unique_ptr<Ops>> MakeCpuOps(const CpuOptions& options);

}  // namespace lb
