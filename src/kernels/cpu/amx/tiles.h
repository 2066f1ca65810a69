// The tile unit of Intel's AMX: eight tiles of up to 16 rows of 64 bytes each. No intrinsics, so that code
// which is compiled for any processor may include it.
#pragma once

#include <stdint.h>

namespace lb {

struct TileShape {
  uint8_t rows;
  uint16_t row_bytes;
};

// For this thread, until tiles are released. All of them become zeros.
static inline void ConfigureTiles(const TileShape (&shapes)[8]) {
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

// The compiler does not know that tiles are loaded from memory: what was stored before this is there for them.
static inline void StoresAreDone() { asm volatile("" ::: "memory"); }

}  // namespace lb
