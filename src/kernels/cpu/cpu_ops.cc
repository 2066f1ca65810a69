#include "kernels/cpu/cpu_ops.h"

#include <algorithm>
#include <cstring>

#include "base/memory.h"

namespace lb {
namespace {

static_assert(static_cast<int>(Activation::kSilu) == 0 &&
              static_cast<int>(Activation::kGeluTanh) == 1 &&
              static_cast<int>(Activation::kGelu) == 2 && static_cast<int>(Activation::kRelu) == 3);

}  // namespace

CpuOps::CpuOps(const CpuKernels& kernels, const ThreadOptions& threads)
    : kernels_(kernels),
      pool_(threads),
      name_(fmt::format("cpu {} x {}", kernels.name, pool_.num_threads())),
      scratch_(nullptr, &FreeMemory) {}

void CpuOps::ReserveScratch(int64_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (bytes <= scratch_bytes_) return;
  scratch_.reset(AllocateMemory(static_cast<size_t>(bytes * pool_.num_threads())));
  CHECK(scratch_ != nullptr);
  scratch_bytes_ = bytes;
}

void* CpuOps::Scratch(int thread, int64_t bytes) {
  CHECK_LE(bytes, scratch_bytes_);
  return static_cast<char*>(scratch_.get()) + thread * scratch_bytes_;
}

Result<std::unique_ptr<Matrix>> CpuOps::LoadMatrix(const TensorView& raw) {
  LB_ASSIGN_OR_RETURN(std::unique_ptr<PackedMatrix> matrix, PackedMatrix::Make(raw, pool_));
  return std::unique_ptr<Matrix>(std::move(matrix));
}

void CpuOps::Embed(const Matrix& table, std::span<const int32_t> ids, float scale,
                   const TensorView& y) {
  OverRows(static_cast<int64_t>(ids.size()), table.cols, [&](int64_t begin, int64_t end) {
    HostOps::Embed(table, ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                   scale, TensorView(y.f32_row(begin), DType::kF32, {end - begin, table.cols}));
  });
}

void CpuOps::RmsNorm(const TensorView& x, const float* weight, float eps, const TensorView& y) {
  CHECK_EQ(x.num_elements(), y.num_elements());
  const int64_t cols = x.cols();
  OverRows(x.rows(), cols, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      kernels_.rms_norm(x.f32() + r * cols, weight, eps, cols, y.f32() + r * cols);
    }
  });
}

void CpuOps::LayerNorm(const TensorView& x, const float* weight, const float* bias, float eps,
                       const TensorView& y) {
  CHECK_EQ(x.num_elements(), y.num_elements());
  const int64_t cols = x.cols();
  OverRows(x.rows(), cols, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      kernels_.layer_norm(x.f32() + r * cols, weight, bias, eps, cols, y.f32() + r * cols);
    }
  });
}

const CpuOps::Angles& CpuOps::AnglesOf(const RopeTable& table, std::span<const int32_t> positions) {
  const auto pairs = static_cast<size_t>(table.dims / 2);
  for (const Angles& a : angles_) {
    if (a.inv_freq == table.inv_freq && a.dims == table.dims && a.magnitude == table.magnitude &&
        std::equal(positions.begin(), positions.end(), a.positions.begin(), a.positions.end()) &&
        std::equal(a.frequencies.begin(), a.frequencies.end(), table.inv_freq)) {
      return a;
    }
  }
  Angles& a = angles_[next_angles_++ % angles_.size()];
  a.inv_freq = table.inv_freq;
  a.dims = table.dims;
  a.magnitude = table.magnitude;
  a.frequencies.assign(table.inv_freq, table.inv_freq + pairs);
  a.positions.assign(positions.begin(), positions.end());
  a.cosines.resize(positions.size() * pairs);
  a.sines.resize(positions.size() * pairs);
  OverRows(static_cast<int64_t>(positions.size()), table.dims * 16, [&](int64_t begin, int64_t end) {
    const auto first = static_cast<size_t>(begin);
    RopeAngles(table, positions.subspan(first, static_cast<size_t>(end - begin)),
               a.cosines.data() + first * pairs, a.sines.data() + first * pairs);
  });
  return a;
}

