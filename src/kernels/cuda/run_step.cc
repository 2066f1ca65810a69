// The second half of CudaOps: a recorded step is planned, and run directly or as a graph.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "kernels/cuda/cuda_ops.h"

namespace lb::cuda {
namespace {

Attention AttentionArgs(const Op& op) {
  Attention args;
  args.q = static_cast<const float*>(op.x);
  args.kv = op.kv;
  args.positions = op.ints;
  args.query_start = op.query_start;
  args.context_len = op.context_len;
  args.sequence_of = op.sequence_of;
  args.block_table = op.block_table;
  args.table_stride = op.table_stride;
  args.tokens = op.tokens;
  args.sequences = op.sequences;
  args.heads = op.heads;
  args.most_queries = op.most_queries;
  args.params = op.params;
  args.out = op.y;
  args.form = op.y_form;
  args.stores = op.store != nullptr;
  return args;
}

// Which kernel attends: single tokens on their own, prompts in tiles, where one of these takes the shape.
enum class AttentionWay { kDecode, kPrefill, kPlain };
AttentionWay AttentionWayOf(const Op& op, bool deterministic) {
  const bool single = deterministic || op.most_queries <= 2;
  if (single && DecodeAttentionFits(op.kv, op.tokens)) return AttentionWay::kDecode;
  return !deterministic && PrefillAttentionFits(op.kv, op.sequences) ? AttentionWay::kPrefill : AttentionWay::kPlain;
}

constexpr size_t kMostGraphs = 512;

}  // namespace

bool CudaOps::Grow(Buffer* buffer, size_t bytes) {
  if (bytes <= buffer->bytes) return true;
  DropGraphs();
  cudaFree(buffer->data);
  *buffer = {};
  // Some more than is asked for: steps of slightly other sizes follow.
  const size_t more = (bytes + bytes / 4 + 4096) / 256 * 256;
  auto memory = Allocate(more);
  if (!memory.has_value()) return false;
  buffer->data = memory->release();
  buffer->bytes = more;
  return true;
}

void CudaOps::DropGraphs() {
  if (running_) cudaStreamSynchronize(launcher_.stream);
  for (auto& [hash, graph] : graphs_) {
    if (graph.exec != nullptr) cudaGraphExecDestroy(graph.exec);
  }
  graphs_.clear();
  for (Unit& unit : units_) unit.graph = nullptr;
}

bool CudaOps::PrepareScratch(const Unit& unit) {
  size_t halves = 0, weights = 0, partial = 0, tickets = 0, angles = 0, top = 0, results = 0;
  for (const Op& op : unit.ops) {
    // Room for a few tables, whichever operations share them.
    if (op.inv_freq != nullptr) {
      angles = std::max(angles, 4 * sizeof(float) * 2 * static_cast<size_t>(op.tokens) * static_cast<size_t>(op.rope_dims));
    }
    if (op.done) continue;
    const size_t n = static_cast<size_t>(op.tokens) * static_cast<size_t>(op.cols);
    if (op.kind == OpKind::kMatmul && !op.few) {
      if (op.x_form == RowForm::kFloats) halves = std::max(halves, 2 * n);
      for (int i = 0; i < op.num_outs; ++i) {
        if (op.w[i]->copy == nullptr) weights = std::max(weights, static_cast<size_t>(op.w[i]->rows * op.w[i]->cols) * 2);
      }
    } else if (op.kind == OpKind::kAttention) {
      AttentionScratch scratch;
      const AttentionWay way = AttentionWayOf(op, options_.deterministic);
      if (way == AttentionWay::kDecode) scratch = DecodeAttentionScratch(AttentionArgs(op));
      if (way == AttentionWay::kPrefill) scratch = PrefillAttentionScratch(AttentionArgs(op), launcher_.facts.num_sms);
      partial = std::max(partial, scratch.partial);
      tickets = std::max(tickets, scratch.tickets);
    } else if (op.kind == OpKind::kTop) {
      top = std::max(top, TopScratchBytes(op.tokens, op.count));
      results = op.result + TopResultBytes(op.tokens, op.count);
    }
  }
  if (!Grow(&halves_, halves) || !Grow(&weights_, weights) || !Grow(&partial_, partial) || !Grow(&tickets_, tickets) ||
      !Grow(&angle_values_, angles) || !Grow(&top_, top)) {
    return false;
  }
  if (results > top_host_bytes_) {
    Wait();  // for what lies there
    DropGraphs();
    cudaFreeHost(std::exchange(top_host_, nullptr));
    top_host_bytes_ = 0;
    if (cudaMallocHost(reinterpret_cast<void**>(&top_host_), 2 * results) != cudaSuccess) return false;
    top_host_bytes_ = 2 * results;
  }
  return true;
}

void CudaOps::BeginStep() {
  if (running_) return;  // it has begun
  staging_.Reset();
  top_host_used_ = 0;
}

void CudaOps::Open() {
  if (upload_ != nullptr) {  // all is loaded
    Bind();
    upload_.reset();
  }
  BeginStep();
  open_ = units_[0].number < units_[1].number ? &units_[0] : &units_[1];
  open_->number = 0;
  open_->ops.clear();
  open_->tops.clear();
  staging_.Begin(&open_->staged);
}

bool CudaOps::CanRepeat(int64_t number) const {
  const auto unit = std::ranges::find(units_, number, &Unit::number);
  return number != 0 && unit != std::end(units_) && unit->graph != nullptr && unit->graph->exec != nullptr;
}

bool CudaOps::Repeat(int64_t number) {
  if (open_ != nullptr || !CanRepeat(number)) return false;
  Unit* unit = std::ranges::find(units_, number, &Unit::number);
  BeginStep();
  // Its graph has the addresses.
  const bool same_results = unit->tops.empty() || unit->tops.front().at == top_host_used_;
  if (!staging_.CanRepeat(unit->staged) || !same_results) return false;
  staging_.Again(unit->staged);
  for (const TopResult& top : unit->tops) top_host_used_ += TopResultBytes(top.rows, top.count);
  open_ = unit;
  repeats_ = true;
  return true;
}

bool CudaOps::RepeatAhead(int64_t number, std::span<const int32_t> late) {
  if (!can_queue_ahead_ || open_ != nullptr || !running_ || ahead_.queued || !fault_ || number != num_started_ || !CanRepeat(number)) return false;
  Unit& unit = *std::ranges::find(units_, number, &Unit::number);
  // All of its step: its arrays come first, and its results.
  const size_t count = unit.staged.end - unit.staged.begin;
  const int64_t offset = Staging::OffsetOf(unit.staged, late);
  if (unit.staged.begin != 0 || results_.size() != unit.tops.size() || offset < 0 || count > Gate::kInts) return false;
  Bind();
  LB_CUDA_CHECK(cudaEventRecord(done_, launcher_.stream));
  int32_t* arrays = gate_.NextArrays();
  staging_.CopyTo(unit.staged, arrays);
  gate_.Queue(launcher_, staging_.device(unit.staged), count);
  LB_CUDA_CHECK(cudaGraphLaunch(unit.graph->exec, launcher_.stream));
  unit.number = ++num_started_;
  ahead_ = {true, unit.tops, late, arrays + offset};
  return true;
}

void CudaOps::Release() {
  std::ranges::copy(ahead_.late, ahead_.late_to);
  ahead_.late = {};
  gate_.Open();
}

void CudaOps::Start() {
  if (open_ == nullptr) return;
  Bind();
  Unit& unit = *std::exchange(open_, nullptr);
  const bool repeats = std::exchange(repeats_, false);
  running_ = true;
  if (!fault_) return;
  fault_ = Launch(unit, repeats);
  if (!fault_) return;
  unit.number = ++num_started_;
  results_.insert(results_.end(), unit.tops.begin(), unit.tops.end());
}

Result<void> CudaOps::Launch(Unit& unit, bool repeats) {
  if (staging_.full()) return Fail(ErrorCode::kComputeFault, "the step's tables do not fit {} MiB", kStagingBytes >> 20);
  // The bytes as recorded are the unit's name; the plan follows from them.
  const std::string_view bytes(reinterpret_cast<const char*>(unit.ops.data()), unit.ops.size() * sizeof(Op));
  CachedGraph* cached = repeats ? unit.graph : nullptr;
  for (const Unit& recent : units_) {
    if (cached == nullptr && recent.graph != nullptr && recent.graph->key == bytes) cached = recent.graph;
  }
  const size_t hash = cached != nullptr ? 0 : std::hash<std::string_view>{}(bytes);
  if (cached == nullptr) {
    const auto seen = graphs_.find(hash);
    if (seen != graphs_.end() && seen->second.key == bytes) cached = &seen->second;
  }
  std::string key;
  if (cached == nullptr) key = bytes;
  if (cached == nullptr || cached->exec == nullptr) {
    PlanStep(unit.ops, plan_options_);
    if (!PrepareScratch(unit)) return Fail(ErrorCode::kComputeFault, "no memory on {} for this step", name_);
    if (graphs_.empty()) cached = nullptr;  // scratch has moved
  }
  unit.graph = cached;
  staging_.Send(unit.staged, launcher_.stream);
  if (cached != nullptr && cached->exec == nullptr) {
    // The second time: it will come again.
    cudaGraph_t graph = nullptr;
    LB_CUDA_CHECK(cudaStreamBeginCapture(launcher_.stream, cudaStreamCaptureModeThreadLocal));
    Run(unit);
    LB_CUDA_CHECK(cudaStreamEndCapture(launcher_.stream, &graph));
    LB_CUDA_CHECK(cudaGraphInstantiate(&cached->exec, graph, 0));
    cudaGraphDestroy(graph);
  }
  if (cached != nullptr) {
    LB_CUDA_CHECK(cudaGraphLaunch(cached->exec, launcher_.stream));
  } else {
    Run(unit);
    if (graphs_.size() >= kMostGraphs) DropGraphs();
    if (!key.empty()) graphs_[hash] = {std::move(key), nullptr};
  }
  return {};
}

cudaError_t CudaOps::Wait() {
  const cudaError_t error = ahead_.queued ? cudaEventSynchronize(done_) : cudaStreamSynchronize(launcher_.stream);
  for (const TopResult& top : results_) {
    const size_t n = static_cast<size_t>(top.rows) * static_cast<size_t>(top.count);
    std::memcpy(top.values, top_host_ + top.at, n * sizeof(float));
    std::memcpy(top.ids, top_host_ + top.at + n * sizeof(float), n * sizeof(int32_t));
  }
  results_.clear();
  return error;
}

Result<void> CudaOps::Finish() {
  Start();
  if (!running_) return {};
  Bind();
  const cudaError_t error = Wait();
  running_ = std::exchange(ahead_.queued, false);
  results_.swap(ahead_.results);
  Result<void> fault = std::exchange(fault_, {});
  if (error == cudaSuccess && fault) return {};
  for (Unit& unit : units_) unit.number = 0;
  return fault ? Fail(ErrorCode::kComputeFault, "{}: {}", name_, cudaGetErrorString(error)) : fault;
}

void CudaOps::Receive(Ops& from, const void* src, void* dst, size_t bytes) {
  auto& peer = static_cast<CudaOps&>(from);
  peer.Bind();
  LB_CUDA_CHECK(cudaEventRecord(peer.received_, peer.launcher_.stream));
  Bind();
  LB_CUDA_CHECK(cudaStreamWaitEvent(launcher_.stream, peer.received_));
  if (bytes == 0) return;
  LB_CUDA_CHECK(cudaMemcpyPeerAsync(dst, launcher_.facts.index, src, peer.launcher_.facts.index, bytes, launcher_.stream));
}

void CudaOps::Run(const Unit& unit) {
  angles_.clear();
  angles_used_ = 0;
  for (const Op& op : unit.ops) {
    if (op.done) continue;
    if (op.kind != OpKind::kTop) {
      RunOp(op);
      continue;
    }
    const size_t n = static_cast<size_t>(op.tokens) * static_cast<size_t>(op.count);
    TopRows args;
    args.logits = static_cast<const float*>(op.x);
    args.rows = op.tokens;
    args.vocab = op.cols;
    if (op.masks != nullptr) {
      args.mask_of = op.ints;
      args.masks = reinterpret_cast<const uint32_t*>(op.masks);
      args.mask_words = static_cast<int>(TokenMasks::words(op.cols));
    }
    char* result = top_host_ + op.result;
    LaunchTop(launcher_, args, op.count, top_.data, reinterpret_cast<float*>(result),
              reinterpret_cast<int32_t*>(result + n * sizeof(float)));
  }
}

void CudaOps::RunOp(const Op& op) {
  const int64_t n = int64_t{op.tokens} * op.cols;
  const auto* x = static_cast<const float*>(op.x);
  switch (op.kind) {
    case OpKind::kEmbed:
      return LaunchEmbed(launcher_, op.table->view, op.ints, op.tokens, op.scale, static_cast<float*>(op.y));
    case OpKind::kMatmul: return RunMatmul(op);
    case OpKind::kNorm: {
      Norm norm;
      norm.x = x;
      norm.weight = op.norm_weight;
      norm.bias = op.norm_bias;
      norm.layer_norm = op.layer_norm != 0;
      norm.eps = op.eps;
      norm.rows = op.tokens;
      norm.cols = op.cols;
      norm.y = op.y;
      norm.form = op.y_form;
      return LaunchNorm(launcher_, norm);
    }
    case OpKind::kRope:
    case OpKind::kStoreKv: return RunStore(op);
    case OpKind::kAttention: return RunAttention(op);
    case OpKind::kGlu:
      return LaunchGlu(launcher_, op.act, op.x, op.x2, op.glu_in_half != 0, n, op.y, op.y_form != RowForm::kFloats);
    case OpKind::kActivate: return LaunchActivate(launcher_, op.act, x, n, static_cast<float*>(op.y));
    case OpKind::kAdd: return LaunchAdd(launcher_, x, n, static_cast<float*>(op.y));
    case OpKind::kSoftcap: return LaunchSoftcap(launcher_, static_cast<float*>(op.y), n, op.scale);
    case OpKind::kScale: return LaunchScale(launcher_, static_cast<float*>(op.y), n, op.scale);
    case OpKind::kGather:
      return LaunchGatherRows(launcher_, {op.x, op.x_form}, op.ints, op.count, op.cols, op.y);
    case OpKind::kTop: return;
  }
}

const CudaOps::Angles& CudaOps::AnglesOf(const Op& op) {
  for (const Angles& a : angles_) {
    if (a.inv_freq == op.inv_freq && a.positions == op.ints && a.dims == op.rope_dims) return a;
  }
  const size_t pairs = static_cast<size_t>(op.tokens) * static_cast<size_t>(op.rope_dims / 2);
  CHECK_LE((angles_used_ + 2 * pairs) * sizeof(float), angle_values_.bytes);
  float* values = static_cast<float*>(angle_values_.data) + angles_used_;
  angles_used_ += 2 * pairs;
  LaunchAngles(launcher_, op.ints, op.tokens, op.inv_freq, op.rope_dims / 2, op.magnitude, values, values + pairs);
  return angles_.emplace_back(Angles{op.inv_freq, op.ints, op.rope_dims, values, values + pairs});
}

void CudaOps::RunStore(const Op& op) { LaunchRopeStore(launcher_, StoreArgs(op)); }

RopeStore CudaOps::StoreArgs(const Op& op) {
  RopeStore args;
  args.tokens = op.tokens;
  if (op.inv_freq != nullptr) {
    const Angles& angles = AnglesOf(op);
    args.cosines = angles.cosines;
    args.sines = angles.sines;
    args.pairs = op.rope_dims / 2;
    args.halves = op.halves != 0;
  }
  if (op.kind == OpKind::kRope) {
    args.q = static_cast<float*>(const_cast<void*>(op.x));
    args.q_heads = op.cols / op.head_dim;
    args.k_dim = args.v_dim = op.head_dim;
  } else {
    args.q = op.q;
    args.q_heads = op.q_heads;
    args.k = static_cast<float*>(const_cast<void*>(op.x));
    args.v = static_cast<const float*>(op.x2);
    args.q_norm = op.q_norm;
    args.k_norm = op.k_norm;
    args.norm_eps = op.eps;
    args.kv = op.kv;
    args.kv_heads = op.kv.num_kv_heads;
    args.k_dim = op.kv.k_dim;
    args.v_dim = op.kv.v_dim;
    args.slots = op.slots;
  }
  return args;
}

void CudaOps::RunAttention(const Op& op) {
  Attention args = AttentionArgs(op);
  args.partial = static_cast<float*>(partial_.data);
  args.tickets = static_cast<int*>(tickets_.data);
  args.fixed = options_.deterministic;
  if (op.store != nullptr) args.store = StoreArgs(*op.store);
  switch (AttentionWayOf(op, options_.deterministic)) {
    case AttentionWay::kDecode: return LaunchDecodeAttention(launcher_, args);
    case AttentionWay::kPrefill: return LaunchPrefillAttention(launcher_, args);
    case AttentionWay::kPlain: return LaunchPlainAttention(launcher_, args);
  }
}

const void* CudaOps::HalfRows(const Op& op) {
  if (op.x_form != RowForm::kFloats) return op.x;
  LaunchToHalf(launcher_, static_cast<const float*>(op.x), int64_t{op.tokens} * op.cols, halves_.data);
  return halves_.data;
}

void CudaOps::RunFewProducts(const Op& op) {
  // One launch for all outputs whose weights have the same form.
  bool launched[3] = {};
  for (int first = 0; first < op.num_outs; ++first) {
    if (launched[first]) continue;
    FewProducts args;
    for (int i = first; i < op.num_outs; ++i) {
      if (launched[i] || op.w[i]->view.form != op.w[first]->view.form) continue;
      FewSegment& segment = args.segments[args.num_segments++];
      segment.w = op.w[i]->view;
      segment.bias = op.bias[i];
      segment.y = op.ys[i];
      segment.accumulate = op.accumulate[i] != 0;
      segment.first_tile = args.num_tiles;
      args.num_tiles += segment.w.tiles();
      launched[i] = true;
    }
    args.tokens = op.tokens;
    args.cols = op.cols;
    args.x = {op.x, op.x_form};
    args.norm_weight = op.norm_weight;
    args.norm_eps = op.eps;
    args.fixed = options_.deterministic;
    if (op.glu) {
      args.glu = true;
      args.num_tiles = args.segments[0].w.tiles();
      args.act = op.act;
      args.glu_out = op.y;
      args.glu_form = op.y_form;
    }
    GainsByBytes(launcher_.facts, args) ? LaunchByteProducts(launcher_, args) : LaunchFewProducts(launcher_, args);
  }
}

void CudaOps::RunMatmul(const Op& op) {
  if (op.few) return RunFewProducts(op);
  const void* x = HalfRows(op);
  for (int i = 0; i < op.num_outs; ++i) {
    const CudaMatrix& w = *op.w[i];
    const void* values = w.copy.get();
    if (values == nullptr) {
      LaunchDecodeWeight(launcher_, w.view, weights_.data);
      values = weights_.data;
    }
    LibraryProduct::Args args;
    args.w = values;
    args.x = x;
    args.bias = op.bias[i];
    args.y = op.ys[i];
    args.rows = static_cast<int>(w.rows);
    args.cols = op.cols;
    args.tokens = op.tokens;
    args.half_out = op.glu_in_half != 0;
    args.factor = args.half_out ? w.view.unscale : w.view.unscale / kActivationScale;
    args.accumulate = op.accumulate[i] != 0;
    CHECK(library_.Run(launcher_, args));
  }
}

}  // namespace lb::cuda
