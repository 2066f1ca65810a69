// Proves that paged attention is the specified one (against the two-pass reference in double), and that
// a token's bits depend on its own sequence only: not on chunking, neighbours, threads or where its
// blocks lie.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kernels/backends.h"
#include "tests/kernels/random_data.h"
#include "tests/sanitized.h"

namespace lb {
namespace {

std::unique_ptr<Ops> MakeCpu(const std::string& isa, int threads) {
  auto ops = MakeCpuOps({{threads}, isa});
  CHECK(ops.has_value());
  return std::move(ops).value();
}

struct Shape {
  int heads = 6;
  int kv_heads = 2;
  int k_dim = 64;
  int v_dim = 64;
  DType k_dtype = DType::kF16;
  DType v_dtype = DType::kF16;
  AttentionParams params{0.125f, 0, 0.0f};
};

// Sequences of tokens whose K, V and queries are a function of (sequence, position) alone, and a pool.
class World {
 public:
  World(const Shape& shape, std::vector<int> lengths, uint32_t block_seed)
      : shape_(shape), lengths_(std::move(lengths)) {
    int blocks = 3;  // spare ones
    for (int n : lengths_) blocks += (n + kKvBlockTokens - 1) / kKvBlockTokens;
    num_blocks_ = blocks;
    std::vector<int32_t> ids(static_cast<size_t>(blocks));
    std::iota(ids.begin(), ids.end(), 0);
    std::shuffle(ids.begin(), ids.end(), std::mt19937(block_seed));
    size_t next = 0;
    for (size_t s = 0; s < lengths_.size(); ++s) {
      const int n = lengths_[s];
      tables_.emplace_back();
      for (int i = 0; i * kKvBlockTokens < n; ++i) tables_.back().push_back(ids[next++]);
      const auto seed = static_cast<uint32_t>(100 * s);
      k_.push_back(RandomFloats(int64_t{n} * shape.kv_heads * shape.k_dim, seed + 1));
      v_.push_back(RandomFloats(int64_t{n} * shape.kv_heads * shape.v_dim, seed + 2));
      q_.push_back(RandomFloats(int64_t{n} * shape.heads * shape.k_dim, seed + 3));
    }
    // What a block held before is somebody else's.
    const auto rows = int64_t{blocks} * kKvBlockTokens * shape.kv_heads;
    k_pool_.resize(static_cast<size_t>(rows * RowBytes(shape.k_dtype, shape.k_dim)), 0x2a);
    v_pool_.resize(static_cast<size_t>(rows * RowBytes(shape.v_dtype, shape.v_dim)), 0x2a);
  }

  // Runs positions [from, to) of some sequences as one step; returns their outputs, sequence by sequence.
  struct Span {
    int sequence, from, to;
  };
  std::vector<std::vector<float>> Step(Ops& ops, const std::vector<Span>& spans) {
    std::vector<float> q, k, v;
    std::vector<int32_t> slots, positions, start{0}, context, table;
    size_t max_blocks = 0;
    for (const auto& t : tables_) max_blocks = std::max(max_blocks, t.size());
    for (const Span& span : spans) {
      const auto s = static_cast<size_t>(span.sequence);
      Append(q_[s], shape_.heads * shape_.k_dim, span, &q);
      Append(k_[s], shape_.kv_heads * shape_.k_dim, span, &k);
      Append(v_[s], shape_.kv_heads * shape_.v_dim, span, &v);
      for (int p = span.from; p < span.to; ++p) {
        positions.push_back(p);
        slots.push_back(tables_[s][static_cast<size_t>(p / kKvBlockTokens)] * kKvBlockTokens +
                        p % kKvBlockTokens);
      }
      start.push_back(static_cast<int32_t>(positions.size()));
      context.push_back(span.to);
      std::vector<int32_t> row(max_blocks, -1);
      // Blocks the window has left behind are gone.
      const int window = shape_.params.window;
      const int first = window > 0 ? std::max(0, span.from - window + 1) : 0;
      for (int i = first / kKvBlockTokens; i * kKvBlockTokens < span.to; ++i) {
        row[static_cast<size_t>(i)] = tables_[s][static_cast<size_t>(i)];
      }
      table.insert(table.end(), row.begin(), row.end());
    }
    const auto tokens = static_cast<int64_t>(positions.size());
    const KvLayer layer{k_pool_.data(),  v_pool_.data(), shape_.k_dtype, shape_.v_dtype,
                        shape_.kv_heads, shape_.k_dim,   shape_.v_dim,   num_blocks_};
    ops.StoreKv(View(k, {tokens, shape_.kv_heads * shape_.k_dim}),
                View(v, {tokens, shape_.kv_heads * shape_.v_dim}), layer, slots);
    std::vector<float> out(static_cast<size_t>(tokens * shape_.heads * shape_.v_dim), 7.0f);
    ops.PagedAttention(View(q, {tokens, shape_.heads * shape_.k_dim}), layer,
                       {positions, start, context}, {slots, table, static_cast<int>(max_blocks)},
                       shape_.params, View(out, {tokens, shape_.heads * shape_.v_dim}));
    std::vector<std::vector<float>> parts;
    const auto width = static_cast<int64_t>(shape_.heads) * shape_.v_dim;
    for (size_t i = 0; i < spans.size(); ++i) {
      parts.emplace_back(out.begin() + start[i] * width, out.begin() + start[i + 1] * width);
    }
    return parts;
  }

