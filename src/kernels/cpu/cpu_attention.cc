// Paged attention of the CPU backend: tiles of queries over the threads; when those are few, the
// fixed splits of the context too. Both ways run the same splits and join them in the same order.
#include <algorithm>

#include "kernels/cpu/cpu_ops.h"

namespace lb {
namespace {

struct Tile {
  int sequence;
  int kv_head;
  int head, num_heads;  // the query heads
  int t0, t1;
  int kv_begin, kv_end;  // positions any of its tokens sees

  int first_split() const { return kv_begin / kSplitTokens; }
  int num_rows() const { return (t1 - t0) * num_heads; }
  int num_splits() const { return (kv_end - 1) / kSplitTokens - first_split() + 1; }
};

// The state of a tile's rows, in one stretch of floats.
struct State {
  float* largest;
  float* sum;
  float* acc;
};
int64_t StateFloats(int rows, int v_pad) { return static_cast<int64_t>(rows) * (v_pad + 2); }
State StateAt(float* base, int rows, int v_pad) {
  // acc first: 64-byte aligned as the base is.
  float* rest = base + static_cast<int64_t>(rows) * v_pad;
  return {rest, rest + rows, base};
}

}  // namespace

void CpuOps::PagedAttention(const TensorView& q, const KvLayer& kv, const SequenceBatch& batch,
                            const KvBatch& blocks, const AttentionParams& params,
                            const TensorView& out) {
  static_assert(kKvBlockTokens == 16);
  const int num_tokens = batch.num_tokens();
  if (num_tokens == 0) return;
  CHECK_EQ(q.num_elements() % (static_cast<int64_t>(num_tokens) * kv.k_dim), 0);
  const int heads = static_cast<int>(q.num_elements() / num_tokens / kv.k_dim);
  CHECK_EQ(heads % kv.num_kv_heads, 0);
  CHECK_EQ(out.num_elements(), static_cast<int64_t>(num_tokens) * heads * kv.v_dim);
  const int group = heads / kv.num_kv_heads;
  const int v_pad = (kv.v_dim + 15) / 16 * 16;

  std::vector<Tile> tiles;
  int64_t total_splits = 0;
  const int tile_heads = std::min(group, kMaxAttentionRows);
  const int most_tokens = kMaxAttentionRows / tile_heads;
  for (int s = 0; s < batch.num_sequences(); ++s) {
    // Parts of about the same size: the threads end together, and no part is small, thus slow.
    const int num_parts =
        (batch.query_start[s + 1] - batch.query_start[s] + most_tokens - 1) / most_tokens;
    int t0 = batch.query_start[s];
    for (int part = 0; part < num_parts; ++part) {
      const int left = num_parts - part;
      const int t1 = t0 + (batch.query_start[s + 1] - t0 + left - 1) / left;
      const int begin =
          params.window > 0 ? std::max(0, batch.positions[t0] - params.window + 1) : 0;
      const int end = std::min(batch.positions[t1 - 1] + 1 + params.ahead, batch.context_len[s]);
      CHECK_LE(end, blocks.max_blocks * kKvBlockTokens);
      for (int i = begin / kKvBlockTokens; i <= (end - 1) / kKvBlockTokens; ++i) {
        const int32_t block = blocks.block_table[static_cast<size_t>(s) * blocks.max_blocks + i];
        CHECK(block >= 0 && block < kv.num_blocks);
      }
      for (int head = 0; head < heads;) {
        // A tile is of one KV head: the last of a very large group may be smaller.
        const int num_heads = std::min(tile_heads, (head / group + 1) * group - head);
        tiles.push_back({s, head / group, head, num_heads, t0, t1, begin, end});
        total_splits += tiles.back().num_splits();
        head += num_heads;
      }
      t0 = t1;
    }
  }
  // The long ones first, so that no thread begins one when all others are done.
  std::stable_sort(tiles.begin(), tiles.end(), [](const Tile& a, const Tile& b) {
    return a.kv_end - a.kv_begin > b.kv_end - b.kv_begin;
  });

  const int64_t kernel_bytes = (AttentionScratchBytes(kv.k_dim, kv.v_dim) + 63) / 64 * 64;
  const int64_t state_bytes = (StateFloats(kMaxAttentionRows, v_pad) * 4 + 63) / 64 * 64;
  ReserveScratch(kernel_bytes + 2 * state_bytes);

  const auto run_split = [&](const Tile& tile, int i, const State& state, void* scratch) {
    AttentionJob job;
    job.q = q.f32() + static_cast<int64_t>(tile.head) * kv.k_dim;
    job.q_stride = static_cast<int64_t>(heads) * kv.k_dim;
    job.group = tile.num_heads;
    job.k = {static_cast<const char*>(kv.k), static_cast<int>(kv.k_dtype), kv.k_dim,
             RowBytes(kv.k_dtype, kv.k_dim)};
    job.v = {static_cast<const char*>(kv.v), static_cast<int>(kv.v_dtype), kv.v_dim,
             RowBytes(kv.v_dtype, kv.v_dim)};
    job.num_kv_heads = kv.num_kv_heads;
    job.kv_head = tile.kv_head;
    job.table = blocks.block_table.data() + static_cast<int64_t>(tile.sequence) * blocks.max_blocks;
    job.positions = batch.positions.data();
    job.t0 = tile.t0;
    job.t1 = tile.t1;
    const int split = (tile.first_split() + i) * kSplitTokens;
    job.kv_begin = std::max(tile.kv_begin, split);
    job.kv_end = std::min(tile.kv_end, split + kSplitTokens);
    job.scale = params.scale;
    job.window = params.window;
    job.ahead = params.ahead;
    job.softcap = params.softcap;
    job.largest = state.largest;
    job.sum = state.sum;
    job.acc = state.acc;
    job.scratch = scratch;
    kernels_.attention_split(job);
  };
  const auto merge = [&](const State& into, const State& from, int rows) {
    for (int r = 0; r < rows; ++r) {
      const int64_t at = static_cast<int64_t>(r) * v_pad;
      kernels_.attention_merge(into.largest + r, into.sum + r, into.acc + at, from.largest[r],
                               from.sum[r], from.acc + at, v_pad);
    }
  };
  const auto finish = [&](const Tile& tile, const State& state) {
    for (int r = 0; r < tile.num_rows(); ++r) {
      const int64_t t = tile.t0 + r / tile.num_heads, h = tile.head + r % tile.num_heads;
      kernels_.attention_finish(state.acc + static_cast<int64_t>(r) * v_pad, state.sum[r], kv.v_dim,
                                out.f32() + (t * heads + h) * kv.v_dim);
    }
  };
  const auto num_tiles = static_cast<int64_t>(tiles.size());

  if (num_tiles >= 4 * pool_.num_threads() || total_splits == num_tiles) {
    pool_.ParallelFor(num_tiles, 1, [&](int64_t begin, int64_t end, int thread) {
      char* scratch = static_cast<char*>(Scratch(thread, kernel_bytes + 2 * state_bytes));
      for (int64_t i = begin; i < end; ++i) {
        const Tile& tile = tiles[static_cast<size_t>(i)];
        const int rows = tile.num_rows();
        const State all = StateAt(reinterpret_cast<float*>(scratch + kernel_bytes), rows, v_pad);
        const State one =
            StateAt(reinterpret_cast<float*>(scratch + kernel_bytes + state_bytes), rows, v_pad);
        run_split(tile, 0, all, scratch);
        for (int s = 1; s < tile.num_splits(); ++s) {
          run_split(tile, s, one, scratch);
          merge(all, one, rows);
        }
        finish(tile, all);
      }
    });
    return;
  }

  // Few tiles with long contexts: their splits to all threads, then joined in order.
  struct Piece {
    int64_t tile;
    int split;
    int64_t state;  // first float of its state
  };
  std::vector<Piece> pieces;
  std::vector<int64_t> first_piece;
  int64_t floats = 0;
  for (int64_t i = 0; i < num_tiles; ++i) {
    const Tile& tile = tiles[static_cast<size_t>(i)];
    first_piece.push_back(static_cast<int64_t>(pieces.size()));
    for (int s = 0; s < tile.num_splits(); ++s) {
      pieces.push_back({i, s, floats});
      floats += StateFloats(tile.num_rows(), v_pad);
    }
  }
  partial_.resize(std::max(partial_.size(), static_cast<size_t>(floats)));
  const auto state_of = [&](const Piece& piece) {
    const Tile& tile = tiles[static_cast<size_t>(piece.tile)];
    return StateAt(partial_.data() + piece.state, tile.num_rows(), v_pad);
  };
  pool_.ParallelFor(static_cast<int64_t>(pieces.size()), 1,
                    [&](int64_t begin, int64_t end, int thread) {
                      for (int64_t i = begin; i < end; ++i) {
                        const Piece& piece = pieces[static_cast<size_t>(i)];
                        run_split(tiles[static_cast<size_t>(piece.tile)], piece.split,
                                  state_of(piece), Scratch(thread, kernel_bytes));
                      }
                    });
  for (int64_t i = 0; i < num_tiles; ++i) {
    const Tile& tile = tiles[static_cast<size_t>(i)];
    const auto first = static_cast<size_t>(first_piece[static_cast<size_t>(i)]);
    const State all = state_of(pieces[first]);
    for (int s = 1; s < tile.num_splits(); ++s) {
      merge(all, state_of(pieces[first + static_cast<size_t>(s)]), tile.num_rows());
    }
    finish(tile, all);
  }
}

}  // namespace lb
