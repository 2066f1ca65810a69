// The tile unit of Intel's AMX: eight tiles of up to 16 rows of 64 bytes each.
#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "kernels/cpu/isa/simd.h"

namespace lb::LB_ISA {

struct TileShape {
  uint8_t rows;
  uint16_t row_bytes;
};

// The compiler does not know that tiles are loaded from memory: what was stored before this is there for them.
LB_FN void StoresAreDone() { asm volatile("" ::: "memory"); }

// For this thread, until _tile_release. All tiles become zeros.
LB_FN void ConfigureTiles(const TileShape (&shapes)[8]) {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } config = {};
  config.palette = 1;
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = shapes[i].row_bytes;
    config.rows[i] = shapes[i].rows;
  }
  asm volatile("ldtilecfg %0" ::"m"(config));
}

}  // namespace lb::LB_ISA
