// Proves the CUDA backend's operations on rows against the reference, fused as a model strings them together too,
// and the choice of the largest logits against a sort.
#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "tests/cuda/device_tensors.h"

namespace lb {
namespace {

// `body` on the reference and on the GPU, three times each (directly, captured, as a graph); within `tolerance`.
void Same(double tolerance, const std::function<std::vector<float>(Ops&)>& body) {
  const auto ref = MakeRefOps();
  const auto expected = body(*ref);
  for (int times = 0; times < 3; ++times) EXPECT_LT(Distance(body(Gpu()), expected), tolerance) << times;
}

TEST(CudaRows, NormsActivationsAndSums) {
  for (int64_t cols : {64, 577, 1536}) {
    const auto x = RandomFloats(5 * cols, 1, 3.0f), w = RandomFloats(cols, 2), b = RandomFloats(cols, 3);
    Same(1e-5, [&](Ops& ops) {
      const Tensor in(ops, {5, cols}, &x), weight(ops, {cols}, &w), y(ops, {5, cols});
      ops.RmsNorm(in.view, weight.view.f32(), 1e-6f, y.view);
      EXPECT_TRUE(ops.Finish().has_value());
      return y.Read();
    });
    Same(1e-5, [&](Ops& ops) {
      const Tensor in(ops, {5, cols}, &x), weight(ops, {cols}, &w), bias(ops, {cols}, &b);
      ops.LayerNorm(in.view, weight.view.f32(), bias.view.f32(), 1e-6f, in.view);
      ops.Softcap(in.view, 5.0f);
      ops.Scale(in.view, -1.75f);
      EXPECT_TRUE(ops.Finish().has_value());
      return in.Read();
    });
    for (Activation act : {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu}) {
      Same(1e-5, [&](Ops& ops) {
        const Tensor gate(ops, {5, cols}, &x), up(ops, {5, cols}, &x);
        ops.GluMul(act, gate.view, up.view, up.view);
        ops.Activate(act, gate.view);
        ops.Add(up.view, gate.view);
        EXPECT_TRUE(ops.Finish().has_value());
        return gate.Read();
      });
    }
  }
}

TEST(CudaRows, EmbeddingsOfEveryType) {
  for (DType dtype : kWeightTypes) {
    const int64_t cols = std::max(32, Info(dtype).block_size) * 3;
    const RandomWeight table(dtype, 50, cols, 9);
    const std::vector<int32_t> ids = {0, 49, 17, 8, 8};
    Same(1e-3, [&](Ops& ops) {
      const auto matrix = std::move(ops.LoadTable(table.view)).value();
      const Tensor y(ops, {5, cols}), kept(ops, {2, cols});
      ops.Embed(*matrix, ids, 2.5f, y.view);
      const std::vector<int32_t> rows = {4, 1};
      ops.GatherRows(y.view, rows, kept.view);
      EXPECT_TRUE(ops.Finish().has_value());
      auto out = y.Read();
      const auto more = kept.Read();
      out.insert(out.end(), more.begin(), more.end());
      return out;
    });
  }
}

TEST(CudaRows, HeadsAreNormedRotatedAndStored) {
  for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kFP8E4M3}) {
    for (RopeStyle style : {RopeStyle::kHalves, RopeStyle::kInterleaved}) {
      const int64_t tokens = 5, dim = 64, heads = 6, kv_heads = 2;
      const auto q = RandomFloats(tokens * heads * dim, 1), k = RandomFloats(tokens * kv_heads * dim, 2),
                 v = RandomFloats(tokens * kv_heads * dim, 3), norm = RandomFloats(dim, 4);
      std::vector<float> frequencies(24);
      for (size_t i = 0; i < frequencies.size(); ++i) frequencies[i] = std::pow(10000.0f, -static_cast<float>(i) / 24);
      const std::vector<int32_t> positions = {3, 100, 5000, 120000, 0}, slots = {17, 0, 35, 33, 34};
      Same(2e-3, [&](Ops& ops) {
        const Tensor dq(ops, {tokens, heads * dim}, &q), dk(ops, {tokens, kv_heads * dim}, &k), dv(ops, {tokens, kv_heads * dim}, &v);
        const Tensor weight(ops, {dim}, &norm), inv_freq(ops, {24}, &frequencies);
        const RopeTable table{style, 48, inv_freq.view.f32(), 1.1f};
        const int64_t bytes = 3 * kKvBlockTokens * kv_heads * RowBytes(dtype, dim);
        const DeviceMemory pool_k = std::move(ops.Allocate(static_cast<size_t>(bytes))).value();
        const DeviceMemory pool_v = std::move(ops.Allocate(static_cast<size_t>(bytes))).value();
        const KvLayer kv{pool_k.get(), pool_v.get(), dtype, dtype, kv_heads, dim, dim, 3};
        ops.RmsNorm(dq.view.Reshape({tokens * heads, dim}), weight.view.f32(), 1e-6f, dq.view.Reshape({tokens * heads, dim}));
        ops.RmsNorm(dk.view.Reshape({tokens * kv_heads, dim}), weight.view.f32(), 1e-6f, dk.view.Reshape({tokens * kv_heads, dim}));
        ops.Rope(dq.view, dim, positions, table);
        ops.Rope(dk.view, dim, positions, table);
        ops.StoreKv(dk.view, dv.view, kv, slots);
        EXPECT_TRUE(ops.Finish().has_value());
        auto out = dq.Read();
        for (const auto* pool : {&pool_k, &pool_v}) {
          const TensorView stored(pool->get(), dtype, {3 * kKvBlockTokens * kv_heads, dim});
          std::vector<char> raw(static_cast<size_t>(bytes));
          ops.CopyToHost(stored, raw.data());
          std::vector<float> values(static_cast<size_t>(stored.num_elements()));
          Info(dtype).decode(raw.data(), values.data(), stored.num_elements());
          out.insert(out.end(), values.begin(), values.end());
        }
        return out;
      });
    }
  }
}

