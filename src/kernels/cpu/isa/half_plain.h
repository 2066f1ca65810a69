// What half_x86.h has, for all others.
#pragma once

namespace lb::LB_ISA {

LB_FN void TransposeHalves(const char* const* rows, int64_t offset, uint16_t* out, int64_t stride) {
  for (int j = 0; j < 8; ++j) {
    for (int d = 0; d < 16; ++d) memcpy(out + d * stride + j, rows[j] + offset + 2 * d, 2);
  }
}

}  // namespace lb::LB_ISA