void CpuOps::Rope(const TensorView& x, int head_dim, std::span<const int32_t> positions,
                  const RopeTable& table) {
  const auto tokens = static_cast<int64_t>(positions.size());
  CHECK(table.dims <= head_dim && table.dims % 2 == 0);
  CHECK_EQ(x.num_elements() % (tokens * head_dim), 0);
  const int64_t heads = x.num_elements() / (tokens * head_dim);
  const int64_t pairs = table.dims / 2;
  const Angles& a = AnglesOf(table, positions);
  OverRows(tokens, heads * head_dim, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        kernels_.rope(x.f32() + (t * heads + h) * head_dim, table.style == RopeStyle::kHalves,
                      table.dims, a.cosines.data() + t * pairs, a.sines.data() + t * pairs);
      }
    }
  });
}

void CpuOps::StoreKv(const TensorView& k, const TensorView& v, const KvLayer& kv,
                     std::span<const int32_t> slots) {
  const auto tokens = static_cast<int64_t>(slots.size());
  CHECK_EQ(k.num_elements(), tokens * kv.num_kv_heads * kv.k_dim);
  CHECK_EQ(v.num_elements(), tokens * kv.num_kv_heads * kv.v_dim);
  for (int32_t slot : slots) CHECK(slot >= 0 && slot < kv.num_blocks * kKvBlockTokens);
  const auto store = [&](const float* x, void* base, DType dtype, int dim, int64_t t) {
    for (int h = 0; h < kv.num_kv_heads; ++h) {
      const int32_t slot = slots[static_cast<size_t>(t)];
      char* row = KvRow(base, dtype, dim, kv.num_kv_heads, slot / kKvBlockTokens, h,
                        slot % kKvBlockTokens);
      const float* head = x + (t * kv.num_kv_heads + h) * dim;
      if (dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16) {
        kernels_.store_row(static_cast<int>(dtype), head, dim, row);
      } else {
        Info(dtype).encode(head, row, dim);
      }
    }
  };
  OverRows(tokens, kv.num_kv_heads * (kv.k_dim + kv.v_dim), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      store(k.f32(), kv.k, kv.k_dtype, kv.k_dim, t);
      store(v.f32(), kv.v, kv.v_dtype, kv.v_dim, t);
    }
  });
}

void CpuOps::GluMul(Activation act, const TensorView& gate, const TensorView& up,
                    const TensorView& y) {
  CHECK_EQ(gate.num_elements(), up.num_elements());
  CHECK_EQ(gate.num_elements(), y.num_elements());
  const int64_t cols = gate.cols();
  OverRows(gate.rows(), cols, [&](int64_t begin, int64_t end) {
    const int64_t at = begin * cols;
    kernels_.glu_mul(static_cast<int>(act), gate.f32() + at, up.f32() + at, (end - begin) * cols,
                     y.f32() + at);
  });
}

void CpuOps::Activate(Activation act, const TensorView& x) {
  const int64_t cols = x.cols();
  OverRows(x.rows(), cols, [&](int64_t begin, int64_t end) {
    kernels_.activate(static_cast<int>(act), x.f32() + begin * cols, (end - begin) * cols);
  });
}

void CpuOps::Add(const TensorView& x, const TensorView& y) {
  CHECK_EQ(x.num_elements(), y.num_elements());
  const int64_t cols = x.cols();
  OverRows(x.rows(), cols, [&](int64_t begin, int64_t end) {
    kernels_.add(x.f32() + begin * cols, (end - begin) * cols, y.f32() + begin * cols);
  });
}

void CpuOps::Softcap(const TensorView& x, float cap) {
  const int64_t cols = x.cols();
  OverRows(x.rows(), cols, [&](int64_t begin, int64_t end) {
    kernels_.softcap(x.f32() + begin * cols, cap, (end - begin) * cols);
  });
}

}  // namespace lb
