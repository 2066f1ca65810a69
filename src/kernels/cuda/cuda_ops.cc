#include "kernels/cuda/cuda_ops.h"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "base/log.h"
#include "kernels/cuda/pack_weight.h"
#include "kernels/host_ops.h"

namespace lb::cuda {
namespace {

constexpr size_t kMaskBytes = 32 << 20;  // of them, at most; block tables need the rest
constexpr double kMiB = 1024.0 * 1024.0;

void FreeDevice(void* memory) { cudaFree(memory); }
void FreePinned(void* memory) { cudaFreeHost(memory); }

}  // namespace

void DieOfCuda(cudaError_t error, const char* call, const char* file, int line) {
  LogError("{} at {}:{}: {}", call, file, line, cudaGetErrorString(error));
  std::abort();
}

Result<std::unique_ptr<Ops>> CudaOps::Create(const CudaOptions& options) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, options.device); error != cudaSuccess) {
    return Fail(ErrorCode::kUnsupported, "CUDA device {}: {}", options.device, cudaGetErrorString(error));
  }
  if (const cudaError_t error = cudaSetDevice(options.device); error != cudaSuccess) {  // makes its context, which may fail
    return Fail(ErrorCode::kUnsupported, "CUDA device {}: {}", options.device, cudaGetErrorString(error));
  }
  DeviceFacts facts;
  facts.index = options.device;
  facts.num_sms = properties.multiProcessorCount;
  facts.shared_per_block = static_cast<int>(properties.sharedMemPerBlockOptin);
  facts.dependent_launch = properties.major >= 9;
  const std::string name = fmt::format("CUDA{} ({})", options.device, properties.name);
  return std::unique_ptr<Ops>(new CudaOps(options, facts, name));
}

CudaOps::CudaOps(const CudaOptions& options, const DeviceFacts& facts, std::string name)
    : options_(options), name_(std::move(name)), staging_(kStagingBytes) {
  launcher_.facts = facts;
  plan_options_.facts = facts;
  if (options.deterministic) plan_options_.few_rows = plan_options_.host_few_rows = INT32_MAX;
  LB_CUDA_CHECK(cudaStreamCreateWithFlags(&launcher_.stream, cudaStreamNonBlocking));
  for (cudaEvent_t* event : {&received_, &done_}) LB_CUDA_CHECK(cudaEventCreateWithFlags(event, cudaEventDisableTiming));
  // Then a launch would wait for the gate that is opened after it.
  const char* blocking = std::getenv("CUDA_LAUNCH_BLOCKING");
  can_queue_ahead_ = blocking == nullptr || std::string_view(blocking) == "0";
}

CudaOps::~CudaOps() {
  cudaSetDevice(launcher_.facts.index);  // at the program's end the driver may be gone, and all else with it
  gate_.Open();
  cudaStreamSynchronize(launcher_.stream);
  DropGraphs();
  upload_.reset();
  for (Buffer* buffer : {&halves_, &weights_, &partial_, &tickets_, &angle_values_, &top_}) cudaFree(buffer->data);
  cudaFreeHost(top_host_);
  for (cudaEvent_t event : {received_, done_}) cudaEventDestroy(event);
  cudaStreamDestroy(launcher_.stream);
}

// ---- memory -----------------------------------------------------------------------------------------

Result<DeviceMemory> CudaOps::TakeDevice(size_t bytes) {
  Bind();
  void* memory = nullptr;
  if (const cudaError_t error = cudaMalloc(&memory, std::max<size_t>(bytes, 256)); error != cudaSuccess) {
    cudaGetLastError();
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    return Fail(ErrorCode::kOutOfMemory, "{} has {:.0f} of {:.0f} MiB free: {}", name_, static_cast<double>(free) / kMiB,
                static_cast<double>(total) / kMiB, cudaGetErrorString(error));
  }
  return DeviceMemory(memory, FreeDevice);
}

Result<DeviceMemory> CudaOps::Allocate(size_t bytes) {
  LB_ASSIGN_OR_RETURN(DeviceMemory memory, TakeDevice(bytes));
  LB_CUDA_CHECK(cudaMemsetAsync(memory.get(), 0, std::max<size_t>(bytes, 256), launcher_.stream));
  LB_CUDA_CHECK(cudaStreamSynchronize(launcher_.stream));
  return memory;
}

