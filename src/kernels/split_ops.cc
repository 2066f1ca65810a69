#include "kernels/split_ops.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace lb {
namespace {

// A matrix and the part that has it.
class PartMatrix final : public Matrix {
 public:
  PartMatrix(std::unique_ptr<Matrix> matrix, size_t part_in) : inner(std::move(matrix)), part(part_in) {
    rows = inner->rows, cols = inner->cols, dtype = inner->dtype, bytes = inner->bytes;
  }
  const std::unique_ptr<Matrix> inner;
  const size_t part;
};

const PartMatrix& Of(const Matrix& matrix) { return static_cast<const PartMatrix&>(matrix); }

}  // namespace

SplitOps::SplitOps(std::vector<std::unique_ptr<Ops>> parts, std::vector<int> first_layers, int num_layers)
    : parts_(std::move(parts)), first_layers_(std::move(first_layers)), num_layers_(num_layers) {
  CHECK_GE(parts_.size(), size_t{2});
  CHECK_EQ(parts_.size(), first_layers_.size());
  for (const auto& part : parts_) name_ += fmt::format("{}{}", name_.empty() ? "" : " + ", part->name());
}

// ---- memory and weights -------------------------------------------------------------------------------

void SplitOps::BeginLayer(int layer) {
  layer_ = layer;
  for (const auto& part : parts_) part->BeginLayer(layer);
}

size_t SplitOps::PartOfLayer() const {
  CHECK_GE(layer_, 0);
  return static_cast<size_t>(std::ranges::upper_bound(first_layers_, layer_) - first_layers_.begin()) - 1;
}

std::optional<size_t> SplitOps::OwnerOf(const void* address) const {
  const auto* at = static_cast<const char*>(address);
  const auto next = layer_memory_.upper_bound(at);
  if (next == layer_memory_.begin()) return std::nullopt;
  const auto& [begin, memory] = *std::prev(next);
  return at < begin + memory.first ? std::optional(memory.second) : std::nullopt;
}

const char* SplitOps::At(const void* address, size_t part) const {
  const auto* at = static_cast<const char*>(address);
  const auto next = mirrors_.upper_bound(at);
  if (part == 0 || at == nullptr || next == mirrors_.begin()) return at;
  const Mirror& mirror = std::prev(next)->second;
  if (at >= mirror.first + mirror.bytes) return at;
  return static_cast<const char*>(mirror.others[part - 1].get()) + (at - mirror.first);
}

// Memory is freed behind our back: what was there is gone when the address is given out again.
void SplitOps::ForgetWhatLayAt(const char* begin, size_t bytes) {
  const auto overlaps = [&](const char* at, size_t size) { return at < begin + bytes && begin < at + size; };
  std::erase_if(mirrors_, [&](const auto& m) { return overlaps(m.first, m.second.bytes); });
  std::erase_if(layer_memory_, [&](const auto& m) { return overlaps(m.first, m.second.first); });
}

Result<DeviceMemory> SplitOps::Make(size_t bytes, const std::function<Result<DeviceMemory>(Ops&)>& make) {
  if (layer_ >= 0) {
    const size_t part = PartOfLayer();
    LB_ASSIGN_OR_RETURN(DeviceMemory memory, make(*parts_[part]));
    const auto* begin = static_cast<const char*>(memory.get());
    ForgetWhatLayAt(begin, bytes);
    layer_memory_[begin] = {bytes, part};
    return memory;
  }
  LB_ASSIGN_OR_RETURN(DeviceMemory first, make(*parts_[0]));
  Mirror mirror{static_cast<const char*>(first.get()), bytes, {}};
  for (size_t i = 1; i < parts_.size(); ++i) {
    LB_ASSIGN_OR_RETURN(DeviceMemory other, make(*parts_[i]));
    mirror.others.push_back(std::move(other));
  }
  ForgetWhatLayAt(mirror.first, bytes);
  mirrors_.emplace(mirror.first, std::move(mirror));
  return first;
}

Result<DeviceMemory> SplitOps::Allocate(size_t bytes) {
  return Make(bytes, [bytes](Ops& part) { return part.Allocate(bytes); });
}

Result<DeviceMemory> SplitOps::LoadVector(const TensorView& raw) {
  return Make(static_cast<size_t>(raw.num_elements()) * sizeof(float), [&raw](Ops& part) { return part.LoadVector(raw); });
}

Result<std::unique_ptr<Matrix>> SplitOps::LoadMatrix(const TensorView& raw) {
  const size_t part = layer_ >= 0 ? PartOfLayer() : parts_.size() - 1;
  LB_ASSIGN_OR_RETURN(auto matrix, parts_[part]->LoadMatrix(raw));
  return std::unique_ptr<Matrix>(std::make_unique<PartMatrix>(std::move(matrix), part));
}

Result<std::unique_ptr<Matrix>> SplitOps::LoadTable(const TensorView& raw) {
  LB_ASSIGN_OR_RETURN(auto table, parts_[0]->LoadTable(raw));
  return std::unique_ptr<Matrix>(std::make_unique<PartMatrix>(std::move(table), 0));
}