  // One sequence in steps of the given sizes (the last repeats).
  std::vector<float> InSteps(Ops& ops, int sequence, std::vector<int> sizes) {
    std::vector<float> all;
    size_t i = 0;
    for (int at = 0; at < lengths_[static_cast<size_t>(sequence)];) {
      const int size = std::min(sizes[std::min(i++, sizes.size() - 1)],
                                lengths_[static_cast<size_t>(sequence)] - at);
      const auto part = Step(ops, {{sequence, at, at + size}})[0];
      all.insert(all.end(), part.begin(), part.end());
      at += size;
    }
    return all;
  }

 private:
  static void Append(const std::vector<float>& from, int width, const Span& span,
                     std::vector<float>* to) {
    to->insert(to->end(), from.begin() + int64_t{span.from} * width,
               from.begin() + int64_t{span.to} * width);
  }

  Shape shape_;
  std::vector<int> lengths_;
  std::vector<std::vector<int32_t>> tables_;
  std::vector<std::vector<float>> k_, v_, q_;
  std::vector<char> k_pool_, v_pool_;
  int num_blocks_ = 0;
};

std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (const DType dtype :
       {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kFP8E4M3}) {
    shapes.push_back({.k_dtype = dtype, .v_dtype = dtype});
  }
  shapes.push_back({.k_dtype = DType::kQ8_0, .v_dtype = DType::kF16});
  shapes.push_back({.heads = 4, .kv_heads = 4, .k_dim = 80, .v_dim = 48});
  shapes.push_back({.heads = 3, .kv_heads = 1, .k_dim = 20, .v_dim = 12, .k_dtype = DType::kF32});
  shapes.push_back({.heads = 3, .kv_heads = 1, .k_dim = 20, .v_dim = 12, .k_dtype = DType::kFP8E4M3});
  shapes.push_back({.heads = 4, .kv_heads = 1, .k_dim = 256, .v_dim = 256,
                    .params = {0.0625f, 37, 0.0f}});
  // Groups of heads that do not divide into what a kernel takes at a time.
  shapes.push_back({.heads = 14, .kv_heads = 2, .k_dim = 64, .v_dim = 96});
  shapes.push_back({.heads = 5, .kv_heads = 1, .k_dim = 32, .v_dim = 16});
  // More heads on one KV head than a job has rows.
  shapes.push_back({.heads = 100, .kv_heads = 1, .k_dim = 16, .v_dim = 16});
  shapes.push_back({.params = {0.125f, 1, 0.0f}});
  shapes.push_back({.params = {0.5f, 0, 5.0f}});
  shapes.push_back({.params = {0.125f, 600, 20.0f}});
  return shapes;
}

// Texts that are read in both directions, and within a window to both sides.
std::vector<Shape> BothWays() {
  return {{.params = {0.125f, 0, 0.0f, kSeesAll}},
          {.heads = 12, .kv_heads = 12, .k_dim = 32, .v_dim = 32, .k_dtype = DType::kF32,
           .v_dtype = DType::kF32, .params = {0.2f, 0, 0.0f, kSeesAll}},
          {.heads = 3, .kv_heads = 1, .k_dim = 20, .v_dim = 12, .k_dtype = DType::kF32,
           .params = {0.2f, 9, 0.0f, 8}},
          {.params = {0.125f, 301, 0.0f, 300}}};
}

class Attention : public testing::TestWithParam<std::string> {};

TEST_P(Attention, IsTheReferenceWithinRounding) {
  auto ref = MakeRefOps();
  auto cpu = MakeCpu(GetParam(), 2);
  int i = 0;
  std::vector<Shape> shapes = Shapes();
  for (const Shape& shape : BothWays()) shapes.push_back(shape);
  for (const Shape& shape : shapes) {
    World a(shape, {75, 1, 33}, 1), b(shape, {75, 1, 33}, 1);
    const std::vector<World::Span> first{{0, 0, 70}, {1, 0, 1}, {2, 0, 16}};
    const std::vector<World::Span> second{{2, 16, 33}, {0, 70, 75}};
    for (const auto& spans : {first, second}) {
      const auto want = a.Step(*ref, spans), got = b.Step(*cpu, spans);
      for (size_t s = 0; s < want.size(); ++s) {
        for (size_t j = 0; j < want[s].size(); ++j) {
          ASSERT_NEAR(got[s][j], want[s][j], 2e-6 + 4e-6 * std::fabs(want[s][j]))
              << "shape " << i << " span " << s << " value " << j;
        }
      }
    }
    ++i;
  }
}

TEST_P(Attention, ATokensBitsDependOnItsSequenceOnly) {
  auto one = MakeCpu(GetParam(), 1);
  auto three = MakeCpu(GetParam(), 3);
  // AllGiveTheSameBits ties the portable path to the others: a third of the shapes will do there.
  const bool slow = GetParam() == "portable";
  const std::vector<Shape> shapes = Shapes();
  for (size_t i = 0; i < shapes.size(); i += slow ? 3 : 1) {
    const Shape& shape = shapes[i];
    // Over two borders of splits (one will do where it is slow), and one sequence within the first.
    const int length = slow || kSanitized ? 530 : 1100;
    World world(shape, {length, 40}, 1);
    const std::vector<float> whole = world.Step(*one, {{0, 0, length}})[0];
    World chunks(shape, {length, 40}, 2);  // other blocks, too
    EXPECT_TRUE(SameBits(whole, chunks.InSteps(*three, 0, {1, 7, 130, 512})));
    World both(shape, {length, 40}, 3);
    const auto mixed = both.Step(*three, {{1, 0, 40}, {0, 0, length}});
    EXPECT_TRUE(SameBits(whole, mixed[1]));
    // The last token as a decoding step, by one thread and (in splits) by three.
    World decode(shape, {length, 40}, 4);
    const auto head = decode.Step(*one, {{0, 0, length - 1}})[0];
    const auto tail = decode.Step(*one, {{0, length - 1, length}})[0];
    EXPECT_TRUE(SameBits(tail, {whole.end() - static_cast<int64_t>(tail.size()), whole.end()}));
    EXPECT_TRUE(SameBits(tail, decode.Step(*three, {{0, length - 1, length}})[0]));
  }
}

TEST_P(Attention, BothWaysATextsBitsDoNotDependOnItsNeighbours) {
  auto one = MakeCpu(GetParam(), 1);
  auto three = MakeCpu(GetParam(), 3);
  const int length = GetParam() == "portable" ? 70 : kSanitized ? 530 : 1100;
  for (const Shape& shape : BothWays()) {
    World world(shape, {length, 40}, 1);
    const std::vector<float> alone = world.Step(*one, {{0, 0, length}})[0];
    World both(shape, {length, 40}, 2);
    EXPECT_TRUE(SameBits(alone, both.Step(*three, {{1, 0, 40}, {0, 0, length}})[1]));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Attention, testing::ValuesIn(CpuIsas()),
                         [](const auto& info) { return info.param; });

TEST(AttentionIsas, AllGiveTheSameBits) {
  std::vector<Shape> shapes = Shapes();
  for (const Shape& shape : BothWays()) shapes.push_back(shape);
  for (const Shape& shape : shapes) {
    World reference(shape, {90}, 1);
    auto portable = MakeCpu("portable", 1);
    const auto want = reference.Step(*portable, {{0, 0, 90}})[0];
    for (const std::string& isa : CpuIsas()) {
      World world(shape, {90}, 1);
      auto ops = MakeCpu(isa, 1);
      EXPECT_TRUE(SameBits(want, world.Step(*ops, {{0, 0, 90}})[0])) << isa;
    }
  }
}

}  // namespace
}  // namespace lb