Result<DeviceMemory> CudaOps::AllocateHost(size_t bytes) {
  Bind();
  void* memory = nullptr;
  // One address for host and device, which all 64-bit systems have.
  if (const cudaError_t error = cudaHostAlloc(&memory, bytes, cudaHostAllocMapped | cudaHostAllocPortable); error != cudaSuccess) {
    cudaGetLastError();
    return Fail(ErrorCode::kOutOfMemory, "no {:.1f} MiB of pinned host memory: {}", static_cast<double>(bytes) / kMiB,
                cudaGetErrorString(error));
  }
  return DeviceMemory(memory, FreePinned);
}

Result<void> CudaOps::MoveKvBlocks(std::span<const KvBlockPart> parts, const KvHostTier& tier, std::span<const KvBlockMove> moves,
                                   bool to_host) {
  Bind();
  for (const KvBlockPart& part : parts) CHECK(part.bytes % 16 == 0 && part.offset % 16 == 0);
  CHECK(tier.slot_bytes % 16 == 0);
  if (const cudaError_t error = LaunchMoveKvBlocks(launcher_, parts, tier, moves, to_host); error != cudaSuccess) {
    return Fail(ErrorCode::kComputeFault, "{}: KV blocks could not be moved: {}", name_, cudaGetErrorString(error));
  }
  return {};
}

void CudaOps::CopyToHost(const TensorView& src, void* dst) {
  Bind();
  LB_CUDA_CHECK(cudaMemcpyAsync(dst, src.data, static_cast<size_t>(src.num_bytes()), cudaMemcpyDeviceToHost, launcher_.stream));
  LB_CUDA_CHECK(cudaStreamSynchronize(launcher_.stream));
}

void CudaOps::CopyFromHost(const void* src, const TensorView& dst) {
  CopyBytes(src, dst.data, static_cast<size_t>(dst.num_bytes()));
}

// On our stream: a plain cudaMemcpy may return before the bytes are there, and our stream does not wait for others.
void CudaOps::CopyBytes(const void* src, void* dst, size_t bytes) {
  Bind();
  LB_CUDA_CHECK(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyHostToDevice, launcher_.stream));
  LB_CUDA_CHECK(cudaStreamSynchronize(launcher_.stream));
}

int64_t CudaOps::free_memory(int64_t beside) const {
  Bind();
  size_t free = 0, total = 0;
  LB_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return std::max<int64_t>(0, static_cast<int64_t>(free) - beside);
}

// ---- weights ----------------------------------------------------------------------------------------

Result<std::unique_ptr<CudaMatrix>> CudaOps::MakeMatrix(const TensorView& raw, Place place) {
  LB_RETURN_IF_ERROR(CheckWeight(raw));
  if (raw.cols() > INT32_MAX / 64 || raw.rows() > INT32_MAX / 64) {
    return Fail(ErrorCode::kUnsupported, "a weight of {} x {} is larger than this backend counts", raw.rows(), raw.cols());
  }
  Bind();
  if (upload_ == nullptr) upload_ = std::make_unique<Upload>();
  DeviceWeight view = PlanWeight(raw, upload_->threads());
  const auto bytes = static_cast<size_t>(view.tiles() * view.tile_bytes());
  const bool on_card = place == Place::kCard;
  LB_ASSIGN_OR_RETURN(DeviceMemory memory, on_card ? TakeDevice(bytes) : AllocateHost(bytes));
  if (on_card) {
    upload_->Send(raw, view, memory.get(), launcher_.stream);
  } else {
    PackTiles(raw, view, 0, view.tiles(), static_cast<uint8_t*>(memory.get()), upload_->threads());
  }
  view.data = static_cast<const uint8_t*>(memory.get());
  auto matrix = std::make_unique<CudaMatrix>(std::move(memory), ++num_matrices_);
  matrix->on_host = !on_card;
  matrix->view = view;
  matrix->rows = raw.rows();
  matrix->cols = raw.cols();
  matrix->dtype = raw.dtype;
  matrix->bytes = static_cast<int64_t>(bytes);
  return matrix;
}

// The matrix as fp16 too, while half of the card is free.
void CudaOps::AddCopy(CudaMatrix* matrix) {
  size_t free = 0, total = 0;
  LB_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  const size_t bytes = static_cast<size_t>(matrix->rows * matrix->cols) * 2;
  if (free <= total / 2 + bytes) return;
  auto copy = TakeDevice(bytes);
  if (!copy.has_value()) return;
  matrix->copy = std::move(copy).value();
  LaunchDecodeWeight(launcher_, matrix->view, matrix->copy.get());
  matrix->bytes += static_cast<int64_t>(bytes);
}

