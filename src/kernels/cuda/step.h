// A step as it is recorded: operations with device addresses, and the plan that fuses them.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cuda/launch.h"
#include "kernels/ops.h"

namespace lb::cuda {

// A weight matrix on the device.
class CudaMatrix final : public Matrix {
 public:
  CudaMatrix(DeviceMemory memory_in, int64_t number_in) : memory(std::move(memory_in)), number(number_in) {}
  DeviceMemory memory;
  const int64_t number;  // of all matrices ever: another one may come to lie at the same address
  DeviceWeight view;
  bool on_host = false;  // the memory is: every read of it crosses the bus
  DeviceMemory copy{nullptr, nullptr};  // as fp16 [rows, cols], for products of many rows; may be null
};

enum class OpKind : int32_t {
  kEmbed, kMatmul, kNorm, kRope, kStoreKv, kAttention, kGlu, kActivate, kAdd, kSoftcap, kScale, kGather, kTop,
};

// Plain bytes, zeroed before they are filled: two steps are the same graph when their bytes are the same.
struct Op {
  OpKind kind;
  int32_t tokens;  // rows of x
  int32_t cols;    // of x
  const void* x;
  const void* x2;  // kGlu: up; kStoreKv: v
  void* y;
  // kMatmul
  const CudaMatrix* w[3];
  int64_t numbers[3];
  float* ys[3];
  const float* bias[3];
  int32_t accumulate[3];
  int32_t num_outs;
  // kEmbed
  const CudaMatrix* table;
  float scale;  // kSoftcap, kScale: their factor
  // kNorm
  const float* norm_weight;
  const float* norm_bias;
  float eps;
  int32_t layer_norm;
  // kGlu, kActivate
  Activation act;
  // kRope
  int32_t head_dim;
  int32_t halves;
  int32_t rope_dims;
  const float* inv_freq;
  float magnitude;
  // kStoreKv, kAttention
  KvLayer kv;
  AttentionParams params;
  int32_t heads, table_stride, sequences, most_queries;
  int32_t count;  // kTop, kGather
  size_t result;  // kTop: where its results lie among the step's: values, then ids
  // Staged integers on the device: ids, positions, rows or (kTop) numbers of masks; then of a batch.
  const int32_t* ints;
  const int32_t* masks;  // kTop; null: no row has one
  const int32_t* slots;
  const int32_t* query_start;
  const int32_t* context_len;
  const int32_t* sequence_of;
  const int32_t* block_table;

  // ---- what the plan adds ----
  int32_t done;    // part of another operation
  RowForm x_form;  // how x lies
  RowForm y_form;  // how y is to lie
  int32_t glu;     // kMatmul: its two products are gate and up of y
  int32_t glu_in_half;      // kMatmul: ys are to be fp16; kGlu: gate and up are
  int32_t few;     // kMatmul: by the kernel for few rows
  // kMatmul: x is to be normed first, with norm_weight and eps. kStoreKv: q and k before they are stored.
  const float* q_norm;
  const float* k_norm;
  const Op* store;  // kAttention: the kStoreKv that is part of it
  float* q;        // kStoreKv: queries that are rotated with the keys
  int32_t q_heads;
};

struct PlanOptions {
  int few_rows = 64;        // products of at most so many rows take the kernel for few
  int host_few_rows = 32;   // the same where weights are in host memory, which that kernel reads once for so many rows
  // Bytes of a matrix without a copy that is written out as fp16 for a product of many rows: for a larger one the kernel for few runs often.
  int64_t most_written = int64_t{512} << 20;
  int fused_norm_rows = 4;  // of at most so many rows, the norm before them too
  DeviceFacts facts;
};

// Marks what can run together. The results that anybody can see are the same, but for values that only a
// product reads: those are fp16 or never written.
void PlanStep(std::vector<Op>& ops, const PlanOptions& options);

}  // namespace lb::cuda
