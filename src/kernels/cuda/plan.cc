// Which operations of a step become one kernel.
#include <algorithm>
#include <array>

#include "kernels/cuda/step.h"

namespace lb::cuda {
namespace {

struct Range {
  const char* begin = nullptr;
  const char* end = nullptr;
  bool overlaps(const Range& o) const { return begin < o.end && o.begin < end; }
};

Range Floats(const void* p, int64_t n) {
  const char* begin = static_cast<const char*>(p);
  return {begin, p == nullptr ? begin : begin + n * static_cast<int64_t>(sizeof(float))};
}

Range InputOf(const Op& op) { return Floats(op.x, int64_t{op.tokens} * op.cols); }

// The f32 tensors that `op` writes.
std::array<Range, 3> WritesOf(const Op& op) {
  const int64_t n = int64_t{op.tokens} * op.cols;
  switch (op.kind) {
    case OpKind::kMatmul: {
      std::array<Range, 3> out;
      for (int i = 0; i < op.num_outs; ++i) out[i] = Floats(op.ys[i], op.tokens * op.w[i]->rows);
      return out;
    }
    case OpKind::kEmbed: return {Floats(op.y, op.tokens * op.table->cols)};
    case OpKind::kAttention: return {Floats(op.y, int64_t{op.tokens} * op.heads * op.kv.v_dim)};
    case OpKind::kRope: return {InputOf(op)};
    case OpKind::kStoreKv:
    case OpKind::kTop: return {};
    case OpKind::kGather: return {Floats(op.y, int64_t{op.count} * op.cols)};
    default: return {Floats(op.y, n)};
  }
}

// The f32 tensors that `op` reads, but for x of a product.
std::array<Range, 4> OtherReadsOf(const Op& op) {
  const int64_t n = int64_t{op.tokens} * op.cols;
  switch (op.kind) {
    case OpKind::kMatmul: {
      std::array<Range, 4> out;
      for (int i = 0; i < op.num_outs; ++i) {
        if (op.accumulate[i]) out[i] = Floats(op.ys[i], op.tokens * op.w[i]->rows);
      }
      return out;
    }
    case OpKind::kEmbed: return {};
    case OpKind::kStoreKv:
      return {Floats(op.x, int64_t{op.tokens} * op.kv.num_kv_heads * op.kv.k_dim),
              Floats(op.x2, int64_t{op.tokens} * op.kv.num_kv_heads * op.kv.v_dim)};
    case OpKind::kGlu: return {Floats(op.x, n), Floats(op.x2, n)};
    case OpKind::kAdd: return {Floats(op.x, n), Floats(op.y, n)};
    default: return {InputOf(op)};
  }
}

// What is left of a tensor's bytes while later operations overwrite them piece by piece.
class Remains {
 public:
  explicit Remains(const Range& range) : parts_({range}) {}
  bool empty() const { return parts_.empty(); }
  bool overlaps(const Range& r) const {
    return std::ranges::any_of(parts_, [&](const Range& part) { return part.overlaps(r); });
  }
  void Overwrite(const Op& op) {
    for (const Range& w : WritesOf(op)) {
      if (w.begin == w.end) continue;
      std::vector<Range> left;
      for (const Range& part : parts_) {
        if (!part.overlaps(w)) {
          left.push_back(part);
          continue;
        }
        if (part.begin < w.begin) left.push_back({part.begin, w.begin});
        if (w.end < part.end) left.push_back({w.end, part.end});
      }
      parts_ = std::move(left);
    }
  }