TEST(CudaTop, TheLargestOfEachRow) {
  Ops& gpu = Gpu();
  for (int64_t vocab : {5, 1000, 151936}) {
    for (int count : {1, 2, 40, 128}) {
      const int64_t rows = 3;
      auto logits = RandomFloats(rows * vocab, static_cast<uint32_t>(vocab) + static_cast<uint32_t>(count));
      std::fill(logits.begin(), logits.begin() + vocab / 2, 1.5f);       // ties: the lower id first
      for (int64_t i = 0; i < vocab; i += 512) logits[static_cast<size_t>(vocab + i)] = 9.0f + static_cast<float>(i);  // one thread's
      const Tensor device(gpu, {rows, vocab}, &logits);
      std::vector<float> values(static_cast<size_t>(rows * count));
      std::vector<int32_t> ids(values.size());
      for (int times = 0; times < 3; ++times) {
        std::fill(ids.begin(), ids.end(), -7);
        gpu.Top(device.view, count, {}, values.data(), ids.data());
        ASSERT_TRUE(gpu.Finish().has_value());
        for (int64_t r = 0; r < rows; ++r) {
          std::vector<int32_t> order(static_cast<size_t>(vocab));
          std::iota(order.begin(), order.end(), 0);
          const float* row = logits.data() + r * vocab;
          std::ranges::stable_sort(order, [&](int32_t a, int32_t b) { return row[a] > row[b]; });
          for (int i = 0; i < count; ++i) {
            const auto at = static_cast<size_t>(r * count + i);
            ASSERT_EQ(ids[at], i < vocab ? order[static_cast<size_t>(i)] : -1) << vocab << " " << count << " row " << r << " place " << i;
            if (i < vocab) {
              ASSERT_EQ(values[at], row[ids[at]]);
            }
          }
        }
      }
    }
  }
}

// The numbers of the `count` largest of a row, as Top has to find them; -1 where there are no more.
std::vector<int32_t> PlainTop(const float* row, int64_t vocab, int count, const uint32_t* mask) {
  std::vector<int32_t> order;
  for (int32_t i = 0; i < vocab; ++i) {
    if (mask == nullptr || (mask[i / 32] >> (i % 32) & 1) != 0) order.push_back(i);
  }
  std::ranges::stable_sort(order, [&](int32_t a, int32_t b) { return row[a] > row[b]; });
  order.resize(static_cast<size_t>(count), -1);
  return order;
}