Result<std::unique_ptr<Matrix>> CudaOps::LoadMatrix(const TensorView& raw) {
  const Place place = layer_ >= options_.layers ? Place::kHost : Place::kCard;
  LB_ASSIGN_OR_RETURN(auto matrix, MakeMatrix(raw, place));
  // No room for copies where there is none for all weights.
  if (!options_.deterministic && options_.layers == INT_MAX) AddCopy(matrix.get());
  return std::unique_ptr<Matrix>(std::move(matrix));
}

Result<std::unique_ptr<Matrix>> CudaOps::LoadTable(const TensorView& raw) {
  LB_ASSIGN_OR_RETURN(auto matrix, MakeMatrix(raw, options_.layers == INT_MAX ? Place::kCard : Place::kHost));
  return std::unique_ptr<Matrix>(std::move(matrix));
}

Result<DeviceMemory> CudaOps::LoadVector(const TensorView& raw) {
  LB_RETURN_IF_ERROR(CheckVector(raw));
  std::vector<float> values(static_cast<size_t>(raw.num_elements()));
  Info(raw.dtype).decode(raw.data, values.data(), raw.num_elements());
  LB_ASSIGN_OR_RETURN(DeviceMemory memory, Allocate(values.size() * sizeof(float)));
  CopyBytes(values.data(), memory.get(), values.size() * sizeof(float));
  return memory;
}

// ---- recording --------------------------------------------------------------------------------------

Op& CudaOps::Record(OpKind kind) {
  if (open_ == nullptr) Open();
  CHECK(!repeats_);
  Op& op = open_->ops.emplace_back();
  std::memset(static_cast<void*>(&op), 0, sizeof op);
  op.kind = kind;
  return op;
}

Op& CudaOps::Record(OpKind kind, const TensorView& x, void* y) {
  Op& op = Record(kind);
  op.x = x.data;
  op.y = y;
  op.tokens = static_cast<int>(x.rows());
  op.cols = static_cast<int>(x.cols());
  return op;
}

void CudaOps::Embed(const Matrix& table, std::span<const int32_t> ids, float scale, const TensorView& y) {
  for (int32_t id : ids) CHECK(id >= 0 && id < table.rows);
  Op& op = Record(OpKind::kEmbed);
  op.table = static_cast<const CudaMatrix*>(&table);
  op.numbers[0] = op.table->number;
  op.tokens = static_cast<int>(ids.size());
  op.scale = scale;
  op.ints = staging_.Put(ids);
  op.y = y.data;
}

void CudaOps::Matmul(const TensorView& x, std::span<const MatmulOut> outs) {
  CHECK_LE(outs.size(), size_t{3});
  Op& op = Record(OpKind::kMatmul, x, nullptr);
  op.num_outs = static_cast<int>(outs.size());
  for (size_t i = 0; i < outs.size(); ++i) {
    op.w[i] = static_cast<const CudaMatrix*>(outs[i].w);
    op.numbers[i] = op.w[i]->number;
    CHECK_EQ(op.w[i]->cols, x.cols());
    CHECK_EQ(outs[i].y.num_elements(), x.rows() * op.w[i]->rows);
    op.ys[i] = outs[i].y.f32();
    op.bias[i] = outs[i].bias;
    op.accumulate[i] = outs[i].accumulate;
  }
}

void CudaOps::RmsNorm(const TensorView& x, const float* weight, float eps, const TensorView& y) {
  Op& op = Record(OpKind::kNorm, x, y.data);
  op.norm_weight = weight;
  op.eps = eps;
}

void CudaOps::LayerNorm(const TensorView& x, const float* weight, const float* bias, float eps, const TensorView& y) {
  RmsNorm(x, weight, eps, y);
  open_->ops.back().layer_norm = 1;
  open_->ops.back().norm_bias = bias;
}

void CudaOps::Rope(const TensorView& x, int head_dim, std::span<const int32_t> positions, const RopeTable& table) {
  Op& op = Record(OpKind::kRope);
  op.x = x.data;
  op.tokens = static_cast<int>(positions.size());
  op.cols = static_cast<int>(x.num_elements() / op.tokens);
  op.head_dim = head_dim;
  op.halves = table.style == RopeStyle::kHalves;
  op.rope_dims = table.dims;
  op.inv_freq = table.inv_freq;
  op.magnitude = table.magnitude;
  op.ints = staging_.Put(positions);
}

