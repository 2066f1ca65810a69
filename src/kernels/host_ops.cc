#include "kernels/host_ops.h"

#include <cmath>
#include <cstring>

#include "base/memory.h"

namespace lb {
namespace {

class TableMatrix : public Matrix {
 public:
  explicit TableMatrix(const TensorView& raw) : view(raw) {
    rows = raw.rows();
    cols = raw.cols();
    dtype = raw.dtype;
  }
  TensorView view;
};

void StoreRows(const TensorView& x, void* base, DType dtype, int dim, int heads,
               std::span<const int32_t> slots) {
  const auto encode = Info(dtype).encode;
  CHECK(encode != nullptr);
  for (size_t t = 0; t < slots.size(); ++t) {
    const float* row = x.f32_row(static_cast<int64_t>(t));
    for (int h = 0; h < heads; ++h) {
      encode(row + h * dim,
             KvRow(base, dtype, dim, heads, slots[t] / kKvBlockTokens, h, slots[t] % kKvBlockTokens),
             dim);
    }
  }
}

}  // namespace

Result<void> CheckWeight(const TensorView& raw) {
  if (raw.data == nullptr || raw.rank < 1 || raw.rank > 2 || raw.rows() < 1 || raw.cols() < 1) {
    return Fail(ErrorCode::kCorrupt, "a weight has {} dimensions ({} x {}); want rows x columns",
                raw.rank, raw.rows(), raw.cols());
  }
  const DTypeInfo& info = Info(raw.dtype);
  if (info.decode == nullptr) {
    return Fail(ErrorCode::kUnsupported, "a weight of type {} cannot be multiplied", info.name);
  }
  if (raw.cols() % info.block_size != 0) {
    return Fail(ErrorCode::kCorrupt, "{} columns of {} are no multiple of its block of {}",
                raw.cols(), info.name, info.block_size);
  }
  return {};
}

Result<void> CheckVector(const TensorView& raw) {
  const DTypeInfo& info = Info(raw.dtype);
  if (raw.data == nullptr || info.decode == nullptr || raw.cols() % info.block_size != 0) {
    return Fail(ErrorCode::kUnsupported, "a vector of {} values of type {} cannot be read",
                raw.num_elements(), info.name);
  }
  return {};
}

Result<DeviceMemory> HostOps::Allocate(size_t bytes) {
  void* memory = AllocateMemory(bytes);
  if (memory == nullptr) {
    return Fail(ErrorCode::kOutOfMemory, "no memory for {:.1f} MiB",
                static_cast<double>(bytes) / (1 << 20));
  }
  return DeviceMemory(memory, &FreeMemory);
}

void HostOps::CopyToHost(const TensorView& src, void* dst) {
  std::memcpy(dst, src.data, static_cast<size_t>(src.num_bytes()));
}

void HostOps::CopyFromHost(const void* src, const TensorView& dst) {
  std::memcpy(dst.data, src, static_cast<size_t>(dst.num_bytes()));
}

Result<void> HostOps::MoveKvBlocks(std::span<const KvBlockPart> parts, const KvHostTier& tier, std::span<const KvBlockMove> moves,
                                   bool to_host) {
  for (const KvBlockMove& move : moves) {
    for (const KvBlockPart& part : parts) {
      char* block = static_cast<char*>(part.pool) + move.block * part.bytes;
      char* slot = static_cast<char*>(tier.memory) + move.slot * tier.slot_bytes + part.offset;
      std::memcpy(to_host ? slot : block, to_host ? block : slot, static_cast<size_t>(part.bytes));
    }
  }
  return {};
}

Result<std::unique_ptr<Matrix>> HostOps::LoadTable(const TensorView& raw) {
  LB_RETURN_IF_ERROR(CheckWeight(raw));
  return std::unique_ptr<Matrix>(std::make_unique<TableMatrix>(raw));
}

Result<DeviceMemory> HostOps::LoadVector(const TensorView& raw) {
  LB_RETURN_IF_ERROR(CheckVector(raw));
  LB_ASSIGN_OR_RETURN(DeviceMemory memory,
                      Allocate(static_cast<size_t>(raw.num_elements()) * sizeof(float)));
  Info(raw.dtype).decode(raw.data, static_cast<float*>(memory.get()), raw.num_elements());
  return memory;
}

void HostOps::Embed(const Matrix& table, std::span<const int32_t> ids, float scale,
                    const TensorView& y) {
  const auto* matrix = dynamic_cast<const TableMatrix*>(&table);
  CHECK(matrix != nullptr);
  CHECK_EQ(y.cols(), table.cols);
  CHECK_EQ(y.rows(), static_cast<int64_t>(ids.size()));
  for (size_t t = 0; t < ids.size(); ++t) {
    CHECK(ids[t] >= 0 && ids[t] < table.rows);
    float* row = y.f32_row(static_cast<int64_t>(t));
    Info(table.dtype)
        .decode(matrix->view.as<char>() + ids[t] * matrix->view.row_bytes(), row, table.cols);
    if (scale != 1.0f) {
      for (int64_t c = 0; c < table.cols; ++c) row[c] *= scale;
    }
  }
}

void HostOps::StoreKv(const TensorView& k, const TensorView& v, const KvLayer& kv,
                      std::span<const int32_t> slots) {
  const auto tokens = static_cast<int64_t>(slots.size());
  CHECK_EQ(k.num_elements(), tokens * kv.num_kv_heads * kv.k_dim);
  CHECK_EQ(v.num_elements(), tokens * kv.num_kv_heads * kv.v_dim);
  for (int32_t slot : slots) CHECK(slot >= 0 && slot < kv.num_blocks * kKvBlockTokens);
  StoreRows(k.Reshape({tokens, kv.num_kv_heads * kv.k_dim}), kv.k, kv.k_dtype, kv.k_dim,
            kv.num_kv_heads, slots);
  StoreRows(v.Reshape({tokens, kv.num_kv_heads * kv.v_dim}), kv.v, kv.v_dtype, kv.v_dim,
            kv.num_kv_heads, slots);
}

void HostOps::GatherRows(const TensorView& x, std::span<const int32_t> rows, const TensorView& y) {
  CHECK_EQ(x.cols(), y.cols());
  CHECK_EQ(y.rows(), static_cast<int64_t>(rows.size()));
  for (size_t r = 0; r < rows.size(); ++r) {
    CHECK(rows[r] >= 0 && rows[r] < x.rows());
    std::memcpy(y.f32_row(static_cast<int64_t>(r)), x.f32_row(rows[r]),
                static_cast<size_t>(x.row_bytes()));
  }
}

// By one thread: it is for thin matrices.
void HostOps::Scale(const TensorView& x, float factor) {
  float* values = x.f32();
  for (int64_t i = 0; i < x.num_elements(); ++i) values[i] *= factor;
}

void RopeAngles(const RopeTable& table, std::span<const int32_t> positions, float* cosines,
                float* sines) {
  const int pairs = table.dims / 2;
  for (size_t t = 0; t < positions.size(); ++t) {
    for (int i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(positions[t]) * static_cast<double>(table.inv_freq[i]);
      *cosines++ = static_cast<float>(std::cos(angle)) * table.magnitude;
      *sines++ = static_cast<float>(std::sin(angle)) * table.magnitude;
    }
  }
}

}  // namespace lb