TEST(CudaTop, TheLargestOfWhatMasksLetThrough) {
  Ops& gpu = Gpu();
  const std::vector<std::function<bool(int64_t)>> may = {
      [](int64_t) { return false; },
      [](int64_t i) { return i % 7 == 3; },
      [](int64_t i) { return i == 4; },
      [](int64_t i) { return i % 512 < 100; },  // few threads have all of them, and many
      [](int64_t) { return true; },
      [](int64_t i) { return i % 1500 < 3; },  // fewer than are asked for
  };
  const std::vector<int32_t> mask_of = {0, 1, -1, 2, 3, 1, 4, 5, -1, 3};
  const auto rows = static_cast<int64_t>(mask_of.size());
  for (int64_t vocab : {5, 1000, 49153, 151936}) {
    const auto words = static_cast<size_t>(TokenMasks::words(vocab));
    std::vector<uint32_t> bits(may.size() * words);
    for (size_t m = 0; m < may.size(); ++m) {
      for (int64_t i = 0; i < vocab; ++i) {
        if (may[m](i)) bits[m * words + static_cast<size_t>(i / 32)] |= 1u << (i % 32);
      }
    }
    auto logits = RandomFloats(rows * vocab, static_cast<uint32_t>(vocab));
    for (float& x : logits) x = std::round(x * 16);  // ties
    const Tensor device(gpu, {rows, vocab}, &logits);
    for (int count : {1, 2, 16, 17, 128}) {
      std::vector<float> values(static_cast<size_t>(rows * count));
      std::vector<int32_t> ids(values.size());
      for (int times = 0; times < 3; ++times) {
        std::ranges::fill(ids, -7);
        gpu.Top(device.view, count, {mask_of, bits}, values.data(), ids.data());
        ASSERT_TRUE(gpu.Finish().has_value());
        for (int64_t r = 0; r < rows; ++r) {
          const int32_t mask = mask_of[static_cast<size_t>(r)];
          const float* row = logits.data() + r * vocab;
          const auto expected = PlainTop(row, vocab, count, mask < 0 ? nullptr : bits.data() + static_cast<size_t>(mask) * words);
          for (int i = 0; i < count; ++i) {
            const auto at = static_cast<size_t>(r * count + i);
            ASSERT_EQ(ids[at], expected[static_cast<size_t>(i)]) << vocab << " " << count << " row " << r << " place " << i;
            if (ids[at] >= 0) {
              ASSERT_EQ(values[at], row[ids[at]]);
            }
          }
        }
      }
    }
  }
}

TEST(CudaTop, NoMaskHidesAFault) {
  Ops& gpu = Gpu();
  const int64_t vocab = 3000;
  const std::vector<int32_t> mask_of = {0, 0, 0};
  std::vector<uint32_t> bits(static_cast<size_t>(TokenMasks::words(vocab)));
  bits[1] = 1u << 8;  // token 40 alone
  auto logits = RandomFloats(3 * vocab, 1);
  logits[2000] = std::numeric_limits<float>::quiet_NaN();
  logits[static_cast<size_t>(vocab) + 2001] = std::numeric_limits<float>::infinity();
  logits[static_cast<size_t>(2 * vocab) + 2002] = -std::numeric_limits<float>::infinity();
  const Tensor device(gpu, {3, vocab}, &logits);
  for (int count : {1, 4}) {
    std::vector<float> values(static_cast<size_t>(3 * count));
    std::vector<int32_t> ids(values.size());
    gpu.Top(device.view, count, {mask_of, bits}, values.data(), ids.data());
    ASSERT_TRUE(gpu.Finish().has_value());
    const auto n = static_cast<size_t>(count);
    EXPECT_TRUE(std::isnan(values[0]));
    EXPECT_EQ(ids[0], 2000);
    EXPECT_EQ(values[n], std::numeric_limits<float>::infinity());
    EXPECT_EQ(ids[n], 2001);
    EXPECT_EQ(ids[2 * n], 40);
    if (count > 1) {
      EXPECT_EQ(ids[1], 40);
      EXPECT_EQ(ids[n + 1], 40);
      EXPECT_EQ(ids[2 * n + 1], -1);
    }
  }
}

