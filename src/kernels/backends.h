// The backends this build has, by name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/cpu/thread_pool.h"
#include "kernels/ops.h"

namespace lb {

struct CpuOptions {
  ThreadOptions threads;
  std::string isa;  // "", or force one (tests): "amx", "avx512", "avx2vnni", "avx2", "neon", "portable"
};

// The plain specification, one thread.
std::unique_ptr<Ops> MakeRefOps();
// The fast CPU backend; kUnsupported when the machine lacks the instruction set asked for.
Result<std::unique_ptr<Ops>> MakeCpuOps(const CpuOptions& options);
// The instruction sets MakeCpuOps can be asked for on this processor, best first.
std::vector<std::string> CpuIsas();

}  // namespace lb