void SplitOps::CopyToHost(const TensorView& src, void* dst) {
  const auto* at = static_cast<const char*>(src.data);
  for (const Held& held : held_) {
    if (held.begin > at || at >= held.end) continue;
    CHECK(at + src.num_bytes() <= held.end);  // nobody asks for what several have written
    TensorView there = src;
    there.data = const_cast<char*>(At(at, held.part));
    return parts_[held.part]->CopyToHost(there, dst);
  }
  parts_[OwnerOf(at).value_or(0)]->CopyToHost(src, dst);
}

void SplitOps::CopyFromHost(const void* src, const TensorView& dst) {
  if (const auto owner = OwnerOf(dst.data)) return parts_[*owner]->CopyFromHost(src, dst);
  const auto* begin = static_cast<const char*>(dst.data);
  for (size_t part = 0; part < parts_.size(); ++part) {
    TensorView there = dst;
    there.data = const_cast<char*>(At(begin, part));
    parts_[part]->CopyFromHost(src, there);
  }
  std::erase_if(held_, [&](const Held& held) { return held.begin < begin + dst.num_bytes() && begin < held.end; });
}

Result<void> SplitOps::MoveKvBlocks(std::span<const KvBlockPart> parts, const KvHostTier& tier, std::span<const KvBlockMove> moves,
                                    bool to_host) {
  std::vector<std::vector<KvBlockPart>> of_part(parts_.size());
  for (const KvBlockPart& part : parts) of_part[OwnerOf(part.pool).value_or(0)].push_back(part);
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!of_part[i].empty()) LB_RETURN_IF_ERROR(parts_[i]->MoveKvBlocks(of_part[i], tier, moves, to_host));
  }
  return {};
}

// What all parts together have when each has of it what its layers are of all.
int64_t SplitOps::free_memory(int64_t beside) const {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (size_t i = 0; i < parts_.size(); ++i) {
    const int64_t free = parts_[i]->free_memory(beside);
    if (free < 0) return -1;
    const int end = i + 1 < parts_.size() ? first_layers_[i + 1] : num_layers_;
    const int layers = end - first_layers_[i];
    if (layers > 0) least = std::min(least, free * num_layers_ / layers);
  }
  return least;
}

// ---- a step ---------------------------------------------------------------------------------------------

void SplitOps::Open() {
  if (open_) return;
  open_ = true;
  passes_.clear();
  if (running_) return;
  part_ = 0;
  held_.clear();
}

void SplitOps::PassOn(const Pass& pass) {
  Ops& from = *parts_[pass.from];
  Ops& to = *parts_[pass.to];
  if (pass.bytes == 0) from.Start();
  to.Receive(from, At(pass.begin, pass.from), const_cast<char*>(At(pass.begin, pass.to)), pass.bytes);
}

void SplitOps::GoTo(size_t part) {
  Open();
  if (part == part_) return;
  Pass pass{part_, part, 0};
  PassOn(pass);
  pass.number = parts_[part_]->last_started();
  passes_.push_back(pass);
  part_ = part;
}

void SplitOps::GoToOwner(const float* vector) {
  if (const auto owner = OwnerOf(vector)) GoTo(*owner);
}

void SplitOps::Hold(const char* begin, const char* end) {
  for (size_t i = held_.size(); i-- > 0;) {
    const Held held = held_[i];
    if (held.begin >= end || begin >= held.end) continue;
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
    if (held.begin < begin) held_.push_back({held.begin, begin, held.part});
    if (end < held.end) held_.push_back({end, held.end, held.part});
  }
  held_.push_back({begin, end, part_});
}

TensorView SplitOps::Read(const TensorView& x) {
  Open();
  const auto* begin = static_cast<const char*>(x.data);
  const char* end = begin + x.num_bytes();
  std::vector<Held> elsewhere;
  for (const Held& held : held_) {
    if (held.part == part_ || held.begin >= end || begin >= held.end) continue;
    elsewhere.push_back({std::max(begin, held.begin), std::min(end, held.end), held.part});
  }
  for (const Held& held : elsewhere) {
    const Pass pass{held.part, part_, 0, held.begin, static_cast<size_t>(held.end - held.begin)};
    PassOn(pass);
    passes_.push_back(pass);
    Hold(held.begin, held.end);
  }
  TensorView view = x;
  view.data = const_cast<char*>(At(begin, part_));
  return view;
}

TensorView SplitOps::Written(const TensorView& y) {
  Open();
  const auto* begin = static_cast<const char*>(y.data);
  Hold(begin, begin + y.num_bytes());
  TensorView view = y;
  view.data = const_cast<char*>(At(begin, part_));
  return view;
}

KvLayer SplitOps::Here(const KvLayer& kv) const {
  KvLayer layer = kv;
  layer.k = const_cast<char*>(At(kv.k, part_));
  layer.v = const_cast<char*>(At(kv.v, part_));
  return layer;
}