TEST(CudaTop, ARepeatedStepReadsItsMasksAgain) {
  Ops& gpu = Gpu();
  const int64_t rows = 4, vocab = 5000;
  const int count = 8;
  const auto words = static_cast<size_t>(TokenMasks::words(vocab));
  const auto logits = RandomFloats(rows * vocab, 5);
  const Tensor device(gpu, {rows, vocab}, &logits);
  std::vector<int32_t> mask_of(static_cast<size_t>(rows)), ids(static_cast<size_t>(rows) * count);
  std::vector<float> values(ids.size());
  std::vector<uint32_t> bits;
  bits.reserve(8 * words);
  const auto fill = [&](size_t masks, uint32_t seed) {
    bits.resize(masks * words);
    uint32_t state = seed;
    for (uint32_t& word : bits) {
      state = state * 1664525 + 1013904223;
      word = state & state >> 7;
    }
    for (size_t r = 0; r < mask_of.size(); ++r) mask_of[r] = static_cast<int32_t>((r + seed) % (masks + 1)) - 1;
  };
  const auto record = [&] { gpu.Top(device.view, count, {mask_of, bits}, values.data(), ids.data()); };
  const auto expect = [&](const char* what) {
    std::ranges::fill(ids, -7);
    ASSERT_TRUE(gpu.Finish().has_value());
    for (int64_t r = 0; r < rows; ++r) {
      const int32_t mask = mask_of[static_cast<size_t>(r)];
      const auto expected =
          PlainTop(logits.data() + r * vocab, vocab, count, mask < 0 ? nullptr : bits.data() + static_cast<size_t>(mask) * words);
      for (int i = 0; i < count; ++i) ASSERT_EQ(ids[static_cast<size_t>(r * count + i)], expected[static_cast<size_t>(i)]) << what << " row " << r;
    }
  };
  for (uint32_t seed : {1u, 2u}) {
    fill(2, seed);
    record();
    expect("recorded");
  }
  for (uint32_t seed = 3; seed < 9; ++seed) {
    fill(2, seed);
    ASSERT_TRUE(gpu.Repeat(gpu.last_started()));
    expect("repeated");
  }
  // Another number of masks is recorded, but the graph is the same: it can be repeated at once.
  fill(4, 9);
  record();
  expect("with more masks");
  fill(4, 10);
  ASSERT_TRUE(gpu.Repeat(gpu.last_started()));
  expect("repeated with more masks");
}

TEST(CudaStep, ARepeatedOneReadsWhatItsArraysHoldNow) {
  Ops& gpu = Gpu();
  const int64_t rows = 40, vocab = 300;
  const auto values = RandomFloats(rows * vocab, 1);
  const Tensor all(gpu, {rows, vocab}, &values), some(gpu, {3, vocab});
  std::vector<int32_t> wanted = {0, 1, 2}, best(3);
  std::vector<float> logits(3);
  const auto record = [&] {
    gpu.GatherRows(all.view, wanted, some.view);
    gpu.Top(some.view, 1, {}, logits.data(), best.data());
  };
  const auto expect = [&] {
    ASSERT_TRUE(gpu.Finish().has_value());
    for (size_t i = 0; i < 3; ++i) {
      const auto row = values.begin() + wanted[i] * vocab;
      EXPECT_EQ(best[i], std::max_element(row, row + vocab) - row) << wanted[i];
    }
  };
  record();
  expect();
  EXPECT_FALSE(gpu.Repeat(gpu.last_started())) << "not yet a graph";
  record();
  expect();
  for (int32_t first = 3; first + 2 < rows; ++first) {
    std::iota(wanted.begin(), wanted.end(), first);
    ASSERT_TRUE(gpu.Repeat(gpu.last_started()));
    expect();
  }
  EXPECT_FALSE(gpu.Repeat(gpu.last_started() - 1));
  // Another step in between, and two.
  const int64_t before = gpu.last_started();
  gpu.Scale(some.view, 2.0f);
  ASSERT_TRUE(gpu.Finish().has_value());
  ASSERT_TRUE(gpu.Repeat(before));
  expect();
  const int64_t later = gpu.last_started();
  for (int i = 0; i < 2; ++i) {
    gpu.Scale(some.view, 2.0f);
    ASSERT_TRUE(gpu.Finish().has_value());
  }
  EXPECT_FALSE(gpu.Repeat(later));
  record();
  expect();
}