void CudaOps::StoreKv(const TensorView& k, const TensorView& v, const KvLayer& kv, std::span<const int32_t> slots) {
  for (int32_t slot : slots) CHECK(slot >= 0 && slot < kv.num_blocks * kKvBlockTokens);
  Op& op = Record(OpKind::kStoreKv);
  op.x = k.data;
  op.x2 = v.data;
  op.tokens = static_cast<int>(slots.size());
  std::memcpy(static_cast<void*>(&op.kv), &kv, sizeof kv);
  op.slots = staging_.Put(slots);
}

void CudaOps::PagedAttention(const TensorView& q, const KvLayer& kv, const SequenceBatch& batch, const KvBatch& blocks,
                             const AttentionParams& params, const TensorView& out) {
  Op& op = Record(OpKind::kAttention);
  op.x = q.data;
  op.y = out.data;
  op.tokens = batch.num_tokens();
  op.cols = static_cast<int>(q.num_elements() / op.tokens);
  op.heads = op.cols / kv.k_dim;
  std::memcpy(static_cast<void*>(&op.kv), &kv, sizeof kv);
  std::memcpy(static_cast<void*>(&op.params), &params, sizeof params);
  op.sequences = batch.num_sequences();
  for (int s = 0; s < op.sequences; ++s) {
    op.most_queries = std::max(op.most_queries, batch.query_start[s + 1] - batch.query_start[s]);
  }
  // A power of two, so that growing contexts seldom make a new graph.
  op.table_stride = static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::max(blocks.max_blocks, 64))));
  op.ints = staging_.Put(batch.positions);
  op.query_start = staging_.Put(batch.query_start);
  op.context_len = staging_.Put(batch.context_len);
  op.sequence_of = staging_.PutSequences(batch.query_start);
  op.block_table = staging_.PutTable(blocks.block_table, blocks.max_blocks, op.table_stride);
}

void CudaOps::GluMul(Activation act, const TensorView& gate, const TensorView& up, const TensorView& y) {
  Op& op = Record(OpKind::kGlu, gate, y.data);
  op.act = act;
  op.x2 = up.data;
}

void CudaOps::Activate(Activation act, const TensorView& x) {
  Record(OpKind::kActivate, x, x.data).act = act;
}

void CudaOps::Add(const TensorView& x, const TensorView& y) {
  Record(OpKind::kAdd, x, y.data);
}

void CudaOps::Softcap(const TensorView& x, float cap) {
  Record(OpKind::kSoftcap, x, x.data).scale = cap;
}

void CudaOps::Scale(const TensorView& x, float factor) {
  Record(OpKind::kScale, x, x.data).scale = factor;
}

void CudaOps::GatherRows(const TensorView& x, std::span<const int32_t> rows, const TensorView& y) {
  for (int32_t row : rows) CHECK(row >= 0 && row < x.rows());
  Op& op = Record(OpKind::kGather, x, y.data);
  op.count = static_cast<int>(rows.size());
  op.ints = staging_.Put(rows);
}

int CudaOps::most_masks(int64_t vocab) const {
  return static_cast<int>(kMaskBytes / (sizeof(uint32_t) * static_cast<size_t>(TokenMasks::words(vocab))));
}

void CudaOps::Top(const TensorView& logits, int count, const TokenMasks& masks, float* values, int32_t* ids) {
  CHECK(count >= 1 && count <= kMostTop);
  Op& op = Record(OpKind::kTop, logits, nullptr);
  op.count = count;
  if (!masks.rows.empty()) {
    const int64_t num_masks = static_cast<int64_t>(masks.bits.size()) / TokenMasks::words(op.cols);
    CHECK_EQ(static_cast<int>(masks.rows.size()), op.tokens);
    for (int32_t mask : masks.rows) CHECK(mask >= -1 && mask < num_masks);
    // The masks come last: however many there are, they lie where they lay, and the step is the same graph.
    op.ints = staging_.Put(masks.rows);
    op.masks = staging_.Put({reinterpret_cast<const int32_t*>(masks.bits.data()), masks.bits.size()});
  }
  op.result = top_host_used_;
  top_host_used_ += TopResultBytes(op.tokens, count);
  open_->tops.push_back({op.tokens, count, values, ids, op.result});
}

}  // namespace lb::cuda