void SplitOps::Start() {
  if (!open_) return;
  here().Start();
  open_ = false;
  ++num_started_;
  if (!running_) first_ = {num_started_, part_, here().last_started(), std::move(passes_), held_};
  running_ = true;
}

bool SplitOps::CanRepeat(int64_t number) const {
  if (open_ || running_ || number == 0 || number != first_.number) return false;
  const auto can = [&](const Pass& pass) { return pass.bytes > 0 || parts_[pass.from]->CanRepeat(pass.number); };
  return parts_[first_.last_part]->CanRepeat(first_.last_number) && std::ranges::all_of(first_.passes, can);
}

bool SplitOps::Repeat(int64_t number) {
  if (!CanRepeat(number)) return false;
  passes_ = std::move(first_.passes);
  held_ = first_.held;
  open_ = true;
  for (Pass& pass : passes_) {
    if (pass.bytes == 0) CHECK(parts_[pass.from]->Repeat(pass.number));
    PassOn(pass);
    if (pass.bytes == 0) pass.number = parts_[pass.from]->last_started();
  }
  part_ = first_.last_part;
  CHECK(here().Repeat(first_.last_number));
  return true;
}

Result<void> SplitOps::Finish() {
  Start();
  running_ = false;
  Result<void> first;
  for (const auto& part : parts_) {
    const Result<void> ended = part->Finish();
    if (first && !ended) first = ended;
  }
  if (!first) first_ = {};
  return first;
}

// ---- operations -------------------------------------------------------------------------------------------

void SplitOps::Embed(const Matrix& table, std::span<const int32_t> ids, float scale, const TensorView& y) {
  GoTo(Of(table).part);
  here().Embed(*Of(table).inner, ids, scale, Written(y));
}

void SplitOps::Matmul(const TensorView& x, std::span<const MatmulOut> outs) {
  GoTo(Of(*outs.front().w).part);
  const TensorView in = Read(x);
  std::vector<MatmulOut> here_outs(outs.begin(), outs.end());
  for (MatmulOut& out : here_outs) {
    CHECK_EQ(Of(*out.w).part, part_);
    out.w = Of(*out.w).inner.get();
    out.bias = Here(out.bias);
    if (out.accumulate) Read(out.y);
    out.y = Written(out.y);
  }
  here().Matmul(in, here_outs);
}

void SplitOps::RmsNorm(const TensorView& x, const float* weight, float eps, const TensorView& y) {
  GoToOwner(weight);
  const TensorView in = Read(x);
  here().RmsNorm(in, Here(weight), eps, Written(y));
}

void SplitOps::LayerNorm(const TensorView& x, const float* weight, const float* bias, float eps, const TensorView& y) {
  GoToOwner(weight);
  const TensorView in = Read(x);
  here().LayerNorm(in, Here(weight), Here(bias), eps, Written(y));
}

void SplitOps::Rope(const TensorView& x, int head_dim, std::span<const int32_t> positions, const RopeTable& table) {
  Read(x);
  RopeTable here_table = table;
  here_table.inv_freq = Here(table.inv_freq);
  here().Rope(Written(x), head_dim, positions, here_table);
}

void SplitOps::StoreKv(const TensorView& k, const TensorView& v, const KvLayer& kv, std::span<const int32_t> slots) {
  const TensorView here_k = Read(k);
  here().StoreKv(here_k, Read(v), Here(kv), slots);
}

void SplitOps::PagedAttention(const TensorView& q, const KvLayer& kv, const SequenceBatch& batch, const KvBatch& blocks,
                              const AttentionParams& params, const TensorView& out) {
  const TensorView in = Read(q);
  here().PagedAttention(in, Here(kv), batch, blocks, params, Written(out));
}

void SplitOps::GluMul(Activation act, const TensorView& gate, const TensorView& up, const TensorView& y) {
  const TensorView here_gate = Read(gate), here_up = Read(up);
  here().GluMul(act, here_gate, here_up, Written(y));
}

void SplitOps::Activate(Activation act, const TensorView& x) {
  Read(x);
  here().Activate(act, Written(x));
}

void SplitOps::Add(const TensorView& x, const TensorView& y) {
  const TensorView in = Read(x);
  Read(y);
  here().Add(in, Written(y));
}

void SplitOps::Scale(const TensorView& x, float factor) {
  Read(x);
  here().Scale(Written(x), factor);
}

void SplitOps::Softcap(const TensorView& x, float cap) {
  Read(x);
  here().Softcap(Written(x), cap);
}

void SplitOps::GatherRows(const TensorView& x, std::span<const int32_t> rows, const TensorView& y) {
  const TensorView in = Read(x);
  here().GatherRows(in, rows, Written(y));
}

void SplitOps::Top(const TensorView& logits, int count, const TokenMasks& masks, float* values, int32_t* ids) {
  here().Top(Read(logits), count, masks, values, ids);
}

}  // namespace lb