// What the choice depends on may come when all before it is under way.
TEST(CudaStep, OneInTwoPartsIsRepeatedInBoth) {
  Ops& gpu = Gpu();
  const int64_t rows = 50, vocab = 300, words = TokenMasks::words(vocab);
  const auto values = RandomFloats(rows * vocab, 2);
  const Tensor all(gpu, {rows, vocab}, &values), some(gpu, {4, vocab});
  std::vector<int32_t> wanted(4), best(4), mask_of(4), again(4);
  std::vector<float> logits(4), again_logits(4);
  std::vector<uint32_t> bits;
  int64_t number = 0;
  int repeated = 0;
  for (int step = 0; step < 40; ++step) {
    std::iota(wanted.begin(), wanted.end(), step);
    if (gpu.Repeat(number)) {
      ++repeated;
    } else {
      gpu.GatherRows(all.view, wanted, some.view);
      gpu.Top(some.view, 1, {}, logits.data(), best.data());
    }
    gpu.Start();
    number = gpu.last_started();
    // Now and then a mask more or less; odd tokens alone may be.
    bits.clear();
    for (size_t r = 0; r < 4; ++r) {
      const bool masked = static_cast<int>(r) < 1 + step / 10;
      mask_of[r] = masked ? static_cast<int32_t>(bits.size()) / static_cast<int32_t>(words) : -1;
      if (masked) bits.resize(bits.size() + static_cast<size_t>(words), 0xaaaaaaaau);
    }
    gpu.Top(some.view, 1, {mask_of, bits}, again_logits.data(), again.data());
    ASSERT_TRUE(gpu.Finish().has_value());
    for (size_t i = 0; i < 4; ++i) {
      const auto row = values.begin() + wanted[i] * vocab;
      const int64_t first = std::max_element(row, row + vocab) - row;
      int64_t odd = 1;
      for (int64_t t = 1; t < vocab; t += 2) {
        if (row[t] > row[odd]) odd = t;
      }
      EXPECT_EQ(best[i], first) << step;
      EXPECT_EQ(again[i], mask_of[i] < 0 ? first : odd) << step;
      EXPECT_EQ(again_logits[i], row[again[i]]) << step;
    }
  }
  EXPECT_GE(repeated, 36);
}

// A step that waits on the device for what the host learns from the step before.
TEST(CudaStep, OneIsQueuedBehindTheOneThatRuns) {
  Ops& gpu = Gpu();
  const int64_t rows = 200, vocab = 300;
  const auto values = RandomFloats(rows * vocab, 3);
  const Tensor all(gpu, {rows, vocab}, &values), early_rows(gpu, {3, vocab}), late_rows(gpu, {2, vocab});
  std::vector<int32_t> early = {0, 1, 2}, late = {3, 4}, best(5);
  std::vector<float> logits(5);
  const auto record = [&] {
    gpu.GatherRows(all.view, early, early_rows.view);
    gpu.GatherRows(all.view, late, late_rows.view);
    gpu.Top(early_rows.view, 1, {}, logits.data(), best.data());
    gpu.Top(late_rows.view, 1, {}, logits.data() + 3, best.data() + 3);
  };
  const auto finish = [&](int step) {
    best.assign(5, -1);
    ASSERT_TRUE(gpu.Finish().has_value());
    for (int i = 0; i < 5; ++i) {
      const auto row = values.begin() + (step * 5 + i) * vocab;
      EXPECT_EQ(best[static_cast<size_t>(i)], std::max_element(row, row + vocab) - row) << step << " " << i;
    }
  };
  const auto set = [](std::vector<int32_t>& to, int first) { std::iota(to.begin(), to.end(), first); };
  record();
  finish(0);
  EXPECT_FALSE(gpu.RepeatAhead(gpu.last_started(), late)) << "nothing runs";
  record();
  gpu.Start();
  const std::vector<int32_t> unknown = {1, 2};
  EXPECT_FALSE(gpu.RepeatAhead(gpu.last_started(), unknown));
  EXPECT_FALSE(gpu.RepeatAhead(gpu.last_started() - 1, late)) << "it is not what runs";
  for (int step = 1; step < 30; ++step) {
    set(early, step * 5);
    set(late, 0);
    ASSERT_TRUE(gpu.RepeatAhead(gpu.last_started(), late)) << step;
    EXPECT_FALSE(gpu.RepeatAhead(gpu.last_started(), late)) << "one is behind it";
    finish(step - 1);
    set(late, step * 5 + 3);
    gpu.Release();
  }
  finish(29);
  // And on as ever.
  set(early, 30 * 5);
  set(late, 30 * 5 + 3);
  ASSERT_TRUE(gpu.Repeat(gpu.last_started()));
  finish(30);
  record();
  finish(30);
}

TEST(CudaTop, ANanComesFirst) {
  Ops& gpu = Gpu();
  auto logits = RandomFloats(3000, 1);
  logits[2000] = -std::numeric_limits<float>::quiet_NaN();
  const Tensor device(gpu, {1, 3000}, &logits);
  float value = 0;
  int32_t id = 0;
  gpu.Top(device.view, 1, {}, &value, &id);
  ASSERT_TRUE(gpu.Finish().has_value());
  EXPECT_TRUE(std::isnan(value));
}

}  // namespace
}  // namespace lb