 private:
  std::vector<Range> parts_;
};

bool Reads(const Op& op, const Remains& remains) {
  const auto reads = OtherReadsOf(op);
  return std::ranges::any_of(reads, [&](const Range& r) { return r.begin != r.end && remains.overlaps(r); });
}

// Whether only products read `range`, from ops[from] until it is overwritten; their indices to `readers`,
// those of row gathers between too.
bool OnlyProductsRead(const std::vector<Op>& ops, size_t from, const Range& range, std::vector<size_t>* readers) {
  bool any = false;
  Remains remains(range);
  for (size_t i = from; i < ops.size() && !remains.empty(); ++i) {
    const Op& op = ops[i];
    if (op.done) continue;
    if (op.kind == OpKind::kMatmul && remains.overlaps(InputOf(op))) {
      if (op.x != range.begin || Reads(op, remains)) return false;
      readers->push_back(i);
      any = true;
    } else if (op.kind == OpKind::kGather && remains.overlaps(InputOf(op))) {
      const Range kept = Floats(op.y, int64_t{op.count} * op.cols);
      if (op.x != range.begin || op.cols % 2 != 0 || !OnlyProductsRead(ops, i + 1, kept, readers)) return false;
      readers->push_back(i);
      any = true;
    } else if (Reads(op, remains)) {
      return false;
    }
    remains.Overwrite(op);
  }
  return any;
}

bool NobodyReads(const std::vector<Op>& ops, size_t from, const Range& range) {
  Remains remains(range);
  for (size_t i = from; i < ops.size() && !remains.empty(); ++i) {
    if (ops[i].kind == OpKind::kMatmul && remains.overlaps(InputOf(ops[i]))) return false;
    if (Reads(ops[i], remains)) return false;
    remains.Overwrite(ops[i]);
  }
  return true;
}

// The operation before `i` that is not part of another; -1: none.
int Before(const std::vector<Op>& ops, int i) {
  for (--i; i >= 0 && ops[i].done; --i) {
  }
  return i;
}

void FuseStore(std::vector<Op>& ops, int at) {
  Op& store = ops[at];
  store.q = nullptr;
  int i = Before(ops, at);
  if (i < 0 || ops[i].kind != OpKind::kRope || ops[i].x != store.x || ops[i].head_dim != store.kv.k_dim) return;
  Op& rope_k = ops[i];
  store.ints = rope_k.ints;
  store.inv_freq = rope_k.inv_freq;
  store.rope_dims = rope_k.rope_dims;
  store.magnitude = rope_k.magnitude;
  store.halves = rope_k.halves;
  rope_k.done = 1;
  i = Before(ops, i);
  if (i >= 0 && ops[i].kind == OpKind::kRope && ops[i].ints == rope_k.ints && ops[i].inv_freq == rope_k.inv_freq &&
      ops[i].head_dim == rope_k.head_dim && ops[i].magnitude == rope_k.magnitude && ops[i].tokens == store.tokens) {
    store.q = static_cast<float*>(const_cast<void*>(ops[i].x));
    store.q_heads = ops[i].cols / ops[i].head_dim;
    ops[i].done = 1;
    i = Before(ops, i);
  }
  // Norms of the heads, k's behind q's.
  const auto norms = [&](int n, const void* x) {
    return n >= 0 && ops[n].kind == OpKind::kNorm && !ops[n].layer_norm && ops[n].x == x && ops[n].y == x &&
           ops[n].cols == store.kv.k_dim;
  };
  if (store.q != nullptr && norms(i, store.x)) {
    const int q = Before(ops, i);
    if (norms(q, store.q) && ops[q].eps == ops[i].eps) {
      store.k_norm = ops[i].norm_weight;
      store.q_norm = ops[q].norm_weight;
      store.eps = ops[i].eps;
      ops[i].done = ops[q].done = 1;
    }
  }
}

// Single tokens of their sequences store their K and V in the kernel that attends.
void FuseAttention(std::vector<Op>& ops, int at) {
  Op& op = ops[at];
  const int before = Before(ops, at);
  if (before < 0 || op.most_queries != 1 || op.tokens != op.sequences) return;
  Op& store = ops[before];
  const bool same = store.kind == OpKind::kStoreKv && store.q == op.x && store.kv.k == op.kv.k && store.tokens == op.tokens;
  // One block must see the new key that another heads' block would store.
  if (!same || !DecodeAttentionFits(op.kv, op.tokens) || op.heads / op.kv.num_kv_heads > kTileHeads) return;
  op.store = &store;
  store.done = 1;
}

// How the values that `op` writes for `readers` alone are best: as a product of many rows without a library takes them, when all are such.
RowForm FormFor(const std::vector<Op>& ops, const Op& op, const std::vector<size_t>& readers) {
  const bool fragments = std::ranges::all_of(readers, [&](size_t r) {
    const Op& reader = ops[r];
    return reader.kind == OpKind::kMatmul && reader.few && reader.tokens == op.tokens && reader.tokens > kColumns &&
           reader.cols % kFragmentCols == 0;
  });
  return fragments ? RowForm::kFragments : RowForm::kHalves;
}

// Gate, up and their product: in one kernel for few rows, else with fp16 between the kernels when `y` is fp16 too
// (it may lie where gate lies).
void FuseGlu(std::vector<Op>& ops, size_t at, bool only_products, const std::vector<size_t>& readers) {
  Op& glu = ops[at];
  const bool apart = glu.y != glu.x && glu.y != glu.x2;
  glu.y_form = only_products && apart ? RowForm::kHalves : RowForm::kFloats;
  const int before = Before(ops, static_cast<int>(at));
  if (before < 0) return;
  Op& product = ops[before];
  if (product.kind != OpKind::kMatmul || product.num_outs != 2 || product.ys[0] != glu.x || product.ys[1] != glu.x2 ||
      product.accumulate[0] || product.accumulate[1] || product.tokens != glu.tokens) {
    return;
  }
  const int64_t n = int64_t{glu.tokens} * glu.cols;
  if (glu.y != glu.x2 && !NobodyReads(ops, at + 1, Floats(glu.x2, n))) return;
  if (glu.y != glu.x && !NobodyReads(ops, at + 1, Floats(glu.x, n))) return;
  if (product.few && product.w[0]->view.form == product.w[1]->view.form) {
    product.glu = 1;
    product.act = glu.act;
    product.y = glu.y;
    product.y_form = glu.y_form = only_products ? FormFor(ops, glu, readers) : RowForm::kFloats;
    glu.done = 1;
  } else if (!product.few && only_products && product.bias[0] == nullptr && product.bias[1] == nullptr) {
    product.glu_in_half = glu.glu_in_half = 1;
    glu.y_form = RowForm::kHalves;
  }
}

}  // namespace

void PlanStep(std::vector<Op>& ops, const PlanOptions& options) {
  for (Op& op : ops) {
    if (op.kind != OpKind::kMatmul) continue;
    const auto any = [&](auto&& is) { return std::any_of(op.w, op.w + op.num_outs, is); };
    const bool on_host = any([](const CudaMatrix* w) { return w->on_host; });
    const bool large = any([&](const CudaMatrix* w) { return w->copy == nullptr && 2 * w->rows * w->cols > options.most_written; });
    const int few_rows = large ? op.tokens : on_host ? options.host_few_rows : options.few_rows;
    op.few = op.tokens <= few_rows && FewProductsFit(options.facts, op.cols);
  }
  // Values that only products read are written as these want them.
  for (size_t i = 0; i < ops.size(); ++i) {
    Op& op = ops[i];
    const bool can = (op.kind == OpKind::kNorm && op.x != op.y) || op.kind == OpKind::kAttention || op.kind == OpKind::kGlu;
    if (!can) continue;
    std::vector<size_t> readers;
    const bool only_products = OnlyProductsRead(ops, i + 1, WritesOf(op)[0], &readers);
    if (op.kind == OpKind::kGlu) {
      FuseGlu(ops, i, only_products, readers);
    } else if (only_products) {
      op.y_form = FormFor(ops, op, readers);
    }
    // The norm goes into its product, when that is the next operation and the only reader.
    Op* next = i + 1 < ops.size() ? &ops[i + 1] : nullptr;
    if (op.y_form != RowForm::kFloats && op.kind == OpKind::kNorm && !op.layer_norm && readers.size() == 1 && readers[0] == i + 1 && next->few &&
        next->tokens <= options.fused_norm_rows && next->tokens == op.tokens && op.cols % 8 == 0) {
      // The product must not write what its other blocks still read.
      const bool apart = std::none_of(next->ys, next->ys + next->num_outs, [&](const float* y) { return y == op.x; });
      if (apart) {
        next->x = op.x;
        next->norm_weight = op.norm_weight;
        next->eps = op.eps;
        op.done = 1;
        continue;
      }
    }
    for (size_t r : readers) {
      if (op.y_form == RowForm::kFloats) break;
      ops[r].x_form = op.y_form;
      if (ops[r].kind == OpKind::kGather) ops[r].y_form = op.y_form;
    }
  }
  for (size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].kind == OpKind::kStoreKv) FuseStore(ops, static_cast<int>(i));
    if (ops[i].kind == OpKind::kAttention) FuseAttention(ops, static_cast<int>(i));
  }
}

}  // namespace lb::cuda
