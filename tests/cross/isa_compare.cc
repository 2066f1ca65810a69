// Proves that the NEON kernels give the bits of the portable ones, without anything but a C library: so it
// can be built by a cross compiler and run by an emulator (tools/check_neon).
#include <stdio.h>
#include <stdlib.h>

#include <vector>

#include "kernels/cpu/cpu_kernels.h"
#include "quant/half.h"

using namespace lb;

namespace {

uint64_t g_state = 88172645463325252ull;
uint64_t Random() {
  g_state ^= g_state << 13;
  g_state ^= g_state >> 7;
  g_state ^= g_state << 17;
  return g_state;
}
float RandomFloat() { return static_cast<float>(static_cast<int64_t>(Random() % 20001) - 10000) / 3000.0f; }
std::vector<float> Floats(int64_t n) {
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = RandomFloat();
  return v;
}

int g_failures = 0;
void Compare(const char* what, int number, const std::vector<float>& a, const std::vector<float>& b) {
  if (memcmp(a.data(), b.data(), a.size() * 4) == 0) return;
  fprintf(stderr, "%s %d differs\n", what, number);
  ++g_failures;
}

std::vector<float> Product(const CpuKernels& k, int pack, const uint8_t* panel, int64_t cols,
                           int64_t tokens, const std::vector<float>& x) {
  std::vector<int8_t> q(static_cast<size_t>(2 * tokens * cols));
  const int64_t num_blocks = tokens * cols / 32;
  std::vector<ActBlock> blocks(static_cast<size_t>(2 * num_blocks));
  k.quantise(x.data(), num_blocks, q.data(), blocks.data(), q.data() + tokens * cols, blocks.data() + num_blocks);
  std::vector<float> y(static_cast<size_t>(tokens * 16), 1.0f);
  void* scratch = aligned_alloc(64, kScratchBytes);
  PanelJob job = {};
  job.panels = panel;
  job.panel_bytes = PanelBytes(pack, cols);
  job.num_panels = 1;
  job.cols = cols;
  job.q = q.data();
  job.blocks = blocks.data();
  job.x = x.data();
  job.num_tokens = tokens;
  job.y = y.data();
  job.y_stride = 16;
  job.num_rows = tokens % 2 == 0 ? 16 : 11;
  job.accumulate = tokens == 3;
  job.scratch = scratch;
  k.matmul[pack](job);
  if (kPackInfo[pack].unit > 1) {  // and what rounding left
    job.q += tokens * cols;
    job.blocks += num_blocks;
    job.accumulate = true;
    k.matmul[pack](job);
  }
  free(scratch);
  return y;
}

std::vector<float> Attention(const CpuKernels& k, int dtype, const std::vector<char>& pool,
                             const std::vector<float>& q, int row_bytes) {
  const int dim = 64, group = 3, tokens = 4;
  const int32_t table[4] = {2, 0, 3, 1};
  const int32_t positions[tokens] = {50, 51, 52, 53};
  std::vector<float> largest(tokens * group), sum(tokens * group), acc(tokens * group * dim);
  void* scratch = aligned_alloc(64, static_cast<size_t>((AttentionScratchBytes(dim, dim) + 63) / 64 * 64));
  AttentionJob job = {};
  job.q = q.data();
  job.q_stride = group * dim;
  job.group = group;
  job.k = job.v = {pool.data(), dtype, dim, row_bytes};
  job.num_kv_heads = 1;
  job.table = table;
  job.positions = positions;
  job.t1 = tokens;
  job.kv_begin = 10;
  job.kv_end = 54;
  job.scale = 0.1f;
  job.window = 41;
  job.softcap = 4.0f;
  job.largest = largest.data();
  job.sum = sum.data();
  job.acc = acc.data();
  job.scratch = scratch;
  k.attention_split(job);
  free(scratch);
  acc.insert(acc.end(), sum.begin(), sum.end());
  return acc;
}

}  // namespace

int main() {
  const CpuKernels& a = *PortableKernels();
#if defined(__aarch64__)
  const CpuKernels& b = *NeonKernels();
#else
  const CpuKernels& b = *Avx2Kernels();
#endif
  const int64_t cols = 768;
  int checks = 0;
  for (int pack = 0; pack < kNumPacks; ++pack) {
    std::vector<uint8_t> panel(static_cast<size_t>(PanelBytes(pack, cols)));
    for (size_t i = 0; i < panel.size(); i += 2) {
      // No fp16 (or float) factor that is huge or no number; MXFP4's exponents near 1.
      const uint64_t r = Random();
      panel[i] = static_cast<uint8_t>(r);
      panel[i + 1] = static_cast<uint8_t>(r >> 8 & 0xbf);
      const bool exponents = pack == kPackMXFP4 && static_cast<int64_t>(i) >= PanelCodeBytes(pack, cols);
      if (exponents) panel[i] = panel[i + 1] = static_cast<uint8_t>(110 + r % 20);
    }
    for (const int64_t tokens : {1, 2, 3, 4, 5, 9, 16}) {
      const std::vector<float> x = Floats(tokens * cols);
      Compare("product", pack * 100 + static_cast<int>(tokens),
              Product(a, pack, panel.data(), cols, tokens, x),
              Product(b, pack, panel.data(), cols, tokens, x));
      ++checks;
    }
  }
  const std::vector<float> x = Floats(1003), w = Floats(1003);
  std::vector<float> y1(1003), y2(1003);
  a.rms_norm(x.data(), w.data(), 1e-5f, 1003, y1.data());
  b.rms_norm(x.data(), w.data(), 1e-5f, 1003, y2.data());
  Compare("rms_norm", 0, y1, y2);
  for (int act = 0; act < 4; ++act) {
    a.glu_mul(act, x.data(), w.data(), 1003, y1.data());
    b.glu_mul(act, x.data(), w.data(), 1003, y2.data());
    Compare("glu_mul", act, y1, y2);
  }
  a.softcap(y1.data(), 2.0f, 1003);
  b.softcap(y2.data(), 2.0f, 1003);
  Compare("softcap", 0, y1, y2);
  for (const bool halves : {true, false}) {
    a.rope(y1.data(), halves, 100, x.data(), w.data());
    b.rope(y2.data(), halves, 100, x.data(), w.data());
    Compare("rope", halves, y1, y2);
  }
  const int row_bytes[] = {256, 128, 128, 36, 0, 0, 0, 68};
  for (const int dtype : {kPackF32, kPackF16, kPackBF16, kPackQ4_0, kPackQ8_0}) {
    std::vector<char> pool(static_cast<size_t>(64 * row_bytes[dtype]));
    for (size_t i = 0; i < pool.size(); ++i) {
      pool[i] = static_cast<char>(i % 2 == 1 ? Random() & 0xbf : Random());
    }
    if (dtype == kPackF32) {
      const std::vector<float> values = Floats(64 * 64);
      memcpy(pool.data(), values.data(), pool.size());
    }
    const std::vector<float> q = Floats(4 * 3 * 64);
    Compare("attention", dtype, Attention(a, dtype, pool, q, row_bytes[dtype]),
            Attention(b, dtype, pool, q, row_bytes[dtype]));
  }
  printf("%s against %s: %d products, %d differences\n", b.name, a.name, checks, g_failures);
  return g_failures == 0 ? 0 : 1;
}
