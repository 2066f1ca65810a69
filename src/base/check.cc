#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace lb {

void CheckFailed(const char* file, int line, const char* what, const std::string& operands) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s%s%s%s\n", file, line, what,
               operands.empty() ? "" : " (", operands.c_str(), operands.empty() ? "" : ")");
  std::abort();
}

}  // namespace lb
