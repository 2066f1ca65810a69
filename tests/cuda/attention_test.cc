// Proves that the CUDA backend stores K and V and attends as the reference does: head sizes, cache types,
// windows, caps, both directions, prompts in chunks, single tokens and few behind many keys, several sequences at once.
#include <numeric>

#include "tests/cuda/device_tensors.h"

namespace lb {
namespace {

struct Shape {
  int heads = 6, kv_heads = 2, dim = 64;
  DType k_dtype = DType::kF16, v_dtype = DType::kF16;
  AttentionParams params{0.125f, 0, 0.0f, 0};
};

// Runs the sequences' last `queries` tokens as one step (all tokens' K and V are stored first) and returns the attention's
// output. K, V and queries are a function of sequence and position. `late`: the last token's K and V, the one query's of each, are stored
// in that step, rotated like the query, where something else was before.
std::vector<float> RunAttention(Ops& ops, const Shape& shape, const std::vector<int>& lengths, const std::vector<int>& queries, bool late = false) {
  std::vector<int32_t> ids, all_slots, positions, query_start = {0}, context;
  int blocks = 0, most = 0;
  for (int n : lengths) {
    blocks += (n + kKvBlockTokens - 1) / kKvBlockTokens;
    most = std::max(most, (n + kKvBlockTokens - 1) / kKvBlockTokens);
  }
  ids.resize(static_cast<size_t>(blocks) + 3);
  std::iota(ids.begin(), ids.end(), 0);
  std::shuffle(ids.begin(), ids.end(), std::mt19937(5));
  std::vector<int32_t> table(lengths.size() * static_cast<size_t>(most), -1);
  std::vector<float> k, v, q, late_k, late_v;
  std::vector<int32_t> late_slots;
  size_t next = 0;
  int64_t total = 0;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const int n = lengths[s];
    const size_t first = next;
    for (int i = 0; i * kKvBlockTokens < n; ++i) table[s * static_cast<size_t>(most) + static_cast<size_t>(i)] = ids[next++];
    for (int p = 0; p < n; ++p) all_slots.push_back(ids[first + static_cast<size_t>(p / kKvBlockTokens)] * kKvBlockTokens + p % kKvBlockTokens);
    const auto add = [&](std::vector<float>* to, int64_t count, uint32_t seed, int64_t from) {
      const auto values = RandomFloats(count, seed);
      to->insert(to->end(), values.begin() + from, values.end());
    };
    const auto seed = static_cast<uint32_t>(100 * s);
    add(&k, int64_t{n} * shape.kv_heads * shape.dim, seed + 1, 0);
    add(&v, int64_t{n} * shape.kv_heads * shape.dim, seed + 2, 0);
    const int from = n - queries[s];
    add(&q, int64_t{n} * shape.heads * shape.dim, seed + 3, int64_t{from} * shape.heads * shape.dim);
    for (int p = from; p < n; ++p) positions.push_back(p);
    if (late) {
      for (auto [all, last] : {std::pair(&k, &late_k), std::pair(&v, &late_v)}) {
        const auto row = all->end() - shape.kv_heads * shape.dim;
        last->insert(last->end(), row, all->end());
        std::fill(row, all->end(), 50.0f);
      }
      late_slots.push_back(all_slots.back());
    }
    query_start.push_back(static_cast<int32_t>(positions.size()));
    context.push_back(n);
    total += n;
  }
  const int64_t rows = static_cast<int64_t>(ids.size()) * kKvBlockTokens * shape.kv_heads;
  // What a block held before is somebody else's, NaNs of his included.
  const auto pool = [&](DType dtype) {
    const size_t bytes = static_cast<size_t>(rows * RowBytes(dtype, shape.dim));
    DeviceMemory memory = std::move(ops.Allocate(bytes)).value();
    const std::vector<uint8_t> junk(bytes, 0xff);
    ops.CopyFromHost(junk.data(), TensorView(memory.get(), dtype, {rows, shape.dim}));
    return memory;
  };
  const DeviceMemory k_pool = pool(shape.k_dtype), v_pool = pool(shape.v_dtype);
  KvLayer kv;
  kv.k = k_pool.get();
  kv.v = v_pool.get();
  kv.k_dtype = shape.k_dtype;
  kv.v_dtype = shape.v_dtype;
  kv.num_kv_heads = shape.kv_heads;
  kv.k_dim = kv.v_dim = shape.dim;
  kv.num_blocks = static_cast<int64_t>(ids.size());
  const Tensor device_k(ops, {total, shape.kv_heads * shape.dim}, &k), device_v(ops, {total, shape.kv_heads * shape.dim}, &v);
  const int64_t tokens = static_cast<int64_t>(positions.size());
  const Tensor device_q(ops, {tokens, shape.heads * shape.dim}, &q), out(ops, {tokens, shape.heads * shape.dim});
  const auto sequences = static_cast<int64_t>(lengths.size());
  const std::vector<float> frequencies = RandomFloats(shape.dim / 2, 9);
  const Tensor inv_freq(ops, {shape.dim / 2}, &frequencies);
  const Tensor last_k(ops, {sequences, shape.kv_heads * shape.dim}), last_v(ops, {sequences, shape.kv_heads * shape.dim});
  for (int times = 0; times < 3; ++times) {
    if (late || times == 0) ops.StoreKv(device_k.view, device_v.view, kv, all_slots);
    EXPECT_TRUE(ops.Finish().has_value());
    if (late) {
      const RopeTable table_of_angles{RopeStyle::kHalves, shape.dim, inv_freq.view.f32(), 1.0f};
      ops.CopyFromHost(q.data(), device_q.view);
      ops.CopyFromHost(late_k.data(), last_k.view);
      ops.CopyFromHost(late_v.data(), last_v.view);
      ops.Rope(device_q.view, shape.dim, positions, table_of_angles);
      ops.Rope(last_k.view, shape.dim, positions, table_of_angles);
      ops.StoreKv(last_k.view, last_v.view, kv, late_slots);
    }
    ops.PagedAttention(device_q.view, kv, {positions, query_start, context}, {{}, table, most}, shape.params, out.view);
    EXPECT_TRUE(ops.Finish().has_value());
  }
  return out.Read();
}

void Compare(const Shape& shape, const std::vector<int>& lengths, const std::vector<int>& queries, bool late = false) {
  const auto ref = MakeRefOps();
  const auto expected = RunAttention(*ref, shape, lengths, queries, late);
  const std::string what = "dim " + std::to_string(shape.dim) + " window " + std::to_string(shape.params.window) + " first length " +
                           std::to_string(lengths[0]) + " queries " + std::to_string(queries[0]) + " type " +
                           std::string(Info(shape.k_dtype).name);
  EXPECT_LT(Distance(RunAttention(Gpu(), shape, lengths, queries, late), expected), 2e-3) << what;
  EXPECT_LT(Distance(RunAttention(Gpu(true), shape, lengths, queries, late), expected), 2e-3) << what << " deterministic";
}

TEST(CudaAttention, SingleTokensOverShortAndLongContexts) {
  for (int dim : {64, 128, 256}) {
    Shape shape;
    shape.dim = dim;
    Compare(shape, {1, 16, 33, 255, 256, 257, 1000}, {1, 1, 1, 1, 1, 1, 1});
    Compare(shape, {3000}, {1});
  }
}

// So many that short contexts are not split.
TEST(CudaAttention, SingleTokensOfManySequences) {
  for (DType dtype : {DType::kF16, DType::kQ8_0}) {
    Shape shape;
    shape.k_dtype = shape.v_dtype = dtype;
    std::vector<int> lengths, queries(150, 1);
    for (int i = 0; i < 150; ++i) lengths.push_back(1 + i * 97 % 700);
    Compare(shape, lengths, queries);
    lengths[7] = 1500;
    Compare(shape, lengths, queries);
    shape.params.window = 50;
    Compare(shape, lengths, queries);
  }
}

// Keys of earlier steps may be loaded before the new one is there.
TEST(CudaAttention, TheNewKeyIsSeenWhereverItLies) {
  for (DType dtype : {DType::kF16, DType::kF32, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kFP8E4M3}) {
    for (int dim : {64, 128, 256}) {
      Shape shape;
      shape.dim = dim;
      shape.k_dtype = shape.v_dtype = dtype;
      for (int length : {1, 2, 9, 16, 17, 127, 128, 129, 250, 1999}) Compare(shape, {length}, {1}, true);
      Compare(shape, {2048}, {1}, true);
      Compare(shape, {2049}, {1}, true);
      Compare(shape, {5, 900, 16, 33}, {1, 1, 1, 1}, true);
      shape.params.window = 40;
      Compare(shape, {600, 30, 41}, {1, 1, 1}, true);
    }
  }
  Shape many;
  std::vector<int> lengths;
  for (int i = 0; i < 100; ++i) lengths.push_back(1 + i * 97 % 700);
  Compare(many, lengths, std::vector<int>(100, 1), true);
}

TEST(CudaAttention, VeryLongContextsTakeLargerSplits) {
  Shape shape;
  shape.heads = 2;
  shape.kv_heads = 1;
  for (int length : {6144, 6145, 17000}) Compare(shape, {length, 40}, {1, 1}, true);
}

TEST(CudaAttention, ChunksOfPrompts) {
  for (int dim : {64, 128, 256}) {
    Shape shape;
    shape.dim = dim;
    Compare(shape, {7, 130, 300}, {7, 100, 300});
    Compare(shape, {500, 20}, {60, 1});
    // Few blocks, whose keys are split, and many.
    Compare(shape, {400}, {400});
    Compare(shape, std::vector<int>(20, 300), std::vector<int>(20, 200));
  }
}

// Every tile's keys are split, over as many blocks as its own keys are worth.
TEST(CudaAttention, FewTokensBehindManyKeys) {
  for (int dim : {64, 128, 256}) {
    Shape shape;
    shape.dim = dim;
    Compare(shape, {3000}, {3});
    Compare(shape, {3000, 5, 140, 1800}, {30, 5, 1, 50});
    shape.params.window = 700;
    Compare(shape, {3000, 700, 1800}, {30, 2, 50});
    shape.params = {0.125f, 0, 20.0f, 0};
    Compare(shape, {2000}, {23});
  }
  Shape one;  // head of each KV head
  one.kv_heads = one.heads;
  Compare(one, {1500, 64}, {70, 64});
  Shape odd;  // a group that divides no tile
  odd.heads = 7;
  odd.kv_heads = 1;
  Compare(odd, {1500, 300}, {40, 100});
}

// More tokens, each on its own, than one launch has room for the parts of.
TEST(CudaAttention, PartsOfManyTokensAreBounded) {
  Shape shape;
  shape.dim = 128;
  std::vector<int> lengths(601, 5), queries(601, 4);
  lengths[0] = 9000;
  Compare(shape, lengths, queries);
}

TEST(CudaAttention, OtherHeadSizesGroupsTypesAndMasks) {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kFP8E4M3}) {
    Shape shape;
    shape.k_dtype = shape.v_dtype = dtype;
    Compare(shape, {70, 300}, {1, 1});
    Compare(shape, {70, 300}, {20, 100});
  }
  Shape mixed;
  mixed.k_dtype = DType::kQ8_0;
  Compare(mixed, {70}, {10});
  Shape odd;
  odd.dim = 96;
  Compare(odd, {50}, {3});
  Shape large;
  large.dim = 256;
  large.heads = 4;
  large.kv_heads = 1;
  Compare(large, {90}, {30});
  Compare(large, {90}, {1});
  Shape equal;
  equal.kv_heads = 6;
  Compare(equal, {100, 20}, {100, 1});
  Shape window;
  window.params.window = 40;
  Compare(window, {600, 30}, {1, 1});
  Compare(window, {600, 30}, {50, 30});
  Shape capped;
  capped.params.softcap = 20.0f;
  Compare(capped, {100}, {1});
  Compare(capped, {100}, {40});
  Shape both_ways;
  both_ways.params.ahead = kSeesAll;
  Compare(both_ways, {64, 11}, {64, 11});
}

TEST(CudaAttention, DeterministicTokensAreTheSameInAnyChunk) {
  Shape shape;
  const auto whole = RunAttention(Gpu(true), shape, {300}, {300});
  for (int queries : {1, 2, 17, 150}) {
    const auto part = RunAttention(Gpu(true), shape, {300}, {queries});
    EXPECT_TRUE(SameBits(part, std::vector<float>(whole.end() - static_cast<long>(part.size()), whole.end()))) << queries;
  }
}

}  // namespace
}  // namespace lb
